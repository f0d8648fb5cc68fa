"""The Python that a recipe gets: `system.py`, `run.py`, and a module for each dataset."""

from __future__ import annotations

from collections.abc import Sequence

from esp3c.emit.files import EmittedFile, Layout
from esp3c.emit.lower import MODULES
from esp3c.emit.python import Writer, camel, dotted, literal, name, prose
from esp3c.ir import CallNode, Dataset, PythonNode, Recipe, Stage, Use, strip
from esp3c.python.find import Lookup
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import KNOWN_STAGES

WELL_KNOWN = tuple(CONFIGS)
WITH_DEFAULTS = ("training", "inference", "metrics", "publication", "demo")


def class_name(recipe: Recipe) -> str:
    return camel(recipe.name) + "System"


def written_by(layout: Layout) -> str:
    return f"Written by esp3c from {prose(layout.recipe_file)}. Change the recipe and build it again."


def dataset_module(dataset: Dataset, layout: Layout) -> EmittedFile | None:
    """`recipe_data/NAME.py`: the names `Dataset` and `DatasetBuilder`, which is what ESPnet3 looks for."""
    parts = {"Dataset": dataset.settings.get("class"), "DatasetBuilder": dataset.builder}
    write = Writer()
    write(f'"""The dataset `{prose(dataset.name)}`. {written_by(layout)}"""')
    write()
    exported: list[str] = []
    nested: list[tuple[str, str]] = []
    for export, node in parts.items():
        value = strip(node) if node is not None else None
        if isinstance(value, CallNode | PythonNode):
            module, attribute, inner = _imported(value.target)
            alias = "" if attribute == export else f" as {export}"
            write(f"from {module} import {attribute}{alias}", at=export, span=value.span)
            exported.append(export)
            if inner:
                nested.append((export, inner))
    if not exported:
        return None
    for export, inner in nested:
        write()
        write(f"{export} = {export}{inner}")
    write()
    write(f"__all__ = [{', '.join(literal(each) for each in exported)}]")
    return EmittedFile(f"{MODULES}/{name(dataset.name)}.py", write.text(), tuple(write.spans))


def _imported(target: Lookup) -> tuple[str, str, str]:
    """How a definition is imported: its module, its name there, and `.Inner` where it stands inside a class."""
    if target.module is None or not target.rest:
        module, _, attribute = dotted(target.path).rpartition(".")
        return module, attribute, ""
    attribute, *inner = target.rest
    return dotted(target.module.name), dotted(attribute), "".join(f".{dotted(each)}" for each in inner)


# -- system.py ----------------------------------------------------------------------------------------------------------


def system_module(recipe: Recipe, layout: Layout) -> EmittedFile:
    """The System subclass: a keyword for each config of one's own, a method for each stage of one's own."""
    assert recipe.system is not None
    module, base, inner = _imported(recipe.system.target)
    own = [each for each in recipe.configs if each not in WELL_KNOWN]
    write = Writer()
    write(f'"""The system of the recipe `{prose(recipe.name)}`.')
    write()
    write(written_by(layout))
    write('"""')
    write()
    # A system of the recipe's own may have the name that this one gets.
    known = f"Own{base}" if base == class_name(recipe) else base
    alias = "" if known == base else f" as {known}"
    write(f"from {module} import {base}{alias}", at="system", span=recipe.system.span)
    write()
    write()
    write(f"class {class_name(recipe)}({known}{inner}):", at="class", span=recipe.span)
    write(f'    """`{base}{inner}` with the configs and stages of this recipe."""')
    logs = {stage.name: place for stage in recipe.stages if (place := _log_place(recipe, stage)) is not None}
    if logs:
        write()
        write("    # Beside what these stages write.")
        write("    STAGE_LOGS = {")
        for stage_name, place in logs.items():
            write(f"        {literal(stage_name)}: {literal(place)},")
        write("    }")
    runs = {stage.name: found for stage in recipe.stages if (found := _runs_as(recipe, stage)) is not None}
    if runs:
        write()
        write("    # The stages that these run, and the configs that they do it with.")
        write("    STAGE_RUNS = {")
        for stage_name, (known, others) in runs.items():
            pairs = ", ".join(f"{literal(f'{own}_config')}: {literal(f'{other}_config')}" for own, other in others)
            write(f"        {literal(stage_name)}: ({literal(known)}, {{{pairs}}}),")
        write("    }")
    if own:
        write()
        write(f"    def __init__(self, *, {', '.join(f'{name(each)}_config=None' for each in own)}, **kwargs):")
        # A system of the recipe's own that names a config gets it, and keeps it.
        given = [name(each) for each in own if f"{each}_config" in recipe.system.takes]
        write(f"        super().__init__({''.join(f'{each}_config={each}_config, ' for each in given)}**kwargs)")
        for each in own:
            if each in given:
                continue
            write(
                f"        self.{name(each)}_config = {name(each)}_config",
                at=each,
                span=recipe.configs[each].name_span,
            )
    for stage in recipe.stages:
        if stage.workload is not None:
            _workload_method(write, stage)
        elif isinstance(stage.runs, PythonNode):
            _function_method(write, stage, stage.runs)
        elif isinstance(stage.runs, Use):
            _stage_method(write, stage, stage.runs.name, _replaced(recipe, stage, stage.runs.name))
        elif stage.requires and (others := _replaced(recipe, stage, stage.name)):
            _override_method(write, stage, others)
    return EmittedFile("system.py", write.text(), tuple(write.spans))


def _begin(write: Writer, stage: Stage, doc: str) -> None:
    write()
    write(f"    def {name(stage.name)}(self):", at=stage.name, span=stage.name_span)
    write(f'        """{doc}"""')


def _function_method(write: Writer, stage: Stage, target: PythonNode) -> None:
    module, function, inner = _imported(target.target)
    configs = [f"self.{name(each)}_config" for each in stage.needs]
    _begin(write, stage, f"Calls `{target.target.path}` with the configs of this stage.")
    write(f"        from {module} import {function}", at=f"{stage.name}.runs", span=target.span)
    write()
    write(f"        return {function}{inner}({', '.join(configs)})")


def _workload_method(write: Writer, stage: Stage) -> None:
    assert stage.over is not None
    _begin(write, stage, f"Runs the workload `{stage.name}` of its config.")
    write("        from espnet3.systems.base.workload import run_workload")
    write()
    write(f"        return run_workload(self.{name(stage.over[0])}_config, {literal(stage.name)})")


def _replaced(recipe: Recipe, stage: Stage, runs: str) -> list[tuple[str, str]]:
    """The system's own configs that others stand in for: (own, other)."""
    known = KNOWN_STAGES.get(runs)
    if known is None:
        return []
    return [(own, other) for own, other in recipe.stands_for(stage, known).items() if own != other]


def _log_place(recipe: Recipe, stage: Stage) -> str | None:
    """Where a stage's log goes, if it works with another config than the stage that it runs."""
    if stage.workload is not None or isinstance(stage.runs, PythonNode):
        return None
    replaced = _replaced(recipe, stage, stage.runs.name if isinstance(stage.runs, Use) else stage.name)
    if not replaced:
        return None
    kind, config = replaced[0]
    return f"{config}_config.{'inference_dir' if kind in ('inference', 'metrics') else 'exp_dir'}"


def _runs_as(recipe: Recipe, stage: Stage) -> tuple[str, list[tuple[str, str]]] | None:
    """The stage of ESPnet3 that a line runs under another name or with other configs, and these; None for its own."""
    if stage.workload is not None or isinstance(stage.runs, PythonNode):
        return None
    runs = stage.runs.name if isinstance(stage.runs, Use) else stage.name
    replaced = _replaced(recipe, stage, runs)
    return (runs, replaced) if runs in KNOWN_STAGES and (replaced or runs != stage.name) else None


def _stage_method(write: Writer, stage: Stage, runs: str, replaced: list[tuple[str, str]]) -> None:
    with_these = ", ".join(f"`{other}`" for _, other in replaced)
    _begin(write, stage, f"Runs `{runs}` with {with_these}." if replaced else f"Runs `{runs}`.")
    _with_configs(write, f"self.{name(runs)}()", replaced)


def _override_method(write: Writer, stage: Stage, replaced: list[tuple[str, str]]) -> None:
    with_these = ", ".join(f"`{other}`" for _, other in replaced)
    _begin(write, stage, f"The system's own stage, with {with_these}.")
    _with_configs(write, f"super().{name(stage.name)}()", replaced)


def _with_configs(write: Writer, call: str, replaced: list[tuple[str, str]]) -> None:
    if not replaced:
        write(f"        return {call}")
        return
    for own, _ in replaced:
        write(f"        original_{name(own)} = self.{name(own)}_config")
    for own, other in replaced:
        write(f"        self.{name(own)}_config = self.{name(other)}_config")
    write("        try:")
    write(f"            return {call}")
    write("        finally:")
    for own, _ in replaced:
        write(f"            self.{name(own)}_config = original_{name(own)}")


# -- run.py -------------------------------------------------------------------------------------------------------------


def run_module(recipe: Recipe, layout: Layout, targets: Sequence[str] = ()) -> EmittedFile:
    """The entry point: `--stages`, a flag for each config, the stage-to-config table, the early error.

    `targets` are the paths that the configs may make and call.
    """
    configs = list(recipe.configs)
    own = [each for each in configs if each not in WELL_KNOWN]
    write = Writer()
    first_needs = recipe.stages[0].needs if recipe.stages else ()
    example = " ".join(f"--{each}_config conf/{each}.yaml" for each in first_needs)
    first = recipe.stages[0].name if recipe.stages else "all"
    write("#!/usr/bin/env python3")
    write(f'"""Runs the stages of the recipe `{prose(recipe.name)}`.')
    write()
    write(f"    python run.py --stages {first} {example}".rstrip())
    write()
    write(written_by(layout))
    write('"""')
    write()
    write("import argparse")
    write("import sys")
    write("from pathlib import Path")
    write()
    write("from espnet3.utils.stages_utils import (")
    write("    add_place_arguments,")
    write("    check_stages,")
    write("    parse_cli_and_stage_args,")
    write("    report_user_errors,")
    write("    run_stages,")
    write(")")
    write()
    write("HERE = Path(__file__).resolve().parent")
    if layout.recipe_dir == ".":
        write("RECIPE_DIR = HERE")
    else:
        write(f"RECIPE_DIR = (HERE / {literal(layout.recipe_dir)}).resolve()")
    write()
    write("STAGES = [")
    for stage in recipe.stages:
        write(f"    {literal(stage.name)},", at=f"STAGES.{stage.name}", span=stage.name_span)
    write("]")
    write()
    write("# Each config, with the file of ESPnet3's defaults that it is merged over.")
    write("CONFIGS = {")
    for each in configs:
        write(f"    {literal(each)}: {literal(_defaults(recipe, each))},")
    write("}")
    write()
    write("# The configs that each stage works with.")
    write("REQUIRED_CONFIGS = {")
    for stage in recipe.stages:
        needed = "".join(f"{literal(each)}, " for each in stage.needs).rstrip()
        if len(stage.needs) > 1:
            needed = needed.rstrip(",")
        write(f"    {literal(stage.name)}: ({needed}),", at=f"REQUIRED_CONFIGS.{stage.name}", span=stage.span)
    write("}")
    write()
    write("# What the configs may make and call: all that the recipe names. A config with another target is refused.")
    write("TARGETS = (")
    for each in targets:
        write(f"    {literal(each)},")
    write(")")
    write()
    write()
    write("def build_parser(stages):")
    write('    """The command line: which stages to run, and a flag for each config."""')
    write("    parser = argparse.ArgumentParser(")
    write(f"        description={literal(f'Runs the stages of the recipe {recipe.name}.')},")
    write(f"        epilog={literal(f'example: python run.py --stages {first} {example}'.rstrip())},")
    write("    )")
    write("    parser.add_argument(")
    write('        "--stages",')
    write('        nargs="+",')
    write('        choices=[*stages, "all"],')
    write('        default=["all"],')
    write('        metavar="STAGE",')
    write(
        "        help=f\"the stages to run, in the order of the pipeline: {', '.join(stages)}, or all (the default)\","
    )
    write("    )")
    for each in configs:
        users = [stage.name for stage in recipe.stages if each in stage.needs]
        help = f"config of {', '.join(users)}" if users else "config of no stage"
        write("    parser.add_argument(")
        write(
            f"        {literal(f'--{each}_config')},",
            at=f"--{each}_config",
            span=recipe.configs[each].name_span,
        )
        write("        type=Path,")
        write("        default=None,")
        write('        metavar="YAML",')
        write(f"        help={literal(help)},")
        write("    )")
    write("    add_place_arguments(parser)")
    write("    parser.add_argument(")
    write('        "--dry_run", "--dry-run", action="store_true", help="check configs and stages, and run nothing"')
    write("    )")
    write("    parser.add_argument(")
    write('        "--write_requirements",')
    write('        action="store_true",')
    write('        help="write the installed packages beside each stage log",')
    write("    )")
    write("    return parser")
    write()
    write()
    write("def main(args, stages_to_run):")
    write('    """Loads the configs, sees that each stage has what it needs, and runs the stages."""')
    write("    from espnet3.utils.logging_utils import configure_logging")
    write("    from espnet3.utils.recipe_run import load_run_configs")
    write("    from espnet3.utils.targets import allow_targets")
    write()
    write("    log = configure_logging()")
    write("    with report_user_errors():")
    write("        configs = load_run_configs(")
    write('            {config: getattr(args, f"{config}_config") for config in CONFIGS},')
    write("            stages_to_run,")
    write("            REQUIRED_CONFIGS,")
    write("            defaults=CONFIGS,")
    write("            recipe_dir=RECIPE_DIR,")
    write("        )")
    write("        allow_targets(TARGETS, configs)")
    write()
    write("    # The modules beside this file, then the recipe's own Python, then the environment.")
    write("    sys.path[:0] = list(dict.fromkeys([str(HERE), str(RECIPE_DIR)]))")
    write(f"    from system import {class_name(recipe)}")
    write()
    write(f"    system = {class_name(recipe)}(")
    for each in [*WELL_KNOWN, *own]:
        if each in configs:
            write(f"        {name(each)}_config=configs[{literal(each)}],")
    write("    )")
    write("    with report_user_errors():")
    write("        check_stages(system, stages_to_run)")
    write("    with report_user_errors(status=1):")
    write("        run_stages(system=system, stages_to_run=stages_to_run, args=args, log=log)")
    write()
    write()
    write('if __name__ == "__main__":')
    write("    main(*parse_cli_and_stage_args(build_parser(STAGES), stages=STAGES))")
    return EmittedFile("run.py", write.text(), tuple(write.spans))


def _defaults(recipe: Recipe, config: str) -> str:
    kind = recipe.configs[config].kind
    return f"{kind}.yaml" if kind in WITH_DEFAULTS else "scaffold.yaml"
