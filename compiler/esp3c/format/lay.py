"""From parts to lines: what fits stands on one line, heads under each other are padded, comments begin in one column."""

from __future__ import annotations

from collections.abc import Sequence

from esp3c.format.parts import Comment, Form, Group, Item, Part
from esp3c.record import record

WIDTH = 120
"""The longest line that is not broken, without its comment."""

INDENT = "  "

COMMENT_COLUMN = 57
"""How much stands left of a comment at the end of a line; longer code is followed by two spaces."""

LONG_HEAD = 2
"""How many times as long as the longest above it a setting's head is that begins a new table …"""

LONGER_BY = 4
"""… if it is also longer by more than this."""


@record
class Line:
    code: str
    comment: str = ""

    def __str__(self) -> str:
        if not self.comment:
            return self.code
        return self.code + " " * max(COMMENT_COLUMN - len(self.code), 2) + self.comment


def lay_file(entries: Sequence[Comment | Item]) -> list[Line]:
    """The lines of a whole file. A declaration whose block has several lines is set off by empty ones."""
    widths = _widths(entries, "", "")
    out: list[Line] = []
    # The lines since the end of the last declaration, if there was one, and whether that stands apart.
    between: list[Line] | None = None
    tall = False
    for entry in entries:
        lines = [Line("")] if entry.blank else []
        if isinstance(entry, Comment):
            lines.append(Line(entry.text))
            (out if between is None else between).extend(lines)
            continue
        whole = _item(entry, "", widths.get(id(entry), 0), "")
        if between is not None:
            between.extend(lines)
            if (tall or _stands_apart(entry, whole)) and all(line.code for line in between):
                between.insert(0, Line(""))
            out.extend(between)
        else:
            out.extend(lines)
        out.extend(whole)
        between, tall = [], _stands_apart(entry, whole)
    return [*out, *(between or ())]


def _stands_apart(item: Item, lines: Sequence[Line]) -> bool:
    return len(lines) > 1 and not item.head


def _entries(entries: Sequence[Comment | Item], indent: str, comma: str) -> list[Line]:
    widths = _widths(entries, indent, comma)
    out: list[Line] = []
    for entry in entries:
        if entry.blank:
            out.append(Line(""))
        if isinstance(entry, Comment):
            out.append(Line(indent + entry.text))
        else:
            out.extend(_item(entry, indent, widths.get(id(entry), 0), comma))
    return out


def _item(item: Item, indent: str, width: int, comma: str) -> list[Line]:
    before = indent + _head(item, width)
    lines = [Line(before + _flat(item.parts) + comma)] if item.flat else _parts(item.parts, before, indent, comma)
    if item.behind:
        lines[-1] = Line(lines[-1].code, item.behind)
    return lines


def _head(item: Item, width: int = 0) -> str:
    return item.head.ljust(width) + " " if item.head else ""


# -- one item -----------------------------------------------------------------------------------------------------------


def _flat(parts: Sequence[Part]) -> str:
    return "".join(part if isinstance(part, str) else _flat_group(part) for part in parts)


def _flat_group(group: Group) -> str:
    bracket = group.bracket
    items = [_head(each) + _flat(each.parts) for each in group.entries if isinstance(each, Item)]
    inside = f"{bracket.room}{bracket.between.join(items)}{bracket.room}" if items else bracket.room
    return bracket.opens + inside + bracket.closes


def _fits(item: Item, indent: str, width: int, comma: str) -> bool:
    return len(indent) + len(_head(item, width)) + len(_flat(item.parts)) + len(comma) <= WIDTH


def _parts(parts: Sequence[Part], before: str, indent: str, comma: str) -> list[Line]:
    """The lines of an item of which `before` stands on the first line already."""
    broken = _broken(parts, before, indent, comma)
    out: list[Line] = []
    here = before
    for part in parts:
        if isinstance(part, str):
            *texts, here = (here + part).split("\n")
            out.extend(Line(text) for text in texts)
        elif id(part) not in broken:
            here += _flat_group(part)
        elif part.form is Form.TIGHT:
            (item,) = part.entries
            assert isinstance(item, Item)
            *whole, last = _parts(item.parts, here + part.bracket.opens + _head(item), indent, "")
            out.extend(whole)
            here = last.code + part.bracket.closes
        else:
            out.append(Line(here + part.bracket.opens, part.header))
            out.extend(_inside(part, indent + INDENT))
            here = indent + part.bracket.closes
    out.append(Line(here + comma))
    return out


def _broken(parts: Sequence[Part], before: str, indent: str, comma: str) -> set[int]:
    """Which brackets have to be broken: by id."""
    groups = [part for part in parts if isinstance(part, Group) and not part.empty]
    broken = {id(group) for group in groups if group.form is not Form.FREE}
    if not groups or (not broken and len(before) + len(_flat(parts)) + len(comma) <= WIDTH):
        return broken
    last = groups[-1]
    if not broken:
        broken.add(id(last))
    if len(groups) > 1:
        first, at = groups[0], parts.index(last)
        if id(first) not in broken and len(before) + len(_flat(parts[:at])) + 1 > WIDTH:
            broken.add(id(first))
        elif id(last) not in broken and len(indent) + 2 + len(_flat_group(last)) + len(comma) > WIDTH:
            broken.add(id(last))
    return broken


def _inside(group: Group, indent: str) -> list[Line]:
    if group.bracket.filled and not any(isinstance(each, Comment) or each.behind for each in group.entries):
        return _filled(group, indent)
    return _entries(group.entries, indent, group.bracket.comma)


def _filled(group: Group, indent: str) -> list[Line]:
    out: list[Line] = []
    here = indent
    for entry in group.entries:
        assert isinstance(entry, Item)
        word = _flat(entry.parts) + ","
        if here != indent and len(here) + 1 + len(word) > WIDTH:
            out.append(Line(here))
            here = indent
        here += word if here == indent else f" {word}"
    return [*out, Line(here)]


# -- tables -------------------------------------------------------------------------------------------------------------


def _widths(entries: Sequence[Comment | Item], indent: str, comma: str) -> dict[int, int]:
    """The width of the heads that stand under each other, by the ids of the items.

    A line that would only get too long by it keeps out, and ends the table.
    """
    out = {
        id(each)
        for each in entries
        if isinstance(each, Item) and (each.tall or (each.groups and not _fits(each, indent, 0, comma)))
    }
    while True:
        widths: dict[int, int] = {}
        for table in _tables(entries, out):
            widest = max(len(item.head) for item in table)
            widths.update((id(item), widest) for item in table)
        long = {
            id(each)
            for each in entries
            if isinstance(each, Item) and id(each) in widths and not _fits(each, indent, widths[id(each)], comma)
        }
        if not long:
            return widths
        out |= long


def _tables(entries: Sequence[Comment | Item], out: set[int]) -> list[list[Item]]:
    tables: list[list[Item]] = []
    longest = 0
    before: Item | None = None
    for entry in entries:
        if isinstance(entry, Comment) or not entry.head or id(entry) in out:
            before = None
            continue
        size = len(entry.head)
        jump = entry.kind != "argument" and size >= LONG_HEAD * longest and size > longest + LONGER_BY
        if before is None or entry.blank or entry.kind != before.kind or jump:
            tables.append([])
            longest = 0
        tables[-1].append(entry)
        before, longest = entry, max(longest, size)
    return tables
