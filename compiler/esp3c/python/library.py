"""The modules of a world and their text: each is read once, from what is kept of it or from its source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from esp3c.python.contents import contents_of, names_of
from esp3c.python.model import Contents, Function
from esp3c.python.stored import pack, unpack
from esp3c.record import changed
from esp3c.source import Span
from esp3c.world import Module, ModuleKind, World

Answer = TypeVar("Answer")


class Library:
    """What the modules of one world hold. Answers are kept for its life."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.characters = 0
        """How much text has been read anew."""
        self._contents: dict[str, Contents | None] = {}
        self._opened: set[Module] = set()
        self._quiet: set[str] = set()
        self._answers: dict[Hashable, tuple[Any, set[Module]]] = {}

    def unless_settled(self, question: str, ask: Callable[[], Answer | None]) -> Answer | None:
        """What comes of a question about Python, which is asked again only where a module that it led to has changed.

        That nothing comes of it is remembered by the world. `question` names all that the answer hangs on besides the
        modules.
        """
        if question in self._quiet or self.world.settled(question):
            self._quiet.add(question)
            return None
        before, self._opened = self._opened, set()
        try:
            answer = ask()
            opened = self._opened
        finally:
            self._opened = before | self._opened
        if answer is None:
            self._quiet.add(question)
            self.world.settle(question, opened)
        return answer

    def once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """What comes of a question about Python that hangs on nothing but the modules: it is asked once in their life."""
        known = self._answers.get(question)
        if known is None:
            before, self._opened = self._opened, set()
            try:
                answer = ask()
                known = self._answers[question] = (answer, self._opened)
            finally:
                self._opened = before | self._opened
        else:
            self._opened |= known[1]
        made: Answer = known[0]
        return made

    def contents(self, module: Module) -> Contents | None:
        """What a module holds, or None where it has no text to read."""
        self._opened.add(module)
        if module.name not in self._contents:
            self._contents[module.name] = self._read(module)
        return self._contents[module.name]

    def _read(self, module: Module) -> Contents | None:
        contents = self._written(module)
        if contents is None or not contents.lazy or contents.error is not None:
            return contents
        # A module that makes its names when it runs may say in a stub beside it what they are.
        stub = self.world.stub(module)
        described = self._written(stub) if stub is not None else None
        if described is None or described.error is not None:
            return contents
        return changed(described, lazy=False)

    def _written(self, module: Module) -> Contents | None:
        """What stands in one file."""
        if module.kind is not ModuleKind.SOURCE:
            return None
        kept = self.world.recall(module)
        known = unpack(kept) if kept is not None else None
        if known is not None:
            return known
        source = self.world.source(module)
        if source is None:
            return None
        self.characters += len(source.text)
        package = module.place.replace("\\", "/").rpartition("/")[2].startswith("__init__.")
        contents = contents_of(module.name, source.text, package=package, own=module.local)
        self.world.remember(module, pack(contents))
        return contents

    def names(self, module: Module) -> list[str]:
        """The names that a module has, with those that it takes over by `from x import *`."""
        names: dict[str, None] = {}
        queue, seen = [module], {module.name}
        while queue and len(seen) < 40:
            current = queue.pop(0)
            contents = self.contents(current)
            if contents is None:
                continue
            names.update(dict.fromkeys(contents.exported or names_of(contents)))
            for star in contents.stars:
                other = self.world.module(star)
                if other is not None and star not in seen:
                    seen.add(star)
                    queue.append(other)
        return [*names, *self.world.submodules(module.name)]

    def body(self, module: Module, function: Function) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The syntax tree of one function, its lines and columns those of the file. It belongs to all who ask."""
        return self.once(("body", module.place, function.line, function.name), lambda: self._body(module, function))

    def _body(self, module: Module, function: Function) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        self._opened.add(module)
        source = self.world.source(module)
        if source is None or function.end_line > source.line_count:
            return None
        lines = source.text.split("\n")[function.line - 1 : function.end_line]
        indented = lines[0][:1] in {" ", "\t"}
        # Empty lines before it give every node its line at once.
        above = "\n" * (function.line - (2 if indented else 1)) + ("if 1:\n" if indented else "")
        text = above + "\n".join(lines)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function.name:
                return node
        return None

    def span(self, module: Module, line: int, column: int, length: int = 1) -> Span | None:
        """A place in a Python file. `column` is in bytes, as in `esp3c.python.model`; `length` in characters."""
        source = self.world.source(module)
        if source is None or not 1 <= line <= source.line_count:
            return None
        text = source.line_text(line)
        before = len(text.encode("utf-8")[:column].decode("utf-8", "ignore"))
        start = source.line_start(line) + before
        return Span(source, start, min(start + length, source.line_start(line) + len(text)))
