"""Weights of an earlier training in another model: what is loaded, left, said and refused."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from espnet3.components.modeling.initialize import initialize
from espnet3.components.modeling.optimizers import build_several, build_single
from espnet3.components.modeling.pretrained import freeze, load_pretrained, was_loaded
from espnet3.components.modeling.weight_files import read_weights
from espnet3.utils.errors import ConfigError
from espnet3.utils.instantiation import TargetError, instantiate_target
from espnet3.utils.pretrained_weights import without_loading


class Net(torch.nn.Module):
    """An encoder of two layers and a head."""

    def __init__(self, vocab_size: int = 5) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
        self.head = torch.nn.Linear(8, vocab_size)


class Wrapped(torch.nn.Module):
    """A model that holds another one."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model


class Tied(torch.nn.Module):
    """Its output layer has the matrix of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 3)
        self.out = torch.nn.Linear(3, 5, bias=False)
        self.out.weight = self.embedding.weight
        self.norm = torch.nn.BatchNorm1d(3)


class Counting(torch.nn.Module):
    """Has a state that is no tensor."""

    def __init__(self, steps: int = 0) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.steps = steps

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


class Sneaky:
    """Runs code where it is read by a loader that trusts the file."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("was_run",)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This module under a name that a config can say, in a folder of its own."""
    monkeypatch.setitem(sys.modules, "nets", sys.modules[__name__])
    monkeypatch.chdir(tmp_path)


def saved(model: torch.nn.Module, form: str = "state_dict") -> str:
    """Write a model's weights in one of the forms that are known."""
    state = model.state_dict()
    if form == "lightning":
        held = {f"model.{name}": value for name, value in state.items()}
        torch.save({"state_dict": held, "optimizer_states": [{"lr": 0.1}], "epoch": 3}, "net.ckpt")
        return "net.ckpt"
    if form == "beside others":
        torch.save({"model": state, "step": 12}, "net.pt")
        return "net.pt"
    if form == "old form":
        torch.save(state, "net.pth", _use_new_zipfile_serialization=False)
        return "net.pth"
    torch.save(state, "net.pth")
    return "net.pth"


def same(one: torch.nn.Module, other: torch.nn.Module, part: str = "") -> bool:
    """Whether the weights of a part are those of another model."""
    left, right = one.state_dict(), other.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left if name.startswith(part))


@pytest.mark.parametrize("form", ["lightning", "state_dict", "beside others", "old form"])
def test_a_whole_model(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All weights and buffers of every known form arrive, in the very model that was given."""
    old, new = Net(), Net()
    old.encoder[1].running_mean.add_(3.0)
    checkpoint = saved(old, form)
    given = load_pretrained(new, checkpoint)

    assert given is new
    assert same(new, old)
    assert capsys.readouterr().out == (
        f"pretrained: 9 of 9 weights of Net (118 numbers) from {checkpoint}\npretrained: loaded encoder (7), head (2)\n"
    )


def test_safetensors() -> None:
    """The format of tensors alone is read where its package is installed."""
    files = pytest.importorskip("safetensors.torch")
    tied, other = Tied(), Tied()
    # The format keeps one of the names of a weight.
    files.save_model(tied, "tied.safetensors")
    load_pretrained(other, "tied.safetensors")

    assert same(other, tied)
    assert other.out.weight is other.embedding.weight
    old, new = Net(), Net()
    files.save_file(old.state_dict(), "net.safetensors")
    load_pretrained(new, "net.safetensors")

    assert same(new, old)
    Path("broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"broken\.safetensors cannot be read"):
        load_pretrained(new, "broken.safetensors")


def test_safetensors_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing, the message says how to install it."""
    Path("net.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ConfigError, match="pip install safetensors"):
        load_pretrained(Net(), "net.safetensors")


def test_a_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    """`only` loads a part; the rest stays as it was made, which is said."""
    old, new = Net(), Net(vocab_size=9)
    head = new.head.weight.clone()
    load_pretrained(new, saved(old), only=["encoder"])
    output = capsys.readouterr().out

    assert same(new, old, "encoder")
    assert torch.equal(new.head.weight, head)
    assert "pretrained: 7 of 9 weights of Net" in output
    assert "pretrained: 2 left as made, not asked for (head (2))" in output


def test_a_part_of_a_part() -> None:
    """A part is whole words of a name: `encoder.1` is not `encoder.10`."""
    old, new = Net(), Net()
    load_pretrained(new, saved(old), only=["encoder", "head.bias"], skip=["encoder.1"])

    assert same(new, old, "encoder.0")
    assert same(new, old, "head.bias")
    assert not same(new, old, "head.weight")


def test_a_new_head(capsys: pytest.CaptureFixture[str]) -> None:
    """Weights of another shape are refused, unless they are left out or allowed to differ."""
    checkpoint = saved(Net())
    with pytest.raises(ConfigError, match=r"2 of another shape \(head\.weight \[5, 8\] → \[9, 8\], head\.bias"):
        load_pretrained(Net(vocab_size=9), checkpoint)
    skipping, lenient = Net(vocab_size=9), Net(vocab_size=9)
    head = lenient.head.weight.clone()
    load_pretrained(skipping, checkpoint, skip=["head"])
    capsys.readouterr()
    load_pretrained(lenient, checkpoint, strict=False)

    assert same(lenient, skipping, "encoder")
    assert torch.equal(lenient.head.weight, head)
    assert "pretrained: 2 of another shape (head.weight [5, 8] → [9, 8]" in capsys.readouterr().out


@pytest.mark.parametrize("skip", ["out", "embedding"])
def test_a_weight_with_two_names_is_left_by_either(skip: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said to be left as it was made is left, under its other name too."""
    old, new = Tied(), Tied()
    old.norm.running_mean.add_(3.0)
    made = new.out.weight.clone()
    load_pretrained(new, saved(old), skip=[skip])
    output = capsys.readouterr().out

    assert torch.equal(new.embedding.weight, made)
    assert same(new, old, "norm")
    assert "pretrained: 5 of 7 weights of Tied (13 numbers)" in output
    assert "pretrained: skip leaves out what is one weight: embedding.weight = out.weight" in output


@pytest.mark.parametrize("absent", ["out.weight", "embedding.weight"])
def test_a_weight_with_two_names_is_found_under_either(absent: str) -> None:
    """Strictly, too, and by a part that has one of them."""
    old = Tied()
    state = {name: value for name, value in old.state_dict().items() if name != absent}
    torch.save(state, "one_name.pth")
    whole, part = Tied(), Tied()
    load_pretrained(whole, "one_name.pth")
    load_pretrained(part, saved(old), only=[absent])

    assert same(whole, old)
    assert torch.equal(part.out.weight, old.out.weight)
    assert was_loaded(part.out.weight)


def test_two_weights_of_a_checkpoint_for_one_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is taken unless one is asked for: nobody knows which is meant."""
    old, lenient, chosen = Tied(), Tied(), Tied()
    old.out.weight = torch.nn.Parameter(torch.ones(5, 3))
    made = lenient.out.weight.clone()
    checkpoint = saved(old)
    with pytest.raises(ConfigError, match=r"has once and the checkpoint several times.*embedding.weight = out.weight"):
        load_pretrained(Tied(), checkpoint)
    load_pretrained(lenient, checkpoint, strict=False)
    load_pretrained(chosen, checkpoint, only=["out", "norm"])

    assert torch.equal(lenient.out.weight, made)
    assert "several times, with other numbers (embedding.weight = out.weight)" in capsys.readouterr().out
    assert torch.equal(chosen.embedding.weight, torch.ones(5, 3))


def test_a_state_that_is_no_tensor() -> None:
    """It is loaded with the weights, and `skip` leaves it out."""
    checkpoint = saved(Counting(steps=3))
    whole, part = Counting(), Counting()
    load_pretrained(whole, checkpoint)
    load_pretrained(part, checkpoint, skip=["_extra_state"])

    assert (whole.steps, part.steps) == (3, 0)
    assert set(read_weights(checkpoint)) == {"layer.weight", "layer.bias"}


def test_a_failed_loading_changes_nothing() -> None:
    """A model that is refused a checkpoint has the weights that it was made with."""
    model = Net(vocab_size=9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConfigError):
        load_pretrained(model, saved(Net()))

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "rename", [{"": "model"}, [["", "model"]], [["encoder", "model.encoder"], ["head", "model.head"]]]
)
def test_weights_under_another_name(rename: Any) -> None:
    """The checkpoint's names are brought to the model's, from without and from within."""
    inner = Net()
    wrapped, back = Wrapped(Net()), Net()
    load_pretrained(wrapped, saved(inner), rename=rename)
    load_pretrained(back, saved(wrapped), rename=[["model", ""]])

    assert same(wrapped.model, inner)
    assert same(back, inner)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": ["encodr"]}, "`only` names 'encodr', .*did you mean 'encoder'"),
        ({"skip": ["encoder.2"]}, "`skip` names 'encoder.2'"),
        ({"only": "encoder"}, r"`only` is a list of parts: write \['encoder'\]"),
        ({"only": []}, "`only` is empty"),
        (
            {"rename": [["hed", "head"]]},
            "`rename` names 'hed', which is no part of the checkpoint; did you mean 'head'",
        ),
        ({"rename": [["encoder", "head"], ["head", "head"], ["encoder.0", "head"]]}, "two weights .* 'head.weight'"),
        ({"rename": ["head"]}, "`rename` takes pairs"),
        ({"checkpoint": "ned.pth"}, r"ned\.pth is not there; did you mean 'net\.pth'"),
        ({"checkpoint": "far/net.pth"}, "nor is its folder far"),
        ({"checkpoint": "text.pth"}, "cannot be read"),
        ({"checkpoint": "cut.pth"}, "cannot be read"),
        ({"checkpoint": "numbers.pth"}, "holds no weights by their names; it has epoch"),
        ({"checkpoint": "tensor.pth"}, "holds a Tensor and no weights"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    """Parts, names and files that are not there or no weights are refused in words."""
    checkpoint = saved(Net())
    Path("text.pth").write_text("these are no weights")
    Path("cut.pth").write_bytes(Path(checkpoint).read_bytes()[:-200])
    torch.save({"epoch": 3}, "numbers.pth")
    torch.save(torch.zeros(3), "tensor.pth")
    with pytest.raises(ConfigError, match=message):
        load_pretrained(Net(), **{"checkpoint": checkpoint, **arguments})


@pytest.mark.parametrize(
    ("model", "checkpoint", "hint"),
    [
        (Net, lambda: Wrapped(Net()), r'rename = \[\["model", ""\]\] would make 9'),
        (lambda: Wrapped(Net()), Net, r'rename = \[\["", "model"\]\] would make 9'),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_nothing_that_fits(model: Any, checkpoint: Any, hint: str, strict: bool) -> None:
    """A checkpoint of which nothing fits is an error in any case, with the renaming that would help."""
    with pytest.raises(ConfigError, match=f"has nothing for .*{hint}"):
        load_pretrained(model(), saved(checkpoint()), strict=strict)


def test_code_in_a_checkpoint_is_not_run() -> None:
    """A file that holds more than weights is refused with what it holds, in both forms of torch's files."""
    for new_form in (True, False):
        torch.save(
            {"state_dict": Net().state_dict(), "more": Sneaky()}, "net.ckpt", _use_new_zipfile_serialization=new_form
        )
        with pytest.raises(ConfigError, match="could run code"):
            load_pretrained(Net(), "net.ckpt")

    assert not Path("was_run").exists()


def test_weights_of_another_precision() -> None:
    """Half precision becomes what the model was made with."""
    old = Net()
    checkpoint = saved(old.half())
    new = load_pretrained(Net(), checkpoint)

    assert new.head.weight.dtype is torch.float32
    assert torch.equal(new.head.weight, old.head.weight.float())
    assert read_weights(checkpoint)["head.weight"].dtype is torch.float16


def test_in_a_config() -> None:
    """As targets of a config, around each other; an error knows the key of its argument."""
    old = Net()
    target = "espnet3.components.modeling.pretrained."
    model = {
        "_target_": target + "freeze",
        "model": {
            "_target_": target + "load_pretrained",
            "model": {"_target_": "nets.Net", "vocab_size": 9},
            "checkpoint": saved(old, "lightning"),
            "only": ["encoder"],
        },
        "only": ["encoder"],
    }
    made = instantiate_target(OmegaConf.create({"model": model}).model, "model")
    model["model"]["only"] = ["encodr"]  # type: ignore[index]

    assert isinstance(made, Net)
    assert same(made, old, "encoder")
    assert [name for name, each in made.named_parameters() if each.requires_grad] == ["head.weight", "head.bias"]
    with pytest.raises(TargetError, match="did you mean 'encoder'") as refused:
        instantiate_target(OmegaConf.create({"model": model}).model, "model")
    assert refused.value.key == "model.model.only"


def test_frozen_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Optimizers, one or several, get what is not frozen."""
    sgd = {"_target_": "torch.optim.SGD", "lr": 0.1}
    model = freeze(Net(), skip=["head"])
    single = build_single(model, OmegaConf.create({"optimizer": sgd}))["optimizer"]
    several = build_several(model, OmegaConf.create({"optimizers": {"h": {"optimizer": sgd, "params": "head"}}}))

    assert single.param_groups[0]["params"] == list(model.head.parameters())
    assert list(several["h"].parameters) == ["head.weight", "head.bias"]
    assert capsys.readouterr().out == "frozen: 4 of 6 parameters of Net (encoder (4)); trained: head (2)\n"
    with pytest.raises(ConfigError, match="did you mean 'head'"):
        freeze(model, only=["heat"])
    with pytest.raises(ConfigError, match="nothing of Net is frozen"):
        freeze(model, only=["head"], skip=["head"])


def test_freezing_a_weight_with_two_names(capsys: pytest.CaptureFixture[str]) -> None:
    """It is frozen by either of them, counts once, and stays trainable where `skip` has one of them."""
    frozen, trained = Tied(), Tied()
    freeze(frozen, only=["out"])
    output = capsys.readouterr().out
    freeze(trained, skip=["out"])

    assert not frozen.embedding.weight.requires_grad
    assert "frozen: 1 of 3 parameters of Tied (embedding (1)); trained: norm (2)" in output
    assert trained.embedding.weight.requires_grad
    assert not trained.norm.weight.requires_grad


def test_init_keeps_what_was_loaded() -> None:
    """The key `init` draws the new head, and leaves the backbone that was loaded."""
    old, new = Net(), Net(vocab_size=9)
    load_pretrained(new, saved(old), only=["encoder"])
    head = new.head.weight.clone()
    initialize(new, "orthogonal")

    assert same(new, old, "encoder")
    assert not torch.equal(new.head.weight, head)
    assert not new.head.bias.any()


def test_models_whose_weights_come_from_elsewhere() -> None:
    """Inside `without_loading` a model stays as it was made, and its checkpoint is not looked for."""
    model = Net()
    with without_loading():
        given = load_pretrained(model, "nowhere.ckpt", only=["nothing"])

    assert given is model
    with pytest.raises(ConfigError, match="is not there"):
        load_pretrained(model, "nowhere.ckpt")
