"""A picture of a recipe in a real VS Code.

    python tests/editors/vscode_shot.py recipe.png --scene mistake --code-server .../code-server/out/node/entry.js

A scene is what is done before the picture is taken: `mistake` points at an underlined word, `complete` asks what may be
written, `hover` points at a class, `graph` has the recipe drawn beside it.

It starts code-server (VS Code in a browser) on this machine alone, with settings, extensions and a copy of the recipe in a
temporary folder, installs the packaged extension, and opens the recipe in Chromium. The language server is the `esp3c` of
the Python that runs this script. All that was started is ended.

code-server comes as `npm install --ignore-scripts code-server@4.100.3` for Node 20; `npm rebuild` makes its native parts in
its folder and in its `lib/vscode`, where `npm install --ignore-scripts` comes first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "grammar" / "vscode"
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SETTINGS: dict[str, object] = {
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "window.commandCenter": False,
    "window.title": "${activeEditorShort}",
    "workbench.activityBar.location": "hidden",
    "workbench.layoutControl.enabled": False,
    "workbench.statusBar.visible": False,
    "editor.minimap.enabled": False,
    "editor.fontSize": 15,
    "editor.lightbulb.enabled": "off",
    "files.autoSave": "off",
    "esp3c.path": [sys.executable, "-P", "-m", "esp3c"],
}
PATIENCE = 60
"""Seconds that something may take to appear."""

SIZE = (1100, 620)
COLOURS = 256
"""How many a picture has at most: letters on a plain ground need no more."""


class Failure(Exception):
    """What is missing for the picture, with the next step."""


@contextmanager
def code_server(entry: Path, vsix: Path, home: Path, settings: dict[str, object]) -> Iterator[int]:
    """The port of a code-server with the extension; it ends with the block.

    Raises:
        Failure: it does not start, or does not take the extension.
    """
    data, extensions = home / "data", home / "extensions"
    # What names a place of this machine is read from the settings of the machine, not from those of the person.
    for owner in ("User", "Machine"):
        (data / owner).mkdir(parents=True)
        (data / owner / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [
        shutil.which("node") or "node", str(entry), "--config", str(home / "config.yaml"), "--auth", "none",
        "--user-data-dir", str(data), "--extensions-dir", str(extensions),
    ]  # fmt: skip
    env = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        [*command, "--install-extension", str(vsix)],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise Failure(f"code-server does not install {vsix}: {(done.stderr or done.stdout).strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    quiet = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"]
    with (home / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, "--bind-addr", f"127.0.0.1:{port}", *quiet], env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(process, port, home / "log")
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise Failure(f"code-server does not answer: {log.read_text(encoding='utf-8')[-2000:]}")


@contextmanager
def opened(port: int, recipe: Path, chromium: str, size: tuple[int, int]) -> Iterator[Any]:
    """The browser's page with the recipe in the editor, coloured, and nothing beside it.

    Raises:
        Failure: something that a scene waits for does not appear.
    """
    from playwright.sync_api import TimeoutError as TooLate
    from playwright.sync_api import sync_playwright

    host = f"127.0.0.1:{port}"
    payload = json.dumps([["openFile", f"vscode-remote://{host}{recipe}"]])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(f"http://{host}/?folder={quote(str(recipe.parent))}&payload={quote(payload)}")
            page.wait_for_selector(".monaco-editor .view-line")
            # More than one colour: the grammar is in force.
            page.wait_for_function(
                "new Set([...document.querySelectorAll('.view-line span span')].map(e => e.className)).size > 5"
            )
            # What is shown between the words comes from the server.
            page.wait_for_function("/:\\sint/.test(document.querySelector('.view-lines')?.innerText)")
            page.keyboard.press("Control+b")
            yield page
        except TooLate as error:
            raise Failure(f"VS Code does not show what the scene waits for: {error}") from error
        finally:
            browser.close()


# -- scenes -------------------------------------------------------------------------------------------------------------


class Scene(NamedTuple):
    """What is changed in the recipe, where a text is written anew; what is done with it; and how large the picture is."""

    change: tuple[str, str] | None
    play: Callable[[Any, str], None]
    size: tuple[int, int] = SIZE


def mistake(page: Any, text: str) -> None:
    """The first underlined word, with what is said of it."""
    _go(page, *_position(text, MISTAKE[1]))
    page.wait_for_selector(".squiggly-error")
    _show_hover(page)


def complete(page: Any, text: str) -> None:
    """Which keys a trainer takes, with what the first one means."""
    _go(page, *_position(text, KEYS[1], len(KEYS[1]) - 2))
    for _ in range(8):
        # Room for what is shown below.
        page.keyboard.press("Control+ArrowDown")
    page.keyboard.type(" acc", delay=60)
    page.wait_for_selector(".suggest-widget.visible .monaco-list-row.focused")
    page.keyboard.press("Control+Space")
    page.wait_for_selector(".suggest-details .docs")


def hover(page: Any, text: str) -> None:
    """A class of the recipe, with its signature and its documentation."""
    _go(page, *_position(text, CLASS, CLASS.rindex(".") + 1))
    _show_hover(page)


def graph(page: Any, text: str) -> None:
    """The stages of the recipe, and what goes from one to the other, drawn beside it."""
    page.keyboard.press("F1")
    page.wait_for_selector(".quick-input-widget input")
    page.keyboard.type("esp3c: Show Graph")
    page.wait_for_selector(".quick-input-list .monaco-list-row.focused[aria-label*='Show Graph']")
    page.keyboard.press("Enter")
    outer = page.frame_locator("iframe.webview.ready")
    outer.frame_locator("iframe#active-frame").locator("img").wait_for()


MISTAKE = ("max_epochs", "max_epoch")
TRAINER = 'trainer { max_epochs = 9  accelerator = "auto"  devices = 1  gradient_clip_val = 5.0 }'
KEYS = (TRAINER, "trainer { max_epochs = 9 }")
CLASS = "src.model.CTCRecognizer"

SCENES = {
    "mistake": Scene(MISTAKE, mistake),
    "complete": Scene(KEYS, complete),
    "hover": Scene(None, hover),
    "graph": Scene(None, graph, (1400, 800)),
}


def _position(text: str, word: str, inside: int = 1) -> tuple[int, int]:
    """The line and the column of a place in the first such word; both count from 1.

    Raises:
        Failure: there is no such word.
    """
    at = text.find(word)
    if at < 0:
        raise Failure(f"the recipe has no `{word}` for this scene; choose another recipe or scene")
    before = text[: at + inside]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _go(page: Any, line: int, column: int) -> None:
    page.keyboard.press("Control+g")
    page.wait_for_selector(".quick-input-widget input")
    page.keyboard.type(f"{line},{column}")
    page.keyboard.press("Enter")
    page.wait_for_selector(".quick-input-widget", state="hidden")


def _show_hover(page: Any) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.press("Control+i")
    page.wait_for_selector(".monaco-hover:not(.hidden) .hover-row")


def picture(out: Path, entry: Path, vsix: Path, recipe: Path, scene: Scene, theme: str, chromium: str) -> None:
    """Writes the picture of a scene with a copy of the recipe.

    Raises:
        Failure: something that it takes is missing, or does not appear.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, recipe.parent.name)
        left_out = shutil.ignore_patterns("exp", "data", ".esp3c", "__pycache__", "conf", "run.py", "system.py")
        shutil.copytree(recipe.parent, copy, ignore=left_out)
        text = recipe.read_text(encoding="utf-8")
        if scene.change is not None:
            right, wrong = scene.change
            if right not in text:
                raise Failure(f"{recipe} has no `{right}` for this scene; choose another recipe or scene")
            text = text.replace(right, wrong, 1)
            (copy / recipe.name).write_text(text, encoding="utf-8")
        settings = {**SETTINGS, "workbench.colorTheme": theme}
        with (
            code_server(entry, vsix, Path(folder, "home"), settings) as port,
            opened(port, copy / recipe.name, chromium, scene.size) as page,
        ):
            scene.play(page, text)
            # What the server says of single words comes a little later.
            page.wait_for_timeout(2500)
            page.screenshot(path=out)
    _reduce(out)


def _reduce(out: Path) -> None:
    """Fewer colours, where Pillow is installed: a third of the bytes, and nothing that an eye sees."""
    try:
        from PIL import Image
    except ImportError:
        print("vscode_shot: without Pillow the picture stays as large as it is", file=sys.stderr)
        return
    with Image.open(out) as image:
        reduced = image.convert("RGB").quantize(COLOURS, kmeans=4, dither=Image.Dither.NONE)
    reduced.save(out, optimize=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="A picture of a recipe in a real VS Code.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--scene", choices=SCENES, default="mistake")
    parser.add_argument("--code-server", type=Path, required=True, help="its entry.js")
    parser.add_argument(
        "--vsix", type=Path, help="the packaged extension (default: the one that `npm run package` makes)"
    )
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "spoken_digits" / "recipe.esp")
    parser.add_argument("--theme", default="Default Dark Modern")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    args = parser.parse_args(arguments)
    vsix = args.vsix or next(iter(sorted(EXTENSION.glob("*.vsix"))), None)
    try:
        if vsix is None:
            raise Failure(f"there is no .vsix in {EXTENSION}: `npm ci && npm run package` there makes it")
        entry = args.code_server.resolve()
        if not entry.is_file():
            raise Failure(f"there is no {entry}; how to get code-server stands at the head of {Path(__file__).name}")
        picture(args.out, entry, vsix.resolve(), args.recipe.resolve(), SCENES[args.scene], args.theme, args.chromium)
    except Failure as failure:
        print(f"vscode_shot: {failure}", file=sys.stderr)
        return 1
    print(f"{args.out} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
