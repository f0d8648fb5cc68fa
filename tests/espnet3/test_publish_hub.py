"""Upload and download, against a stand-in of a model hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from espnet3.publication.inference_model import InferenceModel, UntrustedCode
from espnet3.publication.sealed_folder import BundleError
from espnet3.systems.base.system import BaseSystem
from espnet3.utils.errors import ConfigError
from espnet3.utils.publish_utils import pack_model
from support.hub import Hub, Repository, standing_in
from support.packable import Packable, packable, tone

pytest.importorskip("huggingface_hub", reason="the extra `publication` is not installed")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with standing_in() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_TOKEN", "writer")
        # The other way of sending large files is a service of its own, with a client that is no Python.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield served


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packable:
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = packable(folder, allow_overwrite=True)
    made.publication.upload_model = {"hf_repo": "team/levels", "private": True}
    return made


def system_of(recipe: Packable) -> BaseSystem:
    return BaseSystem(training_config=recipe.training, publication_config=recipe.publication)


def test_a_bundle_that_is_uploaded_is_fetched_and_used(hub: Hub, recipe: Packable, tmp_path: Path) -> None:
    """All files arrive, the checkpoint through LFS, in one commit; what is fetched is verified and asks for trust."""
    bundle = pack_model(*recipe.configs())
    system_of(recipe).upload_model()

    sent = hub.repositories["team/levels"]
    there = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert {name: data for name, data in sent.files.items() if name != ".gitattributes"} == there
    assert (sent.private, sent.large, len(sent.commits)) == (True, {"exp/ctc/last.ckpt"}, 1)

    with pytest.raises(UntrustedCode, match=r"src\.inference\.Listener \(src/inference\.py\)"):
        InferenceModel.from_pretrained("team/levels")
    model = InferenceModel.from_pretrained("team/levels", trust_user_code=True)
    assert model(tone(tmp_path / "a.wav", 0.9))["hyp"] == "loud voice"


def test_a_second_upload_sends_what_changed_and_removes_what_the_bundle_had(hub: Hub, recipe: Packable) -> None:
    """Files that somebody has put beside it stay, and do not stand in the way of whoever fetches it."""
    recipe.publication.pack_model.include = ["src/unused.py"]
    pack_model(*recipe.configs())
    system_of(recipe).upload_model()
    hub.repositories["team/levels"].files |= {"LICENSE": b"free", "notes/a.txt": b"ours"}
    recipe.publication.pack_model.include = ["data"]
    pack_model(*recipe.configs())
    hub.asked.clear()
    system_of(recipe).upload_model()

    files = hub.repositories["team/levels"].files
    assert "src/unused.py" not in files
    assert {"LICENSE", "notes/a.txt", ".gitattributes", "data/words.txt"} <= set(files)
    assert not [asked for asked in hub.asked if asked.startswith("PUT")]
    assert InferenceModel.from_pretrained("team/levels", trust_user_code=True).primary_input_key == "speech"


def test_a_repository_of_something_else_loses_nothing(hub: Hub, recipe: Packable) -> None:
    """A `meta.yaml` of another kind names no files of a bundle."""
    there = Repository("model", True)
    there.files |= {"meta.yaml": b"files: {model.pth: x}\n", "model.pth": b"weights"}
    hub.repositories["team/levels"] = there
    pack_model(*recipe.configs())
    system_of(recipe).upload_model()

    assert "model.pth" in there.files and b"sha256" in there.files["meta.yaml"]


def test_what_is_private_does_not_go_into_a_public_repository(hub: Hub, recipe: Packable) -> None:
    there = hub.repositories["team/levels"] = Repository("model", False)
    before = dict(there.files)
    pack_model(*recipe.configs())
    with pytest.raises(
        ConfigError, match=r"^upload_model: team/levels is there and public, but upload_model\.private is true"
    ):
        system_of(recipe).upload_model()
    assert (there.files, there.commits) == (before, [])

    recipe.publication.upload_model.private = False
    system_of(recipe).upload_model()
    assert len(there.commits) == 1


def test_a_folder_of_the_tags_name_is_not_taken(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the working folder does not decide what a tag means."""
    (tmp_path / "team" / "levels").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the hub has no team/levels"):
        InferenceModel.from_pretrained("team/levels")
    with pytest.raises(BundleError, match=r"holds no meta\.yaml"):
        InferenceModel.from_pretrained("./team/levels")


def test_a_repository_without_a_bundle(hub: Hub) -> None:
    hub.repositories["team/other"] = Repository("model", False)
    with pytest.raises(ConfigError, match=r"team/other holds no meta\.yaml, so it is no bundle"):
        InferenceModel.from_pretrained("team/other")


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, r"no token for the hub; set HF_TOKEN"),
        ("wrong", r"team/levels: the hub does not know the token"),
        ("reader", r"team/levels: the token may not do this; make one that may write to team"),
    ],
)
def test_a_token_that_is_missing_or_refused(
    hub: Hub, recipe: Packable, monkeypatch: pytest.MonkeyPatch, token: str | None, message: str
) -> None:
    """The message says what to do, and nothing is sent."""
    pack_model(*recipe.configs())
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ConfigError, match=message):
        system_of(recipe).upload_model()

    assert hub.repositories == {}


def test_what_is_uploaded_is_verified_first(hub: Hub, recipe: Packable) -> None:
    bundle = pack_model(*recipe.configs())
    (bundle / "src" / "inference.py").write_text("import os\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"src/inference\.py is not as it was packed"):
        system_of(recipe).upload_model()

    assert hub.asked == []


def test_upload_before_pack(hub: Hub, recipe: Packable) -> None:
    with pytest.raises(ConfigError, match="run the stage pack_model first"):
        system_of(recipe).upload_model()
    recipe.publication.upload_model = None
    with pytest.raises(ConfigError, match=r"upload_model\.hf_repo is not set"):
        system_of(recipe).upload_model()


def test_a_tag_that_the_hub_does_not_have(hub: Hub) -> None:
    with pytest.raises(ConfigError, match="the hub has no team/nothing"):
        InferenceModel.from_pretrained("team/nothing")
    with pytest.raises(ConfigError, match="neither a folder nor a model of the hub"):
        InferenceModel.from_pretrained("team/a/b")


def test_a_page_becomes_a_space(hub: Hub, recipe: Packable) -> None:
    demo = OmegaConf.create(
        {
            "exp_dir": "./exp/ctc",
            "pack_demo": {"out_dir": "./exp/ctc/demo"},
            "upload_demo": {"hf_repo": "team/levels-page"},
        }
    )
    system = BaseSystem(recipe.training, recipe.inference, recipe.metrics, recipe.publication, demo_config=demo)
    system.pack_model()
    system.pack_demo()
    system.upload_demo()
    system.upload_demo()

    sent = hub.repositories["team/levels-page"]
    assert sent.kind == "space"
    assert {"app.py", "README.md", "requirements.txt", "model/meta.yaml", "model/exp/ctc/last.ckpt"} <= set(sent.files)
