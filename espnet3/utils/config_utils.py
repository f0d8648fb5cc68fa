"""Config files: reading, composing, merging over defaults, resolving.

A config file is YAML for OmegaConf. A `defaults:` list at its top composes it from other files, as in
Hydra:

```yaml
defaults:
  - common                # common.yaml beside this file, merged at the top level
  - optimizer: adam       # optimizer/adam.yaml, merged under the key `optimizer`
  - optional local: me    # skipped where there is no such file
  - _self_                # the place of this file in the order; the end where it is not written
```

What stands later in the list wins. Two resolvers are known everywhere: `${load_line:path}` is the list of a
file's lines, `${self_name:}` the stem of the file in which it stands (in the defaults that a system brings,
the stem of the user's file).

A config remembers the file and the line of its keys, so that an error can name them.
"""

import logging
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from espnet3.utils._yaml_source import Origin, read_yaml, text_read
from espnet3.utils.config_keys import misspelt_keys
from espnet3.utils.errors import ConfigError, did_you_mean, listed

__all__ = [
    "ConfigError",
    "LinesNotWritten",
    "load_and_merge_config",
    "load_config_with_defaults",
    "load_default_config",
    "load_line",
    "origin_of",
    "place_of",
    "resolve_config",
    "self_name",
    "text_read",
]

_LOG = logging.getLogger(__name__)

# An attribute beside the content: OmegaConf has no place of its own for it.
_ORIGINS = "_espnet3_origins"


class LinesNotWritten(FileNotFoundError):
    """`${load_line:path}` names a file that does not exist (yet)."""


def load_line(path: str) -> list[str]:
    """The lines of the text file `path`, without their ends.

    Raises:
        LinesNotWritten: There is no such file.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            return [line.rstrip("\r\n") for line in handle]
    except FileNotFoundError:
        raise LinesNotWritten(
            f"${{load_line:{path}}}: there is no file {path}; if a stage writes it (train_tokenizer writes "
            "tokens.txt), run that stage first"
        ) from None


def self_name(path: str = "") -> str:
    """The stem of `path`: "training" for "conf/training.yaml".

    Raises:
        ConfigError: `path` is empty, which is replaced where a config file is read but means nothing
            elsewhere.
    """
    if not path:
        raise ConfigError("${self_name:} has a meaning only in a config file that is loaded as one")
    return Path(path).stem


if not OmegaConf.has_resolver("load_line"):
    OmegaConf.register_new_resolver("load_line", load_line)
if not OmegaConf.has_resolver("self_name"):
    OmegaConf.register_new_resolver("self_name", self_name)


def load_config_with_defaults(path: str | Path, resolve: bool = True) -> DictConfig:
    """Read the config file `path`, composed from its `defaults:` list.

    Args:
        path: The YAML file.
        resolve: Replace interpolations by their values. `${load_line:…}` of a file that does not exist yet
            stays.

    Raises:
        ConfigError: A file is missing or no YAML, a `defaults:` entry is wrong, files include each other in
            a circle, or (with `resolve`) an interpolation leads nowhere. The message names file and line.
    """
    config = _load(Path(path), None)
    if resolve:
        resolve_config(config)
    return config


def load_default_config(config_name: str, default_package: str) -> DictConfig:
    """Read `conf/<config_name>` of the Python package `default_package`, unresolved.

    Raises:
        ConfigError: There is no such package, or it has no such file.
    """
    return _load(_default_path(config_name, default_package), None)


def load_and_merge_config(
    config_path: Path | None,
    config_name: str,
    default_package: str | None = None,
    resolve: bool = True,
) -> DictConfig | None:
    """Read a user's config file and merge it over the defaults of a system.

    A recipe may have keys of its own. Of one that is nearly a key of the framework, a warning tells.

    Args:
        config_path: The user's file. None gives None: the config was not asked for.
        config_name: The file of defaults, such as "training.yaml".
        default_package: The package whose `conf/` folder holds the defaults; None merges over nothing.
        resolve: As for `load_config_with_defaults`.

    Raises:
        ConfigError: As for `load_config_with_defaults` and `load_default_config`.
    """
    if config_path is None:
        return None
    config = _load(Path(config_path), None)
    for key, near in misspelt_keys(map(str, config), config_name).items():
        _LOG.warning("warning: %s: nothing here reads the key %r; did you mean %r?", place_of(config, key), key, near)
    if default_package is not None:
        defaults = _load(_default_path(config_name, default_package), Path(config_path).stem)
        config = _merged(defaults, config)
    if resolve:
        resolve_config(config)
    return config


def resolve_config(config: DictConfig) -> None:
    """Replace every interpolation of `config` by its value, in place.

    `${load_line:…}` of a file that does not exist yet stays an interpolation, and so does what refers to
    it: a stage of the same run may write the file. Reading such a value later raises if the file is still
    missing.

    Raises:
        ConfigError: An interpolation leads nowhere; the message names the file, the line and the nearest
            key.
    """
    try:
        _resolve(config)
    except OmegaConfBaseException as error:
        raise _explained(error, config) from error


def place_of(config: DictConfig, key: str) -> str:
    """Where `key` ("trainer.max_epochs") stands, as "conf/training.yaml:12", or "" where that is not known.

    A key that stands nowhere itself has the place of the nearest key around it.
    """
    found = origin_of(config, key)
    return "" if found is None else str(found[1])


def origin_of(config: DictConfig, key: str) -> tuple[str, Origin] | None:
    """The key itself, or the nearest around it that stands in a file, and where it stands; None where that is not known."""
    origins = _origins(config)
    while key:
        if key in origins:
            return key, origins[key]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return None


def _default_path(config_name: str, package: str) -> Path:
    try:
        module = import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(f"there is no package {package!r} to take the defaults from ({error})") from error
    for root in module.__path__:
        path = Path(root) / "conf" / config_name
        if path.is_file():
            return path
    raise ConfigError(f"the package {package!r} has no defaults conf/{config_name}")


def _origins(config: DictConfig) -> dict[str, Origin]:
    found: dict[str, Origin] = vars(config).get(_ORIGINS, {})
    return found


def _with_origins(config: DictConfig, origins: dict[str, Origin]) -> DictConfig:
    vars(config)[_ORIGINS] = origins
    return config


def _merged(first: DictConfig, second: DictConfig) -> DictConfig:
    merged = OmegaConf.merge(first, second)
    assert isinstance(merged, DictConfig)
    return _with_origins(merged, {**_origins(first), **_origins(second)})


def _under(config: DictConfig, package: str) -> DictConfig:
    if not package:
        return config
    placed = OmegaConf.create({})
    OmegaConf.update(placed, package, config, force_add=True)
    return _with_origins(placed, {f"{package}.{key}": place for key, place in _origins(config).items()})


def _load(path: Path, name: str | None, chain: tuple[Path, ...] = (), root: Path | None = None) -> DictConfig:
    real = path.resolve()
    if real in [seen.resolve() for seen in chain]:
        circle = " -> ".join(str(seen) for seen in (*chain, path))
        raise ConfigError(f"the defaults of these config files go in a circle: {circle}")
    source = read_yaml(path, name)
    content = dict(source.content)
    entries = content.pop("defaults", None)
    try:
        own = _with_origins(OmegaConf.create(content), source.origins)
    except OmegaConfBaseException as error:
        place = str(source.origins.get(str(error.full_key or error.key or ""), path))
        raise ConfigError(f"{place}: {error.msg or str(error)}") from error
    if entries is None:
        return own
    if not isinstance(entries, list):
        raise ConfigError(f"{source.origins['defaults']}: `defaults` is a list, such as [common, _self_]")
    root = root or path.parent
    if "_self_" not in entries:
        entries = [*entries, "_self_"]
    config: DictConfig = OmegaConf.create({})
    for index, entry in enumerate(entries):
        if entry == "_self_":
            config = _merged(config, own)
            continue
        place = str(source.origins.get(f"defaults[{index}]", path))
        for target, package in _files_of_entry(entry, path.parent, root, place):
            if not target.is_file():
                raise ConfigError(f"{place}: the defaults name {target}, which does not exist")
            part = _load(target, None, (*chain, path), root)
            config = _merged(config, _under(part, package))
    return config


def _files_of_entry(entry: object, folder: Path, root: Path, place: str) -> list[tuple[Path, str]]:
    """The files that one entry of a `defaults:` list stands for, each with the key that it goes under."""
    if isinstance(entry, str):
        return [(_yaml_file(folder, root, entry, place), "")]
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ConfigError(f"{place}: an entry of `defaults` is a file name, `group: name` or _self_, not {entry!r}")
    ((head, names),) = entry.items()
    words = str(head).split()
    optional = "optional" in words[:-1]
    if set(words[:-1]) - {"optional"}:
        raise ConfigError(f"{place}: `{head}`: only `optional` is understood before a group's name")
    if names is None:
        return []
    group, _, package = words[-1].partition("@")
    if not package:
        package = group.strip("/").replace("/", ".")
    elif package in ("_global_", "_here_"):
        package = ""
    files = []
    for name in names if isinstance(names, list) else [names]:
        file = _yaml_file(folder, root, f"{group}/{name}", place)
        if file.is_file() or not optional:
            files.append((file, package))
    return files


def _yaml_file(folder: Path, root: Path, name: str, place: str) -> Path:
    if "${" in name:
        raise ConfigError(f"{place}: `defaults` are read before values are known: write {name!r} out")
    file = (root / name.lstrip("/")) if name.startswith("/") else folder / name
    return file if file.suffix in (".yaml", ".yml") else file.with_name(file.name + ".yaml")


def _resolve(container: DictConfig | ListConfig) -> None:
    keys: list[Any] = list(range(len(container))) if isinstance(container, ListConfig) else list(container.keys())
    for key in keys:
        if OmegaConf.is_missing(container, key):
            continue
        is_interpolation = OmegaConf.is_interpolation(container, key)
        try:
            value = container[key]
        except OmegaConfBaseException as error:
            if _lines_not_written(error) is not None:
                continue
            raise
        if isinstance(value, DictConfig | ListConfig):
            _resolve(value)
        if is_interpolation:
            container[key] = _escaped(value)


def _escaped(value: Any) -> Any:
    """A value as it has to stand in a config to be read as itself: text that holds `${` is no interpolation."""
    if not isinstance(value, str) or "${" not in value:
        return value
    return re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + r"\${", value)


def _lines_not_written(error: BaseException) -> LinesNotWritten | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, LinesNotWritten):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _explained(error: OmegaConfBaseException, config: DictConfig) -> ConfigError:
    key = str(error.full_key or error.key or "")
    place = place_of(config, key)
    where = f"{place}: {key}" if place else key
    return ConfigError(f"{where}: {_reason(error, config)}", key=key, config=config)


def _reason(error: OmegaConfBaseException, config: DictConfig) -> str:
    reason = str(error.msg or error).splitlines()[0] if (error.msg or str(error)) else type(error).__name__
    if isinstance(error, InterpolationKeyError):
        missing = reason.partition("Interpolation key '")[2].partition("'")[0]
        near = did_you_mean(missing, _dotted_keys(config))
        return f"${{{missing}}} names a key that this config does not have{near}"
    if isinstance(error, InterpolationToMissingValueError):
        return f"it refers to a value that is not set ({reason})"
    if isinstance(error, UnsupportedInterpolationType):
        return f"{reason}; known here are {listed(['load_line', 'self_name', 'oc.env'])}"
    return reason


def _dotted_keys(config: DictConfig | ListConfig, prefix: str = "") -> list[str]:
    found = []
    if isinstance(config, DictConfig):
        for key in config:
            name = f"{prefix}.{key!s}" if prefix else str(key)
            found.append(name)
            child = config._get_node(key)
            if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
                found.extend(_dotted_keys(child, name))
    return found
