"""The wheel holds what the tree holds, under the names of the project and no other."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from esp3c.cli.init_templates import TEMPLATES

ROOT = Path(__file__).parent.parent
PACKAGES = {"esp3c": ROOT / "compiler", "esp3rt": ROOT / "runtime", "espnet3": ROOT, "egs3": ROOT}


def listed() -> list[str]:
    """What git would commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [name for name in names if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and a wheel made from that sdist, of what git would commit."""
    source = tmp_path_factory.mktemp("source")
    for name in listed():
        path = ROOT / name
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
    return names | {f"{LINKED}/{name}" for name in linked_names()}


LINKED = "esp3c/templates"


def linked_names() -> set[str]:
    """The files of recipes that are templates as well: there is one source of each, to which a link leads."""
    links = [path.name for path in (PACKAGES["esp3c"] / LINKED).iterdir() if path.is_symlink()]
    below = [tuple(Path(name).parts) for name in listed() if name.startswith("recipes/")]
    return {"/".join(parts[1:]) for parts in below if parts[1] in links}


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


def test_every_template_is_in_the_wheel_and_no_copy_in_the_tree(built: Path) -> None:
    inside = wheel_names(built)

    for template in TEMPLATES[1:]:
        assert (PACKAGES["esp3c"] / LINKED / template.name).is_symlink()
        assert f"{LINKED}/{template.name}/recipe.esp" in inside
        assert f"{LINKED}/{template.name}/src/__init__.py" in inside
    assert not any(
        part in {"exp", "data", "conf", "run.py"}
        for name in inside
        if name.startswith(LINKED)
        for part in name.split("/")
    )


def test_the_wheel_runs_where_the_tree_is_not(built: Path, tmp_path: Path) -> None:
    """Unpacked into an empty folder, the compiler finds its grammar and its templates."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    command = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import esp3c; assert 'site' in esp3c.__file__, esp3c; "
    command += "from esp3c.cli.main import main; from esp3c.cli.init_templates import TEMPLATES as all; "
    command += "sys.exit(any(main(['init', t.name, '--template', t.name]) or main(['check', t.name]) for t in all))"

    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("no problems found") == len(TEMPLATES)
