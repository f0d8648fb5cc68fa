"""Collects the declarations of a file: who is declared where, twice, and on what base."""

from __future__ import annotations

from esp3c.ir import Cycle, Fact, Misplaced, Repeated, Undefined
from esp3c.record import field, mutable
from esp3c.resolve.scopes import Names, Owner, walk
from esp3c.resolve.shapes import Kind, Shape, block_shape, override, override_one, shape_of
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.syntax import ast


@mutable
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
    _owners(out, overrides, facts)
    return out


def _head(span: Span, word: str) -> Span:
    return Span(span.source, span.start, span.start + len(word))


def _owners(out: Declarations, overrides: tuple[ast.Setting, ...], facts: list[Fact]) -> None:
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
        _config(out, name, overrides, facts)
    for setting in overrides:
        if setting.key.parts[0].text not in out.configs:
            _override(out, setting, facts)


def _is_sample(entry: ast.Setting | ast.Field) -> bool:
    return isinstance(entry, ast.Setting) and entry.key.dotted == "sample" and isinstance(entry.value, ast.Block)


def _config(out: Declarations, name: str, overrides: tuple[ast.Setting, ...], facts: list[Fact]) -> None:
    """Makes the shape of a config, after those of the configs that it extends."""
    # From the config to its last base, without recursion: a chain may be of any length.
    chain: list[str] = []
    position: dict[str, int] = {}
    while name not in out.names.configs:
        declaration = out.configs[name]
        out.kinds[name] = name if declaration.well_known else ""
        position[name] = len(chain)
        chain.append(name)
        wanted = declaration.extends
        if wanted is None:
            break
        if wanted.text in position:
            ring = chain[position[wanted.text] :]
            bases = (out.configs[each].extends for each in ring)
            spans = tuple(each.span for each in bases if each is not None)
            facts.append(Cycle((*ring, wanted.text), spans, "config"))
            break
        if wanted.text not in out.configs:
            near = tuple(nearest(wanted.text, out.configs))
            facts.append(Undefined(wanted.text, wanted.span, near, None, "config"))
            break
        name = wanted.text
    for each in reversed(chain):
        root = _merged(out, out.configs[each], facts)
        # A value that is set from outside is like one in the config's own text: what extends the config gets it too.
        for setting in overrides:
            if setting.key.parts[0].text == each:
                root = _set(root, setting, facts)
        out.names.configs[each] = Owner("config", each, root)


def _merged(out: Declarations, declaration: ast.ConfigDeclaration, facts: list[Fact]) -> Shape:
    """The shape of a config with its base merged in."""
    if declaration.extends is None:
        return block_shape(declaration.block, facts)
    base = declaration.extends.text
    if base in out.configs:
        out.names.used.add(("config", base))
        out.kinds[declaration.name.text] = out.kinds[base]
    if base not in out.names.configs:
        # Without its base nothing can be said of its keys.
        return Shape(Kind.MAP, declaration.block.span, declaration.block)
    return override(out.names.configs[base].root, declaration.block, base, facts)


def _set(root: Shape, setting: ast.Setting, facts: list[Fact]) -> Shape:
    """Lays `--set training.optimizer.lr=3e-4` over the config or `let` that it begins with."""
    head, *rest = setting.key.parts
    if not rest:
        facts.append(Misplaced("override-config", head.span, head.text))
        return root
    return override_one(root, setting, tuple(rest), head.text, facts)


def _override(out: Declarations, setting: ast.Setting, facts: list[Fact]) -> None:
    """Lays `--set` over the `let` or the `recipe` block that it begins with."""
    head, rest = setting.key.parts[0], setting.key.parts[1:]
    names = out.names
    if head.text in names.lets:
        owner = names.lets[head.text]
        root = _set(owner.root, setting, facts) if rest else shape_of(setting.value, facts)
        names.lets[head.text] = Owner("let", head.text, root)
    elif head.text == "recipe" and names.recipe is not None and rest:
        owner = names.recipe
        # These two are there in every recipe, written or not.
        new = setting.new or (rest[0].text in {"exp_tag", "seed"} and rest[0].text not in owner.root.children)
        entry = ast.Setting(setting.key, setting.value, new, setting.span)
        names.recipe = Owner("recipe", "recipe", override_one(owner.root, entry, rest, "recipe", facts))
    else:
        # `optimizer.lr` is most often meant inside a config.
        parts = tuple(part.text for part in setting.key.parts)
        inside = [name for name, owner in names.configs.items() if walk(owner.root, parts) is not None]
        if inside:
            near = tuple(f"{name}.{setting.key.dotted}" for name in inside)
            facts.append(Undefined(setting.key.dotted, setting.key.span, near, None, "override"))
        else:
            near = tuple(nearest(head.text, [*names.configs, *names.lets, "recipe"]))
            facts.append(Undefined(head.text, head.span, near, None, "override"))
