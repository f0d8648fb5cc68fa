"""What each word of a recipe is: what editors colour, as far as only the compiler can know it.

The types and modifiers are those of the Language Server Protocol, and one modifier of our own: `unresolved`, for a name that
leads nowhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

from esp3c import ir
from esp3c.check.blocks import walk_blocks
from esp3c.python.find import Lookup, Status
from esp3c.python.model import Class, Function
from esp3c.python.reader import reader
from esp3c.query.meanings import meanings
from esp3c.query.view import View
from esp3c.record import record
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import HYDRA_KEYS, SAMPLE_TYPES
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.syntax.comments import DIRECTIVE, comments
from esp3c.syntax.grammar import KEYWORDS

TYPES = (
    "namespace", "class", "function", "method", "parameter", "property", "variable", "keyword", "string", "number", "comment",
    "enumMember", "type", "typeParameter", "struct", "decorator",
)  # fmt: skip
"""A config is a `struct`, a dataset a `type`, a machine setting an `enumMember`, a stage a `method`, a `let` a `variable`, the
recipe, which becomes a System, a `class`, and an ignore in a comment a `decorator`."""

MODIFIERS = ("declaration", "readonly", "defaultLibrary", "deprecated", "unresolved")
"""`defaultLibrary` is what the language, ESPnet3 and the environment bring; all else is the recipe's own."""

SYNTACTIC = frozenset({"string", "number", "comment", "keyword"})
"""The types that a syntax of an editor knows as well."""


@record
class Painted:
    """One word, or a part of a text. It may have several lines."""

    start: int
    end: int
    type: str
    modifiers: tuple[str, ...] = ()


_KNOWN: WeakKeyDictionary[View, tuple[Painted, ...]] = WeakKeyDictionary()


def painted(view: View) -> tuple[Painted, ...]:
    """All words in the order of the text; none overlaps another."""
    found = _KNOWN.get(view)
    if found is None:
        found = _KNOWN[view] = tuple(_all(view))
    return found


def _all(view: View) -> Iterator[Painted]:
    names = _Names(view)
    names.file()
    known = names.found
    starts = sorted(known)
    words = [*_words(view, known, starts), *_comments(view)]
    yield from sorted(words, key=lambda each: each.start)


def _words(view: View, known: dict[int, Painted], starts: Sequence[int]) -> Iterator[Painted]:
    tokens = view.tokens
    for number, token in enumerate(tokens):
        kind, start, end = token.type, token.start_pos, token.end_pos
        if kind == "NAME":
            if start in known:
                yield known[start]
            elif str(token) in KEYWORDS and not _is_name(tokens, number):
                yield Painted(start, end, "keyword")
        elif kind == "NUMBER":
            yield Painted(start, end, "number")
        elif kind in {"STRING", "LONG_STRING", "SINGLE_QUOTED", "UNCLOSED", "UNCLOSED_LONG"}:
            if start in known:
                # A key in quotes.
                yield known[start]
                continue
            inside = (known[each] for each in starts[bisect_left(starts, start) : bisect_left(starts, end)])
            yield from _pieces(start, end, "string", inside)


def _is_name(tokens: Sequence[str], number: int) -> bool:
    """Whether a word of the language is a name here, in an entry that could not be read."""
    around = [getattr(each, "type", "") for each in tokens[max(0, number - 1) : number + 2]]
    before, after = (around[0] if number else ""), (around[-1] if number + 1 < len(tokens) else "")
    return before == "DOT" or after in {"DOT", "EQUAL", "COLON", "OPTIONAL"}


def _pieces(start: int, end: int, type: str, inside: Iterator[Painted]) -> Iterator[Painted]:
    at = start
    for each in inside:
        if at < each.start:
            yield Painted(at, each.start, type)
        yield each
        at = each.end
    if at < end:
        yield Painted(at, end, type)


def _comments(view: View) -> Iterator[Painted]:
    for comment in comments(view.source):
        found = (
            Painted(comment.start + each.start("word"), comment.start + each.end(), "decorator")
            for each in DIRECTIVE.finditer(comment.text)
            if each["list"] is not None
        )
        yield from _pieces(comment.start, comment.end, "comment", found)


class _Names:
    """Goes through the syntax tree and notes what each name is."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.recipe = view.recipe
        self.meanings = meanings(view)
        self.reader = reader(view.world)
        self.found: dict[int, Painted] = {}
        self.stages = {stage.name_span.start: stage for stage in self.recipe.stages}
        self.keys: dict[int, tuple[str, ...]] = {}
        # A key of a dotted one may be written again further down, which is where it then stands.
        self.known_keys: set[str] = set()
        own = {stage.name for stage in self.recipe.stages}
        for node, block in walk_blocks(self.recipe):
            for entry in node.entries:
                known = block.key(entry.name) is not None or entry.name in HYDRA_KEYS
                free = block.open or entry.name in own
                self.keys[entry.key_span.start] = ("defaultLibrary",) if known else () if free else ("unresolved",)
                if known:
                    self.known_keys.add(entry.name)

    def put(self, span: Span, type: str, *modifiers: str) -> None:
        if span.end > span.start:
            self.found.setdefault(span.start, Painted(span.start, span.end, type, modifiers))

    def keyword(self, span: Span, word: str) -> None:
        if span.text.startswith(word):
            self.put(Span(span.source, span.start, span.start + len(word)), "keyword")

    # -- declarations -------------------------------------------------------------------------------------------------

    def file(self) -> None:
        for each in self.view.file.declarations:
            match each:
                case ast.RecipeDeclaration(name, block):
                    self.keyword(each.span, "recipe")
                    self.put(name.span, "class", "declaration")
                    self.block(block, kept=("system",))
                case ast.DatasetDeclaration(name, block):
                    self.keyword(each.span, "dataset")
                    self.put(name.span, "type", "declaration")
                    self.block(block, kept=("sample",))
                case ast.ConfigDeclaration():
                    self.config(each)
                case ast.ParallelDeclaration(name, value):
                    self.keyword(each.span, "parallel")
                    self.put(name.span, "enumMember", "declaration", "readonly")
                    self.value(value)
                case ast.LetDeclaration(name, value):
                    self.keyword(each.span, "let")
                    self.put(name.span, "variable", "declaration", "readonly")
                    self.value(value)
                case ast.StagesDeclaration(stages):
                    self.keyword(each.span, "stages")
                    for stage in stages:
                        self.stage(stage)

    def config(self, config: ast.ConfigDeclaration) -> None:
        if config.well_known:
            self.put(config.name.span, "keyword")
        else:
            self.keyword(config.span, "config")
            self.put(config.name.span, "struct", "declaration")
        if config.extends is not None:
            self.config_name(config.extends)
        self.block(config.block)

    def config_name(self, name: ast.Name) -> None:
        self.put(name.span, "struct", *(() if name.text in self.recipe.configs else ("unresolved",)))

    def stage(self, line: ast.StageLine) -> None:
        stage = self.stages.get(line.name.span.start)
        self.put(line.name.span, "method", *(self.of_stage(stage) if stage is not None else ("unresolved",)))
        for names in line.requires:
            for name in names:
                self.config_name(name)
        for path in line.runs:
            if len(path.parts) == 1:
                known = self.is_stage(path.dotted)
                self.put(path.span, "method", *(self.stage_modifiers(path.dotted) if known else ("unresolved",)))
            else:
                self.named(path)
        for name in line.on:
            there = name.text in self.recipe.parallels
            self.put(name.span, "enumMember", "readonly", *(() if there else ("unresolved",)))
        if line.block is not None:
            self.block(line.block, kept=("over",))
            for entry in line.block.entries:
                if isinstance(entry, ast.Setting) and entry.key.dotted == "over":
                    self.over(entry.value)

    def over(self, value: ast.Value) -> None:
        """The items of a workload, which are named from the config on."""
        if isinstance(value, ast.Reference) and value.path.parts[0].text in self.recipe.configs:
            self.put(value.path.parts[0].span, "struct")
            self.properties(value.path.parts[1:])

    def of_stage(self, stage: ir.Stage) -> tuple[str, ...]:
        if stage.runs is not None or stage.workload is not None:
            return ("declaration",)
        return self.stage_modifiers(stage.name) if self.is_stage(stage.name) else ("unresolved",)

    def is_stage(self, name: str) -> bool:
        system = self.recipe.system
        return name in system.stages if system is not None and system.stages is not None else True

    def stage_modifiers(self, name: str) -> tuple[str, ...]:
        return ("defaultLibrary",) if name in KNOWN_STAGES else ()

    # -- entries and values -------------------------------------------------------------------------------------------

    def block(self, block: ast.Block, arguments: bool = False, kept: tuple[str, ...] = ()) -> None:
        """`arguments`: of the call that the block means; `kept`: keys that the resolved recipe has no value of."""
        for entry in block.entries:
            if isinstance(entry, ast.Field):
                self.put(entry.key.span, "property", "declaration")
                self.field_type(entry.type)
                continue
            for part in entry.key.parts:
                modifiers = self.keys.get(part.span.start)
                if arguments and modifiers is None:
                    self.put(part.span, "parameter", *(("defaultLibrary",) if part.text in HYDRA_KEYS else ()))
                elif part.text in kept or (len(entry.key.parts) > 1 and part.text in self.known_keys):
                    self.put(part.span, "property", "defaultLibrary")
                else:
                    self.put(part.span, "property", *(modifiers or ()))
            if entry.key.dotted == "_target_" and isinstance(entry.value, ast.Reference):
                self.target(entry.value.path, block)
            self.value(entry.value)

    def target(self, path: ast.Path, block: ast.Block) -> None:
        """What `_target_` names: the call has its meaning."""
        meaning = self.meanings.get(path.span.start)
        if meaning is not None and isinstance(meaning.node, ir.CallNode):
            self.python(path.parts, meaning.node.target, called=True)

    def field_type(self, type: ast.FieldType) -> None:
        modifier = "defaultLibrary" if type.name.text in SAMPLE_TYPES else "unresolved"
        self.put(type.name.span, "type", modifier)
        for dim in type.dims:
            if isinstance(dim, ast.Name):
                self.put(dim.span, "typeParameter")

    def value(self, value: ast.Value) -> None:
        # No recursion into what is only a long chain: values stand at most a hundred deep in each other.
        match value:
            case ast.Text(parts):
                for part in parts:
                    if isinstance(part, ast.Interpolation):
                        self.interpolation(part)
            case ast.ListValue(items):
                for item in items:
                    self.value(item)
            case ast.Reference(path, block):
                self.named(path)
                if block is not None:
                    self.block(block)
            case ast.Call(path, arguments, _, block):
                self.named(path, called=True)
                for argument in arguments:
                    if argument.name is not None:
                        known = self.keys.get(argument.name.span.start, ())
                        self.put(argument.name.span, "parameter", *known)
                    self.value(argument.value)
                if block is not None:
                    self.block(block)
            case ast.Block():
                is_call = any(isinstance(each, ast.Setting) and each.key.dotted == "_target_" for each in value.entries)
                self.block(value, is_call)

    # -- names --------------------------------------------------------------------------------------------------------

    def interpolation(self, part: ast.Interpolation) -> None:
        source, start = part.span.source, part.span.start
        if ":" in part.expression:
            length = len(part.expression.partition(":")[0].rstrip())
            self.put(Span(source, start, start + length), "function", "defaultLibrary")
            return
        names: list[ast.Name] = []
        for text in part.expression.split("."):
            names.append(ast.Name(text, Span(source, start, start + len(text))))
            start += len(text) + 1
        self.meant(names)

    def named(self, path: ast.Path, called: bool = False) -> None:
        self.meant(path.parts, called)

    def meant(self, parts: Sequence[ast.Name], called: bool = False) -> None:
        meaning = self.meanings.get(parts[0].span.start)
        head, *rest = parts
        match meaning.node if meaning is not None else None:
            case ir.CallNode(target=target) | ir.PythonNode(target=target):
                self.python(parts, target, called)
            case ir.DatasetNode():
                self.put(head.span, "type")
            case ir.ParallelNode(name=""):
                self.put(head.span, "function", "defaultLibrary")
            case ir.ParallelNode():
                self.put(head.span, "enumMember", "readonly")
            case ir.LinkNode(scaffold=True):
                self.common(parts)
            case ir.LinkNode(place=place):
                outside = len(place) < len(parts) and head.text in self.recipe.configs
                self.put(head.span, "struct" if outside else "property")
                self.properties(rest)
            case ir.CarriedNode():
                self.put(head.span, *self.carried(head.text))
                self.properties(rest)
            case ir.BrokenNode():
                self.broken(parts)
            case None if called and head.text in BACKENDS and not rest:
                self.put(head.span, "function", "defaultLibrary")

    def common(self, parts: Sequence[ast.Name]) -> None:
        """A key that every config has, also by way of a config's name."""
        *before, last = parts
        for each in before:
            self.put(each.span, "struct")
        self.put(last.span, "variable", "readonly", "defaultLibrary")

    def carried(self, head: str) -> tuple[str, ...]:
        if head in self.recipe.lets:
            return "variable", "readonly"
        if head in self.recipe.configs:
            return ("struct",)
        return ("class",) if head == "recipe" else ("property",)

    def properties(self, parts: Sequence[ast.Name]) -> None:
        for part in parts:
            self.put(part.span, "property")

    def broken(self, parts: Sequence[ast.Name]) -> None:
        head, *rest = parts
        if head.text in self.recipe.lets or head.text in self.recipe.configs:
            self.put(head.span, *self.carried(head.text))
            self.properties(rest[:-1])
            for each in rest[-1:]:
                self.put(each.span, "property", "unresolved")
            return
        for part in parts:
            self.put(part.span, "variable", "unresolved")

    def python(self, parts: Sequence[ast.Name], target: Lookup, called: bool) -> None:
        away = () if target.module is None or target.module.local else ("defaultLibrary",)
        behind = min(len(target.rest), len(parts))
        modules = parts[: len(parts) - behind]
        absent = target.status is Status.ABSENT
        for part in modules:
            self.put(part.span, "namespace", *(away if target.module is not None else ("unresolved",)))
        names = parts[len(modules) :]
        if absent:
            for part in names:
                known = target.module is not None and part.text != target.missing and part is not names[-1]
                self.put(part.span, "class" if known else "variable", *(away if known else ("unresolved",)))
            return
        for part in names[:-1]:
            self.put(part.span, "class" if part.text[:1].isupper() else "namespace", *away)
        for part in names[-1:]:
            type, more = self.kind(target, part.text, called)
            self.put(part.span, type, *away, *more)

    def kind(self, target: Lookup, name: str, called: bool) -> tuple[str, tuple[str, ...]]:
        found = self.reader.find(target.path)
        match found.definition:
            case Class(decorators=decorators):
                return "class", _deprecated(decorators)
            case Function(decorators=decorators):
                return "method" if found.owner else "function", _deprecated(decorators)
            case None if target.status is Status.UNKNOWN and called:
                # A compiled module; people write classes with a capital.
                return "class" if name[:1].isupper() else "function", ()
            case _:
                return "variable", ()


def _deprecated(decorators: Sequence[str]) -> tuple[str, ...]:
    return ("deprecated",) if any("deprecated" in each for each in decorators) else ()
