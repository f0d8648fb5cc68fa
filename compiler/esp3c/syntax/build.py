"""The tree of the grammar to the syntax tree. The only place that knows the names of the grammar's rules."""

from __future__ import annotations

from collections.abc import Callable

from esp3c.diagnostics import Diagnostic
from esp3c.source import Source, Span
from esp3c.syntax import ast, errors
from esp3c.syntax.lalr import Token, Tree
from esp3c.syntax.literals import Problem, read_number, read_text


def build_file(source: Source, tree: Tree) -> tuple[ast.File, list[Diagnostic]]:
    """The tree of a whole file, and a message for every literal that means nothing."""
    builder = _Builder(source)
    declarations = tuple(builder.declaration(child) for child in tree.children)
    file = ast.File(declarations, Span(source, 0, len(source.text)))
    return file, [errors.of_literal(problem) for problem in builder.problems]


def build_override(source: Source, tree: Tree) -> tuple[ast.Setting, list[Diagnostic]]:
    """The setting of `--set key=value`."""
    builder = _Builder(source)
    *new, key, value = tree.children
    assert isinstance(key, Tree)
    setting = ast.Setting(builder.key(key), builder.value(value), bool(new), builder.span(tree))
    return setting, [errors.of_literal(problem) for problem in builder.problems]


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    # -- places -------------------------------------------------------------------------------------------------------

    def span(self, node: Tree) -> Span:
        return Span(self.source, node.start_pos, node.end_pos)

    def token_span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos, token.end_pos)

    def name(self, token: Tree | Token) -> ast.Name:
        assert isinstance(token, Token)
        span = self.token_span(token)
        if token.type != "STRING":
            return ast.Name(str(token), span)
        meaning = read_text(span, long=False)
        self.problems.extend(meaning.problems)
        text = "".join(part if isinstance(part, str) else "${" + part.expression + "}" for part in meaning.parts)
        return ast.Name(text, span)

    # -- declarations -------------------------------------------------------------------------------------------------

    def declaration(self, node: Tree) -> ast.Declaration:
        span, children = self.span(node), node.children
        match node.data:
            case "recipe":
                return ast.RecipeDeclaration(self.name(children[1]), self.block(children[2]), span)
            case "dataset":
                return ast.DatasetDeclaration(self.name(children[1]), self.block(children[2]), span)
            case "config":
                return self.config(node)
            case "parallel":
                return ast.ParallelDeclaration(self.name(children[1]), self.value(children[2]), span)
            case "let":
                return ast.LetDeclaration(self.name(children[1]), self.value(children[2]), span)
            case "stages":
                stages = tuple(self.stage(child) for child in children[1:])
                return ast.StagesDeclaration(stages, span)
        raise AssertionError(node.data)

    def config(self, node: Tree) -> ast.ConfigDeclaration:
        span, first = self.span(node), node.children[0]
        block = self.block(node.children[-1])
        if isinstance(first, Tree):
            return ast.ConfigDeclaration(self.name(first.children[0]), True, None, block, span)
        extends = None
        if len(node.children) == 4:
            extends = self.name(node.children[2].children[1])
        return ast.ConfigDeclaration(self.name(node.children[1]), False, extends, block, span)

    def stage(self, node: Tree) -> ast.StageLine:
        requires: list[tuple[ast.Name, ...]] = []
        runs: list[ast.Path] = []
        on: list[ast.Name] = []
        block: ast.Block | None = None
        for child in node.children[1:]:
            match child.data:
                case "requires":
                    requires.append(tuple(self.name(token) for token in child.children[1:]))
                case "runs":
                    runs.append(self.path(child.children[1]))
                case "on":
                    on.append(self.name(child.children[1]))
                case _:
                    block = self.block(child)
        return ast.StageLine(
            self.name(node.children[0]), tuple(requires), tuple(runs), tuple(on), block, self.span(node)
        )

    # -- blocks -------------------------------------------------------------------------------------------------------

    def block(self, node: Tree) -> ast.Block:
        return ast.Block(tuple(self.entry(child) for child in node.children), self.span(node))

    def entry(self, node: Tree) -> ast.Setting | ast.Field:
        span = self.span(node)
        if node.data == "added":
            inner = self.entry(node.children[1])
            assert isinstance(inner, ast.Setting)
            return ast.Setting(inner.key, inner.value, True, span)
        if node.data == "field":
            optional = isinstance(node.children[1], Token)
            return ast.Field(self.key(node.children[0]), self.type(node.children[-1]), optional, span)
        return ast.Setting(self.key(node.children[0]), self.value(node.children[1]), False, span)

    def key(self, node: Tree) -> ast.Key:
        return ast.Key(tuple(self.name(token) for token in node.children), self.span(node))

    def type(self, node: Tree) -> ast.FieldType:
        name, *dims = node.children
        return ast.FieldType(
            self.name(name),
            tuple(self.dim(token) for token in dims),
            self.span(node),
        )

    def dim(self, token: Tree | Token) -> ast.Name | ast.Number:
        assert isinstance(token, Token)
        if token.type == "NUMBER":
            return ast.Number(self.read_number(self.token_span(token))[0], self.token_span(token))
        return self.name(token)

    # -- values -------------------------------------------------------------------------------------------------------

    def value(self, node: Tree | Token) -> ast.Value:
        if isinstance(node, Token):
            # A string without an end, or a sign without a meaning: reported by the lexer.
            return ast.Missing(self.token_span(node))
        return _VALUES[node.data](self, node)

    def constant(self, node: Tree) -> ast.Constant:
        return ast.Constant(_CONSTANTS[node.data], self.span(node))

    def missing(self, node: Tree) -> ast.Missing:
        return ast.Missing(self.span(node))

    def string(self, node: Tree) -> ast.Text:
        span = self.span(node)
        meaning = read_text(span, long=node.data == "long_string")
        self.problems.extend(meaning.problems)
        return ast.Text(meaning.parts, span)

    def read_number(self, span: Span) -> tuple[int | float, ast.Dimension | None]:
        meaning = read_number(span)
        if meaning.problem is not None:
            self.problems.append(meaning.problem)
        return meaning.value, meaning.dimension

    def number(self, node: Tree) -> ast.Number | ast.Quantity:
        span = self.span(node)
        value, dimension = self.read_number(span)
        if dimension is None:
            return ast.Number(value, span)
        return ast.Quantity(value, dimension, span)

    def list(self, node: Tree) -> ast.ListValue:
        return ast.ListValue(tuple(self.value(child) for child in node.children), self.span(node))

    def path(self, node: Tree) -> ast.Path:
        return ast.Path(tuple(self.name(token) for token in node.children), self.span(node))

    def reference(self, node: Tree) -> ast.Reference:
        block = self.block(node.children[1]) if len(node.children) > 1 else None
        return ast.Reference(self.path(node.children[0]), block, self.span(node))

    def call(self, node: Tree) -> ast.Call:
        children = [child for child in node.children if isinstance(child, Tree)]
        path, rest = self.path(children[0]), children[1:]
        block = None
        if rest and rest[-1].data == "block":
            block = self.block(rest.pop())
        arguments = tuple(self.argument(child) for child in rest)
        return ast.Call(path, arguments, node.data == "partial", block, self.span(node))

    def argument(self, node: Tree) -> ast.Argument:
        span = self.span(node)
        if node.data == "positional":
            return ast.Argument(None, self.value(node.children[0]), span)
        return ast.Argument(self.name(node.children[0]), self.value(node.children[1]), span)


_CONSTANTS = {"true": True, "false": False, "null": None}
_VALUES: dict[str, Callable[[_Builder, Tree], ast.Value]] = {
    "string": _Builder.string,
    "long_string": _Builder.string,
    "number": _Builder.number,
    **dict.fromkeys(_CONSTANTS, _Builder.constant),
    "missing": _Builder.missing,
    "list": _Builder.list,
    "block": _Builder.block,
    "partial": _Builder.call,
    "call": _Builder.call,
    "reference": _Builder.reference,
}
