"""The compiler in one screen: parse, resolve, check, emit.

`compile` is pure: text and a world in, a `Result` out. It raises nothing for a bad recipe; what is wrong is among the
diagnostics, and files are only there when nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        # With a bracket missing, what stands in what is a guess: nothing built on it would help.
        found = check(recipe, world, whole=not syntactic) if errors.structure_known(syntactic) else []
        whole = not (syntactic or overrides or move)
        wrong = [each.primary.span for each in found if each.severity is Severity.ERROR]
        counted = account(recipe, world, wrong) if errors.structure_known(syntactic) else Account()
        unsure = [each.span for each in counted.unchecked]
        ignored = apply_ignores(source, [*syntactic, *misspelt, *found], codes, whole=whole, doubtful=unsure)
        diagnostics = tuple(in_order(ignored.kept))
        failed = any(each.severity is Severity.ERROR for each in diagnostics)
        files = () if failed or layout is None else _emit(recipe, layout)
        return Result(file, recipe, diagnostics, files, tuple(in_order(ignored.taken)), counted)


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
