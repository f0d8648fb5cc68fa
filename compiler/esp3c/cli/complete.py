"""`esp3c _complete SHELL …`: what fits at the cursor; a shell asks for it, and no help shows it.

    esp3c _complete bash LINE BREAKS [TYPE]   the line up to the cursor, what readline breaks words at, and its COMP_TYPE
    esp3c _complete zsh|fish WORD … -- WORD   the whole words before the cursor, and the one that it stands in

A line is printed for each answer: what to put in the place of the word and, but in bash, a tab and what it is. In zsh the line
begins with `+` where a space belongs behind it, with `-` where the word goes on. Nothing is ever said on stderr.

Why neither argcomplete nor shtab: shtab's scripts know what was there when they were written, and nothing of a recipe. argcomplete
asks the program as is done here, at the same speed, but offers whole words alone: `training.tr` could not become `training.trainer.`
without a space behind it, its zsh glue loses the place behind `cd digits && esp3c …`, and it would be one more package for everybody
who trains. What it would save is `complete_words.py`.
"""

from __future__ import annotations

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHELLS = ("bash", "zsh", "fish")
GOES_ON = ("=", ".", "/", ",")
"""A word that ends with one of these is not complete: no space belongs behind it."""

_LISTING = "63"
"""What bash says in COMP_TYPE where the answers are listed after further tabs."""

_ESCAPED = " \t\n\"'\\$`!&|;<>()*?[]{}#~"
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def answer(words: Sequence[str]) -> int:
    """Prints what fits; 0, also where nothing does."""
    shell, *rest = words or ("",)
    sys.stdout.write("".join(f"{line}\n" for line in _lines(shell, rest)))
    return 0


def _lines(shell: str, rest: Sequence[str]) -> Iterable[str]:
    from esp3c.cli.complete_words import fitting

    if shell == "bash":
        line = Line(rest[0] if rest else "", rest[1] if len(rest) > 1 else "")
        answers = fitting(line.words[1:], line.word)
        if rest[2:] == [_LISTING]:
            yield from (line.shown(each.word) for each in answers)
            return
        found = [line.put(each.word) for each in answers]
        yield from found
        if len(found) == 1 and line.quoted and found[0].endswith(GOES_ON):
            # Readline closes the quote behind an answer that is the only one.
            yield found[0] + "…"
    elif shell in SHELLS and rest:
        word = Line(rest[-1], "").word if shell == "fish" else rest[-1]
        for each in fitting([*rest[1:-2]], word):
            if shell == "fish":
                yield f"{each.word}\t{_flat(each.what)}"
            else:
                yield f"{'-' if each.word.endswith(GOES_ON) else '+'}{each.word}\t{_flat(each.what)}"


def _flat(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class Line:
    """A command line up to the cursor, as bash has it: its words, and the one that is being written.

    Readline replaces what stands behind the last of `breaks` outside of quotes, and not the whole word.
    """

    def __init__(self, text: str, breaks: str) -> None:
        self.words: list[str] = []
        self.word, self._quote, self._kept = "", "", 0
        self._read(text, set(breaks) - set("\"'"))
        while self.words and _ASSIGNMENT.match(self.words[0]):
            del self.words[0]

    def _read(self, text: str, breaks: set[str]) -> None:
        begun, at = False, 0
        while at < len(text):
            char = text[at]
            at += 1
            if self._quote:
                if char == self._quote:
                    self._quote = ""
                elif char == "\\" and self._quote == '"' and text[at : at + 1] in set('"\\$`'):
                    self.word += text[at : at + 1]
                    at += 1
                else:
                    self.word += char
            elif char in "\"'":
                self._quote, begun = char, True
                # What stands behind an open quote is a word of its own for readline.
                self._kept = len(self.word)
            elif char == "\\":
                self.word, begun = self.word + text[at : at + 1], True
                at += 1
            elif char.isspace():
                if begun:
                    self.words.append(self.word)
                self.word, begun, self._kept = "", False, 0
            else:
                self.word, begun = self.word + char, True
                if char in breaks:
                    self._kept = len(self.word)

    @property
    def quoted(self) -> bool:
        """Whether the word stands behind a quote that is open."""
        return bool(self._quote)

    def shown(self, word: str) -> str:
        """What is listed of a word that fits."""
        return word[self._kept :]

    def put(self, word: str) -> str:
        """What readline is given for a word that fits."""
        rest = word[self._kept :]
        if self._quote == "'":
            return rest.replace("'", "'\\''")
        if self._quote:
            return "".join(f"\\{char}" if char in '"\\$`' else char for char in rest)
        rest = "".join(f"\\{char}" if char in _ESCAPED else char for char in rest)
        # A home folder stays one.
        rest = rest[1:] if rest.startswith("\\~") and not self._kept else rest
        return rest if word.endswith(GOES_ON) else rest + " "
