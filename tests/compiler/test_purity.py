"""The compiler runs nothing of a recipe, imports nothing heavy, and opens no file outside of its edge."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import esp3c

COMPILER = Path(esp3c.__file__).parent
FORBIDDEN = ("lark", "torch", "lightning", "hydra", "omegaconf", "numpy", "rich", "submitit", "espnet3", "esp3rt")

WATCH = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            # The compiler may ask where a module is; only an import goes through these functions.
            frame = sys._getframe(1)
            while frame is not None:
                if frame.f_code.co_name == "_find_and_load":
                    raise BaseException("imported " + name)
                frame = frame.f_back
        return None

sys.meta_path.insert(0, Watch())
"""

PYTHON = {
    "src/model.py": (
        "import torch.nn\nclass Model(torch.nn.Module):\n    def __init__(self, size): ...\n"
        "    def forward(self, **batch): ...\n"
    ),
    "src/stages.py": "def go_on(config): ...\n",
    "dataset/dataset.py": (
        "class Data:\n    def __init__(self, split): ...\n    def __len__(self): ...\n    def __getitem__(self, index): ...\n"
    ),
    "dataset/builder.py": "class Builder:\n"
    + "".join(
        f"    def {name}(self, a, **kwargs): ...\n"
        for name in ("is_source_prepared", "prepare_source", "is_built", "build")
    ),
    "system_of_own.py": "from espnet3.systems.asr.system import ASRSystem\nclass Own(ASRSystem):\n    def prepare_all(self): ...\n",
    "torch.py": "",
    "yaml.py": "",
}

RECIPE = """
recipe watched { system = system_of_own.Own  seed = 1 }
dataset d { class = dataset.dataset.Data  builder = dataset.builder.Builder(a = 1) }
training {
  dataset { train = [d(split = "a")] valid = [d(split = "b")] }
  model = src.model.Model(size = 3)
  optimizer = os.path.join(a = 1)
  dataloader { collate_fn = espnet3.components.data.collate.CommonCollateFn(int_pad_value = 0) }
}
stages { create_dataset  train  prepare_all  go_on requires training runs src.stages.go_on }
"""


def watched(tmp_path: Path, *arguments: str, forbidden: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Runs `esp3c` where importing a forbidden module, or any of the recipe's own, ends the process."""
    folder, site = tmp_path / "recipe", tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WATCH.format(forbidden=forbidden), encoding="utf-8")
    for name, text in PYTHON.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise BaseException('imported ' + __name__)\n" + text, encoding="utf-8")
        (path.parent / "__init__.py").write_text("raise BaseException('imported ' + __name__)\n", encoding="utf-8")
    (folder / "recipe.esp").write_text(RECIPE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(COMPILER.parent)])}
    return subprocess.run(
        [sys.executable, "-P", "-c", "import sys; from esp3c.cli.main import main; sys.exit(main())", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_watch_sees_an_import(tmp_path: Path) -> None:
    watched(tmp_path, "explain", forbidden=())
    site = {**os.environ, "PYTHONPATH": str(tmp_path / "other")}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text(WATCH.format(forbidden=("wave",)), encoding="utf-8")

    seen = subprocess.run([sys.executable, "-c", "import wave"], env=site, capture_output=True, text=True)

    assert "imported wave" in seen.stderr


def test_check_imports_nothing_of_the_recipe_and_nothing_heavy(tmp_path: Path) -> None:
    done = watched(tmp_path, "check", forbidden=(*FORBIDDEN, "yaml", "src", "dataset", "system_of_own"))

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_build_imports_nothing_of_the_recipe_and_nothing_heavy(tmp_path: Path) -> None:
    done = watched(tmp_path, "build", forbidden=(*FORBIDDEN, "src", "dataset", "system_of_own"))

    assert "imported" not in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["explain"], ["check", "--help"]], ids=str)
def test_what_needs_no_recipe_is_light(arguments: list[str]) -> None:
    script = "import sys\nfrom esp3c.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    script += "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)

    loaded = set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))
    assert loaded.isdisjoint(FORBIDDEN)


# -- the edge ---------------------------------------------------------------------------------------------------------

CALLS = {"open", "exec", "eval", "print", "input", "__import__", "breakpoint"}
METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "rename", "exists", "is_file",
    "is_dir", "stat", "lstat", "iterdir", "rglob", "scandir", "listdir", "touch", "symlink_to", "chmod", "getsize", "isfile",
    "isdir", "import_module", "system", "popen", "Popen", "urlopen", "getcwd", "getenv",
}  # fmt: skip
MODULES = {
    "os", "io", "pathlib", "subprocess", "shutil", "tempfile", "socket", "urllib", "fcntl", "glob", "importlib", "pickle",
    "random", "time", "datetime", "logging", "threading", "signal", "pty", "platform", "getpass", "uuid", "sys",
}  # fmt: skip
ALLOWED = {
    ("python/contents.py", "sys"),  # the version of Python, on which a module's branches depend
    ("render/sarif.py", "urllib"),  # `urllib.parse.quote`, for paths as URIs
    ("record.py", "exec"),  # compiles `__init__` of names that stand in the compiler itself
}


def inside() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the compiler but the command line, the language server and the disk."""
    for path in sorted(COMPILER.rglob("*.py")):
        name = path.relative_to(COMPILER).as_posix()
        if name.startswith(("cli/", "lsp/", "templates/")) or name in {"disk.py", "looks.py", "__main__.py"}:
            continue
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def test_nothing_inside_opens_a_file_or_asks_the_machine() -> None:
    found: set[tuple[str, str]] = set()
    for name, tree in inside():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=called)) if called in CALLS:
                    found.add((name, called))
                case ast.Call(func=ast.Attribute(attr=called)) if called in CALLS | METHODS:
                    found.add((name, called))
                case ast.Import(names=aliases):
                    found.update(
                        (name, a.name.partition(".")[0]) for a in aliases if a.name.partition(".")[0] in MODULES
                    )
                case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in MODULES:
                    found.add((name, module.partition(".")[0]))

    assert found == ALLOWED


def test_nothing_inside_imports_the_edge_or_what_is_not_its_own() -> None:
    for name, tree in inside():
        for node in ast.walk(tree):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module in modules:
                top = module.partition(".")[0]
                own = {"esp3c", "yaml", "pygments"} if name.startswith("highlight/") else {"esp3c", "yaml"}
                assert top in own or top in sys.stdlib_module_names, (name, module)
                assert not module.startswith(("esp3c.cli", "esp3c.disk")), (name, module)
                assert top != "yaml" or name == "emit/yaml.py", (name, module)
