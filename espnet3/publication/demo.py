"""The stage pack_demo: a folder with a page that transcribes a recording with a bundle.

It holds `app.py`, `requirements.txt`, a README that makes it a space of the hub, and the bundle under `model/`.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.files import write_text
from esp3rt.progress import Progress, console_line
from espnet3 import __version__
from espnet3.publication.bundle import open_bundle
from espnet3.publication.contents import copy
from espnet3.publication.sealed_folder import FORMAT, META, building, out_dir_of, put_in_place, seal
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_APP = '''\
"""A page that transcribes a recording: start it with `python app.py`."""

from pathlib import Path

from espnet3.publication.demo_page import demo_page
from espnet3.publication.inference_model import InferenceModel

HERE = Path(__file__).resolve().parent

model = InferenceModel.{load}
page = demo_page(model, title={title!r}, description={description!r})

if __name__ == "__main__":
    page.launch()
'''
_OLDEST_GRADIO = "5"
_MODEL = "model"


def pack_demo(demo_config: DictConfig | None, publication_config: DictConfig | None = None) -> Path:
    """Write the folder of the page, whole or not at all.

    Reads `model.dir_or_tag` (a bundle, or `owner/name` on the hub; by default what pack_model writes),
    `model.trust_user_code` (by default true for what pack_model of the same publication config writes, and false for any
    other bundle), `title`, `description`, and `pack_demo.out_dir` and `pack_demo.allow_overwrite`.

    Returns:
        The folder.

    Raises:
        ConfigError: A key is wrong, there is no bundle, the bundle names code and nobody has said that it is trusted, or
            something else stands in the folder's place.
        BundleError: The bundle is damaged.
    """
    if demo_config is None:
        raise ConfigError("stage `pack_demo` needs a demo config; give --demo_config")
    out_dir = out_dir_of(demo_config, "pack_demo")
    model = demo_config.get("model") or {}
    source = _bundle(model.get("dir_or_tag"), demo_config, publication_config)
    trust = model.get("trust_user_code")
    title = str(demo_config.get("title") or "")
    section = demo_config.get("pack_demo") or {}
    with building(out_dir) as folder:
        if isinstance(source, Path):
            bundle = open_bundle(source)
            is_trusted = _is_own(source, publication_config) if trust is None else bool(trust)
            if bundle.code and trust is None and not is_trusted:
                raise ConfigError(
                    f"model.dir_or_tag: {source} names code that the page would run:\n{bundle.listing}Read it. If you trust "
                    "it, set model.trust_user_code to true",
                    key="model.trust_user_code",
                )
            title = title or str(bundle.meta.get("name") or "Speech recognition")
            names = [META, *bundle.meta["sha256"]]
            with Progress("pack_demo", len(names), unit="files") as progress:
                for name in names:
                    copy(source / name, folder / _MODEL / name)
                    progress.advance()
            load = f'from_packed(HERE / "{_MODEL}", trust_user_code={is_trusted})'
        else:
            title = title or source
            load = f"from_pretrained({source!r}, trust_user_code={bool(trust)})"
        description = str(demo_config.get("description") or "")
        write_text(folder / "app.py", _APP.format(load=load, title=title, description=description))
        write_text(folder / "requirements.txt", _requirements())
        write_text(folder / "README.md", _readme(title, source))
        seal(folder, {"format": FORMAT, "name": title})
        allow = bool(section.get("allow_overwrite"))
        changed = put_in_place(folder, out_dir, allow_overwrite=allow, key="pack_demo")
    console_line(
        f"pack_demo: {out_dir}{'' if changed else ' is as it should be'}; python {out_dir / 'app.py'} starts it"
    )
    return out_dir


def _is_own(bundle: Path, publication: DictConfig | None) -> bool:
    """Whether a bundle is what this run's own pack_model writes."""
    section = publication.get("pack_model") if publication is not None else None
    if publication is None or section is None or not section.get("out_dir"):
        return False
    return bundle == Path(os.path.realpath(out_dir_of(publication, "pack_model")))


def _bundle(named: Any, demo: DictConfig, publication: DictConfig | None) -> Path | str:
    """A bundle's folder, or the tag of one on the hub."""
    if named:
        folder = Path(str(named))
        is_tag = str(named).count("/") == 1 and not str(named).startswith((".", "/", "~")) and not folder.exists()
        if is_tag:
            return str(named)
    else:
        folder = (
            out_dir_of(publication, "pack_model")
            if publication is not None
            else Path(str(demo.get("exp_dir"))) / "model_pack"
        )
    if not folder.is_dir():
        where = "model.dir_or_tag" if named else "pack_demo"
        raise ConfigError(f"{where}: there is no bundle {folder}: run the stage pack_model first", key=where)
    return Path(os.path.realpath(folder))


def _requirements() -> str:
    try:
        own = f"esp3c[demo]=={version('esp3c')}"
    except PackageNotFoundError:
        own = f"esp3c[demo]=={__version__}"
    return f"{own}\ngradio>={_OLDEST_GRADIO}\n"


def _readme(title: str, source: Path | str) -> str:
    import yaml

    front: dict[str, Any] = {"title": title, "sdk": "gradio", "app_file": "app.py", "pinned": False}
    try:
        front["sdk_version"] = version("gradio")
    except PackageNotFoundError:
        front["python_version"] = "3.11"
    if isinstance(source, str):
        front["models"] = [source.partition("@")[0]]
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n\n# {title}\n\nTranscribes an uploaded or recorded file. `python app.py` starts it.\n"
