"""All places of a recipe where what is named at one of them is named."""

from __future__ import annotations

from esp3c.query.occurrences import Occurrence, index
from esp3c.query.view import View


def references(view: View, offset: int) -> tuple[Occurrence, ...]:
    """In the order of the text; none where no name stands at the offset."""
    known = index(view)
    found = known.at(offset)
    return tuple(known.of(found.thing)) if found is not None else ()
