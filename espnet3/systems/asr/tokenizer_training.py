"""The stage train_tokenizer: text from the recipe's own function, a SentencePiece model from the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import at_key, uses_config
from espnet3.utils.errors import ConfigError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

_KEYS = (
    "vocab_size",
    "character_coverage",
    "model_type",
    "save_path",
    "text_builder",
    "user_defined_symbols",
)
# What the model was trained from: it tells whether it would come out the same.
_STATE = "tokenizer.json"


@uses_config
def train_tokenizer(config: DictConfig) -> None:
    """Train the tokenizer that `config.tokenizer` describes, unless the same one is there already.

    Reads `save_path`, `vocab_size`, `character_coverage`, `model_type`, `user_defined_symbols` and
    `text_builder: {func, …}`: `func` is called with the other keys and returns the path of a text file, or
    lines. Writes `<model_type>.model`, `<model_type>.vocab` and `tokens.txt` under `save_path`.

    Raises:
        ConfigError: A key is missing, unknown, or does not fit the text.
    """
    from esp3rt.files import sha256_of, write_json
    from esp3rt.progress import console_line
    from espnet3.systems.asr.tokenizers.sentencepiece import sentences_of, train_sentencepiece

    settings = _settings(config)
    builder = settings.pop("text_builder")
    folder = Path(str(settings.pop("save_path")))
    model = folder / f"{settings['model_type']}.model"
    text = sentences_of(_text(builder), folder / "train.txt")
    state = {"settings": settings, "text_sha256": sha256_of(text)}
    if model.is_file() and (folder / "tokens.txt").is_file() and _read(folder / _STATE) == state:
        console_line(f"train_tokenizer: {model} was trained before from the same text")
        return
    (folder / _STATE).unlink(missing_ok=True)
    train_sentencepiece(text, folder, **settings)
    write_json(folder / _STATE, state)
    n_tokens = len((folder / "tokens.txt").read_text(encoding="utf-8").splitlines())
    console_line(f"train_tokenizer: {model}, {n_tokens} tokens in {folder / 'tokens.txt'}")


def check_tokenizer(config: DictConfig) -> None:
    """See that the tokenizer that `config` describes has been trained; without one there is nothing to see.

    Raises:
        ConfigError: Its model file is missing.
    """
    node = config.get("tokenizer")
    if node is None or not node.get("save_path"):
        return
    model = Path(str(node.save_path)) / f"{node.get('model_type') or 'bpe'}.model"
    if not model.is_file():
        raise ConfigError(
            f"the training config has a tokenizer, but {model} does not exist: run the stage train_tokenizer first"
        )


def _settings(config: DictConfig) -> dict[str, Any]:
    from omegaconf import OmegaConf

    node = config.get("tokenizer")
    if node is None:
        raise ConfigError("stage `train_tokenizer`: the training config has no `tokenizer`")
    plain: Any = OmegaConf.to_container(node, resolve=True)
    for key in plain:
        if key not in _KEYS:
            raise ConfigError(f"tokenizer has no key {key!r}; it has {listed(_KEYS)}{did_you_mean(str(key), _KEYS)}")
    for key in ("save_path", "text_builder"):
        if not plain.get(key):
            raise ConfigError(f"tokenizer.{key} is missing from the training config")
    settings = {
        "vocab_size": 5000,
        "character_coverage": 1.0,
        "model_type": "bpe",
        "user_defined_symbols": [],
    }
    return {**settings, **plain}


def _text(builder: Any) -> Any:
    from espnet3.utils._dotted import import_dotted

    if isinstance(builder, str):
        builder = {"func": builder}
    path = builder.get("func")
    if not path:
        raise ConfigError(
            f"tokenizer.text_builder has no func, the function that gives the text; it has {listed(builder)}"
        )
    function = import_dotted(str(path), "tokenizer.text_builder.func")
    if not callable(function):
        raise ConfigError(f"tokenizer.text_builder.func: {path} cannot be called")
    arguments = {key: value for key, value in builder.items() if key != "func"}
    with at_key("tokenizer.text_builder", arguments):
        return function(**arguments)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
