"""A bundle in use: what it answers, what it may run, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from espnet3.publication.inference_model import InferenceModel, UntrustedCode
from espnet3.publication.sealed_folder import META, BundleError, seal
from espnet3.systems.base.inference_runner import InferenceRunner
from espnet3.utils.errors import ConfigError, OutputError
from espnet3.utils.publish_utils import pack_model
from support.packable import packable, tone


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle elsewhere, whose recipe is gone."""
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = pack_model(*packable(folder).configs())
    moved = tmp_path / "elsewhere" / "bundle"
    shutil.copytree(made, moved)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(folder)
    return moved


@pytest.fixture
def model(bundle: Path) -> InferenceModel:
    return InferenceModel.from_packed(bundle, trust_user_code=True)


def changed(bundle: Path, **keys: object) -> Path:
    """The bundle with other keys in its inference config, sealed again: as somebody else might have made it."""
    path = bundle / "conf" / "inference.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), **keys}), encoding="utf-8")
    meta = yaml.safe_load((bundle / META).read_text(encoding="utf-8"))
    (bundle / META).unlink()
    seal(bundle, meta)
    return bundle


def test_files_arrays_and_samples(model: InferenceModel, tmp_path: Path) -> None:
    """What the recipe's output_fn makes comes back; a field that is not there is an empty text."""
    loud, quiet = tone(tmp_path / "loud.wav", 0.9), tone(tmp_path / "quiet.wav", 0.1)

    assert model(loud, idx=7) == {"utt_id": "loud", "hyp": "loud voice", "ref": "", "idx": 7}
    assert model(str(quiet))["hyp"] == "quiet voice"
    assert model.forward(np.full(100, 0.9, np.float32), idx="x")["utt_id"] == "x"
    assert model({"speech": torch.full((9,), 0.2), "utt_id": "a", "text": "said"})["ref"] == "said"
    assert (model.primary_input_key, model.sample_rate) == ("speech", 8000)
    # A further argument of the model's call.
    assert model(quiet, gain=9.0)["hyp"] == "loud voice"


def test_several_at_once(model: InferenceModel, tmp_path: Path) -> None:
    found = model.forward_batch([tone(tmp_path / "a.wav", 0.9), np.zeros(9, np.float32)], indices=["p", "q"])

    assert [(each["hyp"], each["idx"]) for each in found] == [("loud voice", "p"), ("quiet voice", "q")]
    assert model.forward_batch([]) == []
    with pytest.raises(ValueError, match="2 samples need as many indices, not 1"):
        model.forward_batch([1, 2], indices=[0])


def test_a_file_of_another_rate_is_resampled(model: InferenceModel, tmp_path: Path) -> None:
    """A tone keeps its level; a stereo file becomes one channel."""
    pytest.importorskip("soxr", reason="the extra `publication` is not installed")
    from espnet3.publication.audio import read_audio

    samples = read_audio(tone(tmp_path / "high.wav", 0.4, rate=48_000), 8000)

    assert samples.shape == (2000,) and samples.dtype == np.float32
    assert abs(float(np.abs(samples[200:-200]).max()) - 0.4) < 0.01
    assert model(tmp_path / "high.wav")["hyp"] == "quiet voice"


def test_what_is_no_recording(model: InferenceModel, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        model(tmp_path / "absent.wav")
    with pytest.raises(OutputError, match="cannot be read as audio"):
        model(tmp_path / "text.wav")
    with pytest.raises(
        OutputError, match=r"the sample has no 'speech' \(input_key\); it has 'speach', 'utt_id'; did you"
    ):
        model({"speach": np.zeros(3)})


def test_nothing_that_the_bundle_names_runs_without_trust(bundle: Path) -> None:
    """The error says which code would run, in which file, and how to trust it."""
    changed(bundle, provider="os.path.join")
    marker = bundle.parent / "ran"
    source = bundle / "src" / "inference.py"
    source.write_text(f"open({str(marker)!r}, 'w')\n" + source.read_text(encoding="utf-8"), encoding="utf-8")
    changed(bundle)
    with pytest.raises(UntrustedCode) as caught:
        InferenceModel.from_packed(bundle)

    text = str(caught.value)
    assert "model._target_: src.inference.Listener (src/inference.py)" in text
    assert "output_fn: src.inference.build_output (src/inference.py)" in text
    assert "provider: os.path.join (the installed package os)" in text
    assert "Python: src/__init__.py, src/inference.py, src/model.py, src/words.py" in text
    assert text.endswith("load the bundle with trust_user_code=True")
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "torch.load", "torch.hub.load", "torch.os.system", "torch.nn.modules.module.torch.os.system",
        "espnet3.utils._dotted.import_dotted", "espnet3.components.data.data_organizer.DataOrganizer", "builtins.eval",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["plain", "nested", "lookup", "partial"])
def test_targets_that_need_trust(bundle: Path, target: str, form: str) -> None:
    """Wherever they stand, and also those that are reached through a package that is known."""
    node = {
        "plain": {"_target_": target},
        "nested": {"_target_": "torch.nn.Sequential", "_args_": [{"x": [{"_target_": target}]}]},
        "lookup": {"_target_": "hydra.utils.get_method", "path": target},
        "partial": {"_target_": target, "_partial_": True},
    }[form]
    changed(bundle, model=node, output_fn=None)
    with pytest.raises(UntrustedCode, match=target.replace(".", r"\.")):
        InferenceModel.from_packed(bundle)


def test_a_bundle_of_known_parts_needs_no_trust(bundle: Path, tmp_path: Path) -> None:
    """Layers of torch with the weights of the bundle; without an output_fn the model's output comes back."""
    torch.save({"0.weight": torch.full((1, 3), 2.0), "0.bias": torch.zeros(1)}, bundle / "exp" / "ctc" / "layers.pth")
    changed(
        bundle,
        model={
            "_target_": "espnet3.components.modeling.pretrained.load_pretrained",
            "model": {
                "_target_": "torch.nn.Sequential",
                "_args_": [{"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 1}],
            },
            "checkpoint": "${recipe_dir}/exp/ctc/layers.pth",
        },
        input_key="input",
        output_fn=None,
    )
    model = InferenceModel.from_packed(bundle)

    assert model(np.ones(3, np.float32)).tolist() == [6.0]


def test_values_that_refer_to_something_outside(bundle: Path) -> None:
    """A bundle's config is not told what stands in the environment, or in other files."""
    for value in ("${oc.env:HOME}", "${load_line:/etc/passwd}", "${nowhere}", r"\\${oc.env:HOME}"):
        changed(bundle, note=value)
        with pytest.raises(ConfigError, match="note refers to something outside of the bundle"):
            InferenceModel.from_packed(bundle, trust_user_code=True)


def test_files_are_as_they_were_packed(bundle: Path) -> None:
    """Changed, missing, added, or listed outside: with trust as well."""
    source = bundle / "src" / "words.py"
    original = source.read_text(encoding="utf-8")
    source.write_text(original.replace("loud", "LOUD"), encoding="utf-8")
    with pytest.raises(BundleError, match=r"src/words\.py is not as it was packed"):
        InferenceModel.from_packed(bundle, trust_user_code=True)
    source.unlink()
    with pytest.raises(BundleError, match=r"src/words\.py is missing"):
        InferenceModel.from_packed(bundle, trust_user_code=True)
    source.write_text(original, encoding="utf-8")
    (bundle / "torch.py").write_text("", encoding="utf-8")
    with pytest.raises(BundleError, match=r"'torch\.py' was added after packing"):
        InferenceModel.from_packed(bundle, trust_user_code=True)
    (bundle / "torch.py").unlink()
    meta = yaml.safe_load((bundle / META).read_text(encoding="utf-8"))
    meta["sha256"]["../outside"] = {"size": 0, "sha256": ""}
    (bundle / META).write_text(yaml.safe_dump(meta), encoding="utf-8")
    with pytest.raises(BundleError, match=r"names '\.\./outside', which is not inside it"):
        InferenceModel.from_packed(bundle, trust_user_code=True)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds no meta\.yaml, so it is no bundle"):
        InferenceModel.from_packed(tmp_path)
    (tmp_path / META).write_text("a: [", encoding="utf-8")
    with pytest.raises(BundleError, match="is no YAML"):
        InferenceModel.from_packed(tmp_path)


def test_two_bundles_and_the_recipe_at_hand_keep_their_own_code(
    bundle: Path, model: InferenceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a package `src`; imports inside a call find the bundle's, and byte code beside it is not read."""
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    words = other / "src" / "words.py"
    words.write_text(words.read_text(encoding="utf-8").replace("loud", "noisy"), encoding="utf-8")
    changed(other)
    at_hand = tmp_path / "hand"
    (at_hand / "src").mkdir(parents=True)
    (at_hand / "src" / "__init__.py").write_text("MINE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(at_hand)
    before = {name for name in sys.modules if name.split(".")[0] == "src"}
    second = InferenceModel.from_packed(other, trust_user_code=True)
    sample = np.ones(9, np.float32)

    assert [each(sample)["hyp"] for each in (model, second, model)] == ["loud voice", "noisy voice", "loud voice"]
    assert {name for name in sys.modules if name.split(".")[0] == "src"} == before
    assert not list(bundle.rglob("__pycache__"))


def test_files_that_a_packed_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's own YAML names its words from the recipe's folder: they are packed, and found from anywhere."""
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    recipe = packable(folder)
    settings = {"words": "data/words.txt", "dataloader": {"shapes": "src/unused.py"}, "note": "a/b"}
    (folder / "exp" / "ctc" / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "src" / "own.py").write_text(
        "import yaml\nfrom src.inference import Listener\n\n\ndef own(checkpoint, config):\n"
        "    return Listener(checkpoint, yaml.safe_load(open(config))['words'])\n",
        encoding="utf-8",
    )
    recipe.inference.model = {
        "_target_": "src.own.own",
        "checkpoint": "./exp/ctc/last.ckpt",
        "config": "./exp/ctc/config.yaml",
    }
    bundle = pack_model(*recipe.configs()).rename(tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(folder)

    assert (bundle / "data" / "words.txt").is_file() and not (bundle / "src" / "unused.py").exists()
    assert InferenceModel.from_packed("bundle", trust_user_code=True)(np.ones(9, np.float32))["hyp"] == "loud voice"


def test_a_preprocessor_stands_before_the_model() -> None:
    """As the recipe's test sets have it; the names of its input and its text may be missing."""
    config = {
        "model": {"_target_": "torch.nn.Identity"},
        "input_key": "input",
        "dataset": {"preprocessor": {"_target_": "hydra.utils.get_object", "path": f"{__name__}.halved"}},
    }
    assert InferenceModel(OmegaConf.create(config))(np.ones(2, np.float32)).tolist() == [0.5, 0.5]


def halved(sample: dict[str, object]) -> dict[str, object]:
    assert sample["text"] == ""
    return {**sample, "input": np.asarray(sample["input"]) / 2}


def lengths(speech: object) -> object:
    return [len(each) for each in speech] if isinstance(speech, list) else len(speech)  # type: ignore[arg-type]


def described(data: object, model_output: object, idx: object) -> object:
    if not isinstance(model_output, list):
        return {"hyp": f"{model_output} in {idx}"}
    assert isinstance(data, list) and isinstance(idx, list)
    return [{"hyp": f"{each} of {len(data)} in {number}"} for each, number in zip(model_output, idx, strict=True)]


def test_batches_are_as_the_config_says() -> None:
    """With a batch_size, model and output_fn get lists; one sample is a batch of one."""
    here = {"_target_": "hydra.utils.get_object"}
    config = OmegaConf.create(
        {
            "model": {**here, "path": f"{__name__}.lengths"},
            "output_fn": f"{__name__}.described",
            "input_key": "speech",
            "batch_size": 2,
        }
    )
    samples = [np.ones(size, np.float32) for size in (1, 2, 3)]
    model = InferenceModel(config)

    assert [each["hyp"] for each in model.forward_batch(samples)] == ["1 of 2 in 0", "2 of 2 in 1", "3 of 1 in 2"]
    assert model(samples[2], idx="x") == {"hyp": "3 of 1 in x"}
    config.batch_size = None
    assert [each["hyp"] for each in InferenceModel(config).forward_batch(samples)] == ["1 in 0", "2 in 1", "3 in 2"]


def test_a_runner_of_the_recipe_is_asked() -> None:
    """Its forward makes the result, as in the stage infer."""
    config = OmegaConf.create(
        {
            "model": {"_target_": "hydra.utils.get_object", "path": f"{__name__}.lengths"},
            "input_key": "speech",
            "runner": {"_target_": f"{__name__}.Twice", "note": "any"},
        }
    )

    assert InferenceModel(config)(np.ones(4, np.float32)) == {"twice": 8}


class Twice(InferenceRunner):
    @staticmethod
    def forward(idx: object, dataset: object = None, model: object = None, **env: object) -> object:
        assert env["input_key"] == ["speech"]
        return {"twice": 2 * model(dataset[idx]["speech"])}  # type: ignore[operator, index]


def test_the_keys_that_are_needed() -> None:
    with pytest.raises(ConfigError, match="has no input_key"):
        InferenceModel(OmegaConf.create({"model": {"_target_": "torch.nn.Identity"}}))
    with pytest.raises(ConfigError, match="has no `model`"):
        InferenceModel(OmegaConf.create({"input_key": "x"}))


def test_another_process_in_another_folder(bundle: Path, tmp_path: Path) -> None:
    """Nothing but the bundle is needed."""
    wav = tone(tmp_path / "a.wav", 0.9)
    code = (
        "import sys\nfrom espnet3.publication.inference_model import InferenceModel\n"
        "print(InferenceModel.from_packed(sys.argv[1], trust_user_code=True)(sys.argv[2])['hyp'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle), str(wav)], cwd="/", capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("loud voice\n", 0), done.stderr
