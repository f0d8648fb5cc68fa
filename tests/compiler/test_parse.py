"""Text to syntax tree: the tree, the places in it, words that are keys, and what survives a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.record import fields
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.grammar import KEYWORDS
from esp3c.syntax.parse import parse, parse_override
from esp3c.syntax.tokens import tokenize
from support.fixtures import FIXTURES, WORLD, compile_text

WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")
TEMPLATE = Path(parse.__code__.co_filename).parents[1] / "templates" / "tones" / "recipe.esp"
RECIPES = {"whole": WHOLE, "template": TEMPLATE.read_text(encoding="utf-8")}


def read(text: str) -> ast.File:
    file, diagnostics = parse(Source("recipe.esp", text))
    assert diagnostics == []
    return file


def value_of(text: str) -> Any:
    [declaration] = read(f"let a = {text}").declarations
    assert isinstance(declaration, ast.LetDeclaration)
    return declaration.value


def block_of(text: str) -> ast.Block:
    [declaration] = read(f"config c {{ {text} }}").declarations
    assert isinstance(declaration, ast.ConfigDeclaration)
    return declaration.block


def nodes(value: Any) -> Iterator[Any]:
    """Every node of a tree, outermost first."""
    if isinstance(value, tuple) and not isinstance(value, Span):
        for each in value:
            yield from nodes(each)
    elif fields(value):
        yield value
        for each in fields(value):
            yield from nodes(getattr(value, each))


def bare(value: Any) -> Any:
    """A tree without its places, to compare two of them."""
    if isinstance(value, Span):
        return None
    if isinstance(value, tuple):
        return tuple(bare(each) for each in value)
    if fields(value):
        return (type(value).__name__, *(bare(getattr(value, each)) for each in fields(value)))
    return value


# -- the tree ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written, kind",
    [
        ('"a"', ast.Text),
        ('"""a"""', ast.Text),
        ("1", ast.Number),
        ("-1.5e3", ast.Number),
        ("16kHz", ast.Quantity),
        ("true", ast.Constant),
        ("null", ast.Constant),
        ("[]", ast.ListValue),
        ("[1, [2, 3,],]", ast.ListValue),
        ("{}", ast.Block),
        ("{ a = 1, b = 2 }", ast.Block),
        ("{ a = 1  b { c = 2 }  new d = 3 }", ast.Block),
        ("a", ast.Reference),
        ("a.b.c", ast.Reference),
        ("a { b = 1 }", ast.Reference),
        ("a.b()", ast.Call),
        ("a.b(1, c = 2,) { d = 3 }", ast.Call),
        ("partial a.b(c = 1)", ast.Call),
    ],
)
def test_values(written: str, kind: type) -> None:
    value = value_of(written)

    assert isinstance(value, kind)
    assert value.span.text == written


def test_a_stage_line_and_its_clauses() -> None:
    [stages] = read("stages { train a requires b, c runs d.e on f { g = 1 } requires_not\non_top }").declarations
    assert isinstance(stages, ast.StagesDeclaration)
    _, line, *others = stages.stages

    assert line.name.text == "a"
    assert [[name.text for name in clause] for clause in line.requires] == [["b", "c"]]
    assert [path.dotted for path in line.runs] == ["d.e"]
    assert [name.text for name in line.on] == ["f"]
    assert line.block is not None
    assert [each.name.text for each in others] == ["requires_not", "on_top"]


def test_clauses_that_stand_twice_are_kept() -> None:
    [stages] = read("stages { a on b on c requires d requires e runs f runs g }").declarations
    assert isinstance(stages, ast.StagesDeclaration)
    [line] = stages.stages

    assert (len(line.on), len(line.requires), len(line.runs)) == (2, 2, 2)


def test_sample_fields() -> None:
    entries = block_of("sample { a: str  b?: float32[time, 80]  c : int[1_0] }").entries
    [sample] = entries
    assert isinstance(sample, ast.Setting)
    assert isinstance(sample.value, ast.Block)
    fields_ = [each for each in sample.value.entries if isinstance(each, ast.Field)]

    assert [(each.key.dotted, each.optional, each.type.name.text) for each in fields_] == [
        ("a", False, "str"),
        ("b", True, "float32"),
        ("c", False, "int"),
    ]
    assert [each.text if isinstance(each, ast.Name) else each.value for each in fields_[1].type.dims] == ["time", 80]
    assert fields_[1].span.text == "b?: float32[time, 80]"


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_a_key_may_be_called_like_any_word_of_the_language(word: str) -> None:
    block = block_of(f"{word} = 1  x {{ {word} {{ {word}.{word} = 2 }} }}  new {word} = 3")
    first, second, third = block.entries
    assert isinstance(first, ast.Setting)
    assert isinstance(second, ast.Setting)
    assert isinstance(third, ast.Setting)

    assert first.key.dotted == word
    inner = [each for each in nodes(second.value) if isinstance(each, ast.Setting)]
    assert [each.key.dotted for each in inner] == [word, f"{word}.{word}"]
    assert (third.key.dotted, third.new) == (word, True)


@pytest.mark.parametrize("word", sorted(set(KEYWORDS) - {"true", "false", "null", "partial"}))
def test_a_value_may_be_called_like_a_word_of_the_language(word: str) -> None:
    value = value_of(f"[{word}, {word}.a, a.{word}, {word}.a({word} = {word}), {{ a = {word} }}, {word}]")

    paths = [each.dotted for each in nodes(value) if isinstance(each, ast.Path)]
    assert paths == [word, f"{word}.a", f"a.{word}", f"{word}.a", word, word, word]


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_a_field_and_a_declaration_may_be_called_like_a_word_of_the_language(word: str) -> None:
    file = read(f"let {word} = 1\ndataset {word} {{ sample {{ {word}: {word}[{word}] }} }}\nparallel {word} = a()")

    assert [each.name.text for each in file.declarations if not isinstance(each, ast.StagesDeclaration)] == [word] * 3


def test_white_space_and_comments_mean_nothing() -> None:
    plain = read("config c{a=1 b=[1,2] d{e=x.y(z=1)}}")
    spread = read("\ufeff# c\r\nconfig\tc\n{ # {\na\n=\n1\nb=[1 # ]\n,\r\n2] d { e = x . y ( z = 1 ) } }\f\n# end")

    assert bare(plain.declarations) == bare(spread.declarations)


# -- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_the_place_of_a_node_holds_the_text_that_makes_it(text: str) -> None:
    """What a span covers reads as the same node again: nothing is cut off, and nothing else is in it."""
    seen: dict[str, int] = {}
    for node in nodes(read(text).declarations):
        span = node.span
        again: Any
        match node:
            case ast.Name():
                assert span.text == node.text or span.text == f'"{node.text}"'
                continue
            case ast.Path() | ast.Key():
                assert span.text.replace('"', "") == node.dotted
                continue
            case ast.Interpolation():
                assert span.text == node.expression
                continue
            case ast.StageLine():
                [stages] = read(f"stages {{ {span.text} }}").declarations
                assert isinstance(stages, ast.StagesDeclaration)
                [again] = stages.stages
            case ast.Setting() | ast.Field():
                [again] = block_of(span.text).entries
            case ast.FieldType():
                [field] = block_of(f"a: {span.text}").entries
                assert isinstance(field, ast.Field)
                again = field.type
            case ast.Argument():
                again = value_of(f"f({span.text})").arguments[0]
            case (
                ast.RecipeDeclaration()
                | ast.DatasetDeclaration()
                | ast.ConfigDeclaration()
                | ast.ParallelDeclaration()
                | ast.LetDeclaration()
                | ast.StagesDeclaration()
            ):
                [again] = read(span.text).declarations
            case _:
                again = value_of(span.text)
        assert bare(again) == bare(node), span.text
        assert again.span.text == span.text
        seen[type(node).__name__] = seen.get(type(node).__name__, 0) + 1
    assert len(seen) >= 14


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_node_lies_in_the_one_around_it_behind_the_one_before(text: str) -> None:
    def inside(node: Any) -> None:
        at = node.span.start
        for each in fields(node):
            value = getattr(node, each)
            for child in value if isinstance(value, tuple) else (value,):
                if fields(child):
                    assert node.span.start <= child.span.start <= child.span.end <= node.span.end
                    if isinstance(value, tuple):
                        assert at <= child.span.start
                        at = child.span.end
                    inside(child)

    inside(read(text))


def test_the_file_is_the_whole_text() -> None:
    source = Source("recipe.esp", "\n let a = 1 \n")
    file, _ = parse(source)

    assert (file.span.start, file.span.end) == (0, len(source.text))


# -- recovery ---------------------------------------------------------------------------------------------------------


@lru_cache
def tokens_of(name: str) -> tuple[tuple[int, int], ...]:
    tokens, _ = tokenize(Source("recipe.esp", RECIPES[name]))
    return tuple((token.start_pos or 0, token.end_pos or 0) for token in tokens)


def without(name: str, index: int) -> str:
    start, end = tokens_of(name)[index]
    text = RECIPES[name]
    return text[:start] + " " * (end - start) + text[end:]


def opens_a_block(name: str, index: int) -> bool:
    """Whether a `{` follows: without this word, the block belongs to the value before it."""
    tokens = tokens_of(name)
    return index + 1 < len(tokens) and RECIPES[name][tokens[index + 1][0]] == "{"


def entries(value: Any) -> Iterator[ast.Setting | ast.Field]:
    """All entries of blocks inside declarations or values, outermost first."""
    match value:
        case ast.Setting():
            yield value
            yield from entries(value.value)
        case ast.Field():
            yield value
        case ast.Block():
            for each in value.entries:
                yield from entries(each)
        case ast.ListValue():
            for each in value.items:
                yield from entries(each)
        case ast.Call():
            for argument in value.arguments:
                yield from entries(argument.value)
            yield from entries(value.block)
        case ast.Reference() | ast.StageLine():
            yield from entries(value.block)
        case ast.StagesDeclaration():
            for each in value.stages:
                yield from entries(each)
        case ast.LetDeclaration() | ast.ParallelDeclaration():
            yield from entries(value.value)
        case ast.RecipeDeclaration() | ast.DatasetDeclaration() | ast.ConfigDeclaration():
            yield from entries(value.block)


def standing(declarations: tuple[Any, ...]) -> set[tuple[type, int, int]]:
    """What stands where. The same kind of thing over the same text is the same thing."""
    found = [*declarations, *(each for declaration in declarations for each in entries(declaration))]
    return {(type(each), each.span.start, each.span.end) for each in found}


@pytest.mark.parametrize("name", RECIPES)
def test_deleting_any_word_costs_no_more_than_what_it_stands_in(name: str) -> None:
    """No exception, places inside the file; the other declarations are there, and the entries beside the broken one."""
    text = RECIPES[name]
    whole = read(text).declarations
    inner = [each for declaration in whole for each in entries(declaration)]
    for index, (start, end) in enumerate(tokens_of(name)):
        broken = without(name, index)
        file, diagnostics = parse(Source("recipe.esp", broken))
        for diagnostic in diagnostics:
            assert 0 <= diagnostic.primary.span.start <= diagnostic.primary.span.end <= len(broken)
        if opens_a_block(name, index):
            continue
        left = standing(file.declarations)
        needed: list[Any] = [each for each in whole if not each.span.start <= start < each.span.end]
        around = [each for each in inner if each.span.start <= start < each.span.end]
        if around and text[start:end] not in "{}[]()":
            smallest = min(around, key=lambda each: each.span.end - each.span.start)
            # Behind a `=` that lost its value, a key in quotes is taken for the value.
            needed += [
                each
                for each in inner
                if (each.span.end <= smallest.span.start or smallest.span.end <= each.span.start)
                and text[each.span.start] != '"'
            ]
        for each in needed:
            place = (type(each), each.span.start, each.span.end)
            assert place in left, (text[max(0, start - 10) : end + 10], each.span.text[:60])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(RECIPES)), st.data())
def test_deleting_any_word_is_checked_to_the_end(name: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(tokens_of(name)) - 1))

    result = compile_text(without(name, index))

    for each in result.diagnostics:
        for label in (each.primary, *each.secondary):
            assert 0 <= label.span.start <= label.span.end <= len(label.span.source.text)


@pytest.mark.parametrize(
    "broken, codes",
    [
        ("a 1", ["ESP0106"]),
        ("a = ", ["ESP0105"]),
        ("a = [1 2]", ["ESP0107"]),
        ("a: 1", ["ESP0114"]),
        ("a = 'x'", ["ESP0117"]),
        ("a = ;", ["ESP0112", "ESP0105"]),
        ('a = "x', ["ESP0104"]),
        ("a = 1 = 2", ["ESP0101"]),
        ("a = f(x = , y = 2)", ["ESP0105"]),
        ("a = f(x 1)", ["ESP0106"]),
        ("a => 1", ["ESP0112"]),
        ("= 1", ["ESP0101"]),
        ("a.= 1", ["ESP0101"]),
    ],
)
def test_a_broken_entry_costs_only_itself(broken: str, codes: list[str]) -> None:
    text = f"let before = 1\nconfig c {{\n  first = 1\n  {broken}\n  last = f(x = [1, 2])\n}}\nlet after = 2\n"

    file, diagnostics = parse(Source("recipe.esp", text))

    assert [each.code.id for each in diagnostics] == codes
    before, config, after = file.declarations
    assert isinstance(config, ast.ConfigDeclaration)
    keys = [each.key.dotted for each in config.block.entries]
    assert keys[0] == "first"
    assert keys[-1] == "last"
    assert bare(config.block.entries[-1]) == bare(block_of("last = f(x = [1, 2])").entries[0])
    assert (before.span.text, after.span.text) == ("let before = 1", "let after = 2")


def test_mistakes_of_the_brackets_cost_their_declaration_alone() -> None:
    text = "let a = [1\nconfig b { c = f(1 }\ntraining { seed = 1\nstages {\n  train\n}\nlet z = 1\n"

    file, diagnostics = parse(Source("recipe.esp", text))

    assert {each.code.id for each in diagnostics} == {"ESP0102"}
    assert len(diagnostics) == 3
    assert [type(each).__name__ for each in file.declarations] == [
        "LetDeclaration",
        "ConfigDeclaration",
        "ConfigDeclaration",
        "StagesDeclaration",
        "LetDeclaration",
    ]


# -- --set ------------------------------------------------------------------------------------------------------------


def test_an_override_is_a_setting() -> None:
    for written, new in (("training.optimizer.lr=3e-4", False), ("new training.optimizer.lr = 3e-4", True)):
        setting, diagnostics = parse_override(Source("--set", written))

        assert diagnostics == []
        assert setting is not None
        assert (setting.key.dotted, setting.new) == ("training.optimizer.lr", new)
        assert isinstance(setting.value, ast.Number)
        assert setting.value.value == 3e-4


@pytest.mark.parametrize("written", ["=1", "a", "a=", "a=1 b=2", "a=[1", "a=}", "a={", "a b=1", "new", "a='x'", ""])
def test_an_override_that_cannot_be_read_has_one_message(written: str) -> None:
    setting, diagnostics = parse_override(Source("--set", written))

    assert len(diagnostics) == 1
    assert setting is None


def test_the_tree_is_made_without_the_world() -> None:
    assert WORLD.submodules("") != []
    assert read("let a = no.such.module()").declarations
