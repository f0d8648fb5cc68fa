"""Syntax tree to resolved recipe: scopes, references, `extends`, overrides, stages. Facts, no messages."""

from __future__ import annotations

from esp3c.ir import Config, Dataset, Fact, MapNode, Misplaced, Parallel, ParallelNode, Recipe, SampleField
from esp3c.resolve.declarations import declare
from esp3c.resolve.links import cycles
from esp3c.resolve.stages import stages_of, system_of
from esp3c.resolve.values import Values
from esp3c.syntax import ast
from esp3c.world import World


def resolve(file: ast.File, world: World, overrides: tuple[ast.Setting, ...] = ()) -> Recipe:
    """The resolved recipe. Nothing is raised: whatever is wrong is among its facts."""
    facts: list[Fact] = []
    found = declare(file, overrides, facts)
    names = found.names
    values = Values(names, world, facts)

    settings = MapNode((), file.span)
    if names.recipe is not None:
        kept = {name: child for name, child in names.recipe.root.children.items() if name != "system"}
        shape = names.recipe.root
        settings = values.map(
            type(shape)(shape.kind, shape.span, shape.value, kept, shape.keys), names.recipe, carry=True
        )
    configs: dict[str, Config] = {}
    for name, declaration in found.configs.items():
        owner = names.configs[name]
        root = values.map(owner.root, owner)
        facts.extend(cycles(root))
        configs[name] = Config(
            name,
            found.kinds[name],
            declaration.name.span,
            root,
            declaration.extends.text if declaration.extends else None,
            declaration.well_known,
        )
    datasets = {
        name: Dataset(
            name,
            declaration.name.span,
            values.map(names.datasets[name].root, names.datasets[name], carry=True),
            _sample(declaration.block, facts),
            declaration.span,
        )
        for name, declaration in found.datasets.items()
    }
    parallels: dict[str, Parallel] = {}
    for name, machine in found.parallels.items():
        owner = names.parallels[name]
        node = values.node(owner.root, owner, (), carry=True)
        if isinstance(node, ParallelNode):
            parallels[name] = Parallel(name, machine.name.span, node)
        else:
            if not isinstance(machine.value, ast.Missing):
                facts.append(Misplaced("parallel", owner.root.span))
            parallels[name] = Parallel(
                name, machine.name.span, ParallelNode(name, "", MapNode((), node.span), node.span)
            )
    lets = {
        name: (declaration.name.span, values.node(names.lets[name].root, names.lets[name], (), carry=True))
        for name, declaration in found.lets.items()
    }
    system = system_of(found, values, world)
    stages = stages_of(found, values, system)
    header = found.recipes[0] if found.recipes else None
    return Recipe(
        name=header.name.text if header else "",
        span=header.name.span if header else file.span,
        settings=settings,
        system=system,
        configs=configs,
        datasets=datasets,
        parallels=parallels,
        stages=stages,
        lets=lets,
        facts=tuple(dict.fromkeys(facts)),
        used=frozenset(names.used),
        headers=tuple(each.span for each in found.recipes),
    )


def _sample(block: ast.Block, facts: list[Fact]) -> tuple[SampleField, ...] | None:
    for entry in block.entries:
        if not isinstance(entry, ast.Setting) or entry.key.dotted != "sample":
            continue
        if not isinstance(entry.value, ast.Block):
            return None
        fields: list[SampleField] = []
        for each in entry.value.entries:
            if isinstance(each, ast.Field) and len(each.key.parts) == 1:
                fields.append(SampleField(each.key.dotted, each.type, each.optional, each.key.span))
            else:
                facts.append(Misplaced("sample-setting", each.span, each.key.dotted))
        return tuple(fields)
    return None
