"""The real ESPnet2 behind the bridge: models are built, trained for a few steps, saved, and found by its own inference.

ESPnet2 takes seconds to import, so one process answers for all tests here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from support import espnet

pytestmark = pytest.mark.skipif(not espnet.INSTALLED, reason=espnet.REASON)

SCRIPT = """
import json, sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

torch.set_num_threads(1)
torch.manual_seed(0)
sys.argv = ["run.py", "--stages", "train", "--encoder", "conformer"]

from espnet3.utils.importing import large_imports

with large_imports():
    from espnet2.bin.asr_inference import Speech2Text
    from espnet2.tasks.abs_task import AbsTask
from espnet3.components.callbacks.averaging import average_checkpoints
from espnet3.components.data.dataset import CombinedDataset
from espnet3.systems.asr.task import ASRTask
from espnet3.systems.asr.transducer_task import ASRTransducerTask
from espnet3.systems.base.training import build_model
from espnet3.utils.errors import ConfigError
from espnet3.utils.task_utils import get_espnet_model, save_espnet_config

TOKENS = ["<blank>", "<unk>", "A", "B", "<space>", "<sos/eos>"]
Path("tokens.txt").write_text("".join(token + "\\n" for token in TOKENS))
ATTENTION = {
    "token_list": "tokens.txt",
    "token_type": "char",
    "frontend_conf": {"n_mels": 20, "hop_length": 160},
    "encoder": "transformer",
    "encoder_conf": {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1},
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
}
TRANSDUCER = {
    "token_list": TOKENS,
    "frontend_conf": {"n_mels": 20, "hop_length": 160},
    "encoder_conf": {
        "input_conf": {"vgg_like": False, "conv_size": 16},
        "body_conf": [
            {"block_type": "conformer", "hidden_size": 16, "linear_size": 16, "heads": 2, "conv_mod_kernel_size": 3}
        ],
    },
    "decoder": "rnn",
    "decoder_conf": {"embed_size": 16, "hidden_size": 16},
    "joint_network_conf": {"joint_space_size": 16},
}


class Noise(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        speech = np.random.default_rng(index).standard_normal(6000 + 1000 * index).astype(np.float32)
        return {"utt_id": f"u{index}", "speech": speech, "text": "AB A B"[: 3 + index]}


def trained(task, config):
    args = Namespace(token_list=list(TOKENS), token_type="char")
    preprocess, collate = task.build_preprocess_fn(args, True), task.build_collate_fn(args, True)
    data = CombinedDataset([Noise()], [(lambda sample: sample, preprocess)], use_espnet_preprocessor=True)
    data.use_espnet_collator = True
    names, batch = collate([data[index] for index in range(3)])
    model = build_model(OmegaConf.create(config))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(6):
        loss, _, weight = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return model, {
        "model": type(model).__name__,
        "losses": losses,
        "weight": int(weight),
        "names": names,
        "text": batch["text"].tolist(),
        "lengths": batch["text_lengths"].tolist(),
        "required": [task.required_data_names(), task.required_data_names(inference=True)],
        "optional": list(task.optional_data_names()),
        "is_task": issubclass(task, AbsTask),
        "optimizers": task.num_optimizers,
        "without_gradient": [name for name, value in model.named_parameters() if value.grad is None],
    }


def message(task, settings):
    try:
        get_espnet_model(task, {**ATTENTION, **settings})
    except ConfigError as error:
        return str(error)


answers = {}
config = {"task": "espnet3.systems.asr.task.ASRTask", "model": ATTENTION, "exp_dir": "exp", "init": "xavier_uniform"}
model, answers["attention"] = trained(ASRTask, config)
_, answers["transducer"] = trained(
    ASRTransducerTask, {"task": "espnet3.systems.asr.transducer_task.ASRTransducerTask", "model": TRANSDUCER}
)
own = build_model(OmegaConf.create({"task": "espnet2.tasks.asr_transducer.ASRTransducerTask", "model": TRANSDUCER}))
answers["loss_of_theirs"] = type(own.criterion_transducer).__name__

save_espnet_config(config["task"], OmegaConf.create(config), "exp")
checkpoint = {"state_dict": {"model." + name: value for name, value in model.state_dict().items()}}
torch.save(checkpoint, "exp/last.ckpt")
torch.save(average_checkpoints(["exp/last.ckpt"]), "exp/average.pth")
search = Speech2Text("exp/config.yaml", "exp/average.pth", beam_size=2, ctc_weight=0.3, maxlenratio=-4)
same = all(torch.equal(value, model.state_dict()[name]) for name, value in search.asr_model.state_dict().items())
text, tokens, ids, _ = search(Noise()[0]["speech"])[0]
answers["inference"] = {"same": same, "text": text, "tokens": tokens, "ids": ids, "list": search.asr_model.token_list}

for task in (ASRTask, ASRTransducerTask):
    parser = ArgumentParser()
    task.add_task_arguments(parser)
    answers[task.__name__ + "_flags"] = sorted(vars(parser.parse_args([])))
answers["messages"] = [
    message("espnet2.tasks.asr.ASRTask", {"encodr": "transformer"}),
    message("espnet2.tasks.asr.ASRTask", {"encoder": "transfomer"}),
    message("espnet2.tasks.asr.ASRTask", {"encoder_conf": {"outputsize": 16}}),
]
answers["argv"] = sys.argv
Path("answers.json").write_text(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("espnet2")
    (folder / "ask.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "ask.py"], cwd=folder, env=espnet.environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "answers.json").read_text())


@pytest.mark.parametrize(
    ("task", "model"), [("attention", "ESPnetASRModel"), ("transducer", "ESPnetASRTransducerModel")]
)
def test_a_task_builds_a_model_that_learns(answers: dict[str, Any], task: str, model: str) -> None:
    """Through the task's own preprocessor and collate function; every weight has a part in the loss."""
    answer = answers[task]

    assert (answer["model"], answer["is_task"], answer["optimizers"]) == (model, True, 1)
    assert answer["losses"][-1] < 0.95 * answer["losses"][0]
    assert answer["weight"] == 3
    assert answer["without_gradient"] == []


def test_names_and_texts_come_through_the_preprocessor_and_the_collate_function(answers: dict[str, Any]) -> None:
    """Names stand beside the batch; texts are numbers of tokens, padded with what the model leaves out."""
    answer = answers["attention"]

    assert answer["names"] == ["u0", "u1", "u2"]
    assert answer["lengths"] == [3, 4, 5]
    assert answer["text"] == [[2, 3, 4, -1, -1], [2, 3, 4, 2, -1], [2, 3, 4, 2, 4]]
    assert answer["required"] == [["speech", "text"], ["speech"]]
    assert answer["optional"][:1] == ["text_spk2"]
    assert answers["transducer"]["optional"] == []


def test_a_transducer_has_a_loss_where_nothing_is_compiled(answers: dict[str, Any]) -> None:
    """Also the one that ESPnet2's own task builds."""
    assert answers["loss_of_theirs"] == "TransducerLoss"


def test_espnet2s_own_inference_reads_what_a_training_writes(answers: dict[str, Any]) -> None:
    """`config.yaml` and the average of checkpoints make the same model, with its tokens; beam search gives text."""
    answer = answers["inference"]

    assert answer["same"]
    assert answer["list"] == ["<blank>", "<unk>", "A", "B", "<space>", "<sos/eos>"]
    assert [answer["list"][number] for number in answer["ids"]] == answer["tokens"]
    assert answer["text"] == "".join(answer["tokens"]).replace("<space>", " ")


def test_settings_are_those_of_espnet2s_command_line(answers: dict[str, Any]) -> None:
    """And the command line of the run is no part of them."""
    assert {"encoder", "encoder_conf", "decoder_conf", "token_list", "bpemodel"} <= set(answers["ASRTask_flags"])
    assert {"encoder_conf", "joint_network_conf", "token_list"} <= set(answers["ASRTransducerTask_flags"])
    assert answers["argv"] == ["run.py", "--stages", "train", "--encoder", "conformer"]


def test_settings_that_espnet2_does_not_know_are_said_by_their_keys(answers: dict[str, Any]) -> None:
    """With the nearest name, and the class that refuses."""
    misspelt, unknown, refused = answers["messages"]

    assert misspelt == "model.encodr: ASRTask has no such setting; did you mean 'encoder'?"
    assert unknown.startswith("model.encoder: ASRTask has no encoder 'transfomer'; it has 'conformer'")
    assert unknown.endswith("did you mean 'transformer'?")
    assert "TransformerEncoder.__init__() got an unexpected keyword argument 'outputsize'" in refused
