"""`make editors` installs Neovim and the shells where it can, and says in one line where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from editors import install


@pytest.fixture
def _nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ESP3C_INSTALL_EDITORS", raising=False)


@pytest.mark.usefixtures("_nothing_here")
def test_a_variable_prevents_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--try` it goes on, without it fails; both say why in a line, and call no apt-get."""
    monkeypatch.setenv("ESP3C_INSTALL_EDITORS", "0")
    monkeypatch.setattr(install, "install", lambda packages: pytest.fail(f"installs {packages}"))
    codes = (install.main(["--try"]), install.main([]))

    assert codes == (0, 1)
    line = "editors: not installed (ESP3C_INSTALL_EDITORS is 0); tests that need fish neovim zsh are skipped"
    assert capsys.readouterr().out.splitlines() == [line, line]


@pytest.mark.usefixtures("_nothing_here")
def test_without_apt_it_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert install.main(["--try"]) == 0
    assert "(there is no apt-get)" in capsys.readouterr().out


@pytest.mark.usefixtures("_nothing_here")
def test_what_went_wrong_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it, what is being done and how to prevent it."""
    monkeypatch.setattr(install, "why_not", lambda: None)
    monkeypatch.setattr(install, "install", lambda packages: "E: no space left")

    assert install.main(["--try"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("editors: apt-get install fish neovim zsh") and "ESP3C_INSTALL_EDITORS=0" in first
    assert "E: no space left" in second


def test_where_all_is_there_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for program in ("nvim", "zsh", "fish"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert install.main([]) == 0
    assert capsys.readouterr().out == ""
