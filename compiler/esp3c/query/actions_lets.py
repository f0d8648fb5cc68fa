"""Gives a value a name of its own (`let`), and puts the value of a `let` where its name stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c import ir
from esp3c.diagnostics import Edit
from esp3c.query.actions import Action, Kind
from esp3c.query.actions_places import indent_at, new_let, nodes
from esp3c.query.meanings import meanings
from esp3c.query.view import View
from esp3c.schema.backends import BACKENDS
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.syntax.grammar import KEYWORDS

_PLAIN_INT = re.compile(r"-?(?:0|[1-9]\d*)")


def extracted(view: View, start: int, end: int) -> Iterator[Action]:
    """Puts the value that is selected, or the one at the place, into a `let`."""
    found = _value_at(view, start, end)
    if found is None:
        return
    value, name, declaration = found
    if not _stands_alone(view, value):
        return
    name = _free(view, name, declaration)
    text = _outdented(view, value)
    if text is None:
        return
    edits = (new_let(view, f"let {name} = {text}"), Edit(value.span, name))
    yield Action(f"Put the value into `let {name}`", Kind.EXTRACT, edits, sure=False)


def _value_at(view: View, start: int, end: int) -> tuple[ast.Value, str, ast.Declaration] | None:
    """The value to extract, what it is called where it stands, and the declaration around it."""
    for declaration in view.file.declarations:
        if not declaration.span.start <= start <= end <= declaration.span.end:
            continue
        if isinstance(declaration, ast.LetDeclaration | ast.ParallelDeclaration | ast.StagesDeclaration):
            return None
        best: tuple[ast.Value, str] | None = None
        for value, name in _values(declaration.block, ""):
            span = value.span
            fits = (span.start, span.end) == (start, end) if end > start else span.start <= start <= span.end
            smaller = best is None or span.end - span.start < best[0].span.end - best[0].span.start
            if fits and smaller and not isinstance(value, ast.Block):
                best = value, name
        return (*best, declaration) if best is not None else None
    return None


def _values(value: ast.Value, name: str) -> Iterator[tuple[ast.Value, str]]:
    """A value and all inside it, each with the name of the key or argument that it belongs to."""
    left: list[tuple[ast.Value, str]] = [(value, name)]
    while left:
        each, name = left.pop()
        yield each, name
        match each:
            case ast.Block(entries):
                # Types of a sample's fields are no values, and a `_target_` is no value that could be named.
                left.extend(
                    (entry.value, entry.key.parts[-1].text)
                    for entry in entries
                    if isinstance(entry, ast.Setting) and not entry.key.dotted.startswith("_")
                )
            case ast.ListValue(items):
                left.extend((item, name) for item in items)
            case ast.Call(arguments=arguments, block=block):
                left.extend((each.value, each.name.text) for each in arguments if each.name is not None)
                if block is not None:
                    left.append((block, name))
            case ast.Reference(block=ast.Block() as block):
                left.append((block, name))


def _stands_alone(view: View, value: ast.Value) -> bool:
    """Whether a value means the same wherever it stands: it holds no names of the recipe."""
    known = meanings(view)
    if isinstance(value, ast.Reference | ast.Missing | ast.Constant):
        return False
    for node in nodes(value):
        match node:
            case ast.Interpolation() | ast.Missing():
                return False
            case ast.Reference(path=path) | ast.Call(path=path):
                meaning = known.get(path.span.start)
                if meaning is None or not isinstance(meaning.node, ir.CallNode | ir.PythonNode):
                    return False
    return True


def _free(view: View, name: str, declaration: ast.Declaration) -> str:
    """A name that nothing has, and that means nothing else in the declaration in which it will stand."""
    plain = re.sub(r"\W", "_", name) or "value"
    if not plain.isidentifier() or plain in KEYWORDS or plain in BACKENDS:
        plain = f"{plain}_value" if plain.isidentifier() else "value"
    recipe = view.recipe
    taken = {*recipe.lets, *recipe.configs, *recipe.datasets, *recipe.parallels, "recipe"}
    keys = [part.text for node in nodes(declaration) if isinstance(node, ast.Key) for part in node.parts] + [
        node.name.text for node in nodes(declaration) if isinstance(node, ast.Argument) and node.name is not None
    ]
    # Once, it is the key of the value itself, which a name never means.
    taken.update(each for each in keys if each != plain or keys.count(plain) > 1)
    number, free = 2, plain
    while free in taken:
        free, number = f"{plain}_{number}", number + 1
    return free


def _outdented(view: View, value: ast.Value) -> str | None:
    """The text of a value as it stands in the first column; None where a text of several lines is in it."""
    text = value.span.text
    if "\n" not in text:
        return text
    if any("\n" in node.span.text for node in nodes(value) if isinstance(node, ast.Text)):
        return None
    indent = indent_at(view.source, value.span.start)
    first, *rest = text.split("\n")
    return "\n".join([first, *(line.removeprefix(indent) for line in rest)])


# -- inlining -----------------------------------------------------------------------------------------------------------


def inlined(view: View, start: int, end: int) -> Iterator[Action]:
    """Puts the value of the `let` at a place where its name stands, and takes the `let` out."""
    let = _let_at(view, start, end)
    if let is None or "#" in _line_rest(view, let) or not _stands_alone_or_plain(view, let.value):
        return
    edits = _uses(view, let)
    if edits is None:
        return
    removed = Edit(_with_line(view, let), "")
    count = f" in {len(edits)} places" if len(edits) > 1 else ""
    title = (
        f"Put the value of `let {let.name.text}` in its place{count}" if edits else f"Take out `let {let.name.text}`"
    )
    yield Action(title, Kind.INLINE, (*edits, removed), sure=False)


def _stands_alone_or_plain(view: View, value: ast.Value) -> bool:
    return isinstance(value, ast.Constant) or _stands_alone(view, value)


def _let_at(view: View, start: int, end: int) -> ast.LetDeclaration | None:
    lets = {each.name.text: each for each in view.file.declarations if isinstance(each, ast.LetDeclaration)}
    for each in lets.values():
        if each.name.span.start <= start <= end <= each.name.span.end:
            return each
    for span, name, _ in _names(view):
        if span.start <= start <= end <= span.end:
            return lets.get(name) if _means(view, span, name) else None
    return None


def _names(view: View) -> Iterator[tuple[Span, str, bool]]:
    """Every name that may be that of a `let`: where it stands, its first part, and whether it is inside a text."""
    for node in nodes(view.file):
        match node:
            case ast.Reference(path=path):
                yield path.span, path.parts[0].text, False
            case ast.Interpolation(expression, span):
                yield span, expression.partition(".")[0], True


def _means(view: View, span: Span, name: str) -> bool:
    """Whether a name means the `let`, and not a key of the same name."""
    meaning = meanings(view).get(span.start)
    let = view.recipe.lets.get(name)
    if meaning is None or let is None or not isinstance(meaning.node, ir.CarriedNode):
        return False
    return meaning.node.value.span == let[1].span


def _uses(view: View, let: ast.LetDeclaration) -> tuple[Edit, ...] | None:
    """What puts the value where the name stands; None where that is not possible everywhere."""
    name, value = let.name.text, let.value
    edits: list[Edit] = []
    for span, head, inside in _names(view):
        if head != name:
            continue
        meaning = meanings(view).get(span.start)
        if not _means(view, span, name):
            if meaning is None or isinstance(meaning.node, ir.CarriedNode | ir.BrokenNode):
                # A part of the value, or a name in what could not be read.
                return None
            continue
        if span.text != name:
            return None
        edit = _inside_text(view, span, value) if inside else Edit(span, value.span.text)
        if edit is None:
            return None
        edits.append(edit)
    return None if _asked_for_elsewhere(view, name, len(edits)) else tuple(edits)


def _asked_for_elsewhere(view: View, name: str, found: int) -> bool:
    """Whether the name stands where this module does not look: in an entry that could not be read."""
    declared = sum(
        1 for each in view.file.declarations if isinstance(each, ast.LetDeclaration) and each.name.text == name
    )
    return declared != 1 or bool(view.syntactic) or (found == 0 and ("let", name) in view.recipe.used)


def _inside_text(view: View, span: Span, value: ast.Value) -> Edit | None:
    """The value as a part of a text, where it is the same characters there."""
    source = view.source
    whole = Span(source, span.start - 2, span.end + 1)
    if not (whole.text.startswith("${") and whole.text.endswith("}")):
        return None
    match value:
        case ast.Text(plain=str(plain)) if value.span.text == f'"{plain}"' and "$" not in plain:
            return Edit(whole, plain)
        case ast.Number() if _PLAIN_INT.fullmatch(value.span.text):
            return Edit(whole, value.span.text)
        case _:
            return None


def _line_rest(view: View, let: ast.LetDeclaration) -> str:
    text = view.source.text
    end = text.find("\n", let.span.end)
    return text[let.span.end : len(text) if end < 0 else end]


def _with_line(view: View, let: ast.LetDeclaration) -> Span:
    """A `let` with its line, where nothing else stands on it."""
    source, text = view.source, view.source.text
    start = source.line_start(source.line_of(let.span.start))
    end = text.find("\n", let.span.end)
    end = len(text) if end < 0 else end + 1
    alone = not text[start : let.span.start].strip() and not text[let.span.end : end].strip()
    return Span(source, start, end) if alone else let.span
