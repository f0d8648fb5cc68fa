"""The command line of a hand-written recipe.

A recipe's `run.py` names its stages and its system, and hands both over:

```python
from egs3.TEMPLATE.asr.run import DEFAULT_STAGES, build_parser, main
from espnet3.utils.stages_utils import parse_cli_and_stage_args
from src.system import MySystem

STAGES = [*DEFAULT_STAGES, "export_onnx"]

parser = build_parser(stages=STAGES)
parser.add_argument("--export_config", type=Path, default=None)
args, _ = parse_cli_and_stage_args(parser, stages=STAGES)
main(args=args, system_cls=MySystem, stages=STAGES, required_configs={"export_onnx": "export_config"})
```

Every argument whose name ends in `_config` is a config file: it is loaded, and the system gets it under that name.

Importing this module is cheap: a `run.py --help` needs nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet3.utils.stages_utils import (
    STAGE_CONFIGS,
    add_place_arguments,
    check_stages,
    report_user_errors,
    resolve_stages,
    run_stages,
)

__all__ = ["DEFAULT_STAGES", "build_parser", "main"]

DEFAULT_STAGES = list(STAGE_CONFIGS)

_CONFIGS = ("training", "inference", "metrics", "publication", "demo")


def build_parser(stages: Sequence[str]) -> argparse.ArgumentParser:
    """The flags that every recipe has. A recipe adds those of its own with `add_argument`.

    Args:
        stages: The pipeline, for the help.
    """
    parser = argparse.ArgumentParser(description="Runs the stages of this recipe.")
    parser.add_argument(
        "--stages",
        nargs="+",
        default=["all"],
        metavar="STAGE",
        help=f"the stages to run, in the order of the pipeline: {', '.join(stages)}, or all (the default)",
    )
    for name in _CONFIGS:
        users = [stage for stage in stages if f"{name}_config" in STAGE_CONFIGS.get(stage, ())]
        parser.add_argument(
            f"--{name}_config",
            type=Path,
            default=None,
            metavar="YAML",
            help=f"config of {', '.join(users)}" if users else f"the {name} config",
        )
    add_place_arguments(parser)
    parser.add_argument("--dry_run", "--dry-run", action="store_true", help="check configs and stages, and run nothing")
    parser.add_argument(
        "--write_requirements", action="store_true", help="write the installed packages beside each stage log"
    )
    return parser


def main(
    args: argparse.Namespace,
    system_cls: Callable[..., Any],
    stages: Sequence[str],
    required_configs: Mapping[str, str | Sequence[str]] | None = None,
) -> None:
    """Load the configs, make the system, and run the stages that were asked for.

    A config named `<well-known>_<word>` (`training_easy_config`) is merged over the defaults of the well-known one; any
    other config of the recipe's own gets the experiment's folders. What is wrong with the command line or a config is
    said in a few lines before the first stage begins, and the program ends with status 2.

    Args:
        args: The command line, from a parser that `build_parser` began.
        system_cls: Makes the system. It gets each `*_config` of the command line that it takes; one that was not given
            is None.
        stages: The pipeline.
        required_configs: For stages of the recipe's own the configs that they cannot do without:
            `{"export_onnx": ("training_config", "export_config")}`. Those of the framework's stages are known.

    Raises:
        SystemExit: With status 2 where nothing could be run, and 1 where a stage failed because of what the user wrote.
        Exception: What a stage raises otherwise, with a note that names the stage and its log.
    """
    with report_user_errors():
        requested = [args.stages] if isinstance(args.stages, str) else args.stages
        stages_to_run = resolve_stages(requested or ["all"], stages)
        from espnet3.utils.logging_utils import configure_logging
        from espnet3.utils.recipe_run import load_run_configs, make_system, needed_by, require_system_configs

        paths = {name.removesuffix("_config"): path for name, path in vars(args).items() if name.endswith("_config")}
        needed = needed_by(stages_to_run, system_cls, paths, required_configs or {})
        configs = load_run_configs(paths, stages_to_run, needed, system_cls=system_cls)
        log = configure_logging()
        system = make_system(system_cls, configs)
        require_system_configs(system, stages_to_run)
        check_stages(system, stages_to_run)
    with report_user_errors(status=1):
        run_stages(system=system, stages_to_run=stages_to_run, args=args, log=log)
