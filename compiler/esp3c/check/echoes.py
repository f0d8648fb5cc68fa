"""Names that are not defined because the key or argument that they mean is misspelt, which is said there.

Only one of the two is a mistake. To say both would offer two remedies that undo each other.
"""

from __future__ import annotations

from esp3c.check.blocks import walk_blocks
from esp3c.check.calls import verdicts
from esp3c.ir import Recipe, Undefined
from esp3c.suggest import nearest
from esp3c.world import World


def is_echo(recipe: Recipe, world: World, fact: Undefined) -> bool:
    """Whether a part of a name is what a misspelt key or argument was meant to be."""
    meant = recipe.once("misspelt", lambda: _meant(recipe, world))
    parts = fact.name.split(".")
    return any(part in meant for part in parts[1:] or parts)


def _meant(recipe: Recipe, world: World) -> frozenset[str]:
    """What the keys and arguments that there are not stand for, each by its nearest name."""
    found: set[str] = set()
    for node, block in walk_blocks(recipe):
        unknown = [] if block.open else [entry.name for entry in node.entries if block.key(entry.name) is None]
        for name in unknown:
            found.update(nearest(name, [each for each in block.names if node.get(each) is None])[:1])
    for verdict in verdicts(recipe, world):
        if verdict.signature.why or verdict.signature.open:
            continue
        given = {each.name for each in verdict.arguments}
        free = [each.name for each in verdict.signature.named if each.name not in given]
        for argument in verdict.arguments:
            if argument.bound is None:
                found.update(nearest(argument.name, free)[:1])
    return frozenset(found)
