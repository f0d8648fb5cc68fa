"""Completion: what may be written at a place of a recipe, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from esp3c.query.complete_arguments import arguments
from esp3c.query.complete_fields import dimensions, fields_of_dataset, types
from esp3c.query.complete_keys import keys
from esp3c.query.complete_model import Completion, Proposal, Sort, begins, fits
from esp3c.query.complete_overrides import base_of, overrides
from esp3c.query.complete_own_keys import own_keys
from esp3c.query.complete_place import Here
from esp3c.query.complete_stages import bases, clauses, configs, machines, runs, stages
from esp3c.query.complete_text import interpolations, texts, units
from esp3c.query.complete_values import values
from esp3c.query.context import context
from esp3c.query.context_reading import SAMPLE, What
from esp3c.query.snippets import SNIPPETS
from esp3c.query.view import View

MOST = 300
"""How many proposals are shown at once; a longer word shows the others."""


def complete(view: View, offset: int, patient: Callable[[], bool] = lambda: True) -> Completion:
    """What may be written at an offset. Nothing in comments, and nothing where only the writer can know.

    Modules may have to be read for what is only nice to know: which classes fit, and what they must be given. It is left
    out from when on `patient` says no.
    """
    place = context(view, offset)
    if "\n" in view.source.text[place.start : place.end]:
        # Text of several lines is prose.
        return Completion((), offset, offset)
    here = Here(view, place, patient)
    word = "" if place.what is What.STRING else place.word
    found: dict[str, Proposal] = {}
    for each in _proposals(here):
        before = found.get(each.label)
        if fits(word, each.match or each.label) and (before is None or each.rank < before.rank):
            found[each.label] = each
    ordered = sorted(found.values(), key=lambda each: (not begins(word, each.match or each.label), each.rank))
    return Completion(tuple(ordered[:MOST]), place.start, place.end, len(ordered) > MOST)


def _proposals(here: Here) -> Iterator[Proposal]:
    match here.context.what:
        case What.DECLARATION:
            yield from _declarations(here)
        case What.EXTENDS:
            yield Proposal("extends", Sort.KEYWORD, 1, "another config, of which this one is a variant")
        case What.BASE:
            yield from bases(here)
        case What.KEY:
            yield from _keys(here)
        case What.ARGUMENT:
            yield from arguments(here)
        case What.VALUE:
            yield from values(here)
        case What.STAGE:
            yield from stages(here)
        case What.CLAUSE:
            yield from clauses(here)
        case What.REQUIRED:
            yield from configs(here)
        case What.RUN:
            yield from runs(here)
        case What.MACHINE:
            yield from machines(here)
        case What.TYPE:
            yield from types(here)
        case What.DIMENSION:
            yield from dimensions(here)
        case What.STRING:
            yield from _in_quotes(here)
        case What.INTERPOLATION:
            yield from interpolations(here)
        case What.UNIT:
            yield from units(here)
        case What.NAME | What.NUMBER | What.COMMENT:
            return


def _keys(here: Here) -> Iterator[Proposal]:
    if here.context.frame.role == SAMPLE:
        yield from fields_of_dataset(here)
        return
    base = base_of(here)
    if base is not None:
        yield from overrides(here, *base)
        return
    if here.known.block is not None and not here.context.path:
        yield from keys(here, here.known.block)
    yield from own_keys(here)
    yield from arguments(here)


def _in_quotes(here: Here) -> Iterator[Proposal]:
    """The texts that the place takes, with the quote at their end where it is missing."""
    close = "" if here.context.closed else '"'
    for text, what in texts(here):
        yield Proposal(text, Sort.TEXT, 1, what, insert=text + close)


def _declarations(here: Here) -> Iterator[Proposal]:
    """What the file does not have yet, and what it may have several of."""
    declared = here.sight.declared
    there = {name for name, each in declared.configs.items() if each.span.start != here.context.start}
    there |= {"recipe"} if any(each.span.start != here.context.start for each in declared.recipes) else set()
    there |= {"stages"} if any(each.span.start != here.context.start for each in declared.stages) else set()
    finished = here.following in {"{", "="} or _named(here)
    for number, each in enumerate(SNIPPETS):
        if each.once and each.once in there:
            continue
        if finished:
            yield Proposal(each.word, Sort.KEYWORD, 3, each.detail)
        else:
            yield Proposal(each.label, Sort.SNIPPET, 3, each.detail, insert=each.word, snippet=each.body)
            if number and each.word != each.label:
                yield Proposal(each.word, Sort.KEYWORD, 4, each.detail)


def _named(here: Here) -> bool:
    """Whether a name stands behind the word: a declaration whose first word is being corrected."""
    rest = here.view.source.text[here.context.end :].split("\n", 1)[0].split()
    return bool(rest) and rest[0].isidentifier()
