"""Reading bodies: what is said of a dict holds whenever the body really runs, and nothing in Python upsets the reading."""

from __future__ import annotations

import ast
import random
import textwrap
import time
from pathlib import Path

import pytest

from esp3c.python.bodies import Outcome, interpret
from esp3c.python.body_values import Callee, Dict, Entry, Kind, Leaf, Listing, Several, Value


class Nowhere:
    """A module that is the functions beside the one that is read."""

    receiver = "self"

    def __init__(self, functions: dict[str, ast.FunctionDef] | None = None) -> None:
        self.functions = functions or {}

    def constant(self, dotted: str) -> str | None:
        return {"KEY": "key"}.get(dotted)

    def callee(self, function: ast.expr) -> Callee | None:
        name = function.id if isinstance(function, ast.Name) else ""
        return Callee(self.functions[name], Nowhere(), False) if name in self.functions else None

    def made(self, dotted: str, imported: str | None) -> str:
        return ""


def read(text: str, *, batch: bool = False) -> Outcome:
    """The last function of a text, called with `{"utt_id": text, "speech": array, "text": text}` (or a list of them)."""
    functions = [each for each in ast.parse(textwrap.dedent(text)).body if isinstance(each, ast.FunctionDef)]
    item = Dict(
        {"utt_id": Entry(Leaf(Kind.TEXT)), "speech": Entry(Leaf(Kind.ARRAY)), "text": Entry(Leaf(Kind.TEXT))},
        origin=frozenset({"item"}),
    )
    value: Value = Listing([item], filled=True) if batch else item
    scope = Nowhere({each.name: each for each in functions[:-1]})
    return interpret(functions[-1], scope, {functions[-1].args.args[0].arg: value})


def shown(value: Value) -> str:
    match value:
        case Dict():
            keys = ", ".join(key + ("" if entry.sure else "?") for key, entry in value.fields.items())
            return "{" + keys + ("" if value.closed else " …") + "}"
        case Listing():
            return "[" + " | ".join(map(shown, value.parts)) + "]"
        case Several(items):
            return "(" + ", ".join(map(shown, items)) + ")"
        case Leaf(kind):
            return kind.value
        case _:
            return "a function"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return {**d, 'n': 1}", "{utt_id, speech, text, n}"),
        ("return {key: d[key] for key in ('utt_id', 'text')}", "{utt_id, text}"),
        ("return {key: value for key, value in d.items() if value}", "{utt_id?, speech?, text?}"),
        ("e = d\n    e['n'] = 1\n    return d", "{utt_id, speech, text, n}"),
        ("e = dict(d)\n    e['n'] = 1\n    return d", "{utt_id, speech, text}"),
        ("del d['text']\n    return d", "{utt_id, speech}"),
        ("d.setdefault('n', 1)\n    return d", "{utt_id, speech, text, n}"),
        ("if f():\n        d['n'] = 1\n    return d", "{utt_id, speech, text, n?}"),
        ("if f():\n        return {}\n    return d", "{utt_id?, speech?, text?}"),
        ("d[f()] = 1\n    return d", "{utt_id, speech, text …}"),
        ("f(d)\n    return d", "{utt_id?, speech?, text? …}"),
        ("return {KEY: d['text']}", "{key}"),
        ("for each in f():\n        d['n'] = each\n    return d", "{utt_id, speech, text, n?}"),
        ("return (d['speech'] * 0.5, {'loss': 1})", "(an array, {loss})"),
        ("e = d if f() else None\n    e['n'] = 1\n    return d", "{utt_id?, speech?, text? …}"),
        ("return str(d['utt_id'])", "text"),
        ("yield d", "unknown"),
    ],
)
def test_what_a_body_returns(body: str, expected: str) -> None:
    assert shown(read(f"def g(d):\n    {body}\n").value) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return d['no']", ["no"]),
        ("return [d['no'] for each in f()]", []),
        ("if f():\n        return d['no']", []),
        ("if f():\n        raise ValueError\n    return d['no']", ["no"]),
        ("if f():\n        return d\n    return d['no']", []),
        ("if random.random() < 0.5:\n        return d\n    return d['no']", ["no"]),
        ("if 'no' in d:\n        return d['no']", []),
        ("return d.get('no')", []),
        ("return d.pop('no', 0)", []),
        ("return d.pop('no')", ["no"]),
        ("return f() and d['no']", []),
        ("try:\n        return d['no']\n    except KeyError:\n        return 1", []),
        ("with suppress(KeyError):\n        return d['no']", []),
        ("d['no'] = 1\n    return d['no']", []),
        ("f(d)\n    return d['no']", []),
        ("return lambda: d['no']", []),
        ("d['no'] += 1\n    return d", ["no"]),
        ("x = d.pop('text').strip()\n    return x", []),
    ],
)
def test_which_keys_a_body_surely_asks_for(body: str, expected: list[str]) -> None:
    assert [each.key for each in read(f"def g(d):\n    {body}\n").readings] == expected


def test_a_function_beside_it_is_followed() -> None:
    assert shown(read("def h(x):\n    x['n'] = 1\n    return x\ndef g(d):\n    return h(d)\n").value) == (
        "{utt_id, speech, text, n}"
    )


def test_a_ring_of_functions_comes_to_an_end() -> None:
    assert read("def h(x):\n    return h(x)\ndef g(d):\n    return h(d)\n").why == ""


def test_the_items_of_a_batch_are_known() -> None:
    found = read("def g(batch):\n    return [{'utt_id': d['utt_id'], 'no': d['no']} for d in batch]\n", batch=True)

    assert shown(found.value) == "[{utt_id, no}]"
    assert [each.key for each in found.readings] == ["no"]


def test_a_body_that_is_too_long_is_not_known() -> None:
    found = read("def g(d):\n" + "    d['n'] = f(1)\n" * 5000 + "    return d\n")

    assert found.why == "it is too long to follow"


def test_a_body_that_is_too_deep_is_not_known() -> None:
    found = read("def g(d):\n    return " + "f(" * 150 + "d" + ")" * 150 + "\n")

    assert shown(found.value) == "unknown"


# -- what is said holds when the body runs ------------------------------------------------------------------------------


def expression(chance: random.Random) -> str:
    name, other, key = chance.choice("dxy"), chance.choice("dxy"), chance.choice("abcn")
    return chance.choice(
        [
            name, f"dict({name})", f"{{**{name}, '{key}': 1}}", f"{name} | {{'{key}': 1}}", "{}", f"{{'{key}': {other}['a']}}",
            f"({name} if flag() else {other})", f"{{k: v for k, v in {name}.items()}}", f"helper({name})", f"{name}.copy()",
            f"{{k: v for k, v in {name}.items() if flag()}}", f"(flag() and {name} or {other})", f"store({name})",
            f"{{**{name}, **{other}}}", f"dict({name}, {key}=1)", f"{{'{key}': 1, **helper({name})}}",
        ]
    )  # fmt: skip


def block(chance: random.Random, depth: int) -> list[str]:
    return [f"    {line}" for _ in range(chance.randint(1, 3)) for line in statement(chance, depth + 1)]


def statement(chance: random.Random, depth: int = 0) -> list[str]:
    name, other, key = chance.choice("dxy"), chance.choice("dxy"), chance.choice("abcn")
    if depth >= 3 or chance.random() < 0.5:
        return [
            chance.choice(
                [
                    f"{name} = {expression(chance)}", f"{name} = {expression(chance)}", f"{name}['{key}'] = 1",
                    f"{name}.pop('{key}', None)", f"{name}.update({key}=1)", f"{name}.setdefault('{key}', 1)",
                    f"t = {name}['a']", f"del {name}['{key}']", f"{name} |= {{'{key}': 1}}", f"t = {name}.pop('a')",
                    f"return {expression(chance)}", f"{name}.update({other})", f"t = [z['a'] for z in [{name}, {other}]]",
                    f"t = [{name}, {other}]; t.append({name}); {name}['{key}'] = 1",
                ]
            )
        ]  # fmt: skip
    forms = [
        lambda: ["if flag():", *block(chance, depth)],
        lambda: ["if flag():", *block(chance, depth), "else:", *block(chance, depth)],
        lambda: [f"if '{key}' in {name}:", *block(chance, depth)],
        lambda: ["for _ in turns():", *block(chance, depth)],
        lambda: [f"for k in ('a', '{key}'):", f"    {name}[k] = 1", *block(chance, depth)],
        lambda: ["try:", *block(chance, depth), "except KeyError:", *block(chance, depth)],
        lambda: ["while flag():", *block(chance, depth), "    if flag():", "        break"],
        lambda: ["def local(z):", "    z['n'] = 1", "    return z", f"{name} = local({other})"],
        lambda: ["def local(z):", *block(chance, depth), "    return z", f"{name} = local({other})"],
        lambda: [f"for k in list({name}):", f"    {name}[k + 'z'] = 1"],
        lambda: ["with swallow():", *block(chance, depth)],
        lambda: ["match t:", "    case 1:", *[f"    {line}" for line in block(chance, depth)]],
        lambda: ["rows = []", "for _ in turns():", f"    row = dict({name})", "    row['n'] = 1", "    rows.append(row)",
                 "for row in rows:", f"    row['{key}'] = 1", f"    {other} = row"],
    ]  # fmt: skip
    return chance.choice(forms)()


_BESIDE = """
def helper(z):
    if flag():
        z['h'] = 1
    return z
"""


class Swallow:
    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> bool:
        return error[0] is KeyError


def compare(seed: int) -> bool:
    """Reads and runs a body that is made by chance; whether something was said that could be compared."""
    chance = random.Random(seed)
    lines = [
        "t = 1",
        "x = d",
        "y = {'a': 1}",
        *(line for _ in range(chance.randint(2, 7)) for line in statement(chance)),
    ]
    text = f"{_BESIDE}def g(d):\n" + "".join(f"    {line}\n" for line in [*lines, "return x"])
    functions = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    start = Dict({"a": Entry(Leaf(Kind.NUMBER)), "b": Entry(Leaf(Kind.NUMBER))}, origin=frozenset({"item"}))
    outcome = interpret(functions[1], Nowhere({"helper": functions[0]}), {"d": start})
    said = outcome.value
    kept: list[dict[str, int]] = []
    compared = False

    def store(value: dict[str, int]) -> dict[str, int]:
        """Code that keeps what it gets, and changes it at any later call."""
        kept.append(value)
        for each in kept:
            if chance.random() < 0.5:
                each.pop("a", None)
                each["s"] = 1
        return value

    world: dict[str, object] = {
        "flag": lambda: chance.random() < 0.5, "turns": lambda: range(chance.randrange(3)), "store": store, "swallow": Swallow,
    }  # fmt: skip
    exec(compile(text, "body", "exec"), world)
    run = world["g"]
    assert callable(run)
    for _ in range(10):
        kept.clear()
        try:
            real = run({"a": 1, "b": 2})
        except (KeyError, TypeError, AttributeError, RuntimeError, NameError):
            continue
        # A key that is surely asked for and not there ends every way through the body.
        assert not outcome.readings, text
        if isinstance(said, Dict) and isinstance(real, dict):
            compared = True
            assert {key for key, entry in said.fields.items() if entry.sure} <= real.keys(), text
            assert not said.closed or real.keys() <= said.fields.keys(), text
    return compared


def test_what_is_said_of_a_dict_holds_whenever_the_body_runs() -> None:
    assert sum(compare(seed) for seed in range(600)) > 250


def test_no_body_of_the_standard_library_upsets_the_reading() -> None:
    folder = Path(random.__file__).parent
    started, count = time.perf_counter(), 0
    for path in sorted(folder.glob("*.py"))[::6]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                first = node.args.args[0].arg if node.args.args else "none"
                given = {first: Dict({"a": Entry(Leaf(Kind.TEXT))})} if count % 2 else {}
                interpret(node, Nowhere(), given)
                count += 1

    assert count > 500
    assert (time.perf_counter() - started) / count < 0.05
