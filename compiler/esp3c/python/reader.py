"""Answers questions about Python definitions by reading source files: where a name comes from, and what it is.

A path is followed as an import would: through re-exports, star imports and packages, the recipe's folder first. Nothing
is imported. What cannot be known (a compiled module, names made at run time, a module that is too long) has a reason.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from esp3c.python.library import Library
from esp3c.python.model import Class, Contents, Function, Imported, Value
from esp3c.python.stored import named
from esp3c.record import changed, record
from esp3c.schema.extras import OPTIONAL_PACKAGES
from esp3c.suggest import nearest
from esp3c.world import Module, ModuleKind, World

MOST_STEPS = 400
"""How many definitions one question may lead through, before its answer is that it cannot be known."""

DEEPEST = 60
"""How many definitions may lead to each other in a row: Python's own stack is not endless."""

MOST_CHARACTERS = 1_500_000
"""How much text may be read anew for one question: about a second on a slow machine, and once only."""

ALIASES = {
    "torch.Tensor": "torch._tensor.Tensor",
    "torch.nn.Module": "torch.nn.modules.module.Module",
    "torch.utils.data.Dataset": "torch.utils.data.dataset.Dataset",
    "torch.utils.data.IterableDataset": "torch.utils.data.dataset.IterableDataset",
    "torch.optim.Optimizer": "torch.optim.optimizer.Optimizer",
    "abc.ABC": "abc.ABC",
    "typing_extensions.Protocol": "typing.Protocol",
}
"""The homes of names that nearly every recipe comes by: no need to look."""

STOPS = frozenset({
    *ALIASES.values(), "object", "builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing.TypedDict",
    "typing.NamedTuple", "typing_extensions.TypedDict", "typing_extensions.NamedTuple", "enum.Enum", "enum.IntEnum",
    "enum.StrEnum", "enum.Flag", "enum.IntFlag",
})  # fmt: skip
"""Classes that are known by name, and are not opened."""


@record
class Found:
    """What a path names. `path` is where it is defined; `owner` is the class of a method.

    `definition` is None for a module, for what is not there, and, with the reason in `why`, for what cannot be known.
    """

    path: str
    module: Module | None
    definition: Class | Function | Value | None
    owner: str = ""
    why: str = ""
    overloads: tuple[Function, ...] = ()


@record
class Bases:
    """A class and its bases in the order in which Python asks them. `complete`: every one of them is known."""

    paths: tuple[str, ...]
    complete: bool


@record
class Method:
    function: Function
    module: Module
    owner: str
    overloads: tuple[Function, ...] = ()


# The last ones only: a reader holds its world, and `check --watch` makes a world for each check.
_READERS: deque[Reader] = deque(maxlen=8)


def reader(world: World) -> Reader:
    """The reader of a world. One for each, so that a module is read once."""
    found = next((each for each in _READERS if each.world is world), None)
    if found is None:
        found = Reader(world)
        _READERS.append(found)
    return found


class Reader(Library):
    """Follows the names of one world to their definitions."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._found: dict[str, Found] = {}
        self._bases: dict[str, Bases] = {}
        self._steps = 0
        self._busy: set[str] = set()

    # -- names ------------------------------------------------------------------------------------------------------

    def find(self, path: str) -> Found:
        """What a dotted path names."""
        path = ALIASES.get(path, path)
        if path not in self._found:
            outermost = not self._busy
            if outermost:
                self._steps = self.characters = 0
            if path in self._busy:
                return Found(path, None, None, why="modules import each other in a ring")
            self._busy.add(path)
            try:
                found = self._find(path)
            finally:
                self._busy.discard(path)
            if not outermost and found.why:
                # It may be known when it is asked for by itself.
                return found
            self._found[path] = found
        return self._found[path]

    def _find(self, path: str) -> Found:
        self._steps += 1
        if self._steps > MOST_STEPS or self.characters > MOST_CHARACTERS or len(self._busy) > DEEPEST:
            return Found(path, None, None, why="too many modules on the way")
        parts = path.split(".")
        module: Module | None = None
        depth = 0
        while depth < len(parts):
            deeper = self.world.module(".".join(parts[: depth + 1]))
            if deeper is None:
                break
            module, depth = deeper, depth + 1
        if module is None:
            extra = OPTIONAL_PACKAGES.get(parts[0])
            return Found(path, None, None, why=f"`{parts[0]}` is not installed here" if extra else "")
        rest = parts[depth:]
        if not rest:
            return self._named_as_a_module(path, module)
        if module.kind is ModuleKind.OPAQUE:
            return Found(path, module, None, why=f"`{module.name}` is compiled")
        contents = self.contents(module)
        if contents is None:
            if module.kind is ModuleKind.NAMESPACE:
                return Found(path, module, None)
            return Found(path, module, None, why=f"`{module.name}` cannot be read")
        return self._in_module(path, module, contents, rest)

    def _named_as_a_module(self, path: str, module: Module) -> Found:
        """A path that is a module may be something else by the same name: `from .tqdm import tqdm` in the package."""
        parent, _, name = path.rpartition(".")
        above = self.world.module(parent) if parent else None
        contents = self.contents(above) if above is not None else None
        for each in named(contents, name) if contents is not None else ():
            if isinstance(each, Imported) and each.path != path:
                found = self.find(each.path)
                if found.definition is not None:
                    return found
            elif isinstance(each, Class | Function) and above is not None:
                return Found(path, above, each)
        return Found(path, module, None)

    def _in_module(self, path: str, module: Module, contents: Contents, rest: list[str]) -> Found:
        if contents.error is not None:
            return Found(path, module, None, why=f"`{module.name}` is not read: {contents.error[2]}")
        name = rest[0]
        own = f"{module.name}.{name}"
        doubt = ""
        bound = named(contents, name)
        for each in bound:
            if isinstance(each, Imported):
                if each.path == own:
                    # `from . import name`: a submodule, which would have been found as such.
                    continue
                found = self.find(".".join((each.path, *rest[1:])))
                if found.definition is not None or (found.module is not None and self._is_module(found)):
                    return found
                if len(rest) > 1 and not found.why and self.find(each.path).definition is not None:
                    # The class is there, and has no such member.
                    return found
                doubt = doubt or found.why or f"`{each.path}` is not there"
            elif isinstance(each, Class):
                return Found(own, module, each) if len(rest) == 1 else self._member(own, each, module, rest[1:])
            elif isinstance(each, Function):
                if len(rest) > 1:
                    return Found(path, module, None, why=f"`{own}` is a function")
                functions = tuple(other for other in bound if isinstance(other, Function))
                return Found(own, module, functions[-1], overloads=functions)
            elif len(rest) > 1:
                doubt = doubt or f"what `{own}` is, is decided when it runs"
            elif each.text is None or len(bound) > 1:
                return Found(own, module, changed(each, text=None))
            else:
                return self._assigned(own, module, each)
        if doubt:
            return Found(path, module, None, why=doubt)
        if not bound and self._surely_absent(module, name, rest):
            return Found(path, module, None)
        for star in sorted(contents.stars, key=lambda each: not _hints_at(each, name)):
            handed_on = self._through_star(star, name, rest)
            if handed_on is not None:
                return handed_on
        if contents.lazy:
            return Found(path, module, None, why=f"`{module.name}` makes names when it runs")
        unread = next((star for star in contents.stars if not self._readable(star)), None)
        if unread is not None:
            return Found(
                path, module, None, why=f"`{module.name}` takes over names of `{unread}`, which is not readable"
            )
        return Found(path, module, None)

    def _through_star(self, star: str, name: str, rest: list[str]) -> Found | None:
        """What `from star import *` gives for a name: nothing, where that module does not hand the name on."""
        module = self.world.module(star)
        contents = self.contents(module) if module is not None else None
        if contents is None:
            return None
        public = name in contents.exported if contents.exported is not None else not name.startswith("_")
        if not public:
            return None
        found = self.find(".".join((star, *rest)))
        return found if found.definition is not None or found.why or self._is_module(found) else None

    def _surely_absent(self, module: Module, name: str, rest: list[str]) -> bool:
        """Whether a misspelt module is more likely than one that is made when asked for.

        A module that makes names when it runs has them somewhere in its text. What is used as a module, looks like one
        that is there, and is nowhere in the text, is misspelt.
        """
        contents = self.contents(module)
        settled = contents is not None and not contents.lazy and not contents.stars
        if settled or len(rest) < 2 or not nearest(name, self.world.submodules(module.name)):
            return False
        source = self.world.source(module)
        return source is not None and re.search(rf"\b{re.escape(name)}\b", source.text) is None

    def _readable(self, name: str) -> bool:
        module = self.world.module(name)
        contents = self.contents(module) if module is not None else None
        return contents is not None and contents.error is None

    @staticmethod
    def _is_module(found: Found) -> bool:
        return found.module is not None and found.module.name == found.path

    def _assigned(self, own: str, module: Module, value: Value) -> Found:
        """`Alias = pkg.Thing` is that thing; any other value is itself."""
        text = value.text or ""
        if all(part.isidentifier() for part in text.split(".")) and text not in {"None", "True", "False"}:
            found = self.resolve(module, text)
            if found.definition is not None or found.why:
                return found
        return Found(own, module, value)

    def _member(self, owner: str, node: Class, module: Module, rest: list[str]) -> Found:
        path = ".".join((owner, *rest))
        if len(rest) > 1:
            first = self._member(owner, node, module, rest[:1])
            there = first.definition is not None or first.why
            reason = f"what is inside `{owner}.{rest[0]}` is decided when it runs"
            return Found(path, module, None, why=reason if there else "")
        method = self.method(owner, rest[0])
        if method is not None:
            return Found(path, method.module, method.function, method.owner, overloads=method.overloads)
        bases = self.bases(owner)
        for base in bases.paths:
            found = self.find(base)
            if isinstance(found.definition, Class):
                for each in found.definition.attributes:
                    if each.name == rest[0]:
                        value = Value(each.name, each.annotation, each.value, each.line, each.column)
                        return Found(path, found.module, value, base)
        unsure = not bases.complete or node.decorators or node.keywords or self._in_a_stop(bases, rest[0])
        if unsure or self._set_later(module, node.name, rest[0]):
            return Found(path, module, None, why=f"`{owner}` may get `{rest[0]}` when it runs")
        return Found(path, module, None)

    def _set_later(self, module: Module, owner: str, name: str) -> bool:
        """Whether a module gives a class a member behind its body: `Owner.name = …`, or by `setattr`."""
        source = self.world.source(module)
        later = rf"\b{owner}\.{name}\b[^=\n]*=[^=]|\bsetattr\(\s*{owner}\b"
        return source is not None and re.search(later, source.text) is not None

    def _in_a_stop(self, bases: Bases, name: str) -> bool:
        """Whether a base that is known by name only has a member, or is not there to be asked."""
        for path in bases.paths:
            if path not in STOPS or path in {
                "object",
                "builtins.object",
                "abc.ABC",
                "typing.Generic",
                "typing.Protocol",
            }:
                continue
            found = self.find(path)
            if not isinstance(found.definition, Class):
                return True
            members = {
                *(each.name for each in found.definition.methods),
                *(each.name for each in found.definition.attributes),
            }
            if name in members or found.definition.keywords or found.definition.decorators:
                return True
        return False

    def resolve(self, module: Module, text: str) -> Found:
        """What a dotted name means inside a module."""
        head, _, rest = text.partition(".")
        contents = self.contents(module)
        for each in named(contents, head) if contents is not None else ():
            if isinstance(each, Imported):
                return self.find(".".join(part for part in (each.path, rest) if part))
            return self.find(f"{module.name}.{text}")
        if contents is not None and contents.stars:
            return self.find(f"{module.name}.{text}")
        return Found(text, None, None)

    # -- classes ----------------------------------------------------------------------------------------------------

    def bases(self, path: str, stop: frozenset[str] = frozenset()) -> Bases:
        """A class and all its bases, nearest first; those in `stop` are named and not opened."""
        path = ALIASES.get(path, path)
        if stop:
            return self._bases_of(path, set(), stop)
        if path not in self._bases:
            self._bases[path] = self._bases_of(path, set(), stop)
        return self._bases[path]

    def _bases_of(self, path: str, above: set[str], stop: frozenset[str]) -> Bases:
        if path in STOPS or path in stop:
            return Bases((path,), True)
        found = self.find(path)
        if found.path in stop:
            return Bases((found.path,), True)
        endless = found.path in above or len(above) > DEEPEST
        if not isinstance(found.definition, Class) or found.module is None or endless:
            return Bases((found.path,), path in {"builtins.object", "object", "builtins.type", "type"})
        order: list[str] = []
        complete = True
        for text in found.definition.bases:
            base = self.named(found.module, text)
            if base is None:
                complete = False
                continue
            inner = self._bases_of(base, {*above, found.path}, stop)
            complete = complete and inner.complete
            # A base that several classes share comes behind all of them.
            order = [each for each in order if each not in inner.paths] + list(inner.paths)
        return Bases((found.path, *order), complete)

    def named(self, module: Module, text: str) -> str | None:
        """The path of a class as another module writes it, `Base[int]` or `pkg.Base`; None where it is made by a call."""
        plain = text.partition("[")[0]
        if not all(part.isidentifier() for part in plain.split(".")):
            return None
        contents = self.contents(module)
        head, _, rest = plain.partition(".")
        bound = named(contents, head) if contents is not None else []
        for each in bound:
            if isinstance(each, Imported):
                path = ".".join(part for part in (each.path, rest) if part)
                path = ALIASES.get(path, path)
                if path in STOPS:
                    return path
                if each is bound[-1] or self.find(path).definition is not None:
                    return path
            else:
                return f"{module.name}.{plain}"
        if contents is not None and contents.stars:
            return f"{module.name}.{plain}"
        return f"builtins.{plain}"

    def is_a(self, path: str, roots: Iterable[str]) -> bool | None:
        """Whether a class is one of these or extends it; None where that cannot be known."""
        wanted = {ALIASES.get(root, root) for root in roots}
        bases = self.bases(path)
        if wanted.intersection(bases.paths):
            return True
        return False if bases.complete or _only_builtin(bases, self) else None

    def method(self, path: str, name: str) -> Method | None:
        """A method of a class or of the nearest base that has it."""
        for owner in self.bases(path).paths:
            if owner in STOPS:
                continue
            found = self.find(owner)
            if not isinstance(found.definition, Class) or found.module is None:
                continue
            defined = found.definition.defined(name)
            if defined:
                return Method(defined[-1], found.module, owner, tuple(defined))
        return None

    def members(self, path: str) -> list[str]:
        """The names that a class and its bases bind, as far as they are read."""
        names: dict[str, None] = {}
        for owner in self.bases(path).paths:
            found = self.find(owner) if owner not in STOPS else None
            if found is not None and isinstance(found.definition, Class):
                names.update(dict.fromkeys(each.name for each in found.definition.methods))
                names.update(dict.fromkeys(each.name for each in found.definition.attributes))
        return list(names)


def _hints_at(star: str, name: str) -> bool:
    """Whether a module's name is a part of a wanted one: `models.whisper` of `WhisperConfig`. Of hundreds, it comes first."""
    return star.rpartition(".")[2].replace("_", "") in name.lower()


def _only_builtin(bases: Bases, reader: Reader) -> bool:
    """Whether every base that is not read is one of Python's own classes, which extend nothing of a library."""
    unread = [path for path in bases.paths[1:] if path not in STOPS and reader.find(path).definition is None]
    first = reader.find(bases.paths[0])
    written = isinstance(first.definition, Class)
    return written and bool(unread) and all(path.startswith("builtins.") for path in unread)
