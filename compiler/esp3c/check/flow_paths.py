"""Paths of Python objects that a recipe writes as text, as a YAML of ESPnet3 does: `output_fn`, `data_src`, `source`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import block_in, configs_of, follow, text_of
from esp3c.check.sources import DATASET, module_of
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import Config, ListNode, MapNode, Node, Recipe, strip
from esp3c.python.find import Lookup, Status, look_up
from esp3c.python.reader import reader
from esp3c.source import Span
from esp3c.suggest import certain, nearest, one_of
from esp3c.world import World, is_tag


@explained("ESP0523", "a text that names no Python object")
def text_path(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A text that stands for a Python object names none: `output_fn` a function, `data_src` and `source` a dataset module.

        output_fn = "src.inference.build_outputs"           # the module has `build_output`

    Nothing else looks at such a text before the stage runs. Correct it; without quotes the path is one that editors
    complete. A dataset module is one with a class `Dataset`.

    A tag `recipe/task` leads to the module `egs3.recipe.task.dataset`, or to the `dataset` folder of a recipe that stands
    one or two folders above this one's, as `recipe/task/dataset` or `recipe/dataset`.
    """
    for config in configs_of(recipe, "inference"):
        node = config.root.get("output_fn")
        text = text_of(follow(config, node))
        if (
            text is not None
            and node is not None
            and _is_path(text)
            and "." in text
            and not text.startswith("builtins.")
        ):
            found = look_up(world, text)
            if found.status is Status.ABSENT or found.is_module:
                yield _said(found, node.span, "`output_fn`", "is a module, and no function")
    for what, text, span in _sources(recipe):
        if is_tag(text):
            yield from _tag(world, what, text, span)
            continue
        found = look_up(world, f"{text}.{DATASET}")
        if found.status is Status.ABSENT:
            yield _said(found, span, f"`{what}`", "")


def _tag(world: World, what: str, tag: str, span: Span) -> Iterator[Diagnostic]:
    """A tag that leads to no dataset module, or to one without a `Dataset`."""
    recipe, _, task = tag.partition("/")
    if world.module(tag) is None:
        beside = [each for each in world.beside("../_") if world.has(f"../{each}/dataset/__init__.py")]
        near = nearest(recipe, beside)
        meant = certain(recipe, near)
        yield Diagnostic(
            code_of(text_path),
            f"`{what}` names the dataset `{tag}`, which is not there",
            Label(
                span, f"did you mean {one_of([f'{each}/{task}' for each in near[:3]])}?" if near else "no such dataset"
            ),
            help=(
                f"looked for the module `egs3.{recipe}.{task}.dataset`, and for `{recipe}/{task}/dataset` and "
                f"`{recipe}/dataset` one and two folders above the recipe's",
            ),
            fix=Fix(f"write `{meant}/{task}`", (_in_text(span, recipe, meant),)) if meant is not None else None,
        )
        return
    found = reader(world).find(f"{tag}.{DATASET}")
    if found.definition is None and not found.why:
        yield Diagnostic(
            code_of(text_path),
            f"`{what}` names the dataset module `{tag}`, which has no `{DATASET}`",
            Label(span, f"a dataset module has a class `{DATASET}`"),
        )


def _in_text(span: Span, old: str, new: str) -> Edit:
    start = span.start + span.text.index(old)
    return Edit(Span(span.source, start, start + len(old)), new)


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _said(found: Lookup, span: Span, what: str, otherwise: str) -> Diagnostic:
    if found.is_module:
        return Diagnostic(
            code_of(text_path), f"{what} names `{found.path}`, which {otherwise}", Label(span, "name a function in it")
        )
    if found.module is None:
        where = f"no module `{found.missing}` in the recipe's folder or this environment"
    else:
        where = f"`{found.module.name}` has no `{found.missing}`"
    meant = certain(found.missing, found.near)
    fix = None
    if meant is not None and span.text.count(found.missing) == 1:
        fix = Fix(f"write `{meant}`", (_in_text(span, found.missing, meant),))
    return Diagnostic(
        code_of(text_path),
        f"{what} names `{found.path}`, which is not there: {where}",
        Label(span, f"did you mean {one_of(found.near[:3])}?" if found.near else "nothing of this name"),
        fix=fix,
    )


def _sources(recipe: Recipe) -> Iterator[tuple[str, str, Span]]:
    """The dataset modules that a recipe names: what says so, the module or tag, and its place."""
    for dataset in recipe.datasets.values():
        node = dataset.settings.get("source")
        yield from _module("source", strip(node) if node is not None else None, node)
    for config in recipe.configs.values():
        settings = block_in(config, "dataset")
        for name in ("train", "valid", "test"):
            entries = settings.get(name) if settings is not None else None
            for entry in _entries(config, entries):
                node = entry.get("data_src")
                yield from _module("data_src", follow(config, node), node)


def _module(what: str, found: Node | None, node: Node | None) -> Iterator[tuple[str, str, Span]]:
    module = module_of(found)
    if module is not None and node is not None:
        yield what, module, node.span


def _entries(config: Config, node: Node | None) -> Iterator[MapNode]:
    """The entries of a split that are written out."""
    found = follow(config, node)
    if isinstance(found, ListNode):
        for item in found.items:
            yield from _entries(config, item)
    elif isinstance(found, MapNode) and found.get("data_src") is not None:
        yield found
    elif isinstance(found, MapNode):
        for entry in found.entries:
            inner = follow(config, entry.value)
            if isinstance(inner, MapNode) and inner.get("data_src") is not None:
                yield inner


PATH_RULES = (text_path,)
