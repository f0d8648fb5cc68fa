"""The bridge to tasks, with a small task of the tests' own; ESPnet2's are tried in test_task_espnet2.py."""

from __future__ import annotations

import importlib
import itertools
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from espnet3.components.modeling.transducer_loss import TransducerLoss, give_loss
from espnet3.utils.errors import ConfigError
from espnet3.utils.stages_utils import check_stages
from espnet3.utils.task_utils import (
    EspnetMissing,
    check_espnet,
    get_espnet_model,
    get_task_class,
    model_settings,
    save_espnet_config,
)

TASK = "own_tasks.OwnTask"

MODULE = """
import argparse

class Choices:
    def __init__(self, name, classes, optional=False):
        self.name, self.classes, self.optional = name, classes, optional

class OwnTask:
    class_choices_list = [Choices("encoder", {"rnn": 1, "transformer": 2}), Choices("decoder", {"rnn": 1}, optional=True)]

    @classmethod
    def get_default_config(cls):
        # As ESPnet2 does: the command line is read, which is this process's.
        parser = argparse.ArgumentParser()
        parser.add_argument("--encoder", default="rnn")
        config = vars(parser.parse_known_args()[0])
        confs = {"encoder_conf": {"rnn_type": "lstm"}, "decoder": None, "decoder_conf": {}, "model_conf": {"pair": (1, 2)}}
        return {**config, **confs, "token_list": None, "init": None, "normalize": "utterance_mvn", "normalize_conf": {}}

    @classmethod
    def build_model(cls, args):
        if args.encoder == "transformer" and "rnn_type" in args.encoder_conf:
            raise TypeError("TransformerEncoder.__init__() got an unexpected keyword argument 'rnn_type'")
        return args
"""


@pytest.fixture
def own_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_tasks.py").write_text(MODULE)
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\n \u2028\nA\n<sos/eos>\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_tasks", raising=False)
    return tmp_path


@pytest.fixture
def without_espnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where ESPnet2 is not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "espnet2" else find_spec(name, *more)
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "espnet2"]:
        monkeypatch.delitem(sys.modules, name)


def test_settings_are_laid_over_those_of_the_task(own_task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags of the run are none of the task's, and another encoder does not get the first one's settings."""
    monkeypatch.setattr(sys, "argv", ["run.py", "--encoder", "nonsense", "--stages", "train"])
    settings = {"encoder": "transformer", "decoder_conf": None, "token_list": "tokens.txt", "vocab_size": 5}

    model = get_espnet_model(TASK, OmegaConf.create(settings))

    assert model.token_list == ["<blank>", "<unk>", " \u2028", "A", "<sos/eos>"]
    assert (model.encoder, model.encoder_conf, model.decoder_conf) == ("transformer", {}, {})
    assert not hasattr(model, "vocab_size")
    assert sys.argv[1:] == ["--encoder", "nonsense", "--stages", "train"]
    same = get_espnet_model(TASK, {"token_list": ["A"]})
    assert (same.encoder, same.encoder_conf) == ("rnn", {"rnn_type": "lstm"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encodr": "rnn"}, r"model\.encodr: OwnTask has no such setting; did you mean 'encoder'\?"),
        ({"encoder": "transfomer"}, r"has no encoder 'transfomer'; it has 'rnn', 'transformer'; did you mean"),
        ({"encoder": None}, r"model\.encoder: OwnTask needs one of 'rnn', 'transformer'"),
        (
            {"encoder": "transformer", "encoder_conf": {"rnn_type": "gru"}},
            r"own_tasks\.OwnTask cannot build a model of these settings: .*unexpected keyword argument 'rnn_type'",
        ),
        ({"token_list": None}, r"model\.token_list is missing, and the config has no tokenizer"),
        ({"token_list": "later.txt"}, r"later\.txt does not exist; the stage train_tokenizer writes tokens\.txt"),
    ],
)
def test_settings_that_do_not_fit_are_said_by_their_keys(
    own_task: Path, settings: dict[str, Any], message: str
) -> None:
    """Before the task is asked to build anything, as far as that can be known."""
    with pytest.raises(ConfigError, match=message):
        get_espnet_model(TASK, {"token_list": "tokens.txt", **settings})


def test_the_tokens_are_those_of_the_recipes_tokenizer(own_task: Path) -> None:
    """With them go what decoding needs; what the config says itself stays. Statistics come before normalization."""
    config = OmegaConf.create(
        {
            "task": TASK,
            "tokenizer": {"save_path": "tok", "model_type": "unigram"},
            "model": {"encoder": "rnn", "normalize": "global_mvn", "normalize_conf": {"stats_file": "later.npz"}},
        }
    )

    assert model_settings(config) == {
        "encoder": "rnn",
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": "later.npz"},
        "token_list": str(Path("tok/tokens.txt")),
        "token_type": "bpe",
        "bpemodel": str(Path("tok/unigram.model")),
    }
    assert "normalize_conf" not in model_settings(config, measuring=True)
    assert model_settings(config, measuring=True)["normalize"] is None
    config.model.token_list, config.model.token_type = ["A", "B"], "char"
    assert model_settings(config)["token_list"] == ["A", "B"]
    assert "bpemodel" not in model_settings(config)


def test_the_saved_config_is_whole_and_plain(own_task: Path) -> None:
    """Tokens are written out, tuples are lists, and `init` is gone: who reads it has the weights."""
    config = OmegaConf.create(
        {"task": TASK, "init": "xavier_uniform", "seed": 7, "model": {"token_list": "tokens.txt"}, "lr": 1.0}
    )

    save_espnet_config(TASK, config, "exp")

    saved = yaml.safe_load(Path("exp/config.yaml").read_text(encoding="utf-8"))
    assert saved["token_list"][3] == "A"
    assert saved["model_conf"] == {"pair": [1, 2]}
    assert (saved["seed"], saved["init"], saved["lr"], saved["encoder"]) == (7, None, 1.0, "rnn")
    assert "model" not in saved


@pytest.mark.usefixtures("without_espnet")
@pytest.mark.parametrize(
    "config",
    [
        {"task": "espnet2.tasks.asr.ASRTask"},
        {"task": "espnet3.systems.asr.task.ASRTask"},
        {"dataloader": {"collate_fn": {"_target_": "espnet2.train.collate_fn.CommonCollateFn"}}},
        {"model": [{"inner": {"_target_": "espnet2.layers.stft.Stft"}}]},
    ],
)
def test_a_run_that_needs_espnet2_says_so_before_it_begins(config: dict[str, Any]) -> None:
    """In `check_stages`, which also a dry run goes through; data and text can be prepared without."""
    given = OmegaConf.create(config)
    system = SimpleNamespace(
        training_config=given, create_dataset=lambda: None, train_tokenizer=lambda: None, train=lambda: None
    )

    with pytest.raises(
        EspnetMissing, match=r"needs ESPnet2, which is not installed here.*pip install 'esp3c\[espnet\]'"
    ):
        check_stages(system, ["create_dataset", "train"])
    assert check_stages(system, ["create_dataset", "train_tokenizer"]) == {"create_dataset": [], "train_tokenizer": []}


@pytest.mark.usefixtures("without_espnet")
def test_nothing_is_asked_of_configs_that_do_not_name_it() -> None:
    """Text that only looks like a path of ESPnet2 is none."""
    check_espnet(None)
    check_espnet(OmegaConf.create({"task": None, "note": "espnet2.tasks", "model": {"_target_": "src.model.Own"}}))


@pytest.mark.usefixtures("without_espnet")
@pytest.mark.parametrize("module", ["task", "transducer_task"])
def test_the_modules_of_the_tasks_say_what_they_need(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing one is an ImportError in words, and through a config an error of the config."""
    name = f"espnet3.systems.asr.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)

    with pytest.raises(ImportError, match=r"needs ESPnet2, which is not installed here"):
        importlib.import_module(name)
    with pytest.raises(ConfigError, match=r"needs ESPnet2, which is not installed here"):
        get_task_class(f"{name}.ASRTask")


def test_an_espnet2_that_cannot_be_imported_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the module that is missing behind it, or the library that does not fit."""
    package = tmp_path / "espnet2"
    (package / "tasks").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks" / "__init__.py").touch()
    (package / "tasks" / "asr.py").write_text("import not_installed_anywhere\n")
    (package / "tasks" / "tts.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "espnet2"]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(
        EspnetMissing, match=r"is installed, but cannot be imported: it needs the module not_installed_a"
    ):
        get_task_class("espnet2.tasks.asr.ASRTask")
    with pytest.raises(EspnetMissing, match=r"cannot be imported: libcudart\.so\.13"):
        get_task_class("espnet2.tasks.tts.TTSTask")
    for name in [name for name in sys.modules if name.partition(".")[0] == "espnet2"]:
        del sys.modules[name]


def test_the_transducer_loss_sums_over_every_alignment() -> None:
    """Against the sum over all paths, for utterances of different lengths; gradients too, and padding counts nothing."""
    torch.manual_seed(0)
    scores = torch.randn(3, 4, 4, 5, dtype=torch.double, requires_grad=True)
    labels = torch.randint(1, 5, (3, 3))
    frames, lengths = torch.tensor([4, 2, 3]), torch.tensor([3, 1, 0])

    def by_paths(one: torch.Tensor, said: list[int]) -> torch.Tensor:
        n_frames = one.shape[0]
        paths = []
        # A path says before which frame's blank each label comes.
        for places in itertools.combinations_with_replacement(range(n_frames), len(said)):
            total, done = one.new_zeros(()), 0
            for frame in range(n_frames):
                while done < len(said) and places[done] == frame:
                    total = total + one[frame, done, said[done]]
                    done += 1
                total = total + one[frame, done, 0]
            paths.append(total)
        return -torch.stack(paths).logsumexp(0)

    expected = torch.stack(
        [
            by_paths(scores[i, : frames[i], : lengths[i] + 1].log_softmax(-1), labels[i, : lengths[i]].tolist())
            for i in range(3)
        ]
    ).mean()
    actual = TransducerLoss()(scores, labels, frames, lengths)

    torch.testing.assert_close(actual, expected)
    (slope,) = torch.autograd.grad(actual, scores)
    torch.testing.assert_close(slope, torch.autograd.grad(expected, scores)[0])
    assert float(slope[1, 2:].abs().sum()) == 0.0
    with pytest.raises(ValueError, match=r"labels of shape \(3, 2\)"):
        TransducerLoss()(scores, labels[:, :2], frames, lengths)


def test_only_a_transducer_without_its_own_loss_is_given_one() -> None:
    """A loss that is there, the pruned one of k2, and other models stay as they are."""
    lacking = SimpleNamespace(criterion_transducer=None, use_k2_pruned_loss=False)
    pruned = SimpleNamespace(criterion_transducer=None, use_k2_pruned_loss=True)
    other = Namespace()

    assert isinstance(give_loss(lacking).criterion_transducer, TransducerLoss)
    assert give_loss(pruned).criterion_transducer is None
    assert vars(give_loss(other)) == {}
