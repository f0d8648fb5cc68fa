"""Values to begin with, for what is missing: the plainest one that a type takes."""

from __future__ import annotations

from esp3c.python import types as p
from esp3c.python.reader import Reader
from esp3c.python.signature import Bound
from esp3c.schema import types as t

_OF_PYTHON = {"int": "1", "float": "1.0", "bool": "false", "str": '""', "None": "null"}
_OF_SCHEMA = {"int": "1", "float": "1.0", "bool": "false", "str": '""', "null": "null"}
_MEASURED = {"duration": "1h", "size": "1GB", "frequency": "16kHz"}


def for_parameter(reader: Reader, bound: Bound) -> str | None:
    """A value for a parameter, by its annotation; None where only an object will do."""
    return _python(p.type_of(reader, bound.module, bound.parameter.annotation))


def _python(type: p.Type) -> str | None:
    match type:
        case p.Unknown():
            return "null"
        case p.Basic(name):
            return _OF_PYTHON.get(name)
        case p.Literals(values):
            return next((text for each in values if (text := _literal(each)) is not None), None)
        case p.Union(options):
            # Null stands for "nothing", which nobody who is asked for a value wants to say first.
            ordered = sorted(options, key=lambda each: each == p.Basic("None"))
            return next((text for each in ordered if (text := _python(each)) is not None), None)
        case p.Items():
            return "[]"
        case p.Fixed(items):
            texts = [_python(each) for each in items]
            return f"[{', '.join(text for text in texts if text is not None)}]" if None not in texts else None
        case p.Mapping():
            return "{ }"
        case p.Keys(fields=fields):
            needed = [(name, _python(each)) for name, each, must in fields if must]
            if any(text is None for _, text in needed):
                return None
            return f"{{ {', '.join(f'{name} = {text}' for name, text in needed)} }}" if needed else "{ }"
        case _:
            return None


def _literal(value: object) -> str | None:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if not set(value) & set('\\"$\n\r'):
            return f'"{value}"'
        case _:
            return None


def for_key(key: t.Key) -> str | None:
    """A value for a key of the schema; None where only an object will do."""
    if key.numbers is not None and key.numbers.among:
        return str(key.numbers.among[0])
    return _schema(key.type)


def _schema(type: t.Type) -> str | None:
    match type:
        case t.Anything():
            return "null"
        case t.Plain(kind):
            return _OF_SCHEMA[kind]
        case t.Measured(dimension):
            return _MEASURED[dimension]
        case t.OneOf(words):
            return f'"{words[0]}"'
        case t.ListOf():
            return "[]"
        case t.MapOf():
            return "{ }"
        case t.Either(options):
            ordered = sorted(options, key=lambda each: each == t.NULL)
            return next((text for each in ordered if (text := _schema(each)) is not None), None)
        case _:
            return None
