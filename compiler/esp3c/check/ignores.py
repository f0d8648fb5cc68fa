"""`# esp: ignore[CODE, …]`: takes diagnostics out that a person has seen and means to leave as they are.

A comment behind something is about its own line. A comment that stands alone on its line is about the first line below
that is no such comment. What is meant by "on a line": the diagnostic's primary place begins there. Only places in the
recipe count; a diagnostic in a `--set` text is not touched. Words behind the `]` are a reason, for people.

Some codes cannot be ignored, because nothing could be written then: what does not parse, what a name stands for, what is
declared twice or has no place. `firm` says which. Of ESP0202, a dotted path can be ignored, a lone word cannot.

An ignore that does nothing is reported itself (ESP0130), except where it cannot be known: with syntax errors or
overrides around, and on lines on which values could not be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from esp3c.diagnostics import Diagnostic, Edit, Fix
from esp3c.record import record
from esp3c.source import Source, Span
from esp3c.suggest import did_you_mean
from esp3c.syntax.comments import DIRECTIVE, directed
from esp3c.syntax.errors import useless_ignore

_MOST = 100
"""After so many ignores that are written wrong, the rest is not read."""

_FIRM_FAMILIES = frozenset({"01"})
# Without these a value, a file or a method that has to be written has no meaning; or it would not be read back.
_FIRM = frozenset(
    "ESP" + number
    for number in (
        "0201", "0203", "0204", "0206", "0208", "0209", "0303", "0304", "0305", "0307", "0308", "0309", "0401",
        "0602", "0604", "0607", "0608",
    )
)  # fmt: skip

# What is found only when it is asked for (`check --shapes`): whether an ignore of it does anything is not known before.
_ASKED_FOR = frozenset({"ESP0550", "ESP0551", "ESP0552"})


@record
class Ignored:
    """What is left, with what there is to say about the ignores themselves; and what was taken out."""

    kept: tuple[Diagnostic, ...]
    taken: tuple[Diagnostic, ...]


@record
class _Entry:
    """One code of one comment, and the line that it is about."""

    code: str
    span: Span
    line: int
    removal: Span | None


def firm(code: str) -> bool:
    """Whether a code cannot be ignored, because a recipe that has it cannot be written."""
    return code[3:5] in _FIRM_FAMILIES or code in _FIRM


def apply_ignores(
    source: Source,
    diagnostics: Sequence[Diagnostic],
    known: Callable[[], Collection[str]],
    *,
    whole: bool = True,
    doubtful: Iterable[Span] = (),
) -> Ignored:
    """Takes out what the comments of `source` say, and adds what is wrong with the comments.

    `known` gives all codes that there are; it is asked only where there is an ignore. `whole` is false where something
    is missing among the diagnostics (syntax errors, overrides), and `doubtful` are places that could not be checked:
    what ignores nothing is not reported there.
    """
    directives = directed(source)
    if not directives:
        return Ignored(tuple(diagnostics), ())
    entries: list[_Entry] = []
    said: list[Diagnostic] = []
    names = known()
    for comment, line in directives:
        if len(said) < _MOST:
            found, wrong = _read(comment, line, names)
            entries.extend(found)
            said.extend(wrong)
    wanted = {(entry.line, entry.code) for entry in entries}
    taken: list[Diagnostic] = []
    kept: list[Diagnostic] = []
    for each in diagnostics:
        (taken if _key(each, source) in wanted and _can_be_written(each) else kept).append(each)
    if whole:
        done = {_key(each, source) for each in diagnostics}
        unsure = {source.line_of(span.start) for span in doubtful if span.source is source}
        for entry in entries:
            if (entry.line, entry.code) not in done and entry.line not in unsure and entry.code not in _ASKED_FOR:
                said.append(
                    useless_ignore(
                        entry.span,
                        f"no `{entry.code}` is found {'here' if entry.line else 'below'}, so nothing is ignored",
                        "take it out",
                        _remove(entry.removal),
                    )
                )
    return Ignored((*kept, *said), tuple(taken))


def _can_be_written(diagnostic: Diagnostic) -> bool:
    # A path to something that is not installed here can stand in a file; a lone word is no path.
    return diagnostic.code.id != "ESP0202" or "." in diagnostic.primary.span.text


def _key(diagnostic: Diagnostic, source: Source) -> tuple[int, str] | None:
    span = diagnostic.primary.span
    return (source.line_of(span.start), diagnostic.code.id) if span.source is source else None


def _read(comment: Span, line: int, known: Collection[str]) -> tuple[list[_Entry], list[Diagnostic]]:
    """The codes of one comment, and what is wrong with how they are written."""
    source, text = comment.source, comment.text
    entries: list[_Entry] = []
    said: list[Diagnostic] = []
    for match in DIRECTIVE.finditer(text):
        word = match["word"].casefold()
        whole = Span(source, comment.start + match.start(), comment.start + match.end())
        listed = match["list"] is not None
        if word != "ignore":
            if listed and did_you_mean(word, ["ignore"]):
                said.append(useless_ignore(whole, f"`{match['word']}` ignores nothing", "did you mean `ignore`?"))
            continue
        parts = [part for part in re.finditer(r"[^,]+", match["codes"] or "") if part.group().strip()]
        if not parts:
            rest = text[match.end() : match.end() + 1]
            message = "the list of this ignore is not closed" if rest == "[" else "this ignore says no code"
            said.append(useless_ignore(whole, message, "write `# esp: ignore[CODE]`, with the codes to ignore"))
            continue
        base = comment.start + match.start("codes")
        for part in parts:
            start = base + part.start() + len(part.group()) - len(part.group().lstrip())
            span = Span(source, start, start + len(part.group().strip()))
            code = span.text.upper()
            alone = len(parts) == 1 and not (text[: match.start()].strip() or text[match.end() :].strip())
            if code not in known:
                said.append(useless_ignore(span, f"there is no code `{span.text}`", "`esp3c explain` lists them"))
            elif firm(code):
                reason = (
                    "nothing could be written with it" if code[3:5] not in _FIRM_FAMILIES else "syntax errors never can"
                )
                said.append(useless_ignore(span, f"`{code}` cannot be ignored", reason))
            else:
                entries.append(_Entry(code, span, line, _removal(comment, span, alone, len(parts))))
    return entries, said


def _removal(comment: Span, code: Span, alone: bool, codes: int) -> Span | None:
    """What to take out with a code: it and its comma, or the comment that holds nothing else; None with a reason behind it."""
    text = comment.source.text
    if codes > 1:
        start, end = code.start, code.end
        if re.match(r"\s*,", text[end:]):
            end += len(re.match(r"\s*,\s*", text[end:]).group())  # type: ignore[union-attr]
        else:
            start -= len(text[:start]) - len(text[:start].rstrip().removesuffix(","))
        return Span(comment.source, start, end)
    if not alone:
        return None
    start, end = comment.start, comment.end
    before = text[comment.source.line_start(comment.source.line_of(start)) : start]
    start -= len(before) - len(before.rstrip())
    if not before.strip() and text[end : end + 1] == "\n":
        end += 1
    return Span(comment.source, start, end)


def _remove(span: Span | None) -> Fix | None:
    return Fix("take the ignore out", (Edit(span, ""),)) if span is not None else None
