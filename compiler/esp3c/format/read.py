"""From the syntax tree and the text to `esp3c.format.parts`: which comment stands where, and what stays broken.

A comment keeps its place among the things of the innermost bracket around it: on its own line, at the end of a line, or
behind an opening bracket. One that stands inside a thing, say between a key and its `=`, moves in front of that thing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from esp3c.format.parts import BLOCK, CALL, LIST, NUMBERS, Bracket, Comment, Form, Group, Item, Part
from esp3c.format.target import TargetCall, target_call
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments, directed

_EMPTY_LINE = re.compile(r"\n[ \t\r\f\ufeff]*\n")
# Not `\r\r\n`: the first `\r` there belongs to the text, and must not become part of a line end.
_OTHER_LINE_END = re.compile(r"(?<!\r)\r\n")


# Space at the ends of lines and empty lines; a text of several lines is passed over whole.
_LOOSE_END = re.compile(
    r'"""[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"""|[ \t\r\f\ufeff]+(?=\n)|\n(?:[ \t\r\f\ufeff]*\n)+'
)


def _tightened(found: re.Match[str]) -> str:
    text = found.group()
    return text if text.startswith('"') else "\n\n" if "\n" in text else ""


def read(source: Source, file: ast.File, verbatim: frozenset[int] = frozenset()) -> tuple[Comment | Item, ...]:
    """What stands in a file without syntax errors, in order. `verbatim`: declarations, by number, that stay as they are."""
    reader = _Reader(source)
    items = [
        reader.as_written(each.span) if number in verbatim else reader.declaration(each)
        for number, each in enumerate(file.declarations)
    ]
    return reader.arranged(items, 0, len(source.text))[1]


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.comments = comments(source)
        self.starts = [comment.start for comment in self.comments]
        # Of what stands on these lines a comment says something to the compiler.
        self.kept = {line for _, line in directed(source)}
        self.written: set[int] = set()

    def as_written(self, span: Span) -> Item:
        text = _LOOSE_END.sub(_tightened, _OTHER_LINE_END.sub("\n", span.text))
        item = _item("", "", (text,), span)
        self.written.add(id(item))
        return item

    def kept_on(self, item: Item) -> int:
        """The line that an item must not leave, as a comment is about that line; 0 where it may."""
        line = self.source.line_of(item.start) if self.kept else 0
        return line if line in self.kept and self.same_line(item.start, item.end) else 0

    def held(self, items: Sequence[Item], between: str) -> list[Item]:
        """Items of which those that must not leave their line are flat, and one where several stand on it."""
        held: list[Item] = []
        for item in items:
            line = self.kept_on(item)
            before = held[-1] if held else None
            if line and before is not None and before.flat and self.kept_on(before) == line:
                parts = (*_whole(before), between, *_whole(item))
                item = Item("", "", parts, before.start, item.end)
            if line:
                item.flat = True
                if before is not None and item.start == before.start:
                    held.pop()
            held.append(item)
        return held

    # -- places -------------------------------------------------------------------------------------------------------

    def between(self, start: int, end: int) -> Sequence[Span]:
        """The comments that begin between two places."""
        if start >= end:
            return ()
        return self.comments[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def same_line(self, start: int, end: int) -> bool:
        return "\n" not in self.text[start:end]

    def blank(self, start: int, end: int) -> bool:
        return _EMPTY_LINE.search(self.text, start, end) is not None

    def find(self, sign: str, at: int) -> int:
        """The first place from `at` on where a sign stands, outside of comments."""
        while True:
            found = self.text.index(sign, at)
            before = bisect_right(self.starts, found) - 1
            if before < 0 or self.comments[before].end <= found:
                return found
            at = self.comments[before].end

    # -- comments -----------------------------------------------------------------------------------------------------

    def arranged(
        self, items: Sequence[Item], start: int, end: int, opened: int | None = None, between: str = "  "
    ) -> tuple[str, tuple[Comment | Item, ...]]:
        """Items with the comments between `start` and `end` that do not stand inside a bracket of one of them.

        The first of the two is the comment behind the opening bracket; `opened` is the end of what counts as one.
        `between` is what separates items on one line.
        """
        items = self.held(items, between)
        header = ""
        entries: list[Comment | Item] = []
        before: Item | None = None
        at = start
        for item in (*items, None):
            for comment in self.between(before.end if before else start, item.start if item else end):
                text = comment.text.rstrip()
                if before is not None and self.same_line(before.end, comment.start):
                    before.behind = text
                elif opened is not None and not entries and not header and self.is_header(start, opened, comment):
                    header = text
                else:
                    entries.append(Comment(text, bool(entries) and self.blank(at, comment.start)))
                at = comment.end
            if item is None:
                break
            item.blank = bool(entries) and self.blank(at, item.start)
            for comment in self.loose(item):
                entries.append(Comment(comment.text.rstrip(), item.blank))
                item.blank = False
            entries.append(item)
            before, at = item, item.end
        return header, tuple(entries)

    def is_header(self, start: int, opened: int, comment: Span) -> bool:
        return self.same_line(start, comment.start) or (
            opened <= comment.start and self.same_line(opened, comment.start)
        )

    def loose(self, item: Item) -> Iterable[Span]:
        """The comments inside an item that are in none of its brackets."""
        if id(item) in self.written:
            return
        at = item.start
        for group in item.groups:
            yield from self.between(at, group.start)
            at = group.end
        yield from self.between(at, item.end)

    def group(
        self,
        bracket: Bracket,
        items: Sequence[Item],
        start: int,
        end: int,
        *,
        broken: bool,
        opened: int | None = None,
    ) -> Group:
        opened = start if opened is None else opened
        header, entries = self.arranged(items, start, end, opened, bracket.between)
        form = Form.FREE
        if header or any(isinstance(each, Comment) or each.behind for each in entries) or (broken and items):
            form = Form.BROKEN
        elif any(item.tall for item in items):
            form = Form.TIGHT if len(items) == 1 and bracket is not BLOCK else Form.BROKEN
        return Group(bracket, entries, header, form, start, end)

    # -- declarations -------------------------------------------------------------------------------------------------

    def declaration(self, node: ast.Declaration) -> Item:
        match node:
            case ast.LetDeclaration(name, value):
                return self.named("let", name, value, node.span)
            case ast.ParallelDeclaration(name, value):
                return self.named("parallel", name, value, node.span)
            case ast.StagesDeclaration(stages):
                opening = self.find("{", node.span.start)
                inside = self.entries_group([self.stage(each) for each in stages], opening + 1, node.span.end - 1)
                words = "stages"
            case ast.ConfigDeclaration(name, well_known, extends, block):
                inside = self.block(block)
                words = name.span.text if well_known else f"config {name.span.text}"
                if extends is not None:
                    words += f" extends {extends.span.text}"
            case ast.RecipeDeclaration(name, block):
                inside, words = self.block(block), f"recipe {name.span.text}"
            case ast.DatasetDeclaration(name, block):
                inside, words = self.block(block), f"dataset {name.span.text}"
        return _item("", "", (f"{words} ", inside), node.span)

    def named(self, word: str, name: ast.Name, value: ast.Value, span: Span) -> Item:
        return _item(f"{word} {name.span.text}", word, ("= ", *self.value(value)), span)

    def stage(self, stage: ast.StageLine) -> Item:
        clauses = [
            *(f"requires {', '.join(name.span.text for name in names)}" for names in stage.requires),
            *(f"runs {_dotted(path)}" for path in stage.runs),
            *(f"on {name.span.text}" for name in stage.on),
        ]
        words = [" ".join(clauses)] if clauses else []
        block = [self.block(stage.block)] if stage.block is not None else []
        name = stage.name.span.text
        if not clauses:
            return _item("", "", (f"{name} ", *block) if block else (name,), stage.span)
        return _item(name, "stage", (f"{words[0]} ", *block) if block else (words[0],), stage.span)

    # -- entries ------------------------------------------------------------------------------------------------------

    def entry(self, entry: ast.Setting | ast.Field) -> Item:
        key = _key(entry.key)
        if isinstance(entry, ast.Field):
            sign = "?:" if entry.optional else ":"
            return _item(key + sign, "field", (_type(entry.type),), entry.span)
        if entry.new:
            key = f"new {key}"
        if isinstance(entry.value, ast.Block) and target_call(entry.value) is None:
            return _item("", "", (f"{key} ", self.block(entry.value)), entry.span)
        return _item(key, "=", ("= ", *self.value(entry.value)), entry.span)

    def block(self, block: ast.Block, start: int | None = None) -> Group:
        """A block; comments from `start` on, in front of its bracket, go inside."""
        items = [self.entry(entry) for entry in block.entries]
        return self.entries_group(items, block.span.start + 1, block.span.end - 1, start)

    def entries_group(self, items: Sequence[Item], opening: int, end: int, start: int | None = None) -> Group:
        gaps = [opening, *(place for item in items for place in (item.start, item.end)), end]
        broken = any(not self.same_line(*gap) for gap in zip(gaps[::2], gaps[1::2], strict=True))
        return self.group(BLOCK, items, opening if start is None else start, end, broken=broken)

    def argument(self, argument: ast.Argument) -> Item:
        if argument.name is None:
            return _item("", "", self.value(argument.value), argument.span)
        return _item(argument.name.span.text, "argument", ("= ", *self.value(argument.value)), argument.span)

    # -- values -------------------------------------------------------------------------------------------------------

    def value(self, value: ast.Value) -> tuple[Part, ...]:
        match value:
            case ast.ListValue(items):
                return (self.list(items, value.span),)
            case ast.Reference(path, block):
                return (_dotted(path),) if block is None else (f"{_dotted(path)} ", self.block(block))
            case ast.Call():
                return self.call(value)
            case ast.Block():
                call = target_call(value)
                return (self.block(value),) if call is None else self.called(value, call)
            case ast.Text():
                return (_OTHER_LINE_END.sub("\n", value.span.text),)
            case _:
                return (value.span.text,)

    def list(self, values: Sequence[ast.Value], span: Span) -> Group:
        items = [_item("", "", self.value(value), value.span) for value in values]
        numbers = len(values) > 1 and all(isinstance(value, ast.Number | ast.Quantity) for value in values)
        return self.listed(NUMBERS if numbers else LIST, items, span.start + 1, span.end - 1)

    def listed(self, bracket: Bracket, items: Sequence[Item], start: int, end: int) -> Group:
        """Items with commas. Whoever puts the first on a line of its own wants a line for each of them."""
        first = items[0].start if items else end
        return self.group(bracket, items, start, end, broken=not bracket.filled and not self.same_line(start, first))

    def call(self, call: ast.Call) -> tuple[Part, ...]:
        arguments = [self.argument(each) for each in call.arguments]
        opening = self.find("(", call.path.span.end) + 1
        closing = self.find(")", arguments[-1].end if arguments else opening)
        inside = self.listed(CALL, arguments, opening, closing)
        head = f"{'partial ' if call.partial else ''}{_dotted(call.path)}"
        if call.block is None:
            return head, inside
        # Comments between the two brackets would go before the whole; those inside the first must stay in front.
        start = closing + 1 if self.between(opening, closing) else None
        return head, inside, " ", self.block(call.block, start)

    def called(self, block: ast.Block, call: TargetCall) -> tuple[Part, ...]:
        items = [self.entry(setting) for setting in call.settings]
        start, end = block.span.start + 1, block.span.end - 1
        opened = start
        for entry in block.entries:
            if items and entry.span.start >= items[0].start:
                break
            opened = entry.span.end
        arguments = [self.as_argument(setting, item) for setting, item in zip(call.settings, items, strict=True)]
        inside = self.group(CALL, arguments, start, end, broken=False, opened=opened)
        return f"{'partial ' if call.partial else ''}{call.path}", inside

    def as_argument(self, setting: ast.Setting, item: Item) -> Item:
        # A block as a value has no `=` where it stands as a setting.
        parts: tuple[Part, ...] = item.parts if item.head else ("= ", *item.groups)
        return _item(_key(setting.key), "argument", parts, setting.span)


def _item(head: str, kind: str, parts: tuple[Part, ...], span: Span) -> Item:
    return Item(head, kind, parts, span.start, span.end)


def _whole(item: Item) -> tuple[Part, ...]:
    return (f"{item.head} ", *item.parts) if item.head else item.parts


def _dotted(path: ast.Path) -> str:
    return ".".join(part.span.text for part in path.parts)


def _key(key: ast.Key) -> str:
    return ".".join(part.span.text for part in key.parts)


def _type(type: ast.FieldType) -> str:
    dims = ", ".join(dim.span.text for dim in type.dims)
    return f"{type.name.span.text}[{dims}]" if dims else type.name.span.text
