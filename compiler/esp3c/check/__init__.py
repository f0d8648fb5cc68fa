"""All rules, in the order of their codes. One rule is one function; see `esp3c.check.rule`."""

from __future__ import annotations

from esp3c.check import keys, names, stages, targets
from esp3c.check.rule import Rule
from esp3c.diagnostics import Diagnostic
from esp3c.ir import Recipe
from esp3c.world import World

RULES: tuple[Rule, ...] = (
    names.undefined_name,
    names.undefined_python,
    names.undeclared,
    names.declared_twice,
    names.unused,
    names.cyclic,
    names.shadowing,
    names.not_text,
    names.bad_override,
    names.unknown_system,
    keys.unknown_key,
    keys.wrong_value,
    keys.misplaced,
    keys.no_recipe,
    keys.incomplete_dataset,
    keys.sample_type,
    keys.omegaconf_missing,
    keys.odd_key,
    keys.declaration_name,
    targets.positional_argument,
    stages.unknown_stage,
    stages.stage_name,
    stages.stage_is_verb,
    stages.missing_config,
    stages.missing_key,
    stages.stage_order,
    stages.requires_mismatch,
    stages.runs_and_workload,
    stages.same_folder,
)


def check(recipe: Recipe, world: World, *, whole: bool = True) -> list[Diagnostic]:
    """What every rule finds. `whole` is false where syntax errors hide parts of the file."""
    return [
        diagnostic
        for rule in RULES
        if whole or not getattr(rule, "needs_whole_file", False)
        for diagnostic in rule(recipe, world)
    ]
