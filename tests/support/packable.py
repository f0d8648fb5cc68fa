"""A recipe as it stands after its training, small enough to be made anew for each test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from omegaconf import DictConfig, OmegaConf

SCORES = {
    "espnet3.systems.asr.metrics.wer.WER": {
        "clean": {"WER": 12.5, "words": 40, "substitutions": 3, "deletions": 1, "insertions": 1},
        "noisy": {"WER": 25.0, "words": 40, "substitutions": 6, "deletions": 2, "insertions": 2},
    },
    "src.metrics.Speed": {"clean": {"seconds": 0.251}},
}
_SOURCES = {
    "src/__init__.py": "",
    "src/model.py": (
        "import torch\n\n\nclass Level(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.head = torch.nn.Linear(1, 1)\n"
    ),
    "src/words.py": 'WORDS = {True: "loud", False: "quiet"}\n',
    "src/unused.py": "raise RuntimeError\n",
    "src/inference.py": (
        "import torch\nfrom src.model import Level\n\n\nclass Listener:\n"
        "    def __init__(self, checkpoint, words):\n        self.model = Level()\n"
        "        state = torch.load(checkpoint, weights_only=True)['state_dict']\n"
        "        self.model.load_state_dict({k.removeprefix('model.'): v for k, v in state.items()})\n"
        "        self.words = open(words).read().split()\n\n"
        "    def __call__(self, speech, gain=1.0):\n"
        "        level = torch.as_tensor(speech).abs().max()[None] * gain\n"
        "        from src.words import WORDS\n"
        "        return WORDS[bool(self.model.head(level) > 0)] + ' ' + self.words[0]\n\n\n"
        "def build_output(data, model_output, idx):\n"
        "    return {'utt_id': data['utt_id'], 'hyp': model_output, 'ref': data['text'], 'idx': idx}\n"
    ),
}


@dataclass
class Packable:
    """The recipe's folder and its configs."""

    folder: Path
    training: DictConfig
    inference: DictConfig
    metrics: DictConfig
    publication: DictConfig

    def configs(self) -> tuple[DictConfig, DictConfig, DictConfig, DictConfig]:
        """As `pack_model` takes them."""
        return self.training, self.publication, self.inference, self.metrics


def packable(folder: Path, **pack: Any) -> Packable:
    """Write the recipe into `folder`, the working folder; `pack` are further settings of pack_model."""
    for name, text in _SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "data").mkdir()
    (folder / "data" / "words.txt").write_text("voice\n", encoding="utf-8")
    exp = folder / "exp" / "ctc"
    (exp / "inference").mkdir(parents=True)
    state = {"model.head.weight": torch.ones(1, 1), "model.head.bias": torch.tensor([-0.5])}
    torch.save({"state_dict": state}, exp / "last.ckpt")
    (exp / "inference" / "metrics.json").write_text(json.dumps(SCORES), encoding="utf-8")
    run = {"recipe_dir": ".", "exp_tag": "ctc", "exp_dir": "./exp/ctc", "data_dir": "./data"}
    return Packable(
        folder,
        OmegaConf.create({**run, "model": {"_target_": "src.model.Level"}, "create_dataset": {"sample_rate": 8000}}),
        OmegaConf.create(
            {
                **run,
                "inference_dir": "./exp/ctc/inference",
                "model": {
                    "_target_": "src.inference.Listener",
                    "checkpoint": "./exp/ctc/last.ckpt",
                    "words": str(folder / "data" / "words.txt"),
                },
                "input_key": "speech",
                "output_fn": "src.inference.build_output",
            }
        ),
        OmegaConf.create({**run, "inference_dir": "./exp/ctc/inference", "metrics": []}),
        OmegaConf.create({**run, "pack_model": {"out_dir": "./exp/ctc/model_pack", **pack}}),
    )


def tone(path: Path, level: float, rate: int = 8000) -> Path:
    """Write a quarter of a second of 300 Hz."""
    time = np.arange(rate // 4) / rate
    soundfile.write(path, level * np.sin(2 * np.pi * 300 * time), rate, subtype="FLOAT")
    return path
