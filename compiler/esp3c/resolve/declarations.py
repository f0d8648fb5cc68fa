"""Collects the declarations of a file: who is declared where, twice, and on what base."""

from __future__ import annotations

from dataclasses import dataclass, field

from esp3c.ir import Cycle, Fact, Misplaced, Repeated, Undefined
from esp3c.resolve.scopes import Names, Owner
from esp3c.resolve.shapes import Kind, Shape, block_shape, override, override_one, shape_of
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.syntax import ast


@dataclass(slots=True)
class Declarations:
    """The declarations by name, in the order of the file."""

    names: Names = field(default_factory=Names)
    configs: dict[str, ast.ConfigDeclaration] = field(default_factory=dict)
    datasets: dict[str, ast.DatasetDeclaration] = field(default_factory=dict)
    parallels: dict[str, ast.ParallelDeclaration] = field(default_factory=dict)
    lets: dict[str, ast.LetDeclaration] = field(default_factory=dict)
    recipes: list[ast.RecipeDeclaration] = field(default_factory=list)
    stages: list[ast.StagesDeclaration] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)


def declare(file: ast.File, overrides: tuple[ast.Setting, ...], facts: list[Fact]) -> Declarations:
    """One namespace for the whole file: a config, a dataset, a `parallel` and a `let` never share a name."""
    out = Declarations()
    first: dict[str, tuple[Span, str]] = {}
    for each in file.declarations:
        match each:
            case ast.RecipeDeclaration():
                out.recipes.append(each)
                continue
            case ast.StagesDeclaration():
                out.stages.append(each)
                continue
            case ast.ConfigDeclaration():
                kind, table = "config", out.configs
            case ast.DatasetDeclaration():
                kind, table = "dataset", out.datasets  # type: ignore[assignment]
            case ast.ParallelDeclaration():
                kind, table = "parallel", out.parallels  # type: ignore[assignment]
            case ast.LetDeclaration():
                kind, table = "let", out.lets  # type: ignore[assignment]
        name = each.name.text
        if each.name.span.start == each.name.span.end:
            # Its name is missing, which is reported.
            continue
        if name in first:
            facts.append(Repeated(name, first[name][0], each.name.span, "declaration"))
            continue
        if kind == "config" and not getattr(each, "well_known", False) and name in CONFIGS:
            facts.append(Misplaced("reserved-config", each.name.span, name))
        if kind in {"dataset", "parallel"} and name in BACKENDS:
            facts.append(Misplaced("reserved-backend", each.name.span, name))
        first[name] = (each.name.span, kind)
        table[name] = each  # type: ignore[assignment]
        out.names.spans[kind, name] = each.name.span
    for kind, again in (("recipe", out.recipes[1:]), ("stages", out.stages[1:])):
        begin = (out.recipes or out.stages) if kind == "recipe" else out.stages
        for extra in again:
            facts.append(Repeated(kind, _head(begin[0].span, kind), _head(extra.span, kind), "block"))
    _owners(out, facts)
    for setting in overrides:
        _override(out, setting, facts)
    return out


def _head(span: Span, word: str) -> Span:
    return Span(span.source, span.start, span.start + len(word))


def _owners(out: Declarations, facts: list[Fact]) -> None:
    names = out.names
    if out.recipes:
        names.recipe = Owner("recipe", "recipe", block_shape(out.recipes[0].block, facts))
    for name, let in out.lets.items():
        names.lets[name] = Owner("let", name, shape_of(let.value, facts))
    for name, parallel in out.parallels.items():
        names.parallels[name] = Owner("parallel", name, shape_of(parallel.value, facts))
    for name, dataset in out.datasets.items():
        # The sample's fields are types, not settings.
        kept = tuple(entry for entry in dataset.block.entries if not _is_sample(entry))
        names.datasets[name] = Owner("dataset", name, block_shape(ast.Block(kept, dataset.block.span), facts))
    for name in out.configs:
        _config(out, name, [], facts)


def _is_sample(entry: ast.Setting | ast.Field) -> bool:
    return isinstance(entry, ast.Setting) and entry.key.dotted == "sample" and isinstance(entry.value, ast.Block)


def _config(out: Declarations, name: str, chain: list[str], facts: list[Fact]) -> Shape | None:
    """The shape of a config with its base merged in; None while a base of it is being made."""
    names = out.names
    if name in names.configs:
        return names.configs[name].root
    declaration = out.configs[name]
    if name in chain:
        ring = chain[chain.index(name) :]
        bases = (out.configs[each].extends for each in ring)
        spans = tuple(each.span for each in bases if each is not None)
        facts.append(Cycle((*ring, name), spans, "config"))
        return None
    base: Shape | None = None
    out.kinds[name] = name if declaration.well_known else ""
    if declaration.extends is not None:
        wanted = declaration.extends
        if wanted.text in out.configs:
            base = _config(out, wanted.text, [*chain, name], facts)
            names.used.add(("config", wanted.text))
            out.kinds[name] = out.kinds.get(wanted.text, "")
        else:
            near = tuple(nearest(wanted.text, out.configs))
            facts.append(Undefined(wanted.text, wanted.span, near, None, "config"))
    if base is None and declaration.extends is not None:
        # Without its base nothing can be said of its keys.
        root = Shape(Kind.MAP, declaration.block.span, declaration.block)
    elif base is not None:
        assert declaration.extends is not None
        root = override(base, declaration.block, declaration.extends.text, facts)
    else:
        root = block_shape(declaration.block, facts)
    names.configs.setdefault(name, Owner("config", name, root))
    return names.configs[name].root


def _override(out: Declarations, setting: ast.Setting, facts: list[Fact]) -> None:
    """Lays `--set training.optimizer.lr=3e-4` over the config, `let` or `recipe` block that it begins with."""
    head, rest = setting.key.parts[0], setting.key.parts[1:]
    names = out.names
    tables = {"config": names.configs, "let": names.lets}
    for kind, table in tables.items():
        if head.text not in table:
            continue
        owner = table[head.text]
        if rest:
            root = override_one(owner.root, setting, rest, head.text, facts)
        elif kind == "let":
            root = shape_of(setting.value, facts)
        else:
            facts.append(Misplaced("override-config", head.span, head.text))
            return
        table[head.text] = Owner(kind, head.text, root)
        # What extends this config was merged from it before: it gets the same setting, as its own text had it.
        if kind == "config" and rest:
            for name, declaration in out.configs.items():
                if declaration.extends is not None and declaration.extends.text == head.text:
                    _override_derived(out, name, setting, rest, facts)
        return
    if head.text == "recipe" and names.recipe is not None and rest:
        owner = names.recipe
        there = rest[0].text in owner.root.children or rest[0].text in {"exp_tag", "seed"}
        entry = setting if there else ast.Setting(setting.key, setting.value, False, setting.span)
        if there and rest[0].text not in owner.root.children:
            entry = ast.Setting(setting.key, setting.value, True, setting.span)
        names.recipe = Owner("recipe", "recipe", override_one(owner.root, entry, rest, "recipe", facts))
        return
    near = tuple(nearest(head.text, [*names.configs, *names.lets, "recipe"]))
    facts.append(Undefined(head.text, head.span, near, None, "override"))


def _override_derived(
    out: Declarations, name: str, setting: ast.Setting, rest: tuple[ast.Name, ...], facts: list[Fact]
) -> None:
    own = {entry.key.dotted for entry in out.configs[name].block.entries if isinstance(entry, ast.Setting)}
    dotted = ".".join(part.text for part in rest)
    if any(dotted == key or dotted.startswith(key + ".") or key.startswith(dotted + ".") for key in own):
        return
    names = out.names
    silent: list[Fact] = []
    names.configs[name] = Owner("config", name, override_one(names.configs[name].root, setting, rest, name, silent))
    for other, declaration in out.configs.items():
        if declaration.extends is not None and declaration.extends.text == name:
            _override_derived(out, other, setting, rest, facts)
