"""The wheel holds what the tree holds, under the names of the project and no other."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"esp3c": ROOT / "compiler", "esp3rt": ROOT / "runtime", "espnet3": ROOT, "egs3": ROOT}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and a wheel made from that sdist, of what git would commit."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    for name in filter(None, listed):
        path = ROOT / name
        if not path.exists():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            (source / name).symlink_to(path.readlink())
        else:
            (source / name).write_bytes(path.read_bytes())
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def wheel_names(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/") and ".dist-info/" not in name}


def tree_names() -> set[str]:
    names = set()
    for package, root in PACKAGES.items():
        for path in (root / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                names.add(path.relative_to(root).as_posix())
    return names


def test_the_wheel_holds_what_the_tree_holds(built: Path) -> None:
    assert tree_names() == wheel_names(built)


def test_no_generic_name_lands_in_site_packages(built: Path) -> None:
    assert {name.split("/")[0] for name in wheel_names(built)} == set(PACKAGES)


def test_the_grammar_in_the_wheel_is_the_grammar(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.read("esp3c/syntax/esp.lark")

    assert inside == (ROOT / "grammar" / "esp.lark").read_bytes()


def test_every_folder_with_python_is_a_package() -> None:
    """A folder without `__init__.py` is missing from the wheel although an editable install imports it."""
    for package, root in PACKAGES.items():
        for path in (root / package).rglob("*.py"):
            if "templates" not in path.parts:
                assert (path.parent / "__init__.py").is_file(), path


def test_the_source_archive_builds(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = tar.getnames()

    assert any(name.endswith(("grammar/esp.lark", "syntax/esp.lark")) for name in names)


def test_the_wheel_runs_where_the_tree_is_not(built: Path, tmp_path: Path) -> None:
    """Unpacked into an empty folder, the compiler finds its grammar and its templates."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    command = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import esp3c; assert 'site' in esp3c.__file__, esp3c; "
    command += "from esp3c.cli.main import main; sys.exit(main(['init', 'tones']) or main(['check', 'tones']))"

    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no problems found" in done.stdout
