"""What a bundle holds, what it refuses to hold, and how it appears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

import espnet3.publication.pack as packing
from espnet3.publication.sealed_folder import META, building, read_meta, seal, verify
from espnet3.utils.errors import ConfigError
from espnet3.utils.publish_utils import pack_model
from support.packable import SCORES, Packable, packable


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packable:
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return packable(folder)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def set_pack(recipe: Packable, **settings: Any) -> None:
    recipe.publication.pack_model = {**recipe.publication.pack_model, **settings}


def test_a_bundle_holds_what_inference_names_and_no_more(recipe: Packable) -> None:
    """Checkpoint, the file of words, the code and what it imports, the scores; all with their hashes."""
    bundle = pack_model(*recipe.configs())

    assert bundle == recipe.folder / "exp" / "ctc" / "model_pack"
    assert set(tree(bundle)) == {
        "README.md", "meta.yaml", "metrics.json", "conf/training.yaml", "conf/inference.yaml", "conf/metrics.yaml",
        "exp/ctc/last.ckpt", "data/words.txt", "src/__init__.py", "src/inference.py", "src/model.py", "src/words.py",
    }  # fmt: skip
    meta = read_meta(bundle)
    verify(bundle, meta)
    assert set(meta["sha256"]) == set(tree(bundle)) - {META}
    assert (meta["name"], meta["input_key"], meta["sample_rate"]) == ("levels/ctc", "speech", 8000)
    assert meta["checkpoints"] == ["exp/ctc/last.ckpt"]
    assert {"espnet3", "python", "torch"} <= set(meta["versions"])
    assert json.loads((bundle / "metrics.json").read_text(encoding="utf-8")) == SCORES


def test_no_path_of_this_machine_is_in_a_bundle(recipe: Packable, tmp_path: Path) -> None:
    """Paths are from the bundle's folder; what is elsewhere and not packed has to be set."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    recipe.training.dataset_dir = str(corpus)
    recipe.training.command = f"--data={recipe.folder}/data"
    recipe.training.note = r"costs \${5}"
    bundle = pack_model(*recipe.configs())

    written = {name: data for name, data in tree(bundle).items() if name.endswith((".yaml", ".md"))}
    assert not [name for name, data in written.items() if str(tmp_path).encode() in data]
    inference = yaml.safe_load(written["conf/inference.yaml"])
    assert inference["recipe_dir"] == "."
    assert inference["model"]["checkpoint"] == "${recipe_dir}/exp/ctc/last.ckpt"
    assert inference["model"]["words"] == "${recipe_dir}/data/words.txt"
    training = yaml.safe_load(written["conf/training.yaml"])
    assert (training["dataset_dir"], training["command"]) == ("???", "--data=data")
    assert OmegaConf.create(training).note == "costs ${5}"


def test_a_file_from_elsewhere_is_taken_along(recipe: Packable, tmp_path: Path) -> None:
    (tmp_path / "shared.txt").write_text("all\n", encoding="utf-8")
    recipe.inference.model.words = str(tmp_path / "shared.txt")
    bundle = pack_model(*recipe.configs())

    assert (bundle / "files" / "shared.txt").read_text(encoding="utf-8") == "all\n"
    config = yaml.safe_load((bundle / "conf" / "inference.yaml").read_text(encoding="utf-8"))
    assert config["model"]["words"] == "${recipe_dir}/files/shared.txt"


def test_the_readme_is_a_card_that_the_hub_reads(recipe: Packable) -> None:
    """Its front matter has the error rates as results; its table has all numbers."""
    hub = pytest.importorskip("huggingface_hub", reason="the extra `publication` is not installed")
    text = (pack_model(*recipe.configs()) / "README.md").read_text(encoding="utf-8")
    card = hub.ModelCard(text)

    results = {(each.dataset_name, each.metric_type): each.metric_value for each in card.data.eval_results}
    assert results == {("clean", "wer"): 12.5, ("noisy", "wer"): 25.0}
    assert card.data.pipeline_tag == "automatic-speech-recognition"
    assert "| noisy | WER | 25.00 % | 40 words: 6 substitutions, 2 deletions, 2 insertions |" in card.text
    assert "| clean | Speed | seconds 0.251 |  |" in card.text
    assert 'InferenceModel.from_packed("model_pack", trust_user_code=True)' in card.text
    assert "| `head` | 2 |" in card.text


def test_a_readme_of_ones_own(recipe: Packable) -> None:
    """Its places are filled; one that is not known is named."""
    card = recipe.folder / "CARD.md"
    card.write_text("# Ours, for $$5\n\n$results\n", encoding="utf-8")
    set_pack(recipe, readme="CARD.md", include_model_detail=False)
    text = (pack_model(*recipe.configs()) / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: espnet\n")
    assert "# Ours, for $5\n\n| test set | metric |" in text

    card.write_text("$result", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has \$result, but only .* did you mean 'results'"):
        pack_model(*recipe.configs())


def test_include_exclude_files_and_yaml_files(recipe: Packable) -> None:
    notes = recipe.folder / "notes"
    (notes / "__pycache__").mkdir(parents=True)
    for name in ("a.md", "b.tmp", ".env", "__pycache__/x.pyc"):
        (notes / name).write_text(name, encoding="utf-8")
    (recipe.folder / "tune.yaml").write_text("words: ./data/words.txt\nsize: 3\n", encoding="utf-8")
    set_pack(
        recipe,
        include=["notes", "src/un*.py"],
        exclude=["*.tmp"],
        files={"words": "./data/words.txt"},
        yaml_files={"tune": "tune.yaml"},
    )
    bundle = pack_model(*recipe.configs())

    assert {"notes/a.md", "src/unused.py"} <= set(tree(bundle))
    assert not {"notes/b.tmp", "notes/.env", "notes/__pycache__/x.pyc"} & set(tree(bundle))
    meta = read_meta(bundle)
    assert (meta["files"], meta["yaml_files"]) == ({"words": "data/words.txt"}, {"tune": "conf/tune.yaml"})
    tune = yaml.safe_load((bundle / "conf" / "tune.yaml").read_text(encoding="utf-8"))
    assert tune == {"recipe_dir": ".", "words": "${recipe_dir}/data/words.txt", "size": 3}


def test_a_second_run_changes_nothing(recipe: Packable, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bundle is left alone, with its times, even where nothing may be overwritten."""
    bundle = pack_model(*recipe.configs())
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    pack_model(*recipe.configs())

    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before
    assert "is as it should be" in capsys.readouterr().out


def test_another_bundle_is_replaced_only_when_told(recipe: Packable) -> None:
    bundle = pack_model(*recipe.configs())
    before = tree(bundle)
    (recipe.folder / "data" / "words.txt").write_text("other\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"differs in 'data/words\.txt'; set pack_model\.allow_overwrite to true"):
        pack_model(*recipe.configs())
    assert tree(bundle) == before

    set_pack(recipe, allow_overwrite=True)
    pack_model(*recipe.configs())
    assert (bundle / "data" / "words.txt").read_bytes() == b"other\n"
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["inference", "last.ckpt", "model_pack"]


def test_a_folder_that_is_no_bundle_is_never_replaced(recipe: Packable) -> None:
    set_pack(recipe, out_dir="./src", allow_overwrite=True)
    with pytest.raises(ConfigError, match="was not made by this stage, so it is not replaced"):
        pack_model(*recipe.configs())
    assert (recipe.folder / "src" / "model.py").is_file()


@pytest.mark.parametrize("meta", ["", "files: {a: b}\n", "format: 1\nsha256: {}\n"])
def test_a_folder_with_a_meta_of_another_kind_is_never_replaced(recipe: Packable, meta: str) -> None:
    """Nor one that lists less than stands there."""
    models = recipe.folder / "models"
    models.mkdir()
    (models / META).write_text(meta, encoding="utf-8")
    (models / "model.pth").write_text("of a year", encoding="utf-8")
    set_pack(recipe, out_dir="./models", allow_overwrite=True)
    with pytest.raises(ConfigError, match=r"was not made by this stage|holds 'model\.pth', which was not packed"):
        pack_model(*recipe.configs())
    assert (models / "model.pth").read_text(encoding="utf-8") == "of a year"


@pytest.mark.parametrize("name", [".git/HEAD", "notes.txt", "link"])
def test_a_bundle_to_which_something_was_added_is_not_replaced(recipe: Packable, name: str) -> None:
    """A history, notes, a link: what is not listed would be lost."""
    bundle = pack_model(*recipe.configs())
    added = bundle / name
    added.parent.mkdir(exist_ok=True)
    added.symlink_to(recipe.folder) if name == "link" else added.write_text("ours", encoding="utf-8")
    (recipe.folder / "data" / "words.txt").write_text("other\n", encoding="utf-8")
    set_pack(recipe, allow_overwrite=True)
    with pytest.raises(ConfigError, match=rf"holds '{name}', which was not packed, so it is not replaced"):
        pack_model(*recipe.configs())
    assert added.exists()


def test_code_that_would_displace_a_module_is_not_packed(recipe: Packable) -> None:
    """Whoever loads the bundle would refuse it, or get a module of the bundle's where Python's was meant."""
    (recipe.folder / "code").mkdir()
    (recipe.folder / "code" / "tools.py").write_text("", encoding="utf-8")
    set_pack(recipe, include=["code"])
    with pytest.raises(ConfigError, match=r"code/tools\.py would take the place of 'code', a module of Python"):
        pack_model(*recipe.configs())


def test_a_text_that_could_be_read_as_a_reference_is_not_packed(recipe: Packable) -> None:
    """InferenceModel reads no `${` but that of the bundle's folder."""
    recipe.inference.note = r"costs \${5}"
    with pytest.raises(ConfigError, match=r"note of the inference config is a text with `\$\{` in it"):
        pack_model(*recipe.configs())


def test_what_stands_in_a_bundle_twice_is_written_twice(tmp_path: Path) -> None:
    """A bundle's own YAML has none of the aliases that are refused when it is read."""
    shared = [1, 2]
    seal(tmp_path, {"format": 1, "input_key": shared, "again": shared})
    assert read_meta(tmp_path)["again"] == [1, 2]


def test_a_transform_that_a_bundle_does_not_apply_is_said(recipe: Packable, capsys: pytest.CaptureFixture[str]) -> None:
    test = {"name": "noisy", "data_src": "levels/asr", "transform": {"_target_": "src.model.Level"}}
    recipe.inference.dataset = {"test": [test]}
    pack_model(*recipe.configs())
    assert "does not apply the transform of the test set 'noisy'" in capsys.readouterr().out


def test_nothing_appears_where_packing_fails(recipe: Packable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a part of a bundle nor what it was built in; and a bundle that two renames left aside comes back."""

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(packing, "seal", fail)
        with pytest.raises(OSError, match="the disk is full"):
            pack_model(*recipe.configs())
    out_dir = recipe.folder / "exp" / "ctc" / "model_pack"
    assert sorted(path.name for path in out_dir.parent.iterdir()) == ["inference", "last.ckpt"]

    pack_model(*recipe.configs())
    out_dir.rename(out_dir.parent / ".model_pack.previous")
    with building(out_dir):
        assert (out_dir / META).is_file()


def test_what_a_killed_process_left_is_removed(recipe: Packable) -> None:
    left = recipe.folder / "exp" / "ctc" / ".model_pack.4194999.partial"
    left.mkdir()
    pack_model(*recipe.configs())
    assert not left.exists()


def test_the_recipe_as_a_whole(recipe: Packable) -> None:
    """Its own README does not take the place of the bundle's, and an older bundle is not packed into the new one."""
    (recipe.folder / "README.md").write_text("ours", encoding="utf-8")
    (recipe.folder / "conf").mkdir()
    (recipe.folder / "conf" / "inference.yaml").write_text("a: 1\n", encoding="utf-8")
    pack_model(*recipe.configs())
    set_pack(recipe, include=["."], exclude=["src/unused.py", "exp/ctc/inference"], allow_overwrite=True)
    bundle = pack_model(*recipe.configs())

    names = set(tree(bundle))
    assert {"files/README.md", "files/conf/inference.yaml", "conf/inference.yaml", "src/model.py"} <= names
    assert not [name for name in names if "model_pack" in name or "unused" in name or "scp" in name]
    assert "# levels/ctc" in (bundle / "README.md").read_text(encoding="utf-8")


def test_importing_it_is_cheap() -> None:
    """Heavy packages are imported where they are needed."""
    modules = "pack", "inference_model", "demo", "demo_page", "hub"
    code = "import sys, espnet3.utils.publish_utils\n" + "".join(f"import espnet3.publication.{m}\n" for m in modules)
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "lightning", "numpy", "soundfile", "gradio", "huggingface_hub", "hydra", "soxr"}
    assert set(done.stdout.split()) & heavy == set()


def test_what_is_needed_and_missing_is_said(recipe: Packable) -> None:
    (recipe.folder / "exp" / "ctc" / "last.ckpt").unlink()
    with pytest.raises(ConfigError, match=r"model\.checkpoint of the inference config: there is no exp/ctc/last\.ckpt"):
        pack_model(*recipe.configs())
    with pytest.raises(ConfigError, match=r"there is no checkpoint in exp/ctc: run the stage train"):
        pack_model(recipe.training, recipe.publication)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"exclude": ["exp/ctc/*.ckpt"]},
            r"exclude leaves out exp/ctc/last\.ckpt, but inference config, model\.checkpoint",
        ),
        ({"exclude": ["src/inference.py"]}, r"exclude leaves out src/inference\.py, but the code src/inference\.py"),
        ({"include": ["src/modle.py"]}, r"there is no src/modle\.py; did you mean 'model\.py'"),
        ({"include": ["src/*.txt"]}, r"nothing in .* matches src/\*\.txt"),
        ({"inference_dir": "./elsewhere"}, r"run the stage measure before"),
        ({"out_dirr": "x"}, r"pack_model\.out_dirr is not known; did you mean 'out_dir'"),
        ({"out_dir": None}, r"pack_model\.out_dir is not set"),
        ({"include": "src"}, r"pack_model\.include is a list"),
        ({"yaml_files": {"training": "a.yaml"}}, r"conf/training\.yaml is taken"),
    ],
)
def test_settings_that_do_not_fit(recipe: Packable, settings: dict[str, Any], message: str) -> None:
    set_pack(recipe, **settings)
    with pytest.raises(ConfigError, match=message):
        pack_model(*recipe.configs())
    assert not (recipe.folder / "exp" / "ctc" / "model_pack").exists()


def test_secrets_stay_where_they_are(recipe: Packable, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a config by name or by an environment variable's value, in a file by its look or its name."""
    monkeypatch.setenv("SERVICE_API_KEY", "a-very-secret-value")
    recipe.inference.service = {"header": "Bearer a-very-secret-value"}
    with pytest.raises(ConfigError, match=r"service\.header of the inference config .*variable SERVICE_API_KEY"):
        pack_model(*recipe.configs())
    recipe.inference.service = {"password": "x"}
    with pytest.raises(ConfigError, match=r"service\.password of the inference config"):
        pack_model(*recipe.configs())
    recipe.inference.service = None

    source = recipe.folder / "src" / "words.py"
    source.write_text(source.read_text(encoding="utf-8") + f'TOKEN = "hf_{"a" * 34}"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"src/words\.py holds what looks like an access token"):
        pack_model(*recipe.configs())
    source.write_text("WORDS = {}\n", encoding="utf-8")
    (recipe.folder / ".env").write_text("A=b\n", encoding="utf-8")
    set_pack(recipe, include=[".env"])
    with pytest.raises(ConfigError, match=r"\.env is, by its name, a file that keeps secrets"):
        pack_model(*recipe.configs())


def test_links_become_files_and_lead_nowhere_unsaid(recipe: Packable, tmp_path: Path) -> None:
    """A link that a config names is followed; one in a folder may not lead out of the recipe."""
    exp = recipe.folder / "exp" / "ctc"
    (exp / "best.ckpt").symlink_to("last.ckpt")
    recipe.inference.model.checkpoint = "./exp/ctc/best.ckpt"
    bundle = pack_model(*recipe.configs())
    assert (bundle / "exp" / "ctc" / "best.ckpt").is_file()
    assert not (bundle / "exp" / "ctc" / "best.ckpt").is_symlink()

    (recipe.folder / "notes").mkdir()
    os.symlink("/etc", recipe.folder / "notes" / "system")
    set_pack(recipe, include=["notes"], allow_overwrite=True)
    with pytest.raises(ConfigError, match=r"notes/system is a link to /etc, which is no file of the recipe"):
        pack_model(*recipe.configs())


def test_without_an_inference_config_the_best_average_is_packed(
    recipe: Packable, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = recipe.folder / "exp" / "ctc"
    (exp / "valid.loss.ave_2best.pth").write_bytes((exp / "last.ckpt").read_bytes())
    recipe.training.best_model_criterion = [["valid/loss", 2, "min"]]
    bundle = pack_model(recipe.training, recipe.publication)

    assert read_meta(bundle)["checkpoints"] == ["exp/ctc/valid.loss.ave_2best.pth"]
    assert "InferenceModel cannot load it" in capsys.readouterr().out
