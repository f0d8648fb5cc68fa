"""A picture of a recipe in a real VS Code: its colours, and an underlined mistake.

    python tests/editors/vscode_shot.py recipe.png --code-server .../code-server/out/node/entry.js

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
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
    "esp3c.path": [sys.executable, "-P", "-m", "esp3c"],
}
PATIENCE = 60
"""Seconds that something may take to appear."""


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
    """The browser's page with the recipe in the editor, coloured."""
    from playwright.sync_api import sync_playwright

    host = f"127.0.0.1:{port}"
    payload = json.dumps([["openFile", f"vscode-remote://{host}{recipe}"]])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.goto(f"http://{host}/?folder={quote(str(recipe.parent))}&payload={quote(payload)}")
            page.wait_for_selector(".monaco-editor .view-line", timeout=PATIENCE * 1000)
            # More than one colour: the grammar is in force.
            page.wait_for_function(
                "new Set([...document.querySelectorAll('.view-line span span')].map(e => e.className)).size > 5",
                timeout=PATIENCE * 1000,
            )
            yield page
        finally:
            browser.close()


def picture(
    out: Path, entry: Path, vsix: Path, recipe: Path, mistake: tuple[str, str], theme: str, chromium: str
) -> None:
    """Writes the picture of a copy of the recipe in which the mistake was made.

    Raises:
        Failure: something that it takes is missing, or nothing is underlined.
    """
    right, wrong = mistake
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, recipe.parent.name)
        left_out = shutil.ignore_patterns("exp", "data", ".esp3c", "__pycache__", "conf", "run.py", "system.py")
        shutil.copytree(recipe.parent, copy, ignore=left_out)
        text = recipe.read_text(encoding="utf-8")
        if right not in text:
            raise Failure(f"{recipe} has no `{right}` to write wrongly; name another with --mistake")
        (copy / recipe.name).write_text(text.replace(right, wrong, 1), encoding="utf-8")
        settings = {**SETTINGS, "workbench.colorTheme": theme}
        with (
            code_server(entry, vsix, Path(folder, "home"), settings) as port,
            opened(port, copy / recipe.name, chromium, (1400, 1000)) as page,
        ):
            from playwright.sync_api import TimeoutError as TooLate

            try:
                page.wait_for_selector(".squiggly-error", timeout=PATIENCE * 1000)
            except TooLate as error:
                raise Failure("nothing is underlined: did `esp3c lsp` start?") from error
            # What the server says of single words comes a little later.
            page.wait_for_timeout(2500)
            page.screenshot(path=out)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="A picture of a recipe in a real VS Code.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--code-server", type=Path, required=True, help="its entry.js")
    parser.add_argument(
        "--vsix", type=Path, help="the packaged extension (default: the one that `npm run package` makes)"
    )
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "spoken_digits" / "recipe.esp")
    parser.add_argument("--mistake", nargs=2, default=["max_epochs", "max_epoch"], metavar=("RIGHT", "WRONG"))
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
        picture(args.out, entry, vsix.resolve(), args.recipe.resolve(), tuple(args.mistake), args.theme, args.chromium)
    except Failure as failure:
        print(f"vscode_shot: {failure}", file=sys.stderr)
        return 1
    print(f"{args.out} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
