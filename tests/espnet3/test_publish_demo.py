"""The page: what its folder holds, and what it answers."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from espnet3.publication.demo_page import demo_page, text_of
from espnet3.publication.sealed_folder import read_meta, verify
from espnet3.systems.base.system import BaseSystem
from espnet3.utils.config_utils import load_default_config
from espnet3.utils.errors import ConfigError
from support.foreign import foreign
from support.packable import Packable, packable, tone


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packable:
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return packable(folder)


def system_of(recipe: Packable, **keys: object) -> BaseSystem:
    demo = OmegaConf.merge(load_default_config("demo.yaml", "espnet3.systems.base"), {"exp_tag": "ctc", **keys})
    assert isinstance(demo, DictConfig)
    return BaseSystem(recipe.training, recipe.inference, recipe.metrics, recipe.publication, demo_config=demo)


def test_the_folder_has_all_that_the_page_needs(recipe: Packable) -> None:
    """The bundle, the program, what to install, and what makes it a space; sealed, and left alone by a second run."""
    system = system_of(recipe, title='The "levels"', description="Say it\nloud.")
    bundle = system.pack_model()
    folder = system.pack_demo()

    verify(folder, read_meta(folder))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    packed = {f"model/{path.relative_to(bundle).as_posix()}" for path in bundle.rglob("*") if path.is_file()}
    assert names == packed | {"app.py", "requirements.txt", "README.md", "meta.yaml"}
    front = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (front["title"], front["sdk"], front["app_file"]) == ('The "levels"', "gradio", "app.py")
    assert (folder / "requirements.txt").read_text(encoding="utf-8").startswith("esp3c[demo]==")
    before = (folder / "app.py").stat().st_mtime_ns
    assert system.pack_demo() == folder
    assert (folder / "app.py").stat().st_mtime_ns == before


def test_the_page_transcribes(recipe: Packable, tmp_path: Path) -> None:
    """Its program, run where the recipe is not, makes a page whose button answers with the hypothesis."""
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    system = system_of(recipe)
    system.pack_model()
    moved = tmp_path / "page"
    system.pack_demo().rename(moved)
    (recipe.folder / "src" / "inference.py").unlink()
    page = runpy.run_path(str(moved / "app.py"))["page"]

    (transcribe,) = [each.fn for each in page.fns.values() if each.api_name == "transcribe"]
    assert page.title == "levels/ctc"
    assert transcribe(str(tone(tmp_path / "a.wav", 0.9))) == "loud voice"


def test_what_cannot_be_transcribed_is_said_on_the_page(recipe: Packable, tmp_path: Path) -> None:
    gradio = pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    (tmp_path / "a.wav").write_text("no sound", encoding="utf-8")

    def hear(path: Path) -> str:
        from espnet3.publication.audio import read_audio

        return str(read_audio(path))

    page = demo_page(hear)  # type: ignore[arg-type]
    (transcribe,) = [each.fn for each in page.fns.values()]
    with pytest.raises(gradio.Error, match="cannot be read as audio"):
        transcribe(str(tmp_path / "a.wav"))
    with pytest.raises(gradio.Error, match="upload a file"):
        transcribe(None)


def test_what_a_person_reads_of_an_output() -> None:
    assert text_of({"utt_id": "a", "hyp": "one two"}) == "one two"
    assert text_of([{"label": "dog", "score": 0.5}]) == "label: dog\nscore: 0.5"
    assert text_of("plain") == "plain"


def test_a_model_of_the_hub_is_named_and_not_trusted(recipe: Packable) -> None:
    """Nothing is copied; its code runs only where the config says so."""
    folder = system_of(recipe, model={"dir_or_tag": "team/levels@v1"}).pack_demo()
    assert "from_pretrained('team/levels@v1', trust_user_code=False)" in (folder / "app.py").read_text(encoding="utf-8")
    assert not (folder / "model").exists()
    assert "models:\n- team/levels\n" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_bundle_of_somebody_else_is_not_trusted(recipe: Packable, tmp_path: Path) -> None:
    """Only what this run's own pack_model wrote is; for any other, somebody has to say so, and what would run is shown."""
    system_of(recipe).pack_model()
    other = (recipe.folder / "exp" / "ctc" / "model_pack").rename(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"(?s)src\.inference\.Listener .*set model\.trust_user_code to true"):
        system_of(recipe, model={"dir_or_tag": str(other)}).pack_demo()
    assert not (recipe.folder / "exp" / "ctc" / "demo").exists()

    for trust in (False, True):
        model = {"dir_or_tag": str(other), "trust_user_code": trust}
        demo = {"out_dir": f"./{trust}"}
        folder = system_of(recipe, model=model, pack_demo=demo).pack_demo()
        assert f"trust_user_code={trust})" in (folder / "app.py").read_text(encoding="utf-8")


def test_a_bundle_of_known_parts_needs_no_trust(recipe: Packable, tmp_path: Path) -> None:
    folder = system_of(recipe, model={"dir_or_tag": str(foreign(tmp_path / "other", {}))}).pack_demo()
    assert "trust_user_code=False)" in (folder / "app.py").read_text(encoding="utf-8")


def test_a_page_without_a_bundle(recipe: Packable) -> None:
    with pytest.raises(ConfigError, match=r"there is no bundle .*model_pack: run the stage pack_model first"):
        system_of(recipe).pack_demo()
    with pytest.raises(ConfigError, match=r"model\.dir_or_tag: there is no bundle \.\./x"):
        system_of(recipe, model={"dir_or_tag": "../x"}).pack_demo()
    with pytest.raises(ConfigError, match="run the stage pack_demo first"):
        system_of(recipe, upload_demo={"hf_repo": "team/page"}).upload_demo()
