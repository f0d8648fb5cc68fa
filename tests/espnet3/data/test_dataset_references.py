"""From an entry of a config to datasets: modules, references, DataOrganizer."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from espnet3.components.data.data_organizer import DataOrganizer, DatasetConfig
from espnet3.components.data.dataset import CombinedDataset, DatasetWithTransform
from espnet3.components.data.dataset_module import (
    DatasetModuleError,
    instantiate_dataset_reference,
    load_dataset_module,
    parse_dataset_reference_config,
    resolve_dataset_module_name,
)

DIGITS = """
class Dataset:
    def __init__(self, split, size=3):
        self.split, self.size = split, size
    def __len__(self):
        return self.size
    def __getitem__(self, index):
        return {"utt_id": f"{self.split}_{index}", "text": "one", "value": index}
    def shard(self, index):
        return Dataset(f"{self.split}{index}", 1)

def double(sample):
    return {**sample, "value": 2 * sample["value"]}

def lose(sample):
    return None

class Shout:
    def __call__(self, sample):
        return {**sample, "text": sample["text"].upper()}

def make_shout(loud=True):
    return Shout()

class EspnetStyle:
    def __call__(self, uid, data):
        return {"text": data["text"] + "@" + uid}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe folder with a dataset module, importable and not remembered."""
    folder = tmp_path / "digits_recipe_data"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "digits.py").write_text(DIGITS)
    (folder / "empty.py").write_text("class Dataste: ...\n")
    (folder / "broken.py").write_text("import a_module_that_is_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("digits_recipe_data")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def entry(**more: Any) -> dict[str, Any]:
    return {"data_src": "digits_recipe_data.digits", "data_src_args": {"split": "train"}, **more}


def test_names_of_modules() -> None:
    """A tag and a dotted module."""
    assert resolve_dataset_module_name("mini_an4/asr") == "egs3.mini_an4.asr.dataset"
    assert resolve_dataset_module_name("dataset.modules.digits") == "dataset.modules.digits"
    with pytest.raises(DatasetModuleError, match="neither a tag"):
        resolve_dataset_module_name("a/b/c")


def test_a_reference_becomes_a_dataset(recipe: Path) -> None:
    """The class gets data_src_args; split is short for one of them."""
    dataset = instantiate_dataset_reference(OmegaConf.create(entry()), recipe)
    short = instantiate_dataset_reference({"data_src": "digits_recipe_data.digits", "split": "valid"}, recipe)

    assert len(dataset) == 3
    assert dataset[1]["utt_id"] == "train_1"
    assert short.split == "valid"
    assert parse_dataset_reference_config({"split": "a"}) == (None, {"split": "a"})


def test_the_recipes_own_dataset_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without data_src, `<recipe_dir>/dataset/__init__.py`, also when another `dataset` is loaded."""
    for name in ("first", "second"):
        folder = tmp_path / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "parts.py").write_text(f"NAME = {name!r}\n")
        (folder / "__init__.py").write_text(
            "from .parts import NAME\nclass Dataset:\n    name = NAME\n    def __len__(self):\n        return 1\n"
        )
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "dataset", raising=False)
    try:
        made = [load_dataset_module(None, tmp_path / name).Dataset.name for name in ("first", "second", "first")]
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "dataset"]:
            del sys.modules[name]

    assert made == ["first", "second", "first"]


def test_an_installed_package_called_dataset_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it stands before the recipe on the path."""
    for name in ("installed", "recipe"):
        folder = tmp_path / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"class Dataset:\n    name = {name!r}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "installed"), str(tmp_path / "recipe"), *sys.path])
    monkeypatch.delitem(sys.modules, "dataset", raising=False)

    module = load_dataset_module(None, tmp_path / "recipe")
    monkeypatch.delitem(sys.modules, module.__name__)

    assert module.Dataset.name == "recipe"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"data_src": "digits_recipe_data.digit"}, "no module digits_recipe_data.digit; did you mean 'digits'"),
        ({"data_src": "digits_recipe_data.empty"}, "has no class named Dataset; did you mean 'Dataste'"),
        ({"data_src": "digits_recipe_data.broken"}, "needs the module a_module_that_is_not_installed"),
        (entry(data_src_args={"splt": "x"}), "splt.*did you mean 'split'"),
        (entry(data_src_arg={}), "no key 'data_src_arg'; did you mean 'data_src_args'"),
        ({}, "the recipe's own dataset module is meant"),
    ],
)
def test_references_that_lead_nowhere(reference: dict[str, Any], message: str, recipe: Path) -> None:
    """The message names the module, what is missing, and what is near."""
    with pytest.raises(DatasetModuleError, match=message):
        instantiate_dataset_reference(reference, recipe)


def test_organizer(recipe: Path) -> None:
    """Entries in all forms, a transform each, one preprocessor."""
    ready = instantiate_dataset_reference(entry(), recipe)
    organizer = DataOrganizer(
        train=[
            entry(transform={"_target_": "digits_recipe_data.digits.double"} | {"_partial_": True}),
            OmegaConf.create(entry(data_src_args={"split": "more", "size": 2})),
            DatasetConfig(data_src="digits_recipe_data.digits", split="third"),
            ready,
        ],
        test=[entry(name="seen"), entry(name="unseen", data_src_args={"split": "other"})],
        preprocessor={"_target_": "digits_recipe_data.digits.Shout"},  # type: ignore[arg-type]
        recipe_dir=str(recipe),
    )

    assert isinstance(organizer.train, CombinedDataset)
    assert organizer.valid is None
    assert [organizer.train[index]["utt_id"] for index in range(len(organizer.train))] == [
        *("train_0", "train_1", "train_2", "more_0", "more_1"),
        *("third_0", "third_1", "third_2", "train_0", "train_1", "train_2"),
    ]
    assert organizer.train[2] == {"utt_id": "train_2", "text": "ONE", "value": 4}
    assert organizer.train[-1]["value"] == 2
    assert list(organizer.test) == ["seen", "unseen"]
    assert isinstance(organizer.test["unseen"], DatasetWithTransform)
    assert organizer.test["unseen"](0)["utt_id"] == "other_0"
    with pytest.raises(IndexError):
        organizer.train[11]
    assert len(organizer.train.shard(0)) == 4


def test_a_function_as_a_transform(recipe: Path) -> None:
    """It needs no `_partial_`; a function that makes a callable is called."""
    organizer = DataOrganizer(
        train=[entry(transform={"_target_": "digits_recipe_data.digits.double"})],
        preprocessor={"_target_": "digits_recipe_data.digits.make_shout"},  # type: ignore[arg-type]
        recipe_dir=str(recipe),
    )

    assert organizer.train is not None
    assert organizer.train[2] == {"utt_id": "train_2", "text": "ONE", "value": 4}


def test_espnet_style_preprocessor(recipe: Path) -> None:
    """A preprocessor that takes (uid, dict) is seen by its signature; the name of the utterance stays."""
    organizer = DataOrganizer(
        train=[entry()],
        preprocessor={"_target_": "digits_recipe_data.digits.EspnetStyle"},  # type: ignore[arg-type]
        recipe_dir=str(recipe),
    )
    assert organizer.train is not None
    sample = organizer.train[1]
    organizer.train.use_espnet_collator = True

    assert sample == {"utt_id": "train_1", "text": "one@train_1"}
    assert organizer.train[1] == ("train_1", {"text": "one@train_1"})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"test": [entry(name="a"), entry(name="a")]}, r"dataset.test\[1\]: the name 'a' is taken"),
        ({"test": [entry(), entry()]}, r"dataset.test\[0\] has no name"),
        ({"train": [entry(tranform={})]}, r"dataset.train\[0\] has no key 'tranform'; did you mean 'transform'"),
        ({"train": [3]}, r"dataset.train\[0\] must be a mapping"),
        ({"train": entry()}, "dataset.train must be a list"),
        ({"valid": [{"data_src": "digits_recipe_data.digit"}]}, r"dataset.valid\[0\]: data_src"),
        ({"train": [entry(transform={"_target_": "digits_recipe_data.digits.doubl"})]}, "train.0..transform: .*doubl"),
    ],
)
def test_organizer_refuses(section: dict[str, Any], message: str, recipe: Path) -> None:
    """The message begins with the place in the config."""
    with pytest.raises(ValueError, match=message):
        DataOrganizer(**section, recipe_dir=str(recipe))


def test_a_transform_that_loses_the_sample(recipe: Path) -> None:
    """The message names the function."""
    lose = {"_target_": "digits_recipe_data.digits.lose", "_partial_": True}
    organizer = DataOrganizer(train=[entry(transform=lose)], recipe_dir=str(recipe))

    assert organizer.train is not None
    with pytest.raises(TypeError, match=r"the transform .* must give back the sample dict, and gave NoneType"):
        organizer.train[0]


def test_neither_torch_nor_omegaconf_for_a_module_or_a_builder() -> None:
    """create_dataset starts at once."""
    code = (
        "import sys, espnet3.components.data.dataset_module, espnet3.components.data.dataset_builder;"
        "print([name for name in ('torch', 'omegaconf', 'numpy', 'hydra') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
