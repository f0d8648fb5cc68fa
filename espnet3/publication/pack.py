"""The stage pack_model: a trained model with all that is needed to use it elsewhere, as one folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.files import write_text
from esp3rt.progress import console_line
from espnet3 import __version__
from espnet3.parallel._sources import files_named, sources_of
from espnet3.publication.bundled_code import reserved, root_of
from espnet3.publication.configs import HERE, Rewriter, dotted_names, plain, sample_rate_of
from espnet3.publication.containers import leaves
from espnet3.publication.contents import Contents, copy, size_in_words
from espnet3.publication.foreign import yaml_text
from espnet3.publication.inference_keys import with_transform
from espnet3.publication.model_card import model_card
from espnet3.publication.sealed_folder import FORMAT, building, out_dir_of, put_in_place, seal
from espnet3.publication.secrets import secret_in_file, secret_in_text, secrets_in_config
from espnet3.publication.trust import named_code
from espnet3.utils.config_errors import config_in_use
from espnet3.utils.errors import ConfigError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

SCORES = "metrics.json"
_KEYS = (
    "out_dir", "allow_overwrite", "inference_dir", "include_model_detail", "readme", "include", "exclude", "files",
    "yaml_files", "not_secret",
)  # fmt: skip
_TOKENIZER_FILES = ("tokens.txt", "*.model", "*.vocab")


def pack_model(
    training_config: DictConfig,
    publication_config: DictConfig,
    inference_config: DictConfig | None = None,
    metrics_config: DictConfig | None = None,
) -> Path:
    """Write the bundle of a trained model, whole or not at all.

    It holds `conf/` with all paths inside the bundle, the files that the inference config names (checkpoint, tokenizer,
    statistics), the tokenizer of the training, the recipe's Python that the configs name, `metrics.json`, a README and
    `meta.yaml`. Reads `publication_config.pack_model`: `out_dir`, `allow_overwrite`, `inference_dir` (where the scores
    are), `include_model_detail`, `readme` (a template), `include` and `exclude` (files, folders, patterns), `files` (name
    in `meta.yaml`: file), `yaml_files` (name: config, rewritten as those of the run are), `not_secret` (patterns of files
    and of keys of configs that look secret and are not).

    Where the same bundle stands already, it is left alone.

    Returns:
        The bundle's folder.

    Raises:
        ConfigError: A key is wrong, a file that is needed is missing, something is secret, or another bundle stands
            there and `allow_overwrite` is not set.
    """
    with config_in_use(publication_config):
        return _pack(training_config, publication_config, inference_config, metrics_config)


def _pack(
    training: DictConfig, publication: DictConfig, inference: DictConfig | None, metrics: DictConfig | None
) -> Path:
    out_dir = out_dir_of(publication, "pack_model")
    settings = plain(publication, "publication")["pack_model"]
    for key in settings:
        if key not in _KEYS:
            raise ConfigError(f"pack_model.{key} is not known{did_you_mean(key, _KEYS)}", key=f"pack_model.{key}")
    given = {"training": training, "inference": inference, "metrics": metrics}
    configs = {name: plain(config, name) for name, config in given.items() if config is not None}
    root = Path(str(configs["training"].get("recipe_dir") or ".")).resolve()
    not_secret = _texts(settings, "not_secret")
    contents = Contents(root, out_dir, _texts(settings, "exclude"), not_secret)
    rewriter = Rewriter(contents, configs)
    _refuse_secrets(configs, not_secret)
    rewritten = {name: rewriter.rewritten(config, name) for name, config in configs.items()}
    weights = rewriter.weights or _weights_of_training(configs["training"], contents, "inference" in configs)
    _add_tokenizer(configs["training"], contents)
    code = _add_code(configs, contents)
    for pattern in _texts(settings, "include"):
        contents.add_matching(pattern, "pack_model.include")
    named = {
        name: contents.add(Path(path), f"pack_model.files.{name}") for name, path in _map(settings, "files").items()
    }
    yaml_files = {}
    for name, path in _map(settings, "yaml_files").items():
        key = f"pack_model.yaml_files.{name}"
        if name in rewritten or "/" in name or name.startswith("."):
            raise ConfigError(f"{key}: conf/{name}.yaml is taken, or is no name of a file", key=key)
        further = _config_file(root / path, key, not_secret)
        rewritten[name] = rewriter.rewritten(further, name)
        yaml_files[name] = f"conf/{name}.yaml"
    _refuse_reserved(contents)
    _refuse_references(rewritten.get("inference", {}))
    contents.check()
    scores_file = _scores_file(settings, configs, root)
    scores = _scores(scores_file)
    input_key = configs.get("inference", {}).get("input_key")
    meta = {
        "format": FORMAT,
        "name": f"{root.name}/{configs['training'].get('exp_tag') or ''}".rstrip("/"),
        "versions": _versions(),
        "input_key": input_key,
        "sample_rate": sample_rate_of(configs),
        "configs": {name: f"conf/{name}.yaml" for name in rewritten},
        "checkpoints": weights,
        "code": code,
        "files": named,
        "yaml_files": yaml_files,
    }
    with building(out_dir) as folder:
        contents.copy_to(folder)
        _write_configs(rewritten, folder)
        if scores_file is not None:
            copy(scores_file, folder / SCORES)
        _write_readme(folder, settings, publication, meta, scores, rewritten.get("inference"), root)
        seal(folder, meta)
        size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        allow = bool(settings.get("allow_overwrite"))
        changed = put_in_place(folder, out_dir, allow_overwrite=allow, key="pack_model")
    said = f"{len(contents.names)} files, {size_in_words(size)}"
    console_line(f"pack_model: {out_dir}: {said}" if changed else f"pack_model: {out_dir} is as it should be: {said}")
    if scores_file is None:
        console_line("pack_model: there is no metrics.json, so the README has no results; run measure before")
    changed_sets = with_transform(configs.get("inference", {}))
    if changed_sets:
        console_line(
            f"pack_model: InferenceModel does not apply the transform of the test set {listed(changed_sets)}; what a model "
            "needs of it belongs in dataset.preprocessor"
        )
    if "inference" not in configs:
        console_line("pack_model: packed without an inference config, so InferenceModel cannot load it")
    return out_dir


# -- what goes in -------------------------------------------------------------------------------------------------------


def _weights_of_training(training: Mapping[str, Any], contents: Contents, has_inference: bool) -> list[str]:
    """Without an inference config, or with one that names no checkpoint: the best average, else the last checkpoint."""
    folder = Path(str(training.get("exp_dir") or "."))
    averages = []
    for entry in training.get("best_model_criterion") or []:
        if isinstance(entry, list) and len(entry) >= 2:
            averages.append(f"{str(entry[0]).replace('/', '.')}.ave_{entry[1]}best.pth")
    for name in (*averages, "last.ckpt"):
        if (contents.root / folder / name).is_file():
            return [contents.add(folder / name, f"exp_dir of the training config, {name}", needed=False)]
    if has_inference:
        # It may have its weights in a form of its own, under `include` or `files`.
        return []
    raise ConfigError(
        f"there is no checkpoint in {contents.shown(contents.root / folder)}: run the stage train before pack_model",
        key="pack_model",
    )


def _add_tokenizer(training: Mapping[str, Any], contents: Contents) -> None:
    settings = training.get("tokenizer")
    saved = settings.get("save_path") if isinstance(settings, Mapping) else None
    if not saved:
        return
    folder = contents.root / str(saved)
    for pattern in _TOKENIZER_FILES:
        for path in sorted(folder.glob(pattern)):
            contents.add(path, "tokenizer.save_path", needed=False)


def _add_code(configs: Mapping[str, Any], contents: Contents) -> list[str]:
    """The recipe's own Python that the configs name, and what that imports from the recipe."""
    names = {name for config in configs.values() for name in dotted_names(config)}
    found: set[str] = set()
    with contextlib.chdir(contents.root):
        for name in names:
            found |= sources_of(name)
        if any(_uses_own_dataset(config) for config in configs.values()):
            found |= sources_of("dataset")
        # What these import may be imported for the training only; they themselves are what a bundle is loaded with.
        needed = {path for name in dotted_names(configs.get("inference", {})) for path in files_named(name)}
    packed = {contents.add(Path(path), f"the code {path}", needed=path in needed) for path in found}
    return sorted(packed & set(contents.names))


def _uses_own_dataset(config: Mapping[str, Any]) -> bool:
    dataset = config.get("dataset")
    entries = [dataset.get(split) or [] for split in ("train", "valid", "test")] if isinstance(dataset, Mapping) else []
    return any("data_src" not in entry for split in entries for entry in split if isinstance(entry, Mapping))


def _scores_file(settings: Mapping[str, Any], configs: Mapping[str, Any], root: Path) -> Path | None:
    folder = settings.get("inference_dir")
    if folder is not None:
        path = root / str(folder) / SCORES
        if not path.is_file():
            raise ConfigError(
                f"pack_model.inference_dir: there is no {path}; run the stage measure before pack_model",
                key="pack_model.inference_dir",
            )
        return path
    for name in ("metrics", "inference"):
        folder = configs.get(name, {}).get("inference_dir")
        if folder and (root / str(folder) / SCORES).is_file():
            return root / str(folder) / SCORES
    return None


def _scores(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}; run the stage measure again") from error
    found = secret_in_file(path)
    if found:
        raise ConfigError(f"{path} holds {found}, so it is not packed; take it out, and run the stage measure again")
    if not isinstance(scores, dict):
        raise ConfigError(f"{path} is not what the stage measure writes; run it again")
    return scores


# -- what is written ----------------------------------------------------------------------------------------------------


def _write_configs(configs: Mapping[str, Any], folder: Path) -> None:
    for name, config in configs.items():
        write_text(folder / "conf" / f"{name}.yaml", yaml_text(config))


def _write_readme(
    folder: Path,
    settings: Mapping[str, Any],
    publication: DictConfig,
    meta: Mapping[str, Any],
    scores: Mapping[str, Any],
    inference: Mapping[str, Any] | None,
    root: Path,
) -> None:
    upload = publication.get("upload_model")
    template = root / str(settings["readme"]) if settings.get("readme") else None
    if template is not None and not template.is_file():
        raise ConfigError(f"pack_model.readme: there is no file {template}", key="pack_model.readme")
    keys = meta["input_key"]
    text = model_card(
        title=str(meta["name"]),
        tag=str((upload.get("hf_repo") if upload is not None else None) or out_dir_of(publication, "pack_model").name),
        scores=scores,
        input_key=keys if isinstance(keys, str) or keys is None else listed(keys).replace("'", "`").strip("`"),
        sample_rate=meta["sample_rate"],
        is_trusted=inference is None or not named_code(inference, folder),
        modules=_modules(folder, meta["checkpoints"]) if settings.get("include_model_detail", True) else {},
        contents=_described(meta, has_scores=bool(scores)),
        template=template,
    )
    found = secret_in_text(text)
    if found:
        raise ConfigError(f"pack_model.readme: the README would hold {found}", key="pack_model.readme")
    write_text(folder / "README.md", text)


def _described(meta: Mapping[str, Any], *, has_scores: bool) -> dict[str, str]:
    found = {
        "conf/": "the configs; paths in them begin at this folder",
        "meta.yaml": "versions, and a hash of each file",
    }
    found |= dict.fromkeys(meta["checkpoints"], "weights")
    if has_scores:
        found[SCORES] = "what the stage measure wrote"
    found |= {f"{each.split('/')[0]}/": "code" for each in meta["code"] if "/" in each}
    return found


def _modules(folder: Path, checkpoints: list[str]) -> dict[str, int]:
    """The parts of the model and how many weights each has, as the checkpoint tells; nothing of it is run."""
    from espnet3.components.modeling.weight_files import read_weights

    for name in checkpoints:
        if not name.endswith((".ckpt", ".pth", ".pt", ".safetensors")):
            continue
        try:
            weights = read_weights(folder / name)
        except ConfigError as error:
            console_line(f"pack_model: the README does not list the model's parts: {error}")
            continue
        found: dict[str, int] = {}
        for key, value in weights.items():
            part = key.split(".")[0]
            found[part] = found.get(part, 0) + value.numel()
        return found
    return {}


def _versions() -> dict[str, str]:
    found = {"espnet3": __version__, "python": platform.python_version()}
    for package in ("esp3c", "torch", "lightning"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


# -- what the config says -----------------------------------------------------------------------------------------------


def _refuse_secrets(configs: Mapping[str, Any], not_secret: list[str]) -> None:
    for name, config in configs.items():
        for found in secrets_in_config(config):
            if any(fnmatch(found.place, pattern) for pattern in not_secret):
                continue
            raise ConfigError(
                f"{found.place} of the {name} config holds {found.what}, which would be published; let the code read it "
                "from the environment, and take it out of the config, or, if it is none, name the key in "
                "pack_model.not_secret",
                key=found.place,
            )


def _refuse_reserved(contents: Contents) -> None:
    taken = reserved(contents.names)
    if taken:
        raise ConfigError(
            f"{taken[0]} would take the place of {root_of(taken[0])!r}, a module of Python or of the framework, where the "
            "bundle is loaded; give it another name, or leave it out with pack_model.exclude",
            key="pack_model",
        )


def _refuse_references(inference: Mapping[str, Any]) -> None:
    """What whoever loads the bundle would refuse: a text with `${` that is no reference to the bundle's folder."""
    for key, value in leaves(inference):
        if isinstance(value, str) and "${" in value.removeprefix(HERE):
            raise ConfigError(
                f"{key} of the inference config is a text with `${{` in it, which no bundle may have: {value}", key=key
            )


def _config_file(path: Path, key: str, not_secret: list[str]) -> dict[str, Any]:
    from espnet3.utils.config_utils import load_config_with_defaults

    if not path.is_file():
        raise ConfigError(f"{key}: there is no file {path}", key=key)
    config = plain(load_config_with_defaults(path), key)
    _refuse_secrets({key: config}, not_secret)
    return config


def _texts(settings: Mapping[str, Any], key: str) -> list[str]:
    value = settings.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"pack_model.{key} is a list of paths", key=f"pack_model.{key}")
    return [os.path.normpath(each) for each in value]


def _map(settings: Mapping[str, Any], key: str) -> dict[str, str]:
    value = settings.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ConfigError(f"pack_model.{key} is a map of names to paths", key=f"pack_model.{key}")
    return {str(name): path for name, path in value.items()}
