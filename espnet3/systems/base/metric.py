"""The stage measure: every metric over every test set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import uses_config
from espnet3.utils.errors import ConfigError, OutputError, did_you_mean, listed
from espnet3.utils.scp_utils import get_class_path, load_scp_paths

if TYPE_CHECKING:
    from omegaconf import DictConfig

METRICS_FILE = "metrics.json"


@uses_config
def measure(metrics_config: DictConfig) -> dict[str, dict[str, Any]]:
    """Run the metrics, write `metrics.json` under `inference_dir`, and print one table.

    Reads `inference_dir`, `metrics` (a list of `{metric: {_target_, …}, inputs: …}`) and `dataset.test`,
    whose names are the test sets; without it, every folder under `inference_dir` that holds SCP files is
    one.

    Returns:
        For each metric's class path, for each test set, the metric's numbers. Where a class is used more
        than once, the fields that it reads stand behind its path.

    Raises:
        ConfigError: There is no metric, or one cannot be made.
        OutputError: A test set or a field that a metric reads is not there.
    """
    from esp3rt.files import write_json
    from esp3rt.progress import console_line

    inference_dir = metrics_config.get("inference_dir")
    if not inference_dir:
        raise ConfigError("the metrics config has no inference_dir: there is nothing to read")
    folder = Path(str(inference_dir))
    metrics = _metrics(metrics_config)
    names = _test_names(metrics_config, folder)
    # All files are found before the first metric runs: the last one may take long.
    inputs = [{name: load_scp_paths(folder, name, fields) for name in names} for _, _, fields in metrics]
    results: dict[str, dict[str, Any]] = {}
    for (label, metric, _), paths in zip(metrics, inputs, strict=True):
        results[label] = {}
        for name in names:
            numbers = metric(paths[name], name, folder)
            if not isinstance(numbers, Mapping):
                raise OutputError(f"{label} must return a dict of numbers, not a {type(numbers).__name__}")
            results[label][name] = {str(key): _number(value, f"{label}: {key}") for key, value in numbers.items()}
    write_json(folder / METRICS_FILE, results)
    for line in _table(results):
        console_line(line)
    console_line(f"measure: written to {folder / METRICS_FILE}")
    return results


def _metrics(config: DictConfig) -> list[tuple[str, Any, Any]]:
    """For each metric: what to call it, the metric, and the fields that it reads."""
    from omegaconf import OmegaConf

    from espnet3.utils.instantiation import instantiate

    entries = config.get("metrics")
    if not entries:
        raise ConfigError("the metrics config has no metrics: list them under `metrics`")
    made = []
    for index, entry in enumerate(entries):
        node = entry.get("metric")
        if node is None or node.get("_target_") is None:
            near = "; did you mean 'metric'?" if did_you_mean("metric", [str(key) for key in entry]) else ""
            raise ConfigError(f"metrics[{index}] has no metric with a _target_; it has {listed(entry)}{near}")
        metric = instantiate(node, f"metrics[{index}].metric")
        if not callable(metric):
            raise ConfigError(f"metrics[{index}]: {get_class_path(metric)} cannot be called")
        fields = entry.get("inputs")
        if fields is not None:
            fields = OmegaConf.to_container(fields, resolve=True) if OmegaConf.is_config(fields) else [fields]
        made.append((get_class_path(metric), metric, fields or _fields_of(metric, f"metrics[{index}]")))
    paths = [path for path, _, _ in made]
    return [
        (path if paths.count(path) == 1 else _with_fields(path, fields), metric, fields)
        for path, metric, fields in made
    ]


def _fields_of(metric: Any, where: str) -> Any:
    own = getattr(metric, "inputs", None)
    if own:
        return own
    fields = [value for key, value in vars(metric).items() if key.endswith("_key") and isinstance(value, str)]
    if not fields:
        raise ConfigError(
            f"{where}: nothing says which fields {get_class_path(metric)} reads: give it attributes such as "
            "ref_key, or write inputs: [ref, hyp] beside the metric"
        )
    return list(dict.fromkeys(fields))


def _with_fields(path: str, fields: Any) -> str:
    names = fields.values() if isinstance(fields, Mapping) else fields
    return f"{path}({', '.join(names)})"


def _number(value: Any, where: str) -> Any:
    # A number of NumPy or torch is a number.
    if hasattr(value, "item") and math.prod(getattr(value, "shape", ())) == 1:
        value = value.item()
    if value is None or isinstance(value, str | int | float | list | dict):
        return value
    raise OutputError(f"{where}: {METRICS_FILE} cannot hold a {type(value).__name__}; let the metric give numbers")


def _test_names(config: DictConfig, folder: Path) -> list[str]:
    from espnet3.systems.base.inference import test_set_names

    named = test_set_names(config)
    if named:
        return named
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder}: run the stage infer first")
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and any(entry.glob("*.scp")))
    if not found:
        raise OutputError(f"no folder under {folder} holds outputs of inference: run the stage infer first")
    return found


def _table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The numbers as aligned lines: an error rate with its counts, anything else as name=value."""
    header = ["test set", "metric", "%", "of", "sub", "del", "ins"]
    rows = []
    for label, by_test in results.items():
        short = label.partition("(")[0].rpartition(".")[2] + "".join(label.partition("(")[1:])
        for test, numbers in by_test.items():
            keys = list(numbers)
            if len(keys) == 5 and keys[2:] == ["substitutions", "deletions", "insertions"]:
                rate, units, *counts = numbers.values()
                rows.append([test, short, f"{rate:.2f}", f"{units} {keys[1]}", *map(str, counts)])
            else:
                rows.append([test, short, " ".join(f"{key}={_short(numbers[key])}" for key in keys)])
    if not any(len(row) == len(header) for row in rows):
        header = ["test set", "metric", "values"]
    columns = len(header)
    full = [row for row in (header, *rows) if len(row) == columns]
    widths = [max(len(row[index]) for row in full) for index in range(columns)]
    widths[:2] = [max(len(row[index]) for row in (header, *rows)) for index in (0, 1)]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if index >= 2 and columns > 3 and len(row) == columns else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
