"""The README of a bundle: a model card that a hub reads, made from the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from espnet3.utils.errors import ConfigError, did_you_mean, listed

_RATES = {"WER": "wer", "CER": "cer"}
_BODY = """\
# $title

A speech model, packed with its configs, its code and its results.

## Results

$results

## How to use it

$usage
$details
## What is in it

$contents
"""
_FRONT = "---\n"
Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]


def model_card(
    *,
    title: str,
    tag: str,
    scores: Scores,
    input_key: str | None,
    sample_rate: int | None,
    is_trusted: bool,
    modules: Mapping[str, int],
    contents: Mapping[str, str],
    template: Path | None = None,
) -> str:
    """The text of the README.

    Args:
        title: What the model is called.
        tag: Where it can be fetched: a repository of the hub, or the name of the folder.
        scores: What the stage measure wrote: metric, test set, numbers.
        input_key: What the model takes; None where the bundle cannot be called.
        sample_rate: In Hz, if it is known.
        is_trusted: Whether the bundle loads without code of its own.
        modules: Parts of the model and how many weights each has; empty leaves the section out.
        contents: Files and what they are.
        template: A text of one's own in which `$title`, `$results`, `$usage`, `$details`, `$contents` are replaced.

    Raises:
        ConfigError: The template names something else.
    """
    parts = {
        "title": title,
        "results": results_table(scores),
        "usage": _usage(tag, input_key, sample_rate, is_trusted),
        "details": _details(modules),
        "contents": "\n".join(f"- `{name}`: {what}" for name, what in contents.items()),
    }
    if template is None:
        return _front_matter(title, scores) + Template(_BODY).substitute(parts)
    text = template.read_text(encoding="utf-8")
    try:
        body = Template(text).substitute(parts)
    except KeyError as error:
        name = str(error.args[0])
        raise ConfigError(
            f"pack_model.readme: {template} has ${name}, but only {listed(parts)} can be put in"
            f"{did_you_mean(name, parts)}; write $$ for the character itself",
            key="pack_model.readme",
        ) from None
    except ValueError as error:
        raise ConfigError(f"pack_model.readme: {template}: {error}; write $$ for the character $") from None
    return body if body.startswith(_FRONT) else _front_matter(title, scores) + body


def results_table(scores: Scores) -> str:
    """The scores as a Markdown table: error rates with what they are counted in, other numbers as they are."""
    rows = []
    for label, by_test in scores.items():
        for test, numbers in by_test.items():
            name = _short(label)
            rate = _rate(numbers)
            if rate is not None:
                unit, counts = list(numbers)[1], list(numbers.values())
                shown = f"{rate:.2f} %"
                of = f"{counts[1]} {unit}: {counts[2]} substitutions, {counts[3]} deletions, {counts[4]} insertions"
            else:
                shown = ", ".join(f"{key} {_number(value)}" for key, value in numbers.items())
                of = ""
            rows.append(f"| {_cell(test)} | {_cell(name)} | {_cell(shown)} | {_cell(of)} |")
    if not rows:
        return "Not measured."
    return "\n".join(["| test set | metric | value | of |", "|---|---|---:|---|", *rows])


def _front_matter(title: str, scores: Scores) -> str:
    """The YAML that the hub reads: what it is, what it is for, and the error rates as evaluation results."""
    import yaml

    rates: dict[str, list[dict[str, Any]]] = {}
    for label, by_test in scores.items():
        kind = _RATES.get(_short(label).partition("(")[0])
        for test, numbers in by_test.items():
            rate = _rate(numbers)
            if kind is not None and rate is not None:
                rates.setdefault(test, []).append({"type": kind, "value": round(rate, 2), "name": _short(label)})
    front: dict[str, Any] = {"library_name": "espnet", "tags": ["espnet", "espnet3", "audio"]}
    if rates:
        front["pipeline_tag"] = "automatic-speech-recognition"
        front["tags"].append("automatic-speech-recognition")
        task = {"type": "automatic-speech-recognition", "name": "Automatic speech recognition"}
        front["model-index"] = [
            {
                "name": title,
                "results": [
                    {"task": dict(task), "dataset": {"name": test, "type": test}, "metrics": metrics}
                    for test, metrics in rates.items()
                ],
            }
        ]
    return _FRONT + yaml.safe_dump(front, sort_keys=False, allow_unicode=True) + _FRONT + "\n"


def _usage(tag: str, input_key: str | None, sample_rate: int | None, is_trusted: bool) -> str:
    if input_key is None:
        return "It was packed without an inference config: its files are there, but nothing says how to call it."
    load = "from_pretrained" if "/" in tag else "from_packed"
    trust = "" if is_trusted else ", trust_user_code=True"
    heard = f" It hears at {sample_rate} Hz; files of another rate are resampled." if sample_rate else ""
    lines = [
        "```python",
        "from espnet3.publication.inference_model import InferenceModel",
        "",
        f'model = InferenceModel.{load}("{tag}"{trust})',
        'print(model("recording.wav"))',
        "```",
        "",
        f"A sample is a file, an array, or a dict with `{input_key}`.{heard}",
    ]
    if not is_trusted:
        lines += ["", "The model is code of its own, which comes with it and runs when it is loaded: read it before."]
    return "\n".join(lines)


def _details(modules: Mapping[str, int]) -> str:
    if not modules:
        return ""
    rows = "\n".join(f"| `{name}` | {count:,} |" for name, count in modules.items())
    total = f"| together | {sum(modules.values()):,} |"
    return f"\n## The model\n\n| part | weights |\n|---|---:|\n{rows}\n{total}\n"


def _rate(numbers: Mapping[str, Any]) -> float | None:
    """The error rate in percent, where numbers are those of one: a rate, a count of units, three counts of errors."""
    keys, values = list(numbers), list(numbers.values())
    if (
        len(keys) == 5
        and keys[2:] == ["substitutions", "deletions", "insertions"]
        and isinstance(values[0], int | float)
    ):
        return float(values[0])
    return None


def _short(label: str) -> str:
    path, bracket, rest = label.partition("(")
    return path.rpartition(".")[2] + bracket + rest


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
