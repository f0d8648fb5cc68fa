"""Goes through the syntax tree of a recipe and tells of each name what it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from esp3c.ir import DatasetNode, Place, all_values
from esp3c.query.view import View
from esp3c.query.ways import Sort, Thing, of_owner, of_value, way
from esp3c.record import record
from esp3c.resolve.declarations import Declarations
from esp3c.resolve.scopes import Owner, walk
from esp3c.resolve.shapes import Shape, block_shape, path_in_text, shape_of
from esp3c.schema.backends import BACKENDS
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.syntax.grammar import WELL_KNOWN

FIELD_KEYS = frozenset({"input_key", "idx_key", "shape_key"})
"""Keys whose text is the name of a field of an item."""

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


class Role(StrEnum):
    DECLARED = "declared"
    SET = "set"  # a key that a config takes over from its base, with another value
    USED = "used"


@record
class Occurrence:
    """A name in the text. `call` is what the argument of this name is given to.

    `word`: the text is a word of the language, and no name that a person chose (`training`, `recipe` in `recipe.seed`).
    `more`: further parts of a dotted name stand behind it.
    """

    span: Span
    thing: Thing
    role: Role
    call: Thing | None = None
    word: bool = False
    more: bool = False


class Walk:
    """Goes through the syntax tree, with the owner and the place of every value."""

    def __init__(self, view: View, declarations: Declarations) -> None:
        self.recipe = view.recipe
        self.declarations = declarations
        self.names = declarations.names
        self.workloads: dict[str, Owner] = {}
        """The blocks behind stage lines."""
        self.strings: list[tuple[ast.Text, Owner, Place]] = []
        """Every text, with its owner and its place there."""
        self.fields = {name: {each.name for each in found.sample or ()} for name, found in self.recipe.datasets.items()}
        self._fed: dict[str, str] = {}
        self._file = view.file

    def file(self) -> Iterator[Occurrence]:
        for each in self._file.declarations:
            match each:
                case ast.RecipeDeclaration(name, block):
                    yield from _declared(name, Thing(Sort.RECIPE, "recipe"))
                    owner = self._first("recipe", "recipe", block, each is self.declarations.recipes[0])
                    yield from self.entries(block, owner, ())
                case ast.DatasetDeclaration(name, block):
                    yield from _declared(name, Thing(Sort.DATASET, name.text))
                    first = self.declarations.datasets.get(name.text) is each
                    yield from self.dataset(block, self._first("dataset", name.text, block, first))
                case ast.ConfigDeclaration(name=name):
                    yield from self.config(each)
                case ast.ParallelDeclaration(name, value):
                    yield from _declared(name, Thing(Sort.PARALLEL, name.text))
                    first = self.declarations.parallels.get(name.text) is each
                    yield from self.value(value, self._first("parallel", name.text, value, first), ())
                case ast.LetDeclaration(name, value):
                    yield from _declared(name, Thing(Sort.LET, name.text))
                    first = self.declarations.lets.get(name.text) is each
                    yield from self.value(value, self._first("let", name.text, value, first), ())
                case ast.StagesDeclaration(stages):
                    for line in stages:
                        yield from self.stage(line)

    def _first(self, kind: str, name: str, value: ast.Value, first: bool) -> Owner:
        """The owner of a declaration; of one that stands twice, an owner of its own."""
        tables = {
            "config": self.names.configs,
            "let": self.names.lets,
            "dataset": self.names.datasets,
            "parallel": self.names.parallels,
        }
        found = self.names.recipe if kind == "recipe" else tables[kind].get(name)
        return found if first and found is not None else Owner(kind, name, shape_of(value, []))

    # -- declarations -----------------------------------------------------------------------------------------------

    def config(self, declaration: ast.ConfigDeclaration) -> Iterator[Occurrence]:
        name, base = declaration.name, declaration.extends
        yield from _declared(name, Thing(Sort.CONFIG, name.text), word=declaration.well_known)
        first = self.declarations.configs.get(name.text) is declaration
        owner = self._first("config", name.text, declaration.block, first)
        if base is not None and base.span.start < base.span.end:
            known = base.text in self.names.configs
            yield _used(base, Thing(Sort.CONFIG, base.text) if known else _unknown(base.text))
        if base is None or base.text not in self.names.configs or not first:
            yield from self.entries(declaration.block, owner, ())
        else:
            yield from self.changes(declaration.block, owner, (), self.names.configs[base.text].root)

    def changes(self, block: ast.Block, owner: Owner, place: Place, base: Shape | None) -> Iterator[Occurrence]:
        """The entries of a config that extends another, or of a block in it that reaches into one of the base."""
        for entry in block.entries:
            if isinstance(entry, ast.Field):
                continue
            here, above = place, base
            for number, part in enumerate(entry.key.parts):
                here = (*here, part.text)
                above = above.step(part.text) if above is not None else None
                last = number == len(entry.key.parts) - 1
                role = Role.USED if not last else Role.DECLARED if entry.new or above is None else Role.SET
                call = self.called(owner, here)
                yield Occurrence(_name_span(part), of_value(owner, here), role, call, more=not last)
            merged = walk(owner.root, here)
            inside = above is not None and merged is not None and merged.value is above.value
            if isinstance(entry.value, ast.Block) and inside:
                yield from self.changes(entry.value, owner, here, above)
            else:
                yield from self.setting(entry.value, owner, here)

    def called(self, owner: Owner, place: Place) -> Thing | None:
        """What the argument at a place is given to, where it is the argument of a call."""
        above = walk(owner.root, place[:-1])
        if (
            above is None
            or above.path is None
            or (above.path.dotted in self.names.datasets and place[-1] in above.behind)
        ):
            return None
        return self.callee(above.path)

    def callee(self, path: ast.Path) -> Thing:
        if path.dotted in self.names.datasets:
            return Thing(Sort.DATASET, path.dotted)
        return Thing(Sort.BACKEND if path.dotted in BACKENDS else Sort.PYTHON, path.dotted)

    def dataset(self, block: ast.Block, owner: Owner) -> Iterator[Occurrence]:
        for entry in block.entries:
            sample = isinstance(entry, ast.Setting) and entry.key.dotted == "sample"
            if not (sample and isinstance(entry, ast.Setting) and isinstance(entry.value, ast.Block)):
                yield from self.entry(entry, owner, (), None)
                continue
            yield from _declared(entry.key.parts[0], of_value(owner, ("sample",)))
            for field in entry.value.entries:
                if isinstance(field, ast.Field) and len(field.key.parts) == 1:
                    part = field.key.parts[0]
                    yield from _declared(part, Thing(Sort.FIELD, part.text, ("dataset", owner.name)))

    def stage(self, line: ast.StageLine) -> Iterator[Occurrence]:
        yield from _declared(line.name, Thing(Sort.STAGE, line.name.text))
        for names in line.requires:
            for name in names:
                known = name.text in self.names.configs or name.text in WELL_KNOWN
                thing = Thing(Sort.CONFIG, name.text) if known else _unknown(name.text)
                yield _used(name, thing, word=name.text in WELL_KNOWN)
        for path in line.runs:
            if len(path.parts) == 1:
                yield _used(path.parts[0], Thing(Sort.METHOD, path.dotted))
            else:
                yield from _python(path)
        for name in line.on:
            known = name.text in self.names.parallels
            yield _used(name, Thing(Sort.PARALLEL, name.text) if known else _unknown(name.text))
        if line.block is not None:
            owner = Owner("stage", line.name.text, block_shape(line.block, []))
            self.workloads.setdefault(owner.name, owner)
            yield from self.entries(line.block, owner, ())

    # -- values -----------------------------------------------------------------------------------------------------

    def entries(self, block: ast.Block, owner: Owner, place: Place, call: Thing | None = None) -> Iterator[Occurrence]:
        target = _target_of(block)
        for entry in block.entries:
            yield from self.entry(entry, owner, place, self.callee(target) if target is not None else call)

    def entry(
        self, entry: ast.Setting | ast.Field, owner: Owner, place: Place, call: Thing | None
    ) -> Iterator[Occurrence]:
        if isinstance(entry, ast.Field):
            return
        for part in entry.key.parts:
            place = (*place, part.text)
            yield Occurrence(_name_span(part), of_value(owner, place), Role.DECLARED, call)
        yield from self.setting(entry.value, owner, place)

    def setting(self, value: ast.Value, owner: Owner, place: Place) -> Iterator[Occurrence]:
        """The value of a key, some of which are no values like others."""
        if isinstance(value, ast.Reference) and value.block is None:
            if place[-1] == "_target_" or (owner.kind == "recipe" and place == ("system",)):
                yield from _python(value.path)
                return
            if owner.kind == "stage" and place == ("over",) and value.path.parts[0].text in self.names.configs:
                yield from self.over(value.path, owner)
                return
        if isinstance(value, ast.Text) and place[-1] == "_target_":
            path = path_in_text(value)
            if path is not None:
                yield from _python(path)
        elif isinstance(value, ast.Text) and place[-1] in FIELD_KEYS and owner.kind == "config":
            yield from self.field(value, owner, place)
        yield from self.value(value, owner, place)

    def over(self, path: ast.Path, owner: Owner) -> Iterator[Occurrence]:
        config = self.names.configs[path.parts[0].text]
        last = len(path.parts)
        yield _used(path.parts[0], of_owner(config), word=config.name in WELL_KNOWN, more=last > 1)
        for number, part in enumerate(path.parts[1:], 2):
            place = tuple(each.text for each in path.parts[1:number])
            known = walk(config.root, place) is not None
            yield _used(part, of_value(config, place) if known else _unknown(part.text), more=number < last)

    def field(self, value: ast.Text, owner: Owner, place: Place) -> Iterator[Occurrence]:
        """The name of a field of an item, where all items of the config are of one dataset that has it."""
        if owner.name not in self._fed:
            self._fed[owner.name] = self._fed_by(owner.name)
        dataset = self._fed[owner.name]
        plain = value.plain
        if dataset and plain is not None and plain in self.fields.get(dataset, ()) and value.span.text == f'"{plain}"':
            span = Span(value.span.source, value.span.start + 1, value.span.end - 1)
            yield Occurrence(span, Thing(Sort.FIELD, plain, ("dataset", dataset)), Role.USED)

    def _fed_by(self, config: str) -> str:
        """The one dataset that a config takes its items from; nothing where there are others."""
        found = self.recipe.configs.get(config)
        node = found.root.get("dataset") if found is not None else None
        values = all_values(node) if node is not None else ()
        used = {each.dataset for each in values if isinstance(each, DatasetNode)}
        return used.pop() if len(used) == 1 else ""

    def value(self, value: ast.Value, owner: Owner, place: Place) -> Iterator[Occurrence]:
        match value:
            case ast.Text(parts):
                self.strings.append((value, owner, place))
                for part in parts:
                    if isinstance(part, ast.Interpolation) and _DOTTED.fullmatch(part.expression):
                        yield from self.name(_split(part), owner, place, python=False)
            case ast.ListValue(items):
                for number, item in enumerate(items):
                    yield from self.value(item, owner, (*place, number))
            case ast.Block():
                yield from self.entries(value, owner, place)
            case ast.Reference(path, None):
                yield from self.name(path.parts, owner, place, python=True)
            case ast.Reference(path, block):
                yield from self.head(path)
                if block is not None:
                    yield from self.behind(block, owner, place, self.callee(path))
            case ast.Call(path, arguments, _, block):
                yield from self.head(path)
                callee = self.callee(path)
                for argument in arguments:
                    yield from self.argument(argument, owner, place, callee)
                if block is not None:
                    yield from self.behind(block, owner, place, callee)
            case _:
                return

    def behind(self, block: ast.Block, owner: Owner, place: Place, callee: Thing) -> Iterator[Occurrence]:
        """The block behind a call: arguments as well, but for a dataset, where ESPnet3 reads it."""
        yield from self.entries(block, owner, place, None if callee.sort is Sort.DATASET else callee)

    def argument(self, argument: ast.Argument, owner: Owner, place: Place, callee: Thing) -> Iterator[Occurrence]:
        name = argument.name
        if name is None:
            yield from self.value(argument.value, owner, place)
            return
        here = (*place, name.text)
        yield Occurrence(name.span, of_value(owner, here), Role.DECLARED, callee)
        yield from self.setting(argument.value, owner, here)

    def head(self, path: ast.Path) -> Iterator[Occurrence]:
        callee = self.callee(path)
        if callee.sort is Sort.PYTHON:
            yield from _python(path)
        else:
            yield Occurrence(path.span, callee, Role.USED, word=callee.sort is Sort.BACKEND)

    def name(self, parts: Sequence[ast.Name], owner: Owner, place: Place, *, python: bool) -> Iterator[Occurrence]:
        found = way(self.names, tuple(part.text for part in parts), owner, place)
        if found is not None:
            for number, (part, thing) in enumerate(zip(parts, found.things, strict=True)):
                known = thing.sort is Sort.RECIPE or (thing.sort is Sort.CONFIG and thing.name in WELL_KNOWN)
                yield _used(part, thing, word=known and number == 0, more=number < len(parts) - 1)
        elif python and len(parts) > 1:
            yield from _python(ast.Path(tuple(parts), parts[0].span.to(parts[-1].span)))
        else:
            for part in parts:
                yield _used(part, _unknown(part.text))


def _target_of(block: ast.Block) -> ast.Path | None:
    """What a block calls that says its `_target_`."""
    for entry in block.entries:
        if isinstance(entry, ast.Setting) and entry.key.dotted == "_target_":
            if isinstance(entry.value, ast.Reference) and entry.value.block is None:
                return entry.value.path
            return path_in_text(entry.value) if isinstance(entry.value, ast.Text) else None
    return None


def _split(part: ast.Interpolation) -> tuple[ast.Name, ...]:
    """The names of a dotted expression, each with its place."""
    names: list[ast.Name] = []
    at = part.span.start
    for text in part.expression.split("."):
        names.append(ast.Name(text, Span(part.span.source, at, at + len(text))))
        at += len(text) + 1
    return tuple(names)


def _name_span(part: ast.Name) -> Span:
    """The place of a key without the quotes that it may stand in."""
    span = part.span
    quoted = span.text == f'"{part.text}"'
    return Span(span.source, span.start + 1, span.end - 1) if quoted else span


def _declared(name: ast.Name, thing: Thing, *, word: bool = False) -> Iterator[Occurrence]:
    # A name that is missing has a place, and no characters.
    if name.span.start < name.span.end:
        yield Occurrence(_name_span(name), thing, Role.DECLARED, word=word)


def _used(name: ast.Name, thing: Thing, *, word: bool = False, more: bool = False) -> Occurrence:
    return Occurrence(name.span, thing, Role.USED, None, word, more)


def _python(path: ast.Path) -> Iterator[Occurrence]:
    for number, part in enumerate(path.parts, 1):
        dotted = ".".join(each.text for each in path.parts[:number])
        yield Occurrence(part.span, Thing(Sort.PYTHON, dotted), Role.USED, more=number < len(path.parts))


def _unknown(name: str) -> Thing:
    return Thing(Sort.UNKNOWN, name)
