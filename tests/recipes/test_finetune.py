"""Adapter, texts, telephone and the whole run of recipes/finetune."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def load(importer_of: Callable[[str], Callable[[str], ModuleType]]) -> Callable[[str], ModuleType]:
    return importer_of("finetune")


@pytest.fixture
def reader(load: Callable[[str], ModuleType]) -> Any:
    torch.manual_seed(0)
    return load("src.model").Reader(n_mels=20, hidden_size=16, vocab_size=11, dropout=0.0)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "speech": torch.randn(2, 16_000, generator=generator),
        "speech_lengths": torch.tensor([16_000, 9_000]),
        "text": torch.tensor([[1, 2, 3], [4, 5, -1]]),
        "text_lengths": torch.tensor([3, 2]),
    }


def test_an_adapter_begins_as_its_model(load: Callable[[str], ModuleType], reader: Any, batch: Any) -> None:
    """Before the first step the corrections are nothing, and they alone have gradients."""
    before = reader(**batch)[0]
    adapted = load("src.lora").LoraModel(reader, rank=2)
    loss = adapted(**batch)[0]
    loss.backward()
    trained = {name for name, each in adapted.named_parameters() if each.requires_grad}

    assert torch.equal(loss, before)
    assert trained == {name for name, each in adapted.named_parameters() if each.grad is not None}
    assert {name.rpartition(".")[2] for name in trained} == {"down", "up"}
    assert all(name.startswith("model.encoder.blocks.") for name in trained)


def test_merged_corrections_give_the_same(load: Callable[[str], ModuleType], reader: Any, batch: Any) -> None:
    """A trained adapter merges into a plain model with the same names and the same answers."""
    names = list(reader.state_dict())
    adapted = load("src.lora").LoraModel(reader, rank=3, alpha=6.0)
    optimizer = torch.optim.SGD([each for each in adapted.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        adapted(**batch)[0].backward()
        optimizer.step()
    loss = adapted(**batch)[0]
    merged = adapted.merge()

    assert list(merged.state_dict()) == names
    assert torch.allclose(merged(**batch)[0], loss, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"rank": 0}, "rank = 0"), ({"rank": 16}, "take 1 to 15"), ({"rank": 2, "layers": "features"}, "no linear layer")],
)
def test_adapters_that_do_not_fit(
    load: Callable[[str], ModuleType], reader: Any, arguments: dict[str, Any], message: str
) -> None:
    """A rank that saves nothing and a part without linear layers are refused."""
    with pytest.raises(ValueError, match=message):
        load("src.lora").LoraModel(reader, **arguments)


def test_padding_changes_nothing(reader: Any, batch: dict[str, torch.Tensor]) -> None:
    """An utterance is read alike alone and in a batch."""
    both, lengths = reader.eval().encode(batch["speech"], batch["speech_lengths"])
    alone, (frames,) = reader.encode(batch["speech"][1:, :9_000], batch["speech_lengths"][1:])

    assert int(lengths[1]) == int(frames)
    assert torch.allclose(both[1, : int(frames)], alone[0], atol=1e-5)


@pytest.mark.parametrize("tokens", ["Digits", "Letters"])
def test_texts_come_back(load: Callable[[str], ModuleType], tokens: str) -> None:
    """Both vocabularies hold every digit, and give it back as a digit."""
    made = getattr(load("src.text"), tokens)()
    numbers = made({"text": "0 1 2 3 4 5 6 7 8 9"})["text"]

    assert numbers.min() == 1
    assert made.decode(numbers.tolist()) == "0 1 2 3 4 5 6 7 8 9"


def test_a_telephone_keeps_its_band(load: Callable[[str], ModuleType]) -> None:
    """A tone in the band stays, tones below and above go."""
    time = np.arange(16_000) / 16_000
    low, middle, high = (np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (100, 1000, 5000))
    heard = load("src.telephone").Telephone()({"speech": low + middle + high})["speech"]

    assert heard.dtype == np.float32
    assert np.allclose(heard, middle, atol=1e-4)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The configs that are built of the recipe, by their names."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "esp3c", "build", str(RECIPES / "finetune"), "-o", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.stem: yaml.safe_load(path.read_text()) for path in (folder / "conf").glob("*.yaml")}


def test_inference_does_not_need_the_weights_that_its_training_began_with(built: dict[str, Any]) -> None:
    """Each finetuned model is built anew from its own checkpoint alone."""
    own = {name: json.dumps(built[name]["model"]) for name in ("inference", "inference_head", "inference_lora")}

    assert all("load_pretrained" not in model and "exp/base" not in model for model in own.values())
    assert built["inference_lora"]["model"]["model"]["rank"] == built["lora"]["model"]["rank"]


@pytest.mark.training
def test_the_recipe_runs(tmp_path: Path) -> None:
    """All stages run; each finetuning begins with the base, and each model is measured without it."""
    pytest.importorskip("espeakng_loader")
    left_out = shutil.ignore_patterns("__pycache__", "data", "exp", "conf", "recipe_data", ".esp3c")
    for name in ("finetune", "spoken_digits"):
        shutil.copytree(RECIPES / name, tmp_path / name, ignore=left_out)
    settings = ["utterances=16", *(f"{name}.trainer.max_epochs=1" for name in ("training", "pretraining", "new_head"))]
    command = [sys.executable, "-m", "esp3c", "run", str(tmp_path / "finetune")]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    exp = tmp_path / "finetune" / "exp"

    assert done.returncode == 0, done.stdout + done.stderr
    assert "pretrained: 28 of 30 weights of Reader" in done.stdout
    assert "6,912 of them trainable" in done.stdout
    for name in ("base", "whole", "head", "lora"):
        metrics = json.loads((exp / name / "inference" / "metrics.json").read_text())
        assert "telephone" in json.dumps(metrics)
    base, whole, lora = (
        torch.load(exp / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("base", "whole", "lora")
    )
    assert torch.equal(
        lora["model.model.encoder.blocks.0.wide.linear.weight"], base["model.encoder.blocks.0.wide.weight"]
    )
    assert not torch.equal(whole["model.encoder.blocks.0.wide.weight"], base["model.encoder.blocks.0.wide.weight"])


def test_the_guide_shows_the_recipe(built: dict[str, Any]) -> None:
    """What docs/guides/custom-model.md shows stands in the recipe, in its Python, and in what is built of it."""
    page = (RECIPES.parent / "docs" / "guides" / "custom-model.md").read_text(encoding="utf-8")
    shown = {name: re.findall(rf"^```{name}\n(.*?)^```$", page, re.M | re.S) for name in ("esp", "yaml", "python")}
    recipe = " ".join((RECIPES / "finetune" / "recipe.esp").read_text(encoding="utf-8").split())
    inference = (RECIPES / "finetune" / "src" / "inference.py").read_text(encoding="utf-8")

    assert len(shown["esp"]) == 8
    assert [block for block in shown["esp"] if re.sub(r" +", " ", " ".join(block.split())) not in recipe] == []
    assert all(block in inference for block in shown["python"])
    assert all(
        yaml.safe_load(block)["model"] in [each.get("model") for each in built.values()] for block in shown["yaml"]
    )
