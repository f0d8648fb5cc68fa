"""`check --shapes`: one batch of made-up items through every training of the recipe, in a process of its own.

The process is `python -m espnet3.shapes`. It builds the model on shapes, without memory for its weights, and runs what a
training runs; it gets no GPU, no network, and one folder to write to, which is gone afterwards. It is ended with this
process, by Ctrl-C, and when its time is over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from esp3c.check.flow_base import Flow, block_in, follow, runs_in, stock
from esp3c.check.ignores import apply_ignores
from esp3c.check.shapes import Trial, said_of
from esp3c.cli.child import end_with_parent
from esp3c.cli.common import printable, world_of
from esp3c.cli.replay import not_again
from esp3c.cli.report import Checked
from esp3c.cli.selection import Selection
from esp3c.diagnostics import in_order
from esp3c.emit.files import EmittedFile, Layout
from esp3c.emit.lower import lower
from esp3c.emit.recipe import emit
from esp3c.emit.targets import targets
from esp3c.ir import CallNode, Config, Dataset, DatasetNode, ListNode, Recipe
from esp3c.pipeline import codes
from esp3c.python.reader import reader
from esp3c.record import changed
from esp3c.source import Source, Span


def with_shapes(checked: Checked, folder: Path, chosen: Selection, timeout: float) -> tuple[Checked, tuple[str, ...]]:
    """A recipe without errors, with what the trial of its trainings says; and lines on what fits.

    Args:
        checked: The recipe as it was checked.
        folder: The folder of its Python.
        chosen: What is shown.
        timeout: Seconds that the trial may take.
    """
    not_again()
    recipe = checked.result.recipe
    configs = list(_trainings(recipe, folder))
    if not configs:
        return checked, (f"{checked.name}: no training whose shapes could be checked",)
    trials = list(_trials(recipe, configs, folder, timeout))
    found = [diagnostic for trial, _ in trials for diagnostic in said_of(trial)]
    sorted_out = apply_ignores(checked.source, found, codes, whole=False)
    kept = [each for each in sorted_out.kept if each in found]
    result = checked.result
    result = changed(
        result,
        diagnostics=tuple(in_order([*result.diagnostics, *kept])),
        ignored=tuple(in_order([*result.ignored, *sorted_out.taken])),
    )
    lines = [line for trial, report in trials if trial.status == "ok" for line in _fits(checked.name, trial, report)]
    return Checked.of(checked.name, checked.source, result, chosen, checked.fixed), tuple(map(printable, lines))


def _trainings(recipe: Recipe, folder: Path) -> Iterator[Config]:
    """The configs that the framework's own stage `train` works with."""
    flow = Flow(recipe, reader(world_of(folder)))
    for config in recipe.configs.values():
        trains = config.kind == "training" and config.root.get("model") and runs_in(recipe, config, "train")
        if trains and stock(flow, "train"):
            yield config


def _trials(
    recipe: Recipe, configs: Sequence[Config], folder: Path, timeout: float
) -> Iterator[tuple[Trial, dict[str, Any]]]:
    datasets = {config.name: _datasets(recipe, config) for config in configs}
    with TemporaryDirectory(prefix="esp3c-shapes-") as name:
        scratch = Path(os.path.realpath(name))
        files = {each.path: each for each in emit(recipe, Layout("recipe.esp", "."))}
        _write(scratch, files.values())
        request = {
            "recipe_dir": os.fspath(folder),
            "paths": [os.fspath(scratch)],
            "scratch": os.fspath(scratch),
            "targets": targets(recipe, [lower(recipe, config) for config in recipe.configs.values()]),
            "configs": [
                {
                    "name": config.name,
                    "path": os.fspath(scratch / "conf" / f"{config.name}.yaml"),
                    "samples": [_fields(dataset) for dataset in datasets[config.name]],
                }
                for config in configs
            ],
        }
        (scratch / "request.json").write_text(json.dumps(request), encoding="utf-8")
        answers, why = _run(scratch, timeout)
    for config in configs:
        report = answers.get(config.name, {"status": "skipped", "message": why})
        used = dict.fromkeys(each.name for each in datasets[config.name] if each is not None)
        emitted = files[f"conf/{config.name}.yaml"]
        yield (
            Trial(
                config,
                tuple(recipe.datasets[name] for name in used),
                report["status"],
                report.get("stage", ""),
                _plain(report.get("message", ""), scratch, folder),
                _place(emitted, config, report.get("key") or "model"),
                tuple(_plain(line, scratch, folder) for line in report.get("trace", ())),
                _code(report),
                report.get("function", ""),
                tuple(report.get("sizes", ())),
            ),
            report,
        )


def _datasets(recipe: Recipe, config: Config) -> list[Dataset | None]:
    """The dataset of each entry of `dataset.train`; None where it is not declared in the recipe."""
    settings = block_in(config, "dataset")
    node = follow(config, settings.get("train")) if settings is not None else None
    entries = [follow(config, each) for each in node.items] if isinstance(node, ListNode) else [node]
    return [recipe.datasets.get(each.dataset) if isinstance(each, DatasetNode) else None for each in entries]


def _fields(dataset: Dataset | None) -> list[dict[str, Any]] | None:
    if dataset is None or dataset.sample is None:
        return None
    return [
        {
            "name": each.name,
            "dtype": each.type.name.text,
            "dims": [getattr(dim, "text", None) or getattr(dim, "value", None) for dim in each.type.dims],
            "optional": each.optional,
        }
        for each in dataset.sample
    ]


def _write(folder: Path, files: Any) -> None:
    for each in files:
        path = folder / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(each.text, encoding="utf-8")


# -- the process ----------------------------------------------------------------------------------------------------------


def _run(scratch: Path, timeout: float) -> tuple[dict[str, dict[str, Any]], str]:
    """The reports by config, and why one of them is not there."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": os.fspath(scratch),
        "TORCHDYNAMO_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "espnet3.shapes", os.fspath(scratch / "request.json")],
        env=environment,
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=end_with_parent if sys.platform == "linux" else None,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return {}, f"the trial took more than {timeout:g} s; --shapes-timeout gives it more"
    finally:
        # Also where Ctrl-C came.
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode < 0:
        return {}, f"the trial was ended by signal {-process.returncode}: a library crashed, or memory ran out"
    try:
        reports = json.loads(out)["reports"]
        return {each["config"]: each for each in reports}, "the trial says nothing of it"
    except (ValueError, KeyError, TypeError):
        said = err.decode("utf-8", "replace").strip().splitlines()
        return {}, f"the trial did not answer: {said[-1] if said else f'exit code {process.returncode}'}"


# -- places ---------------------------------------------------------------------------------------------------------------


def _place(file: EmittedFile, config: Config, key: str) -> Span:
    """Where the value of a key stands in the recipe: the path of a call, or the nearest value around it."""
    known = {each.at: each.span for each in (*file.blocks, *file.spans)}
    while key:
        for name in (f"{key}._target_", key):
            if name in known:
                return known[name]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    model = config.root.get("model")
    return model.head if isinstance(model, CallNode) else config.name_span


def _code(report: dict[str, Any]) -> Span | None:
    """The line of the recipe's Python in which an error was raised."""
    file, number = report.get("file"), report.get("line")
    if not file or not isinstance(number, int):
        return None
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    source = Source(os.path.relpath(file), text)
    if not 1 <= number <= source.line_count:
        return None
    line = source.line_text(number)
    start = source.line_start(number) + len(line) - len(line.lstrip())
    return Span(source, start, source.line_start(number) + len(line.rstrip()))


def _plain(text: str, scratch: Path, folder: Path) -> str:
    """A message without the names of folders that mean nothing to a person."""
    return text.replace(f"{scratch}{os.sep}", "").replace(f"{folder}{os.sep}", "")


def _fits(name: str, trial: Trial, report: dict[str, Any]) -> Iterator[str]:
    taking = report.get("taking") or {}
    sizes = f", taking {', '.join(f'{name} = {size}' for name, size in taking.items())}" if taking else ""
    yield f"{name}: the shapes of `{trial.config.name}` fit ({report.get('parameters', 0):,} weights{sizes}):"
    for line in trial.trace:
        yield f"  {line}"
