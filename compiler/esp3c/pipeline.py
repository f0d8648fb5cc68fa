"""The compiler in one screen: parse, resolve, check, emit.

`compile` is pure: text and a world in, a `Result` out. It raises nothing for a bad recipe; what is wrong is among the
diagnostics, and files are only there when nothing is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from esp3c.check import RULES, check
from esp3c.check.account import Account
from esp3c.check.accounting import account
from esp3c.check.ignores import apply_ignores
from esp3c.check.limits import LIMITS
from esp3c.collector import collector_paused
from esp3c.diagnostics import Code, Diagnostic, Severity, code_of, in_order
from esp3c.emit.files import EmittedFile, Layout
from esp3c.ir import Recipe
from esp3c.record import record
from esp3c.resolve import resolve
from esp3c.resolve.moved import Move, moved
from esp3c.source import Source
from esp3c.syntax import ast, errors
from esp3c.syntax.parse import parse, parse_override
from esp3c.world import World


@record
class Result:
    """What came of a recipe. `files` is empty where there are errors or none were asked for."""

    file: ast.File
    recipe: Recipe
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[EmittedFile, ...]
    ignored: tuple[Diagnostic, ...] = ()
    """What a comment of the recipe asks to ignore."""
    account: Account = Account()

    @property
    def ok(self) -> bool:
        return not any(each.severity is Severity.ERROR for each in self.diagnostics)


def compile(
    source: Source,
    world: World,
    overrides: Sequence[Source] = (),
    layout: Layout | None = None,
    move: Move | None = None,
) -> Result:
    """Compiles a recipe. `overrides` are texts like `training.optimizer.lr=3e-4`; without a layout nothing is emitted.

    `move` takes stages to another `parallel` of the recipe than their lines say.
    """
    with collector_paused():
        file, syntactic = parse(source)
        settings, misspelt = _overrides(overrides)
        recipe = resolve(file, world, settings)
        recipe = moved(recipe, move) if move is not None else recipe
        judged = _finished(judge(source, recipe, world, syntactic, misspelt, alone=not (overrides or move)))
        failed = any(each.severity is Severity.ERROR for each in judged.diagnostics)
        files = () if failed or layout is None else _emit(recipe, layout)
        return Result(file, recipe, judged.diagnostics, files, judged.ignored, judged.account)


@record
class Judged:
    """What there is to say about a recipe."""

    diagnostics: tuple[Diagnostic, ...]
    ignored: tuple[Diagnostic, ...]
    account: Account


def judge(
    source: Source,
    recipe: Recipe,
    world: World,
    syntactic: Sequence[Diagnostic],
    further: Sequence[Diagnostic] = (),
    *,
    alone: bool = True,
    part: bool = False,
    guess: bool = False,
) -> Generator[None, None, Judged]:
    """Works out what there is to say, in steps of one rule: whoever drives it may stop between two of them.

    `further` is what was wrong beside the text; `alone` says that nothing of the recipe was changed from outside, `part`
    that it is not all of the recipe. With a bracket missing, what stands in what is a guess, and what is built on it does not
    help: `guess` asks for it all the same, and for the rules that need the whole file.
    """
    found: list[Diagnostic] = []
    known = guess or errors.structure_known(syntactic)
    if known:
        for each in check(recipe, world, whole=guess or not syntactic):
            found.extend(each)
            yield
    wrong = [each.primary.span for each in found if each.severity is Severity.ERROR]
    counted = account(recipe, world, wrong) if known else Account()
    yield
    unsure = [each.span for each in counted.unchecked]
    whole = alone and not (syntactic or part)
    ignored = apply_ignores(source, [*syntactic, *further, *found], codes, whole=whole, doubtful=unsure)
    return Judged(tuple(in_order(ignored.kept)), tuple(in_order(ignored.taken)), counted)


_Made = TypeVar("_Made")


def _finished(steps: Generator[None, None, _Made]) -> _Made:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: _Made = end.value
            return made


def _emit(recipe: Recipe, layout: Layout) -> tuple[EmittedFile, ...]:
    # Checking does not pay for what only writing needs.
    from esp3c.emit.recipe import emit

    return emit(recipe, layout)


def _overrides(sources: Sequence[Source]) -> tuple[tuple[ast.Setting, ...], list[Diagnostic]]:
    settings: list[ast.Setting] = []
    diagnostics: list[Diagnostic] = []
    for source in sources:
        setting, wrong = parse_override(source)
        diagnostics.extend(wrong)
        if setting is not None:
            settings.append(setting)
    return tuple(settings), diagnostics


def codes() -> dict[str, Code]:
    """Every code of the compiler, by its id."""
    # A check says these only when it is asked to.
    from esp3c.check.shapes import SHAPES

    asked = [*(code_of(limit) for limit in LIMITS), *(code_of(each) for each in SHAPES)]
    found = [*errors.codes(), *(code_of(rule) for rule in RULES), *asked]
    return {code.id: code for code in sorted(found, key=lambda code: code.id)}
