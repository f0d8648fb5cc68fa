"""What stands in a bundle, before anything of it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3.publication.bundled_code import is_code
from espnet3.publication.foreign import LARGEST_CONFIG, read_yaml, settled
from espnet3.publication.sealed_folder import read_meta, verify
from espnet3.publication.trust import Named, misnamed, named_code
from espnet3.utils.errors import ConfigError

CONFIG = "conf/inference.yaml"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were verified.

    Attributes:
        folder: Where it is, as a whole path.
        meta: Its `meta.yaml`.
        config: Its inference config, in which nothing is left to interpolate.
        code: What the config would run, but for what is known.
    """

    folder: Path
    meta: dict[str, Any]
    config: dict[str, Any]
    code: list[Named]

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {name: str(entry["sha256"]) for name, entry in self.meta["sha256"].items()}

    @property
    def listing(self) -> str:
        """Lines that say what would run, for somebody who is to decide."""
        own = sorted(name for name in self.meta["sha256"] if is_code(name))
        return "".join(f"  {each.words}\n" for each in self.code) + (
            f"The bundle's own Python: {', '.join(own)}\n" if own else ""
        )


def open_bundle(pack_dir: str | Path) -> Bundle:
    """Verify a bundle and read its inference config; nothing that it names is imported.

    Raises:
        BundleError: It is no bundle, is damaged or was changed, or refers to something outside of it.
        ConfigError: It was packed without an inference config, or the config is none.
    """
    folder = Path(pack_dir).absolute()
    meta = read_meta(folder)
    verify(folder, meta)
    if CONFIG not in meta["sha256"]:
        raise ConfigError(
            f"{folder} was packed without an inference config, so nothing says how to call its model; "
            "pack it again with --inference_config"
        )
    content = read_yaml(folder / CONFIG, LARGEST_CONFIG)
    if not isinstance(content, dict):
        raise ConfigError(f"{folder / CONFIG} holds no config")
    config = settled(content, folder)
    for key in misnamed(config):
        raise ConfigError(f"{folder / CONFIG}: {key} is no dotted path", key=key)
    return Bundle(folder, meta, config, named_code(config, folder))
