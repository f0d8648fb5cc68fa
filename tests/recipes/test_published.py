"""recipes/published: trained, packed, and used where nothing of it is left."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import soundfile
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def test_the_guide_shows_what_the_recipe_says_and_what_is_built_of_it(tmp_path: Path) -> None:
    """Its blocks of the recipe stand there to the letter; its YAML is a part of the configs."""
    page = (ROOT / "docs" / "guides" / "publication.md").read_text(encoding="utf-8")
    recipe = (ROOT / "recipes" / "published" / "recipe.esp").read_text(encoding="utf-8")
    build = [sys.executable, "-m", "esp3c", "build", str(ROOT / "recipes" / "published"), "-o", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    blocks = {
        language: re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for language in ("esp", "yaml")
    }

    assert [block in recipe for block in blocks["esp"]] == [True, True]
    for block, name in zip(blocks["yaml"], ("publication", "demo"), strict=True):
        shown = yaml.safe_load(block)
        built = yaml.safe_load((tmp_path / "conf" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert {key: built.get(key) for key in shown} == shown


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle, the page, and a recording; the recipe that made them is gone."""
    pytest.importorskip("espeakng_loader", reason="the extra `espeak` is not installed")
    folder = tmp_path_factory.mktemp("published")
    for name in ("published", "spoken_digits"):
        shutil.copytree(
            ROOT / "recipes" / name,
            folder / "recipes" / name,
            ignore=shutil.ignore_patterns("exp", "data", "conf", "recipe_data", ".esp3c", "__pycache__"),
        )
    recipe = folder / "recipes" / "published"
    small = ["utterances=60", "training.trainer.max_epochs=1", "training.scheduler.total_steps=20"]
    done = subprocess.run(
        [sys.executable, "-m", "esp3c", "run", "recipe.esp", *(word for each in small for word in ("--set", each))],
        cwd=recipe,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.move(recipe / "exp" / "ctc" / "model_pack", folder / "bundle")
    shutil.move(recipe / "exp" / "ctc" / "demo", folder / "page")
    shutil.copy(next((recipe / "data").rglob("*.wav")), folder / "recording.wav")
    shutil.rmtree(folder / "recipes")
    return folder


_LOAD = """
import sys
from espnet3.publication.inference_model import InferenceModel, UntrustedCode
try:
    InferenceModel.from_packed(sys.argv[1])
except UntrustedCode as error:
    print(str(error).splitlines()[1].strip())
model = InferenceModel.from_packed(sys.argv[1], trust_user_code=True)
print(sorted(model(sys.argv[2])), model.sample_rate)
"""


@pytest.mark.training
def test_the_bundle_is_used_in_another_process(packed: Path) -> None:
    """Not without trust; with it, a recording is transcribed."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(packed / "bundle"), str(packed / "recording.wav")],
        cwd="/",
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines() == [
        "model._target_: src.inference.Reader (src/inference.py)",
        "['hyp', 'ref', 'utt_id'] 16000",
    ], done.stderr
    assert "| seen_voices | WER |" in (packed / "bundle" / "README.md").read_text(encoding="utf-8")
    assert (packed / "bundle" / "exp" / "ctc" / "history.csv").is_file()


@pytest.mark.training
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"there is no {CHROMIUM}")
def test_the_page_transcribes_an_uploaded_file_in_a_browser(packed: Path, tmp_path: Path) -> None:
    """What the page writes is what the model says, and the page asks no other machine for anything."""
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from espnet3.publication.inference_model import InferenceModel

    # One epoch has learned little: a model that says nothing would make an empty page look right.
    expected = _talkative(packed / "page" / "model", packed / "recording.wav", InferenceModel)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": address.rpartition(":")[2],
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
    }
    log = (tmp_path / "app.log").open("w")
    app = subprocess.Popen([sys.executable, str(packed / "page" / "app.py")], cwd="/", env=environment, stdout=log)
    try:
        _wait_for(address, app)
        asked: list[str] = []
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
            page = browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.goto(address)
            page.locator("input[type=file]").first.set_input_files(packed / "recording.wav")
            page.get_by_label("Play", exact=True).wait_for()
            page.get_by_role("button", name="Transcribe").click()
            page.wait_for_function("[...document.querySelectorAll('textarea')].some(each => each.value)")
            shown = page.get_by_label("Text").input_value()
            browser.close()
    finally:
        app.terminate()
        app.wait()
        log.close()

    assert shown == expected != ""
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def _talkative(bundle: Path, recording: Path, model_class: type) -> str:
    """What the bundle's model says of a recording, after its blank was made unlikely."""
    import torch

    from espnet3.publication.sealed_folder import META, seal

    checkpoint = bundle / "exp" / "ctc" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    state["state_dict"]["model.head.bias"][0] -= 20.0
    torch.save(state, checkpoint)
    meta = yaml.safe_load((bundle / META).read_text(encoding="utf-8"))
    (bundle / META).unlink()
    seal(bundle, meta)
    assert soundfile.info(recording).samplerate == 16_000
    return str(model_class.from_packed(bundle, trust_user_code=True)(recording)["hyp"])


def _wait_for(address: str, app: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60.0
    while True:
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            assert app.poll() is None, "the page's program has ended"
            assert time.monotonic() < deadline, "the page does not answer"
            time.sleep(0.1)
