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
    origin = str(each.origin.name)
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
    return origin, size, str(each.alias or origin), keep


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
    kinds: dict[str, int] = {}
    rows: dict[tuple[tuple[str, int], ...], int] = {}
    actions: list[tuple[tuple[int, int], ...]] = []
    gotos: list[int] = []
    for state in found:
        row = sorted(
            (name, found[to] if kind is Shift else ~number[to]) for name, (kind, to) in table.states[state].items()
        )
        by_action: dict[int, list[str]] = {}
        for name, action in row:
            if not name.islower():
                by_action.setdefault(action, []).append(name)
        joined = [(action, " ".join(names)) for action, names in by_action.items()]
        actions.append(tuple((action, kinds.setdefault(names, len(kinds))) for action, names in joined))
        gotos.append(rows.setdefault(tuple(each for each in row if each[0].islower()), len(rows)))
    return {
        "INITIAL": {start: found[table.start_states[start]] for start in STARTS},
        "FINAL": {start: found[table.end_states[start]] for start in STARTS},
        "IGNORED": tuple(sorted(made.ignore_tokens)),
        "TERMINALS": tuple((each.name, each.pattern.to_regexp()) for each in lexer.terminals),
        "RULES": tuple(rule(each) for each in rules),
        "KINDS": "; ".join(kinds),
        "ACTIONS": "; ".join(" ".join(f"{action}:{group}" for action, group in row) for row in actions),
        "ROWS": "; ".join(" ".join(f"{name}:{to}" for name, to in row) for row in rows),
        "GOTOS": " ".join(map(str, gotos)),
    }


NOTES = {
    "INITIAL": "The state to begin in, by the rule that is read.",
    "FINAL": "The state that is reached when all is read.",
    "IGNORED": "Kinds of words that the parser never sees.",
    "TERMINALS": "Kinds of words and their patterns. The first that matches wins.",
    "RULES": "Origin, length, name of the tree (empty: its only part stands for it), children (place, whether taken apart).",
    "KINDS": "Kinds of tokens that have the same action somewhere.",
    "ACTIONS": "By state: ACTION:KINDS. An action is the state to go to, or ~(the number of the rule that is complete).",
    "ROWS": "ORIGIN:STATE, where to go when a rule is complete.",
    "GOTOS": "By state: which of ROWS.",
}
TYPE = ": tuple[tuple[str, int, str, tuple[tuple[int, bool], ...]], ...]"


def text() -> str:
    """The module as it should stand in the tree."""
    parts = [HEAD]
    for name, value in tables().items():
        parts.append(f"\n# {NOTES[name]}\n{name}{TYPE if name == 'RULES' else ''} = ")
        if isinstance(value, str):
            parts.append(
                '"""\n' + textwrap.fill(value, 119, break_long_words=False, break_on_hyphens=False) + '\n"""\n'
            )
        elif isinstance(value, tuple):
            parts.append("(\n" + "".join(f"    {each!r},\n" for each in value) + ")\n")
        else:
            parts.append(f"{value!r}\n")
    return "".join(parts)


def main() -> int:
    wanted = text()
    if "--check" in sys.argv[1:]:
        same = TABLES.is_file() and TABLES.read_text(encoding="utf-8") == wanted
        if not same:
            print(f"{TABLES.name} is not what the grammar says; run `make grammar`")
        return 0 if same else 1
    TABLES.write_text(wanted, encoding="utf-8")
    print(f"wrote {TABLES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
