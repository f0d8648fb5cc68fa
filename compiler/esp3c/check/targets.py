"""Targets: how calls are written."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Misplaced, Recipe
from esp3c.world import World


@explained("ESP0401", "an argument without a name")
def positional_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument of a call is given by its position.

        optimizer = torch.optim.AdamW(1e-3)

    The YAML that is written has a key for each argument, so arguments are given by name:

        optimizer = torch.optim.AdamW(lr = 1e-3)
    """
    for fact in recipe.of(Misplaced):
        if fact.kind == "positional":
            yield Diagnostic(
                code_of(positional_argument),
                f"arguments of `{fact.detail}` are given by name",
                Label(fact.span, "write `name = value`"),
            )
