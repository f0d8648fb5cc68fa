"""The recipe's files behind a dotted name."""

from pathlib import Path

import pytest

from espnet3.parallel._sources import sources_of

FILES = {
    "src/__init__.py": "",
    "src/inference.py": "import torch\nfrom src.text import Tokens\nfrom src import model\n",
    "src/text.py": "from .model import BLANK\nimport src.inference\n",
    "src/model.py": "def build():\n    from lib.deep.layers import *\n",
    "src/unrelated.py": "",
    "lib/deep/layers.py": "from ..shared import x\nfrom . import beside\n",
    "lib/deep/beside.py": "",
    "lib/shared.py": "",
    "broken.py": "def (",
}


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)


def test_imports_are_followed() -> None:
    """In every form, also inside functions and in a circle; what is not imported is left out."""
    assert sources_of("src.inference.Recognizer") == set(FILES) - {"src/unrelated.py", "broken.py"}
    assert sources_of("src.unrelated") == {"src/unrelated.py", "src/__init__.py"}
    assert sources_of("lib.deep.layers.Layer") == {"lib/deep/layers.py", "lib/deep/beside.py", "lib/shared.py"}


@pytest.mark.parametrize("name", ["torch.optim.AdamW", "a sentence. Or two", "3.5", "..", ""])
def test_what_is_not_of_the_recipe_has_no_files(name: str) -> None:
    """Installed packages, texts, numbers."""
    assert sources_of(name) == set()


def test_a_file_that_is_no_python_counts_itself() -> None:
    """Its mistake is told where it is imported."""
    assert sources_of("broken.build") == {"broken.py"}
