"""Records: classes of named values, made quickly.

`@record` gives a class what `@dataclass(frozen=True, slots=True)` would: slots, `__init__`, `==`, `hash`, `repr` and
the order of its fields for `match`. The compiler has over a hundred such classes, and a dataclass costs about 0.4 ms
when its class is made, which would be a fifth of a cold `esp3c check`. Here a class costs a few microseconds, and its
`__init__` is compiled when the first object is made.

That a record is not assigned to is kept by the type checker, not at run time; `@mutable` is for those that are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

_NOTHING = object()


class _Made:
    """A default that is made anew for each object."""

    __slots__ = ("factory",)

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def field(*, default: Any = _NOTHING, default_factory: Callable[[], Any] | None = None, compare: bool = True) -> Any:
    """A field with a default of its own, or one that `==`, `hash` and `repr` leave out.

    One that they leave out and that is made anew for each object holds what the object works out about itself.
    """
    return _Field(_Made(default_factory) if default_factory is not None else default, compare)


class _Field:
    __slots__ = ("compare", "default")

    def __init__(self, default: Any, compare: bool) -> None:
        self.default = default
        self.compare = compare


_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: _Class) -> _Class:
    """Makes a record class of the annotated names of a class body."""
    return _made(cls, mutable=False)


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: _Class) -> _Class:
    """A record that is filled in while it is built; it has no hash."""
    return _made(cls, mutable=True)


def fields(value: Any) -> tuple[str, ...]:
    """The names of a record's fields, in order; none for what is no record."""
    names: tuple[str, ...] = getattr(value, "__record__", ())
    return names


_Object = TypeVar("_Object")


def changed(value: _Object, **changes: Any) -> _Object:
    """A record like this one, with some values changed. What it has worked out about itself stays behind."""
    given = {name: getattr(value, name) for name in fields(value) if name not in value.__worked_out__}  # type: ignore[attr-defined]
    return type(value)(**{**given, **changes})


def _made(body: _Class, *, mutable: bool) -> _Class:
    names = tuple(body.__annotations__)
    members = {name: value for name, value in vars(body).items() if name not in {"__dict__", "__weakref__"}}
    given = {name: members.pop(name) for name in names if name in members}
    defaults = {name: value.default if isinstance(value, _Field) else value for name, value in given.items()}
    hidden = {name for name, value in given.items() if isinstance(value, _Field) and not value.compare}
    members["__worked_out__"] = frozenset(name for name in hidden if isinstance(defaults.get(name), _Made))
    compared = tuple(name for name in names if name not in hidden)
    members["__slots__"] = names
    members["__match_args__"] = names
    members["__record__"] = names
    members["__eq__"] = _equal(compared)
    members["__hash__"] = None if mutable else _hash(compared)
    members.setdefault("__repr__", _repr(compared))
    made: Any = type(body.__name__, body.__bases__, members)
    made.__qualname__ = body.__qualname__
    defaults = {name: value for name, value in defaults.items() if value is not _NOTHING}
    made.__init__ = _first_init(made, names, defaults)
    result: _Class = made
    return result


def _first_init(made: Any, names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    def __init__(self: Any, *positional: Any, **named: Any) -> None:
        made.__init__ = compiled = _compiled(names, defaults)
        compiled(self, *positional, **named)

    return __init__


def _compiled(names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    """`__init__` as it would be written by hand."""
    scope: dict[str, Any] = {f"_default_{name}": value for name, value in defaults.items()}
    parameters = [f"{name}=_default_{name}" if name in defaults else name for name in names]
    lines = [
        f"    self.{name} = _default_{name}.factory() if {name} is _default_{name} else {name}"
        if isinstance(defaults.get(name), _Made)
        else f"    self.{name} = {name}"
        for name in names
    ]
    exec(f"def __init__({', '.join(['self', *parameters])}):\n" + ("\n".join(lines) or "    pass"), scope)
    compiled: Callable[..., None] = scope["__init__"]
    return compiled


def _equal(names: tuple[str, ...]) -> Callable[[Any, Any], Any]:
    def __eq__(self: Any, other: Any) -> Any:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in names)

    return __eq__


def _hash(names: tuple[str, ...]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash((self.__class__, *(getattr(self, name) for name in names)))

    return __hash__


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__
