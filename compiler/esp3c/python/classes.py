"""The methods of a class and of the classes that it extends, down to a wanted base."""

from __future__ import annotations

from esp3c.python.model import Class
from esp3c.python.reader import reader
from esp3c.record import record
from esp3c.world import World


@record
class ClassFacts:
    """What is known of a class. `root` is the first of the wanted bases that it extends.

    `takes` are the parameters of its `__init__`, and of those that this one hands its `**kwargs` on to, up to the root.
    `complete` is false where some base could not be read: the class may then have more methods than are listed.
    """

    methods: frozenset[str]
    root: str | None
    complete: bool
    takes: frozenset[str]


def class_facts(world: World, path: str, roots: frozenset[str]) -> ClassFacts:
    """The methods of a class up to, and without, the first of `roots` among its bases."""
    reading = reader(world)
    bases = reading.bases(path, stop=roots)
    root = next((each for each in bases.paths if each in roots), None)
    methods: set[str] = set()
    takes: set[str] = set()
    handed_on = True
    for owner in bases.paths:
        found = reading.find(owner) if owner not in roots else None
        if found is not None and isinstance(found.definition, Class):
            methods.update(each.name for each in found.definition.methods)
            init = next((each for each in found.definition.methods if each.name == "__init__"), None)
            if init is not None and handed_on:
                takes.update(each.name for each in init.parameters if each.kind in {"plain", "keyword"})
                handed_on = any(each.kind == "kwargs" for each in init.parameters)
    return ClassFacts(frozenset(methods), root, bases.complete, frozenset(takes))
