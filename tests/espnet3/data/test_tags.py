"""Tags: the datasets of neighbouring recipes, under module names of their own."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from espnet3.components.data import dataset_folders
from espnet3.components.data.data_organizer import DataOrganizer
from espnet3.components.data.dataset_module import DatasetModuleError, load_dataset_module
from espnet3.systems.base.dataset_creation import create_datasets

INIT = "from .builder import Builder as DatasetBuilder\nfrom .reading import Rows as Dataset\n"
READING = """
from .names import NAME

class Rows:
    def __init__(self, split, recipe_dir="."):
        self.split, self.recipe_dir = split, recipe_dir
    def __len__(self):
        return 1
    def __getitem__(self, index):
        return {"utt_id": f"{NAME}_{self.split}"}
"""
BUILDER = """
from pathlib import Path
from .names import NAME

class Builder:
    def is_source_prepared(self, **kwargs):
        return True
    def prepare_source(self, **kwargs): ...
    def is_built(self, recipe_dir, size=1):
        return (Path(recipe_dir) / "data" / NAME).is_file()
    def build(self, recipe_dir, size=1):
        (Path(recipe_dir) / "data").mkdir(exist_ok=True)
        (Path(recipe_dir) / "data" / NAME).write_text(str(size))
"""


def write_dataset(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    for module, text in {
        "__init__": INIT,
        "reading": READING,
        "builder": BUILDER,
        "names": f"NAME = {name!r}\n",
    }.items():
        (folder / f"{module}.py").write_text(text)


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of recipes: `own` and `words` with a `dataset`, and ESPnet3's `egs/speech/asr/dataset` further up."""
    write_dataset(tmp_path / "recipes" / "own" / "dataset", "own")
    write_dataset(tmp_path / "recipes" / "words" / "dataset", "words")
    write_dataset(tmp_path / "speech" / "asr" / "dataset", "speech")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "dataset", raising=False)
    yield tmp_path / "recipes"
    for name in [name for name in sys.modules if name.split(".")[0] in ("dataset", "egs3")]:
        del sys.modules[name]


def test_a_tag_leads_to_a_neighbouring_recipe(recipes: Path) -> None:
    """`<recipe>/dataset` and `<recipe>/<task>/dataset`, beside this recipe and one folder further up."""
    own = recipes / "own"
    entries = [{"data_src": source, "split": "a"} for source in ("words/asr", "speech/asr", "own/asr", None)]

    train = DataOrganizer(train=entries, recipe_dir=str(own)).train
    assert train is not None
    assert [sample["utt_id"] for sample in train] == ["words_a", "speech_a", "own_a", "own_a"]
    assert load_dataset_module("own/asr", own) is load_dataset_module(None, own)


def test_an_installed_recipe_goes_first(recipes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`egs3.<recipe>.<task>.dataset` where it can be imported, and what is wrong with it is told."""
    write_dataset(recipes / "path" / "egs3" / "words" / "asr" / "dataset", "installed")
    write_dataset(recipes / "path" / "egs3" / "broken" / "asr" / "dataset", "broken")
    (recipes / "path" / "egs3" / "broken" / "asr" / "__init__.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(recipes / "path"))

    module = load_dataset_module("words/asr", recipes / "own")
    assert module.__name__ == "egs3.words.asr.dataset"
    assert module.Dataset("a")[0]["utt_id"] == "installed_a"
    with pytest.raises(DatasetModuleError, match="needs the module a_module_that_is_not_there"):
        load_dataset_module("broken/asr", recipes / "own")


def test_a_dataset_of_a_neighbour_reaches_other_processes(recipes: Path) -> None:
    """The name of its module is all that another process needs to import it."""
    dataset = load_dataset_module("words/asr", recipes / "own").Dataset("a")
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)[0]['utt_id'], 'torch' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(dataset), capture_output=True, cwd="/", check=True
    )
    assert done.stdout == b"words_a False\n"


def test_a_folder_that_is_gone_is_named(recipes: Path) -> None:
    """A worker on a machine without the folder says which one."""
    name = dataset_folders.module_name(recipes / "gone" / "dataset")

    with pytest.raises(ModuleNotFoundError, match=f"the dataset folder {recipes}/gone/dataset is not there"):
        __import__(name)


def test_tags_that_lead_nowhere(recipes: Path) -> None:
    """The message says where was looked, and what is near."""
    with pytest.raises(DatasetModuleError, match=r"no module egs3.word.asr.dataset.*did you mean 'words/asr'"):
        load_dataset_module("word/asr", recipes / "own")
    with pytest.raises(DatasetModuleError, match=r"that have a dataset: 'own/tts', 'words/tts'"):
        load_dataset_module("xyz/tts", recipes / "own")


def test_a_neighbour_with_absolute_imports_is_told_so(recipes: Path) -> None:
    """They would mean the recipe that runs."""
    (recipes / "words" / "dataset" / "__init__.py").write_text("from dataset.elsewhere import Rows as Dataset\n")

    with pytest.raises(
        DatasetModuleError, match=r"'words/asr' imports dataset\.elsewhere, which means this recipe's own"
    ):
        load_dataset_module("words/asr", recipes / "own")


def test_create_dataset_builds_into_this_recipe(recipes: Path) -> None:
    """With this recipe's settings, each builder its own."""
    own = recipes / "own"
    training = OmegaConf.create(
        {
            "recipe_dir": str(own),
            "create_dataset": {"words/asr": {"size": 3}},
            "dataset": {"train": [{"data_src": "words/asr", "split": "a"}, {"split": "a"}]},
        }
    )
    create_datasets(training, None, "DatasetBuilder")

    assert {path.name: path.read_text() for path in (own / "data").iterdir()} == {"words": "3", "own": "1"}
    assert not (recipes / "words" / "data").exists()
