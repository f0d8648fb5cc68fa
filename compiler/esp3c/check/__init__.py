"""All rules, in the order of their codes. One rule is one function; see `esp3c.check.rule`."""

from __future__ import annotations

from esp3c.check import (
    flow,
    keys,
    names,
    providers,
    providers_hooks,
    providers_setup,
    publication,
    resources,
    safety,
    stages,
    targets,
    targets_choices,
    targets_objects,
)
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
    keys.out_of_range,
    keys.text_form,
    keys.criterion,
    keys.conflicting_keys,
    targets.positional_argument,
    targets.unknown_argument,
    targets.missing_argument,
    targets.wrong_type,
    targets.unlike_default,
    targets_objects.abstract_class,
    targets_objects.not_callable,
    targets_objects.wrong_kind,
    targets_objects.needless_partial,
    targets.supplied_argument,
    targets_objects.builder_methods,
    targets_objects.builder_argument,
    targets_objects.stage_function,
    targets_objects.broken_module,
    targets_choices.refused_value,
    targets.wrong_dimension,
    *flow.FLOW_RULES,
    stages.unknown_stage,
    stages.stage_name,
    stages.stage_is_verb,
    stages.missing_config,
    stages.missing_key,
    stages.stage_order,
    stages.requires_mismatch,
    stages.runs_and_workload,
    stages.same_folder,
    *providers.FORWARD_RULES,
    *providers_setup.SETUP_RULES,
    *providers_hooks.HOOK_RULES,
    resources.devices_and_gpus,
    resources.idle_gpus,
    resources.gpus_for_cpu,
    resources.gpu_without_gpus,
    resources.machines_differ,
    resources.world_size,
    resources.several_optimizers,
    resources.trainer_refuses,
    resources.tiny_amount,
    resources.sbatch_text,
    resources.loader_workers,
    resources.half_on_cpu,
    resources.unused_count,
    resources.tasks_differ,
    resources.gpus_twice,
    resources.strategy_name,
    resources.warned_too_soon,
    publication.hub_name,
    publication.nothing_packed,
    publication.not_made_before,
    publication.bundle_folder,
    publication.bundle_lists,
    publication.file_not_there,
    safety.executes,
    safety.unsafe_load,
    safety.remote_code,
    safety.leaves_folder,
)


def check(recipe: Recipe, world: World, *, whole: bool = True) -> list[Diagnostic]:
    """What every rule finds. `whole` is false where syntax errors hide parts of the file."""
    return [
        diagnostic
        for rule in RULES
        if whole or not getattr(rule, "needs_whole_file", False)
        for diagnostic in rule(recipe, world)
    ]
