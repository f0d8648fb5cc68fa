"""Stage lines: what each runs, which configs it works with, where."""

from __future__ import annotations

from esp3c.ir import (
    Fact,
    Misplaced,
    Place,
    PythonNode,
    Repeated,
    Stage,
    System,
    Undefined,
    Use,
)  # fmt: skip
from esp3c.python.classes import class_facts
from esp3c.python.find import Status
from esp3c.python.self_configs import self_configs
from esp3c.resolve.declarations import Declarations
from esp3c.resolve.scopes import Names, Owner, walk
from esp3c.resolve.shapes import Shape, block_shape
from esp3c.resolve.values import Values
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import KNOWN_STAGES, NOT_STAGES, SYSTEMS
from esp3c.suggest import nearest
from esp3c.syntax import ast
from esp3c.world import World


def system_of(declarations: Declarations, values: Values, world: World) -> System | None:
    """The system class of the `recipe` block, and the stages that it has."""
    recipe = declarations.names.recipe
    shape = recipe.root.children.get("system") if recipe else None
    if shape is None:
        return None
    path = _path(shape)
    if path is None:
        if not isinstance(shape.value, ast.Missing):
            values.facts.append(Misplaced("system", shape.span))
        return None
    lookup = values.python(path.dotted)
    if lookup.status is Status.ABSENT or lookup.is_module:
        position = len(path.parts) - len(lookup.rest)
        parts = [part.text for part in path.parts]
        near = tuple(".".join((*parts[:position], each, *parts[position + 1 :])) for each in lookup.near)
        near = near or tuple(nearest(path.dotted, SYSTEMS))
        values.facts.append(Undefined(path.dotted, path.span, near, lookup, "call"))
        return System(path.dotted, path.span, None, None, lookup)
    if len(path.parts) == 1:
        # A module that is not installed here, maybe; a class it is not.
        values.facts.append(Misplaced("system", path.span))
        return None
    facts = class_facts(world, path.dotted, frozenset(SYSTEMS))
    if facts.root is None:
        return System(path.dotted, path.span, None, None, lookup)
    known = tuple(stage.name for stage in SYSTEMS[facts.root])
    own = tuple(sorted(name for name in facts.methods - set(known) - NOT_STAGES if not name.startswith("_")))
    stages = (*known, *own) if facts.complete else None
    return System(path.dotted, path.span, stages, facts.root, lookup, facts.takes)


def _path(shape: Shape) -> ast.Path | None:
    value = shape.value
    return value.path if isinstance(value, ast.Reference) and value.block is None else None


def stages_of(declarations: Declarations, values: Values, system: System | None) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    first: dict[str, ast.Name] = {}
    for block in declarations.stages[:1]:
        for line in block.stages:
            if line.name.text in first:
                before = first[line.name.text]
                values.facts.append(Repeated(line.name.text, before.span, line.name.span, "stage"))
                continue
            first[line.name.text] = line.name
            stages.append(_stage(declarations, values, line, system))
    return tuple(stages)


def _stage(declarations: Declarations, values: Values, line: ast.StageLine, system: System | None) -> Stage:
    facts: list[Fact] = values.facts
    for clause, found in (("requires", line.requires), ("runs", line.runs), ("on", line.on)):
        if len(found) > 1:
            where = found[1][0].span if isinstance(found[1], tuple) else found[1].span
            facts.append(Misplaced("clause", where, clause))
    names = declarations.names
    requires = tuple(Use(name.text, name.span) for name in (line.requires[0] if line.requires else ()))
    for use in requires:
        names.used.add(("config", use.name))
    on = Use(line.on[0].text, line.on[0].span) if line.on else None
    if on is not None:
        if on.name in names.parallels:
            names.used.add(("parallel", on.name))
        else:
            near = tuple(nearest(on.name, names.parallels))
            facts.append(Undefined(on.name, on.span, near, None, "parallel"))
    runs = _runs(values, line.runs[0], system) if line.runs else None
    needs = tuple(use.name for use in requires)
    if not needs:
        built_in = KNOWN_STAGES.get(runs.name if isinstance(runs, Use) else line.name.text)
        if built_in is not None and not isinstance(runs, PythonNode):
            needs = built_in.requires
    if system is not None and system.stages is not None and line.block is None and not isinstance(runs, PythonNode):
        needs = needs or _read_by_method(values, names, runs.name if runs is not None else line.name.text, system)
    workload, over, over_span = None, None, None
    if line.block is not None:
        shape = block_shape(line.block, facts)
        owner = Owner("stage", line.name.text, shape)
        over = _over(declarations, values, shape, owner)
        over_span = shape.children["over"].span if over is not None else None
        kept = Shape(
            shape.kind, shape.span, shape.value,
            {name: child for name, child in shape.children.items() if name != "over"}, shape.keys,
        )  # fmt: skip
        workload = values.map(kept, owner, carry=True)
        if over is not None and not requires:
            needs = (over[0],)
    return Stage(line.name.text, line.name.span, requires, runs, on, workload, over, needs, line.span, over_span)


def _read_by_method(values: Values, names: Names, name: str, system: System) -> tuple[str, ...]:
    """The configs that a stage of the system's own reads, where its line does not say them."""
    if name not in (system.stages or ()):
        return ()
    read = self_configs(values.world, system.path, name)
    names.used.update(("config", each) for each in read.named if each in names.configs)
    return tuple(each for each in read.needed if each in names.configs or each in CONFIGS)


def _runs(values: Values, path: ast.Path, system: System | None) -> Use | PythonNode:
    if len(path.parts) == 1:
        name = path.dotted
        known = system.stages if system is not None and system.stages is not None else tuple(KNOWN_STAGES)
        if name not in known and (system is None or system.stages is not None):
            values.facts.append(Undefined(name, path.span, tuple(nearest(name, known)), None, "stage"))
        return Use(name, path.span)
    target = values.python(path.dotted)
    if target.status is Status.ABSENT or target.is_module:
        position = len(path.parts) - len(target.rest)
        parts = [part.text for part in path.parts]
        near = tuple(".".join((*parts[:position], each, *parts[position + 1 :])) for each in target.near)
        values.facts.append(Undefined(path.dotted, path.span, near, target, "call"))
    return PythonNode(target, path.span)


def _over(declarations: Declarations, values: Values, shape: Shape, owner: Owner) -> tuple[str, Place] | None:
    """`over = training.dataset.train`: a config and the place of a list of entries in it."""
    child = shape.children.get("over")
    if child is None:
        return None
    path = _path(child)
    names = declarations.names
    if path is None or path.parts[0].text not in names.configs:
        values.facts.append(Misplaced("over", child.span))
        return None
    head, *rest = (part.text for part in path.parts)
    names.used.add(("config", head))
    if walk(names.configs[head].root, tuple(rest)) is None:
        near = names.near((head, *rest), owner, ("over",))
        values.facts.append(Undefined(path.dotted, path.span, near, None, "name"))
        return None
    return head, tuple(rest)
