"""The stage measure, and the error rates of speech recognition."""

import json
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from espnet3.components.metrics.base_metric import BaseMetric
from espnet3.systems.asr.metrics.cer import CER
from espnet3.systems.asr.metrics.wer import WER
from espnet3.systems.base.metric import measure
from espnet3.utils.errors import ConfigError, OutputError
from espnet3.utils.scp_utils import get_class_path, load_scp_paths, read_scp

WER_PATH = "espnet3.systems.asr.metrics.wer.WER"
CER_PATH = "espnet3.systems.asr.metrics.cer.CER"


class Length(BaseMetric):
    """The mean length of what it is given under `text`."""

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        rows = list(self.iter_inputs(data, "text"))
        return {"mean": sum(len(row["text"]) for _, row in rows) / len(rows)}


class NoNumber(BaseMetric):
    """Gives what no JSON file can hold."""

    inputs = ("hyp",)

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        return {"paths": set(data)}  # type: ignore[dict-item]


class NumpyNumbers(BaseMetric):
    """Gives numbers as NumPy has them."""

    inputs = ("hyp",)

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        return {"score": np.float32(0.5), "count": np.array([3])}  # type: ignore[dict-item]


def scp(folder: Path, name: str, *values: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.scp"
    path.write_text("".join(f"u{index} {value}\n" for index, value in enumerate(values)))
    return path


def config(folder: Path, *metrics: dict[str, Any], **changes: Any) -> DictConfig:
    return OmegaConf.create({"inference_dir": str(folder), "metrics": list(metrics), **changes})


def test_errors_are_counted(tmp_path: Path) -> None:
    """Substitutions, deletions and insertions of words and of characters."""
    data = {
        "ref": scp(tmp_path, "ref", "one two three", "four", "", "Hello, World"),
        "hyp": scp(tmp_path, "hyp", "one too three three", "", "noise here", "hello world"),
    }

    assert WER()(data, "t", tmp_path) == {
        "WER": 116.67,
        "words": 6,
        "substitutions": 3,
        "deletions": 1,
        "insertions": 3,
    }
    assert WER(clean_types=["lower", "punctuation"])(data, "t", tmp_path)["substitutions"] == 1
    characters = CER()(data, "t", tmp_path)
    assert characters["characters"] == len("one two three") + len("four") + len("Hello, World")
    assert characters["insertions"] >= len("noise here")


def test_cleaning_keeps_words_whole(tmp_path: Path) -> None:
    """An apostrophe inside a word is part of it; a way that is not known is named."""
    data = {"ref": scp(tmp_path, "ref", "Don’t  stop -- now!"), "hyp": scp(tmp_path, "hyp", "don't stop now")}

    assert WER(clean_types=["lower", "punctuation", "whitespace"])(data, "t", tmp_path)["WER"] == 0.0
    with pytest.raises(ConfigError, match=r"clean_types has 'lowre'.*did you mean 'lower'"):
        WER(clean_types=["lowre"])


def test_only_empty_references(tmp_path: Path) -> None:
    """Nothing said and nothing heard is no error; something heard is infinitely many percent."""
    ref = scp(tmp_path, "ref", "", "")
    silent = {"ref": ref, "hyp": scp(tmp_path, "hyp", "", "")}
    noisy = {"ref": ref, "hyp": scp(tmp_path, "noise", "a b", "")}

    assert WER()(silent, "t", tmp_path)["WER"] == 0.0
    assert WER()(noisy, "t", tmp_path)["WER"] == float("inf")
    assert WER()(noisy, "t", tmp_path)["insertions"] == 2


_words = st.lists(st.sampled_from(["a", "b", "cc"]), max_size=6).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(_words.filter(bool), _words), min_size=1, max_size=6))
def test_the_rate_is_jiwers(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    """Where jiwer takes the texts, it says the same."""
    folder = tmp_path_factory.mktemp("wer")
    data = {
        "ref": scp(folder, "ref", *(ref for ref, _ in pairs)),
        "hyp": scp(folder, "hyp", *(hyp for _, hyp in pairs)),
    }

    expected = jiwer.wer([ref for ref, _ in pairs], [hyp for _, hyp in pairs])
    assert WER()(data, "t", folder)["WER"] == round(100 * expected, 2)


def test_every_metric_over_every_test_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file, one table, and the result."""
    for name, hyp in (("seen", "one two"), ("unseen_voices", "one")):
        scp(tmp_path / name, "ref", "one two")
        scp(tmp_path / name, "hyp", hyp)
    (tmp_path / "logs").mkdir()
    results = measure(
        config(
            tmp_path,
            {"metric": {"_target_": WER_PATH, "ref_key": "ref", "hyp_key": "hyp"}},
            {"metric": {"_target_": CER_PATH}},
        )
    )

    assert results == json.loads((tmp_path / "metrics.json").read_text())
    assert results[WER_PATH]["unseen_voices"] == {
        "WER": 50.0,
        "words": 2,
        "substitutions": 0,
        "deletions": 1,
        "insertions": 0,
    }
    assert capsys.readouterr().out.splitlines() == [
        "test set       metric      %            of  sub  del  ins",
        "seen           WER      0.00       2 words    0    0    0",
        "unseen_voices  WER     50.00       2 words    0    1    0",
        "seen           CER      0.00  7 characters    0    0    0",
        "unseen_voices  CER     57.14  7 characters    0    4    0",
        f"measure: written to {tmp_path / 'metrics.json'}",
    ]


def test_a_metric_of_the_recipes_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it reads by `inputs`; other names for the fields are possible."""
    scp(tmp_path / "t", "hyp", "one", "three")
    own = {"metric": {"_target_": f"{__name__}.Length"}, "inputs": {"text": "hyp"}}
    results = measure(config(tmp_path, own, dataset={"test": [{"name": "t"}]}))

    assert results == {f"{Length.__module__}.Length": {"t": {"mean": 4.0}}}
    assert capsys.readouterr().out.splitlines() == [
        "test set  metric  values",
        "t         Length  mean=4",
        f"measure: written to {tmp_path / 'metrics.json'}",
    ]


def test_numbers_of_numpy_are_numbers_and_objects_are_refused(tmp_path: Path) -> None:
    """The message names the metric and the key."""
    scp(tmp_path / "t", "hyp", "one")

    with pytest.raises(OutputError, match=r"NoNumber: paths: metrics.json cannot hold a set"):
        measure(config(tmp_path, {"metric": {"_target_": f"{__name__}.NoNumber"}}))
    results = measure(config(tmp_path, {"metric": {"_target_": f"{__name__}.NumpyNumbers"}}))

    assert results[f"{NumpyNumbers.__module__}.NumpyNumbers"]["t"] == {"score": 0.5, "count": 3}


def test_the_same_metric_twice_keeps_both(tmp_path: Path) -> None:
    """Told apart by the fields that it reads."""
    for field in ("ref", "hyp", "beam"):
        scp(tmp_path / "t", field, "a")
    one = {"metric": {"_target_": WER_PATH}}
    two = {"metric": {"_target_": WER_PATH, "hyp_key": "beam"}}

    assert list(measure(config(tmp_path, one, two))) == [f"{WER_PATH}(ref, hyp)", f"{WER_PATH}(ref, beam)"]


def test_what_is_missing_is_named_with_the_nearest(tmp_path: Path) -> None:
    """Fields, test sets, folders, metrics; nothing is written."""
    scp(tmp_path / "seen", "ref", "a")
    scp(tmp_path / "seen", "hyp", "a")
    wrong = {"metric": {"_target_": WER_PATH, "ref_key": "reference"}}
    right = {"metric": {"_target_": WER_PATH}}
    for settings_, error, message in (
        (config(tmp_path, wrong), OutputError, "field 'reference'.*wrote 'hyp', 'ref'; did you mean 'ref'"),
        (
            config(tmp_path, right, dataset={"test": [{"name": "sen"}]}),
            OutputError,
            "no output of inference for the test set 'sen'.*did you mean 'seen'",
        ),
        (config(tmp_path / "nope", right), OutputError, "run the stage infer first"),
        (config(tmp_path), ConfigError, "has no metrics"),
        (
            config(tmp_path, {"metrik": {}}),
            ConfigError,
            r"metrics\[0\] has no metric .*did you mean 'metric'",
        ),
        (config(tmp_path, {"metric": {"_target_": "builtins.dict"}}), ConfigError, "cannot be called"),
    ):
        with pytest.raises(error, match=message):
            measure(settings_)
    assert not (tmp_path / "metrics.json").exists()


def test_files_of_different_utterances_are_refused(tmp_path: Path) -> None:
    """The lone utterance is named, and so is a line that stands twice."""
    data = {"ref": scp(tmp_path, "ref", "a", "b"), "hyp": scp(tmp_path, "hyp", "a")}
    with pytest.raises(OutputError, match=r"'u1' stands in .*ref.scp but not in .*hyp.scp"):
        WER()(data, "t", tmp_path)
    twice = tmp_path / "twice.scp"
    twice.write_text("u0 a\nu0 b\n")
    with pytest.raises(OutputError, match=r"twice.scp:2: the utterance 'u0' has a second line"):
        read_scp(twice)


def test_paths_of_fields(tmp_path: Path) -> None:
    """By a list of fields or by a mapping."""
    scp(tmp_path / "t", "hyp", "a")

    assert load_scp_paths(tmp_path, "t", ["hyp"]) == {"hyp": tmp_path / "t" / "hyp.scp"}
    assert load_scp_paths(tmp_path, "t", {"text": "hyp"}) == {"text": tmp_path / "t" / "hyp.scp"}
    assert get_class_path(WER()) == WER_PATH
