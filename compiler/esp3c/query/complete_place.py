"""A place where something is to be proposed, with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from esp3c.python import types as p
from esp3c.python.choices import choices
from esp3c.python.reader import Reader, reader
from esp3c.query.context import Context, behind
from esp3c.query.context_reading import CALLED, DECLARED, LISTED, What
from esp3c.query.in_sight import Sight, Standing, standing
from esp3c.query.known import Known, known
from esp3c.query.signatures import Called, Parameter, called, maker, options
from esp3c.query.view import View
from esp3c.record import record
from esp3c.schema import types as t
from esp3c.schema.roles import ROLES


@record
class Wanted:
    """What is wanted as a value. `type` is what the schema says, `python` what the annotation of a parameter does.

    `values` are those of a closed set that the called code compares with; `name` is the key or parameter, `default` its
    default as Python has it.
    """

    name: str = ""
    type: t.Type | None = None
    python: p.Type | None = None
    values: tuple[object, ...] = ()
    default: str = ""
    parameter: Parameter | None = None

    @property
    def sure(self) -> bool:
        """Whether anything is known."""
        return bool(self.values) or self.type is not None or not isinstance(self.python, p.Unknown | None)

    @property
    def python_options(self) -> tuple[p.Type, ...]:
        """The types of a parameter of which a value may have any."""
        if self.python is None:
            return ()
        return self.python.options if isinstance(self.python, p.Union) else (self.python,)

    def makes(self) -> str:
        """What a call has to make here, in the words of the schema."""
        return next((each.makes for each in options(self.type) if isinstance(each, t.Target)), "")

    def names(self) -> str:
        """What a Python name has to name here, in the words of the schema."""
        return next((each.names for each in options(self.type) if isinstance(each, t.PythonName)), "")

    def kinds(self) -> tuple[str, ...]:
        """The classes of which an object must be one; none where any will do."""
        role = ROLES.get(self.makes())
        if role is not None:
            return role.kinds
        found = self.python_options
        return tuple(
            each.path for each in found if isinstance(each, p.Instance) and not each.path.startswith("pathlib.")
        )

    def takes_parallel(self) -> bool:
        return any(isinstance(each, t.ParallelUse) for each in options(self.type))

    def takes_dataset(self) -> bool:
        """Whether a declared dataset may stand here, or in a list that does."""
        found = [each.item if isinstance(each, t.ListOf) else each for each in options(self.type)]
        return any(isinstance(each, t.DatasetUse) for one in found for each in options(one))


class Here:
    """One question. What takes time is worked out when it is asked for.

    `patient` says whether there is time for what is only nice to know: which classes fit, and what they must be given.
    """

    def __init__(self, view: View, context: Context, patient: Callable[[], bool]) -> None:
        self.view = view
        self.context = context
        self.recipe = view.recipe
        self.world = view.world
        self._patient = patient

    @property
    def patient(self) -> bool:
        return self._patient()

    def own(self, path: str) -> bool:
        """Whether a dotted path begins in the recipe's own folder."""
        module = self.world.module(path.partition(".")[0])
        return module is not None and module.local

    @cached_property
    def reader(self) -> Reader:
        return reader(self.world)

    @cached_property
    def known(self) -> Known:
        path = self.context.path if self.context.what is What.KEY else ()
        return known(self.recipe, self.context.frames, path)

    @cached_property
    def standing(self) -> Standing:
        return standing(self.context.frames)

    @cached_property
    def sight(self) -> Sight:
        return Sight(self.view)

    @cached_property
    def given(self) -> frozenset[str]:
        """The keys or arguments that the innermost bracket has already, before the place and behind it."""
        return frozenset(self.context.frame.given) | behind(self.view, self.context)

    @cached_property
    def following(self) -> str:
        """The next sign on the line, behind the word; empty at its end."""
        text, at = self.view.source.text, self.context.end
        while at < len(text) and text[at] in " \t":
            at += 1
        return text[at : at + 1].strip()

    @cached_property
    def call(self) -> Called | None:
        """The call whose arguments stand directly in the innermost bracket, or that a list in it belongs to."""
        frames = self.context.frames
        while len(frames) > 2 and frames[-1].role == LISTED:
            frames = frames[:-1]
        return called(self.view, frames)

    @property
    def key(self) -> tuple[str, ...]:
        """The keys on the way from the declaration to the place, without positions of lists."""
        return tuple(each for each in self.standing.place if isinstance(each, str))

    def config_kind(self) -> str:
        """Which of the well-known configs the place is in; empty for others."""
        frames = self.context.frames
        if len(frames) < 2 or frames[1].role != DECLARED or self.standing.kind != "config":
            return ""
        found = self.recipe.configs.get(self.standing.name)
        return found.kind if found is not None else self.standing.name

    @cached_property
    def wanted(self) -> Wanted:
        """What the value at the place should be."""
        frames = self.context.frames
        name = next((each for each in reversed(self.standing.place) if isinstance(each, str)), "")
        if self.known.type is not None and not isinstance(self.known.type, t.Anything):
            return Wanted(name, self.known.type)
        lists = 0
        while len(frames) > 2 and frames[-1].role == LISTED:
            frames, lists = frames[:-1], lists + 1
        parameter = self.call.get(frames[-1].key[-1]) if self.call is not None and frames[-1].key else None
        if parameter is None or (frames[-1].role != CALLED and not self.call):
            return Wanted(name, self.known.type)
        return self._of_parameter(parameter, lists)

    def _of_parameter(self, parameter: Parameter, lists: int) -> Wanted:
        bound = parameter.bound
        if bound is None:
            return Wanted(parameter.name, parameter.key.type if parameter.key is not None else None)
        type = p.type_of(self.reader, bound.module, bound.parameter.annotation)
        for _ in range(lists):
            found = type.options if isinstance(type, p.Union) else (type,)
            type = next((each.item for each in found if isinstance(each, p.Items)), p.Unknown("it is no list"))
        values = self.taken(parameter) if not lists else ()
        return Wanted(parameter.name, None, type, values, "" if lists else parameter.default, parameter)

    def taken(self, parameter: Parameter) -> tuple[object, ...]:
        """The values that the called code takes for a parameter, where its first lines say so."""
        bound = parameter.bound
        if bound is None or not (bound.module.local or bound.module.name.startswith("espnet3.")):
            return ()
        function = maker(self.reader, bound.owner)
        if function is None:
            return ()
        return choices(self.reader, bound.module, function, bound.owner).get(parameter.name, ())
