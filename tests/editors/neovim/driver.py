"""Neovim without a screen, driven by a Lua script that is written for one test, with the language server behind it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

PLUGIN = Path(__file__).parents[3] / "grammar" / "vim"
PRELUDE = Path(__file__).with_name("prelude.lua")

LIMIT = 120
"""Seconds for a whole script; its own steps have shorter limits."""

LEAVING = 10
"""Seconds that a server may take to end when its editor is gone."""


class Neovim:
    def __init__(self, program: str, home: Path) -> None:
        self.program = program
        self.home = home
        self.said = ""
        """What the last run has printed."""
        self._running: psutil.Process | None = None

    def run(self, file: Path, script: str, setup: str = "require('esp3c').setup {}") -> Any:
        """Opens a file, runs the lines of a script, and gives what it returns.

        `prelude.lua` says what a script may use. A mistake in it, and a step that comes to nothing, fail the test.
        """
        self.home.mkdir(exist_ok=True)
        init, main, told = (self.home / name for name in ("init.vim", "main.lua", "told.json"))
        init.write_text(
            f"""
            set noswapfile nobackup
            set runtimepath^={PLUGIN}
            let g:esp3c_program = ['{sys.executable}', '-m', 'esp3c']
            filetype plugin indent on
            syntax on
            lua {setup}
            """,
            encoding="utf-8",
        )
        main.write_text(
            f"""
            local test = dofile('{PRELUDE}')
            test.tell('{told}', function()
            {script}
            end)
            """,
            encoding="utf-8",
        )
        environment = {**os.environ, "TERM": "dumb", "HOME": str(self.home), "NVIM_LOG_FILE": str(self.home / "log")}
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            environment[f"XDG_{name}_HOME"] = str(self.home / name.lower())
        words = [self.program, "--headless", "-n", "-i", "NONE", "-u", str(init), str(file), "-c", f"luafile {main}"]
        output = self.home / "output"
        with output.open("w", encoding="utf-8") as printed:
            editor = subprocess.Popen(
                words,
                # Not where the recipe is: what is told must not depend on that.
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running = psutil.Process(editor.pid)
            try:
                editor.wait(LIMIT)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"Neovim did not end in {LIMIT} s: {output.read_text()}") from None
            finally:
                self.close()
        self.said = output.read_text(encoding="utf-8")
        assert told.is_file(), f"Neovim ended with {editor.returncode}: {self.said}"
        answer = json.loads(told.read_text(encoding="utf-8"))
        told.unlink()
        assert "error" not in answer, f"{answer['error']}\n{self.said}"
        return answer.get("result")

    def close(self) -> None:
        """Ends Neovim where it is still there, and all that it started."""
        running, self._running = self._running, None
        if running is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [*running.children(recursive=True), running]
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(family, LEAVING)
