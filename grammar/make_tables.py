"""Writes `compiler/esp3c/syntax/tables.py`: the LALR(1) tables that lark makes of `esp.lark`, as plain data.

    python grammar/make_tables.py            write the tables
    python grammar/make_tables.py --check    write nothing; fail where they are not what the grammar says

Making the tables takes longer than all else that a check of a small recipe does, so it is done once, here. States and
rules are numbered in an order of their own, because lark's differs from run to run.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from lark import Lark
from lark.parsers.lalr_analysis import Shift

HERE = Path(__file__).resolve().parent
GRAMMAR = HERE / "esp.lark"
TABLES = HERE.parent / "compiler" / "esp3c" / "syntax" / "tables.py"
STARTS = ("start", "override")

HEAD = '''\
"""The LALR(1) tables of `esp.lark`. Made by grammar/make_tables.py; `make grammar` writes it again."""

from __future__ import annotations

# fmt: off
'''


def lark() -> Lark:
    """The grammar as lark reads it."""
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        start=list(STARTS),
        propagate_positions=True,
        maybe_placeholders=False,
    )


def rule(each: Any) -> tuple[str, int, str, tuple[tuple[int, bool], ...]]:
    """Origin, length, the name of the tree (empty: the only part stands for it), and which parts are its children."""
    origin: str = each.origin.name
    size = len(each.expansion)
    keep = tuple(
        (index, not symbol.is_term and symbol.name.startswith("_"))
        for index, symbol in enumerate(each.expansion)
        if not (symbol.is_term and symbol.filter_out)
    )
    if each.options.expand1 and not each.alias:
        if size != 1 or keep != ((0, False),):
            raise SystemExit(f"{origin}: a rule with `?` has to stand for one part alone, or its place would be lost")
        return origin, size, "", ()
    return origin, size, each.alias or origin, keep


def tables() -> dict[str, Any]:
    """The tables by the name that they have in the module."""
    made = lark()
    lexer: Any = made.parser.lexer  # type: ignore[attr-defined]
    table: Any = made.parser.parser._parse_table  # type: ignore[attr-defined]
    rules = sorted(made.rules, key=lambda each: (each.origin.name, each.order))
    number = {each: index for index, each in enumerate(rules)}
    found = {table.start_states[start]: index for index, start in enumerate(STARTS)}
    waiting = list(found)
    while waiting:
        for _, (action, target) in sorted(table.states[waiting.pop(0)].items()):
            if action is Shift and target not in found:
                found[target] = len(found)
                waiting.append(target)
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in found:
        row = sorted(table.states[state].items())
        actions.append(
            {name: found[to] if kind is Shift else ~number[to] for name, (kind, to) in row if not name.islower()}
        )
        gotos.append({name: found[to] for name, (_, to) in row if name.islower()})
    return {
        "END": "$END",
        "INITIAL": {start: found[table.start_states[start]] for start in STARTS},
        "FINAL": {start: found[table.end_states[start]] for start in STARTS},
        "IGNORED": tuple(sorted(made.ignore_tokens)),
        "TERMINALS": tuple((each.name, each.pattern.to_regexp()) for each in lexer.terminals),
        "RULES": tuple(rule(each) for each in rules),
        "ACTIONS": actions,
        "GOTOS": gotos,
    }


def text() -> str:
    """The module as it should stand in the tree."""
    types = {
        "INITIAL": "dict[str, int]",
        "FINAL": "dict[str, int]",
        "RULES": "tuple[tuple[str, int, str, tuple[tuple[int, bool], ...]], ...]",
        "ACTIONS": "tuple[dict[str, int], ...]",
        "GOTOS": "tuple[dict[str, int], ...]",
    }
    parts = [HEAD]
    for name, value in tables().items():
        typed = f"{name}: {types[name]}" if name in types else name
        if isinstance(value, tuple | list):
            lines = "".join(f"    {entry}\n" for each in value for entry in _wrapped(f"{_shown(each)},"))
            parts.append(f"{NOTES[name]}\n{typed} = (\n{lines})\n")
        else:
            parts.append(f"{NOTES[name]}\n{typed} = {_shown(value)}\n")
    return "\n".join(parts)


NOTES = {
    "END": "# The kind of token that ends a text.",
    "INITIAL": "# The state to begin in, and the state that is reached when all is read, by the rule that is read.",
    "FINAL": "",
    "IGNORED": "# Kinds of words that the parser never sees.",
    "TERMINALS": "# Kinds of words and their patterns; the first that matches wins.",
    "RULES": "# Origin, length, the name of the tree (empty: its only part stands for it), its children (place, taken apart?).",
    "ACTIONS": "# By state and kind of token: the state to go to, or ~(the number of the rule that is complete).",
    "GOTOS": "# By state and origin of a complete rule: the state to go to.",
}


def _shown(value: Any) -> str:
    return repr(value).replace("'", '"') if isinstance(value, dict) else repr(value)


def _wrapped(line: str) -> list[str]:
    if '"""' in line or len(line) < 110:
        return [line]
    return textwrap.wrap(line, 110, break_long_words=False, break_on_hyphens=False)


def main() -> int:
    wanted = text()
    if "--check" in sys.argv[1:]:
        same = TABLES.is_file() and TABLES.read_text(encoding="utf-8") == wanted
        if not same:
            print(f"{TABLES.name} is not what the grammar says; run `make grammar`")
        return 0 if same else 1
    TABLES.write_text(wanted, encoding="utf-8")
    print(f"wrote {TABLES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
