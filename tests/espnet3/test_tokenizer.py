"""Training a tokenizer: SentencePiece, the stage, and what training asks of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sentencepiece
import torch
from omegaconf import DictConfig, OmegaConf

from espnet3.systems.asr.system import ASRSystem
from espnet3.systems.asr.tokenizers.sentencepiece import (
    add_special_tokens,
    prepare_sentences,
    train_sentencepiece,
)
from espnet3.utils.errors import ConfigError
from espnet3.utils.task_utils import get_espnet_model, get_task_class, save_espnet_config

LINES = ["one two three", "four five six", "seven eight nine", "zero one two", "three four five"] * 4

_SOURCE = f"""
CALLS = []

def lines(repeat):
    CALLS.append(repeat)
    for line in {LINES!r} * repeat:
        yield line

def file(path):
    return path

def number():
    return 3

class Task:
    @staticmethod
    def get_default_config():
        return {{"encoder": "rnn", "layers": 2}}

    @staticmethod
    def build_model(args):
        return args
"""


@pytest.fixture
def src(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "tok_src.py").write_text(_SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("tok_src", None)
    import tok_src  # type: ignore[import-not-found]

    yield tok_src
    sys.modules.pop("tok_src", None)


def config(**changes: Any) -> DictConfig:
    tokenizer = {
        "vocab_size": 30,
        "save_path": "data/spm",
        "model_type": "bpe",
        "text_builder": {"func": "tok_src.lines", "repeat": 1},
        **changes,
    }
    return OmegaConf.create({"exp_dir": "exp/a", "tokenizer": tokenizer})


def test_the_stage_writes_model_vocabulary_and_tokens(src: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And trains once for the same text and settings."""
    system = ASRSystem(training_config=config())
    system.train_tokenizer()
    tokens = Path("data/spm/tokens.txt").read_text().splitlines()
    processor = sentencepiece.SentencePieceProcessor(model_file="data/spm/bpe.model")
    written = Path("data/spm/bpe.model").stat().st_mtime_ns

    assert tokens[:2] == ["<blank>", "<unk>"]
    assert tokens[-1] == "<sos/eos>"
    assert len(tokens) == 30
    assert all(piece in tokens for piece in processor.encode("one nine", out_type=str))
    assert len(Path("data/spm/bpe.vocab").read_text().splitlines()) == 30

    system.train_tokenizer()
    assert Path("data/spm/bpe.model").stat().st_mtime_ns == written
    ASRSystem(training_config=config(vocab_size=28)).train_tokenizer()
    assert len(Path("data/spm/tokens.txt").read_text().splitlines()) == 28
    assert capsys.readouterr().out.splitlines() == [
        "train_tokenizer: data/spm/bpe.model, 30 tokens in data/spm/tokens.txt",
        "train_tokenizer: data/spm/bpe.model was trained before from the same text",
        "train_tokenizer: data/spm/bpe.model, 28 tokens in data/spm/tokens.txt",
    ]


def test_the_same_text_gives_the_same_model(src: Any) -> None:
    """Byte for byte, and from a file as from lines."""
    Path("text.txt").write_text("\n".join(LINES) + "\n")
    ASRSystem(training_config=config(save_path="a")).train_tokenizer()
    builder = {"func": "tok_src.file", "path": "text.txt"}
    ASRSystem(training_config=config(save_path="b", text_builder=builder)).train_tokenizer()

    assert Path("a/bpe.model").read_bytes() == Path("b/bpe.model").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "pbe"}, r"model_type is 'pbe'.*did you mean 'bpe'"),
        ({"vocab_size": 100000}, r"cannot train a bpe model of vocab_size 100000 on .*\(20 sentences\): "),
        ({"vocab_sice": 3}, r"tokenizer has no key 'vocab_sice'.*did you mean 'vocab_size'"),
        ({"save_path": None}, r"tokenizer.save_path is missing"),
        ({"text_builder": None}, r"tokenizer.text_builder is missing"),
        ({"text_builder": {"function": "x"}}, r"text_builder has no func.*it has 'function'"),
        ({"text_builder": {"func": "tok_src.lins"}}, r"func: .*no 'lins'; did you mean 'lines'"),
        ({"text_builder": {"func": "tok_src.number"}}, r"text_builder returned a int"),
        ({"text_builder": {"func": "tok_src.file", "path": "nope"}}, r"returned nope, which is no file"),
        ({"text_builder": {"func": "tok_src.lines", "repeat": 0}}, r"has no sentence"),
    ],
)
def test_settings_that_do_not_fit_are_named(src: Any, changes: dict[str, Any], message: str) -> None:
    """With the key in the config or the trainer's own reason; no model is left."""
    with pytest.raises(ConfigError, match=message):
        ASRSystem(training_config=config(**changes)).train_tokenizer()

    assert not list(Path().rglob("*.model"))


def test_training_waits_for_the_tokenizer(src: Any) -> None:
    """A model with a tokenizer that was not trained is refused before anything is built."""
    with pytest.raises(ConfigError, match=r"data/spm/bpe.model does not exist: run the stage train_tokenizer"):
        ASRSystem(training_config=config()).train()
    with pytest.raises(ConfigError, match=r"the training config has no `tokenizer`"):
        ASRSystem(training_config=OmegaConf.create({"exp_dir": "x"})).train_tokenizer()


def test_sentences_come_from_kaldi_files(tmp_path: Path) -> None:
    """Without ids, empty sentences and the characters to remove."""
    (tmp_path / "a").write_text("u1 one (noise) two\nu2\nu3  three\n")
    (tmp_path / "b").write_text("u4 four\n")
    path = prepare_sentences([tmp_path / "a", tmp_path / "b"], tmp_path / "out", remove_characters="()")

    assert path == tmp_path / "out" / "train.txt"
    assert path.read_text() == "one noise two\nthree\nfour\n"


def test_special_tokens_reach_tokenizer_list_and_embedding(tmp_path: Path) -> None:
    """New rows stand where the tokens stand; what was given is unchanged."""
    (tmp_path / "text").write_text("\n".join(LINES))
    train_sentencepiece(tmp_path / "text", tmp_path, vocab_size=28, model_type="bpe")
    tokens = (tmp_path / "tokens.txt").read_text().splitlines()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    converter = SimpleNamespace(token_list=tokens, token2id={token: i for i, token in enumerate(tokens)})
    embedding = torch.nn.Embedding(len(tokens), 3, padding_idx=len(tokens) - 1)
    new, longer, larger = add_special_tokens(
        processor, converter, embedding, ["<en>", "<de>", "<unk>"], insert_after="<unk>"
    )

    assert longer.token_list[:5] == ["<blank>", "<unk>", "<en>", "<de>", tokens[2]]
    assert longer.token2id["<de>"] == 3
    assert "<en>" in new.encode("<en>one", out_type=str)
    assert "<en>" not in processor.encode("<en>one", out_type=str)
    assert larger.weight.shape == (len(tokens) + 2, 3)
    assert torch.equal(larger.weight[4:], embedding.weight[2:])
    assert torch.allclose(larger.weight[2], embedding.weight.mean(0))
    assert larger.padding_idx == len(tokens) + 1
    assert larger.weight.requires_grad
    assert len(converter.token_list) == len(tokens)

    wrapped, _, same = add_special_tokens(SimpleNamespace(sp=processor), converter, embedding, ["<unk>"])
    assert wrapped.sp.get_piece_size() == processor.get_piece_size()
    assert same is embedding
    with pytest.raises(ConfigError, match=r"no token '<unc>'; did you mean '<unk>'"):
        add_special_tokens(processor, converter, embedding, ["<x>"], insert_after="<unc>")
    with pytest.raises(ConfigError, match=r"28 tokens but 3 rows"):
        add_special_tokens(processor, converter, torch.nn.Embedding(3, 3), ["<x>"])


def test_the_bridge_to_tasks(src: Any) -> None:
    """A task's model is built from its default settings with the config's over them."""
    model = get_espnet_model("tok_src.Task", OmegaConf.create({"layers": 6}))
    save_espnet_config(
        "tok_src.Task", OmegaConf.create({"model": {"layers": 6}, "seed": 1, "token_list": ["a"]}), "exp"
    )

    assert vars(model) == {"encoder": "rnn", "layers": 6}
    assert OmegaConf.load("exp/config.yaml") == {
        "encoder": "rnn",
        "layers": 6,
        "seed": 1,
        "token_list": ["a"],
    }
    with pytest.raises(ConfigError, match=r"espnet2.tasks.asr.Nope.*comes with the extra `espnet`"):
        get_task_class("espnet2.tasks.asr.Nope")
    with pytest.raises(ConfigError, match=r"tok_src.lines is no task: it has no get_default_config\(\)"):
        get_task_class("tok_src.lines")
