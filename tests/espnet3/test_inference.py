"""The stage infer: from a test set through a model into SCP files."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from espnet3.systems.base.inference import infer, test_set_names
from espnet3.systems.base.inference_provider import InferenceProvider
from espnet3.systems.base.inference_runner import InferenceRunner
from espnet3.systems.base.workload import run_workload
from espnet3.utils.errors import ConfigError, OutputError
from espnet3.utils.writer_utils import infer_artifact_type, write_artifact

# pytest would take it for a test.
test_set_names.__test__ = False  # type: ignore[attr-defined]

_DATASET = """
class Dataset:
    def __init__(self, split):
        self.size = {"test": 5, "test_unseen": 3, "train": 4}[split]
        self.split = split

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return {"utt_id": f"{self.split}-{index:02d}", "speech": float(index), "text": f"ref {index}"}
"""

_SRC = """
import numpy as np
import torch
from espnet3.parallel.base_runner import BaseRunner
from espnet3.systems.base.inference_provider import InferenceProvider

BUILT = []
CALLED = []

class Recognizer:
    def __init__(self, checkpoint="", scale=1):
        BUILT.append(checkpoint)
        self.scale = scale

    def __call__(self, speech):
        CALLED.append(speech)
        if isinstance(speech, list):
            return [self.scale * value for value in speech]
        return self.scale * speech

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, speech):
        assert not self.training
        return {"hyp": float((self.weight * speech).sum()), "grad": str(torch.is_grad_enabled())}

def build_output(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": f"hyp {model_output:g}", "ref": data["text"]}

def build_batch(data, model_output, idx):
    return [build_output(*entry) for entry in zip(data, model_output, idx)]

def no_id(data, model_output, idx):
    return {"utt": data["utt_id"], "hyp": "x"}

def line_break(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": "a" if idx < 2 else "a\\nb"}

def same_id(data, model_output, idx):
    return {"utt_id": "same", "hyp": "a"}

def uneven(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": "a", **({"score": 1} if idx else {})}

def nothing(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": None}

def text_only(data, model_output, idx):
    return "hyp"

def artifacts(data, model_output, idx):
    return {
        "utt_id": data["utt_id"].replace("-", "/"),
        "audio": np.full(160, 0.25, dtype=np.float32),
        "logits": torch.arange(4.0).reshape(2, 2),
        "nbest": [{"text": "a", "score": 1.5}],
        "custom": {"a": 1},
        "score": np.float32(0.5),
    }

def write_custom(value, path):
    target = path.with_suffix(".txt")
    target.write_text(str(value))
    return target

class Writer:
    MADE = []
    def __init__(self):
        self.MADE.append(self)
    def __call__(self, value, path):
        return write_custom(value, path)

class OwnProvider(InferenceProvider):
    def __init__(self, config, params, offset):
        super().__init__(config, {**params, "offset": offset})

    @staticmethod
    def build_model(config):
        return lambda speech: speech

class Add(BaseRunner):
    @staticmethod
    def forward(idx, dataset, offset):
        return dataset[idx]["speech"] + offset

class WorkProvider:
    def __init__(self, config, offset):
        self.offset, self.config = offset, config
    def build_env_local(self):
        return {"dataset": [{"speech": 1.0}] * 9, "offset": self.offset}

class Sum(BaseRunner):
    @staticmethod
    def forward(idx, dataset, offset, **env):
        return dataset[idx]["speech"] + offset
    @staticmethod
    def open_writers(shard_dir, **env):
        return {"h": open(shard_dir / "sum", "w")}
    @staticmethod
    def write_record(writers, result, state, **env):
        writers["h"].write(f"{result}\\n")
    @staticmethod
    def close_writers(writers):
        writers["h"].close()
    def merge(self, shard_dirs):
        return sum(float(line) for line in open(shard_dirs[0] / "sum"))
"""


@pytest.fixture
def src(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A recipe's folder as the working one; gives its Python."""
    (tmp_path / "inf_data.py").write_text(_DATASET)
    (tmp_path / "inf_src.py").write_text(_SRC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("inf_data", "inf_src"):
        sys.modules.pop(name, None)
    import inf_src  # type: ignore[import-not-found]

    yield inf_src
    for name in ("inf_data", "inf_src"):
        sys.modules.pop(name, None)


def config(**changes: Any) -> DictConfig:
    """An inference config with two test sets."""
    return OmegaConf.create(
        {
            "inference_dir": "exp/inference",
            "dataset": {
                "_target_": "espnet3.components.data.data_organizer.DataOrganizer",
                "recipe_dir": ".",
                "test": [
                    {"name": "seen", "data_src": "inf_data", "data_src_args": {"split": "test"}},
                    {"name": "unseen", "data_src": "inf_data", "data_src_args": {"split": "test_unseen"}},
                ],
            },
            "model": {"_target_": "inf_src.Recognizer"},
            "input_key": "speech",
            "output_fn": "inf_src.build_output",
            **changes,
        }
    )


def test_every_test_set_gets_a_file_for_each_field(src: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are `utt_id value` in the order of the dataset; the model is built once."""
    results = infer(config())

    assert Path("exp/inference/seen/hyp.scp").read_text().splitlines() == [
        f"test-0{index} hyp {index}" for index in range(5)
    ]
    assert Path("exp/inference/unseen/ref.scp").read_text().splitlines() == [
        f"test_unseen-0{index} ref {index}" for index in range(3)
    ]
    assert results["seen"] == {
        "hyp": Path("exp/inference/seen/hyp.scp"),
        "ref": Path("exp/inference/seen/ref.scp"),
    }
    assert Path("exp/inference/seen/field_keys.txt").read_text() == "hyp\nref\n"
    assert src.BUILT == [""]
    assert [line.partition(" in ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "infer seen: 5 utterances",
        "infer unseen: 3 utterances",
    ]


def test_a_second_run_builds_no_model_and_a_new_checkpoint_starts_over(src: Any) -> None:
    """Outputs are kept for the same inputs only."""
    Path("last.ckpt").write_bytes(b"one")
    settings_ = config(model={"_target_": "inf_src.Recognizer", "checkpoint": "last.ckpt"})
    infer(settings_)
    infer(settings_)
    assert src.BUILT == ["last.ckpt"]
    assert len(src.CALLED) == 8
    Path("last.ckpt").write_bytes(b"two")
    infer(settings_)

    assert src.BUILT == ["last.ckpt"] * 2
    assert len(src.CALLED) == 16


def test_data_that_were_built_anew_are_decoded_anew(src: Any) -> None:
    """Though the config is the same, and so is the number of samples."""
    infer(config())
    sys.modules["inf_data"].Dataset.__getitem__ = lambda self, index: {  # type: ignore[attr-defined]
        "utt_id": f"{self.split}-{index:02d}",
        "speech": float(index),
        "text": "new",
    }
    infer(config())
    calls = len(src.CALLED)
    infer(config())

    assert Path("exp/inference/seen/ref.scp").read_text().splitlines()[0] == "test-00 new"
    assert calls == len(src.CALLED) == 16


def test_a_batch_reaches_the_model_as_lists(src: Any) -> None:
    """And gives the same files as one item at a time."""
    infer(config(inference_dir="one"))
    one = Path("one/seen/hyp.scp").read_text()
    src.CALLED.clear()
    infer(config(inference_dir="two", batch_size=2, output_fn="inf_src.build_batch"))

    assert Path("two/seen/hyp.scp").read_text() == one
    assert src.CALLED[:3] == [[0.0, 1.0], [2.0, 3.0], [4.0]]
    with pytest.raises(OutputError, match=r"text_only was given a batch of 2 items and must return a list"):
        infer(config(inference_dir="three", batch_size=2, output_fn="inf_src.text_only"))


@pytest.mark.parametrize(
    ("name", "message", "calls"),
    [
        ("no_id", r"output_fn inf_src.no_id gives no 'utt_id'.*it gives 'utt', 'hyp'; did you mean 'utt'", 1),
        ("line_break", r"field 'hyp' of utterance 'test-02' has a line break", 3),
        ("same_id", r"'same' came before", 3),
        ("uneven", r"utterance 'test-01' has the fields 'hyp', 'score', those before it had 'hyp'", 2),
        ("nothing", r"field 'hyp' of utterance 'test-00' is None", 1),
        ("text_only", r"output_fn inf_src.text_only must give a dict .* not a str", 1),
    ],
)
def test_an_output_that_does_not_fit_stops_at_its_item(src: Any, name: str, message: str, calls: int) -> None:
    """Not after all items were decoded: at most with the few that are checked together."""
    with pytest.raises(OutputError, match=message):
        infer(config(output_fn=f"inf_src.{name}"))

    assert len(src.CALLED) == calls
    assert not Path("exp/inference/seen/hyp.scp").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output_fn": "inf_src.build_outptu"},
            r"output_fn: .*no 'build_outptu'; did you mean 'build_output'",
        ),
        (
            {"output_fn": "inf_scr.build_output"},
            r"output_fn: inf_scr.build_output: there is no module 'inf_scr'",
        ),
        ({"output_fn": "not a path"}, "is no dotted Python path"),
        ({"input_key": None}, "no input_key"),
        ({"model": None}, "no `model`"),
        ({"inference_dir": None}, "no inference_dir"),
        ({"runner": {"_target_": "inf_src.Recognizer"}}, "no BaseRunner"),
        ({"provider": {"target": "inf_src.OwnProvider"}}, "needs a _target_"),
    ],
)
def test_settings_that_do_not_fit_are_named(src: Any, changes: dict[str, Any], message: str) -> None:
    """Before anything is decoded."""
    with pytest.raises(ConfigError, match=message):
        infer(config(**changes))

    assert src.CALLED == []


def test_an_input_that_a_sample_lacks_is_named(src: Any) -> None:
    """With what the sample has."""
    with pytest.raises(OutputError, match=r"input_key names 'speach', but item 0 .*did you mean 'speech'"):
        infer(config(input_key="speach"))


def test_test_sets_need_names_that_are_folders() -> None:
    """Two of the same name, none among several, or a path are refused; the only one may go unnamed."""

    def named(*entries: dict[str, Any]) -> DictConfig:
        return OmegaConf.create({"dataset": {"test": list(entries)}})

    assert test_set_names(named({"data_src": "x"})) == ["test"]
    assert test_set_names(OmegaConf.create({})) == []
    for entries, message in (
        (({"name": "a"}, {}), r"dataset.test\[1\] has no name"),
        (({"name": "a"}, {"name": "a"}), "two test sets called 'a'"),
        (({"name": "../a"},), "cannot be the name of its output folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            test_set_names(named(*entries))


def test_a_module_is_in_evaluation_mode_without_gradients(src: Any) -> None:
    """And without an output_fn its own dict is written, with the sample's id."""
    infer(config(model={"_target_": "inf_src.Net"}, output_fn=None, device="cpu"))

    assert Path("exp/inference/unseen/hyp.scp").read_text() == (
        "test_unseen-00 0.0\ntest_unseen-01 1.0\ntest_unseen-02 2.0\n"
    )
    assert Path("exp/inference/unseen/grad.scp").read_text().split()[1] == "False"


def test_values_that_are_no_text_become_files(src: Any) -> None:
    """The line holds the file's path; types are named or inferred; a slash in an id makes no folder."""
    infer(
        config(
            output_fn="inf_src.artifacts",
            output_artifacts={
                "audio": {"type": "wav", "sample_rate": 16000},
                "custom": {"writer": {"_target_": "inf_src.Writer"}},
            },
        )
    )
    base = Path("exp/inference/seen")
    paths = {
        field: Path((base / f"{field}.scp").read_text().splitlines()[1].split(" ", 1)[1])
        for field in ("audio", "logits", "nbest", "custom")
    }
    samples, rate = soundfile.read(paths["audio"])

    assert (rate, len(samples), samples[0]) == (16000, 160, 0.25)
    assert np.load(paths["logits"]).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert paths["nbest"].read_text().split() == ["[", "{", '"text":', '"a",', '"score":', "1.5", "}", "]"]
    assert paths["custom"].read_text() == "{'a': 1}"
    assert len(src.Writer.MADE) == 2, "one for each test set"
    assert (base / "score.scp").read_text().splitlines()[0] == "test/00 0.5"
    assert paths["logits"].name == "test%2F01.npy"


def test_fields_that_are_gone_leave_no_file(src: Any) -> None:
    """An earlier run's field is not measured by mistake."""
    infer(config())
    infer(config(output_keys=["hyp"]))

    assert sorted(path.name for path in Path("exp/inference/seen").glob("*.scp")) == ["hyp.scp"]
    with pytest.raises(OutputError, match=r"has no field 'hypo'.*did you mean 'hyp'"):
        infer(config(output_keys="hypo"))


def test_a_provider_and_a_runner_of_the_recipes_own(src: Any) -> None:
    """They are made with the config's further keys."""
    own = config(
        provider={"_target_": "inf_src.OwnProvider", "offset": 10},
        runner={"_target_": "inf_src.Add"},
        output_fn=None,
    )
    assert infer(own) == {"seen": None, "unseen": None}
    assert Path("exp/inference/seen/split.0/done").is_file()

    class Doubled(InferenceRunner):
        pass

    provider = InferenceProvider(
        OmegaConf.merge(config(), {"test_set": "seen"}),  # type: ignore[arg-type]
        {"input_key": "speech", "output_fn": src.build_output},
    )
    in_memory = Doubled(provider)(range(2))
    assert [entry["utt_id"] for entry in in_memory] == ["test-00", "test-01"]
    assert InferenceRunner(provider).resolve_idx_key({"utt_id": "a"}) == "utt_id"
    with pytest.raises(OutputError, match="gives no 'utt_id'"):
        InferenceRunner(provider).resolve_idx_key({"uttid": "a"})


def test_artifact_types(tmp_path: Path) -> None:
    """A type that does not fit is refused with the choices."""
    assert infer_artifact_type(torch.zeros(1)) == "npy"
    assert infer_artifact_type({"a": 1}) == "json"
    with pytest.raises(OutputError, match=r"object has no file type of its own"):
        infer_artifact_type(object())
    with pytest.raises(OutputError, match=r"type 'wva'.*did you mean 'wav'"):
        write_artifact(np.zeros(3), tmp_path / "x", {"type": "wva"})
    with pytest.raises(OutputError, match="needs its sample_rate"):
        write_artifact(np.zeros(3), tmp_path / "x", {"type": "wav"})
    with pytest.raises(OutputError, match=r"shape \(time,\) or \(time, channels\), not \(1, 1, 3\)"):
        write_artifact(np.zeros((1, 1, 3)), tmp_path / "x", {"type": "wav", "sample_rate": 8})
    with pytest.raises(OutputError, match="not everything in the value fits JSON"):
        write_artifact({"a": object()}, tmp_path / "x", {"type": "json"})
    assert write_artifact({1, 2}, tmp_path / "y", {"type": "pickle"}).read_bytes()[:1] == b"\x80"


def test_a_workload_runs_over_its_data(src: Any) -> None:
    """Written in the config alone: provider, runner, and what to run over."""
    work = config(
        sum_up={
            "runner": {"_target_": "inf_src.Sum", "output_dir": "exp/sum"},
            "provider": {"_target_": "inf_src.WorkProvider", "offset": 1},
            "over": "dataset.test.seen",
        }
    )

    assert run_workload(work, "sum_up") == 10.0
    work.sum_up.over = "test.unsen"
    with pytest.raises(ConfigError, match=r"sum_up.over: 'test.unsen': .*did you mean 'test.unseen'"):
        run_workload(work, "sum_up")
    work.sum_up.over = "train"
    with pytest.raises(ConfigError, match="names no data of this config; it has 'test'"):
        run_workload(work, "sum_up")
    with pytest.raises(ConfigError, match=r"no key 'sumup'.*did you mean 'sum_up'"):
        run_workload(work, "sumup")


class _Memory(InferenceProvider):
    def build_env_local(self) -> dict[str, Any]:
        n = self.params["n"]
        return {
            "dataset": [{"utt_id": f"u{(7 * index) % 101}", "x": index} for index in range(n)],
            "model": lambda x: [{"hyp": value} for value in x] if isinstance(x, list) else {"hyp": x},
            "input_key": "x",
        }


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 60), batch_size=st.none() | st.integers(1, 70))
def test_merged_files_have_the_order_of_the_dataset(
    tmp_path_factory: pytest.TempPathFactory, n: int, batch_size: int | None
) -> None:
    """For any number of items and any batch size."""
    folder = tmp_path_factory.mktemp("merged")
    provider = _Memory(None, {"n": n})
    InferenceRunner(provider, output_dir=folder, shard_subdir="t", batch_size=batch_size)(range(n))
    lines = (folder / "t" / "hyp.scp").read_text().splitlines() if n else []

    assert lines == [f"u{(7 * index) % 101} {index}" for index in range(n)]
