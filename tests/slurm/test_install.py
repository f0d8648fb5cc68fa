"""`make test` installs SLURM where it can, and says in one line where it cannot."""

from __future__ import annotations

import pytest

from slurm import install


@pytest.fixture
def _nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "PATH", "")


@pytest.mark.usefixtures("_nothing_here")
def test_a_package_for_each_program() -> None:
    """The accounting's are left out where they are not asked for."""
    cluster = {"munge", "slurm-client", "slurmctld", "slurmd"}

    assert set(install.missing(accounting=False)) == cluster
    assert set(install.missing()) == cluster | {"mariadb-client-core", "mariadb-server-core", "slurmdbd"}


@pytest.mark.usefixtures("_nothing_here")
def test_a_variable_prevents_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`make test` goes on, `make slurm` fails; both say why in a line, and call no apt-get."""
    monkeypatch.setenv("ESP3C_INSTALL_SLURM", "0")
    monkeypatch.setattr(install, "install", lambda packages: pytest.fail(f"installs {packages}"))
    codes = (install.main(["--try"]), install.main([]))
    said = capsys.readouterr().out.splitlines()

    assert (codes, len(said)) == ((0, 1), 2)
    assert said[0].startswith("slurm: not installed (ESP3C_INSTALL_SLURM is 0); tests that need mariadb-client-core")


@pytest.mark.usefixtures("_nothing_here")
def test_what_went_wrong_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it, what is being done and how to prevent it."""
    monkeypatch.delenv("ESP3C_INSTALL_SLURM", raising=False)
    monkeypatch.setattr(install, "why_not", lambda: None)
    monkeypatch.setattr(install, "install", lambda packages: "E: no space left")

    assert install.main(["--try"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("slurm: apt-get install mariadb-client-core") and "ESP3C_INSTALL_SLURM=0" in first
    assert "E: no space left" in second
