"""What the Python of a recipe's own stages might make: whether a word stands anywhere in it.

A stage of one's own may write any file, but it has to name it. Code that copies, starts other programs or cannot be read
may do everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from esp3c.check.machines import built_in
from esp3c.check.targets_used import objects_of
from esp3c.ir import PythonNode, Recipe
from esp3c.python.model import Imported
from esp3c.python.reader import reader
from esp3c.schema.stages import KNOWN_STAGES, SYSTEMS
from esp3c.world import Module, ModuleKind, World

MOST_MODULES = 60

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w.]+))", re.MULTILINE)
_ANYTHING = re.compile(
    r"\b(subprocess|os\.system|copytree|import_module|__import__|runpy|popen)\b|(?<![.\w])(exec|eval)\("
)


def only_known_stages(recipe: Recipe) -> bool:
    """Whether every stage is ESPnet3's own."""
    known = recipe.system is not None and recipe.system.path in SYSTEMS
    return known and all(built_in(stage) in KNOWN_STAGES for stage in recipe.stages)


def stages_may(recipe: Recipe, world: World, words: str, names: str = "") -> bool:
    """Whether the code of the recipe's own stages and system holds one of some words, a pattern, or might do anything.

    A stage that is called so (`names`, by default the same words) is believed without looking.
    """
    if only_known_stages(recipe):
        return False
    paths = list(_of_stages(recipe))
    own = [stage.name for stage in recipe.stages if built_in(stage) not in KNOWN_STAGES]
    if re.search(names or words, " ".join([*own, *paths]), re.IGNORECASE):
        return True
    return _holds(world, paths, words)


def code_may(recipe: Recipe, world: World, words: str, names: str = "") -> bool:
    """The same of all of the recipe's own Python."""
    local = [path for path in _of_objects(recipe) if _is_local(world, path)]
    return stages_may(recipe, world, words, names) or _holds(world, local, words)


def modules_behind(world: World, paths: Iterable[str]) -> Iterator[Module]:
    """The recipe's own modules in which these paths are, and those without which they cannot be imported."""
    reading = reader(world)
    found = (reading.find(path).module for path in paths)
    left = [module for module in found if module is not None and module.local]
    seen: set[str] = set()
    while left and len(seen) <= MOST_MODULES:
        module = left.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        yield module
        contents = reading.contents(module)
        for each in contents.definitions if contents is not None else ():
            if isinstance(each, Imported) and not each.guarded:
                left += _own_module(world, each.path)


def _own_module(world: World, path: str) -> list[Module]:
    """The recipe's module in which a path is: the longest beginning that is one."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        module = world.module(".".join(parts[:length]))
        if module is not None:
            return [module] if module.local and module.kind is ModuleKind.SOURCE else []
    return []


def _of_stages(recipe: Recipe) -> Iterator[str]:
    """Paths of what stages run that are not ESPnet3's; an empty path for what is not known."""
    if recipe.system is None or recipe.system.path not in SYSTEMS:
        yield recipe.system.path if recipe.system is not None else ""
    for stage in recipe.stages:
        if isinstance(stage.runs, PythonNode):
            yield stage.runs.target.path
        for entry in stage.workload.entries if stage.workload is not None else ():
            target = getattr(entry.value, "target", None)
            if target is not None:
                yield target.path


def _of_objects(recipe: Recipe) -> Iterator[str]:
    for target, _, _ in objects_of(recipe):
        yield target.path


def _is_local(world: World, path: str) -> bool:
    top = world.module(path.partition(".")[0])
    return top is not None and top.local


def _holds(world: World, paths: list[str], words: str) -> bool:
    """Whether a word stands in the modules of these paths, or in a module of the recipe that they import."""
    pattern = re.compile(words, re.IGNORECASE)
    left: list[Module] = []
    for path in paths:
        found = reader(world).find(path)
        if found.module is None or not found.module.local:
            return True
        left.append(found.module)
    seen: set[str] = set()
    while left:
        module = left.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        source = world.source(module)
        if len(seen) > MOST_MODULES:
            return True
        if source is None:
            continue
        if pattern.search(source.text) or _ANYTHING.search(source.text):
            return True
        left += _imported(world, module, source.text)
    return False


def _imported(world: World, module: Module, text: str) -> Iterator[Module]:
    for match in _IMPORT.finditer(text):
        name = match.group(1) or match.group(2)
        if name.startswith("."):
            package = module.name.split(".")
            up = len(name) - len(name.lstrip("."))
            is_package = module.place.endswith("__init__.py")
            kept = package[: len(package) - up + (1 if is_package else 0)]
            name = ".".join([*kept, *[part for part in [name.lstrip(".")] if part]])
        # `from package import module` may name modules of it.
        inner = world.module(name)
        if inner is None or not inner.local:
            continue
        yield inner
        end = text.find("\n\n", match.end())
        for word in re.findall(r"\w+", text[match.end() : end if end > 0 else match.end() + 400]):
            below = world.module(f"{name}.{word}")
            if below is not None and below.local:
                yield below
