"""Configs as they stand in a bundle: no path leads out of it, and the files that they need are packed.

A path in the bundle is written as `${recipe_dir}/…`. `recipe_dir` is `.`, so that the configs can be used from inside the
bundle's folder; whoever loads the bundle from elsewhere sets it. A path that leads elsewhere and is not packed is written
as `???`, OmegaConf's word for a value that has to be set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.publication.containers import leaves
from espnet3.publication.contents import Contents
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

HERE = "${recipe_dir}"
_MISSING = "???"
# What each config makes of files that inference or a further training needs.
_NEEDS = {
    "inference": ("model", "output_fn", "provider", "runner", "output_artifacts", "dataset.preprocessor"),
    "training": ("model", "dataset.preprocessor", "dataloader.collate_fn"),
    "metrics": ("metrics",),
}
_WEIGHTS = (".ckpt", ".pth", ".pt", ".safetensors", ".onnx", ".bin", ".pkl", ".npz", ".npy", ".model")
_FOLDERS = ("recipe_dir", "data_dir", "exp_dir", "stats_dir", "inference_dir", "dataset_dir")
# What a training config names and a trained model does not read.
_OF_TRAINING = ("create_dataset", "dataloader", "dataset", "fit", "trainer")
_RATES = ("sample_rate", "sampling_rate", "fs")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def plain(config: DictConfig | Mapping[str, Any], name: str) -> dict[str, Any]:
    """A config as a plain container, with all interpolations replaced.

    Raises:
        ConfigError: One of them leads nowhere.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        made = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else dict(config)
    except (OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"the {name} config cannot be packed: {str(error).splitlines()[0]}") from error
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


class Rewriter:
    """Writes the configs of one run for their bundle, and takes the files that they need into it.

    Args:
        contents: What the bundle holds.
        configs: The configs by name, as `plain` gives them; they say which folders are the run's own.
    """

    def __init__(self, contents: Contents, configs: Mapping[str, Mapping[str, Any]]) -> None:
        self.contents = contents
        self.weights: list[str] = []
        named = [config.get(key) for config in configs.values() for key in _FOLDERS]
        self._own_folders = {self._place(each) for each in named if isinstance(each, str)}

    def rewritten(self, config: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The config for the bundle.

        Args:
            config: As `plain` gives it.
            name: "training", "inference", …: it says which keys need their files.

        Raises:
            ConfigError: A file that is needed is not there.
        """
        made = {key: self._value(value, key, name) for key, value in config.items()}
        return {"recipe_dir": ".", **{key: value for key, value in made.items() if key != "recipe_dir"}}

    def _value(self, value: Any, key: str, name: str) -> Any:
        if isinstance(value, Mapping):
            return {inner: self._value(each, f"{key}.{inner}", name) for inner, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, f"{key}[{index}]", name) for index, each in enumerate(value)]
        return self._text(value, key, name) if isinstance(value, str) else value

    def _text(self, value: str, key: str, name: str) -> str:
        if not value or "\n" in value or "\0" in value or len(value) > 4000:
            return _as_text(value)
        place = self._place(value)
        if _is_inside(key, _NEEDS.get(name, ())) and self._is_needed(value, place, key, name):
            where = f"{name} config, {key}"
            packed = self.contents.add(place, where)
            if name == "inference" and place.suffix in _WEIGHTS and place.is_file():
                self.weights.append(packed)
            if name == "inference" and place.suffix in (".yaml", ".yml"):
                self._take_named_in(place, where)
            return f"{HERE}/{packed}"
        if value.startswith(("./", "/")) or place in self._own_folders:
            if place.is_relative_to(self.contents.root):
                inner = place.relative_to(self.contents.root).as_posix()
                return HERE if inner == "." else f"{HERE}/{inner}"
            if value.startswith("/") and place.parent != Path("/") and (place.exists() or place.parent.exists()):
                return _MISSING
        # A path inside a longer text (an option of a command) loses the part that only this machine has.
        return _as_text(value.replace(f"{self.contents.root}/", ""))

    def _take_named_in(self, path: Path, where: str) -> None:
        """Take the files of the recipe that a YAML file names: a model's own config knows its tokenizer and statistics."""
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError, RecursionError):
            # It is the model that reads it, not this.
            return
        rest = (
            {key: value for key, value in content.items() if key not in _OF_TRAINING}
            if isinstance(content, Mapping)
            else content
        )
        for text in filter(_is_path_like, (value for _, value in leaves(rest))):
            place = self._place(text)
            if place.is_file() and place.is_relative_to(self.contents.root):
                self.contents.add(place, f"{self.contents.shown(path)}, which {where} names", needed=False)

    def _is_needed(self, value: str, place: Path, key: str, name: str) -> bool:
        if name == "training" and place.suffix in (".ckpt", ".pth", ".pt", ".safetensors"):
            # Where a training began from; what came of it is packed with the inference config.
            return False
        if place.is_file():
            return True
        if place.is_dir():
            # The folders of a run hold far more than the model needs: `include` says what is taken of them.
            whole = any(own.is_relative_to(place) for own in {*self._own_folders, self.contents.root})
            return "/" in value and not whole
        if name != "inference":
            return False
        expected = any(place.is_relative_to(own) for own in self._own_folders - {self.contents.root}) and place.suffix
        if expected or (place.suffix in _WEIGHTS and "/" in value):
            shown = self.contents.shown(place)
            raise ConfigError(
                f"{key} of the {name} config: there is no {shown}; run the stage that writes it before pack_model",
                key=key,
            )
        return False

    def _place(self, value: str) -> Path:
        return Path(os.path.normpath(self.contents.root / value))


def dotted_names(node: Any) -> Iterator[str]:
    """All values of a config that may be dotted paths of Python."""
    return (value for _, value in leaves(node) if isinstance(value, str) and _DOTTED.fullmatch(value))


def sample_rate_of(configs: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The sample rate in Hz, if the configs name one, and no other; what inference writes does not count."""
    found = {
        value
        for key, value in leaves(dict(configs))
        if key.split(".")[-1] in _RATES
        and type(value) is int
        and value > 0
        and "output_artifacts" not in key.split(".")
    }
    return found.pop() if len(found) == 1 else None


def _is_path_like(value: Any) -> bool:
    return isinstance(value, str) and "/" in value and "\n" not in value and "\0" not in value and len(value) < 4000


def _as_text(value: str) -> str:
    """A value in which OmegaConf sees nothing to replace."""
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)


def _is_inside(key: str, sections: tuple[str, ...]) -> bool:
    return any(key == each or key.startswith((f"{each}.", f"{each}[")) for each in sections)
