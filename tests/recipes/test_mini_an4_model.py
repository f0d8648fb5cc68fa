"""Model, text and inference of recipes/mini_an4."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from espnet3.components.data.collate import CommonCollateFn
from espnet3.systems.asr.tokenizers.sentencepiece import train_sentencepiece

pytestmark = pytest.mark.usefixtures("one_thread")

Load = Callable[[str], ModuleType]

LINES = ["YES", "MARCH THIRD NINETEEN TWENTY EIGHT", "START", "ELEVEN SEVENTEEN FIFTY ONE"]

_PLACE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mini_an4.tar.gz"
ARCHIVE = Path(os.environ.get("MINI_AN4_ARCHIVE", _PLACE))


@pytest.fixture
def load(importer_of: Callable[[str], Load]) -> Load:
    return importer_of("mini_an4")


@pytest.fixture
def model(load: Load) -> Any:
    torch.manual_seed(0)
    return load("src.model").CTCRecognizer(n_mels=20, hidden_size=32, vocab_size=29)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    text = tmp_path / "text"
    text.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    train_sentencepiece(text, tmp_path, vocab_size=28, model_type="unigram")
    return tmp_path / "unigram.model"


@pytest.mark.parametrize("samples", [100, 400, 5_000, 16_001])
def test_an_utterance_is_recognized_alike_alone_and_in_a_padded_batch(model: Any, samples: int) -> None:
    """What stands behind an utterance's end reaches neither its probabilities nor their number."""
    generator = torch.Generator().manual_seed(samples)
    batch = torch.randn(2, max(12_000, samples), generator=generator)
    short = batch[1:, :samples].clone()

    both, lengths = model.encode(batch, torch.tensor([12_000, samples]))
    alone, (frames,) = model.encode(short, torch.tensor([samples]))

    assert int(lengths[1]) == int(frames) == alone.shape[1]
    torch.testing.assert_close(both[1, :frames], alone[0], rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_batch_is_the_mean_of_its_utterances(model: Any) -> None:
    """Padding of the labels counts as little as padding of the speech."""
    speech, lengths = torch.randn(2, 20_000), torch.tensor([20_000, 9_000])
    text, text_lengths = torch.tensor([[3, 28, 4], [1, -1, -1]]), torch.tensor([3, 1])

    loss, stats, weight = model(speech, lengths, text, text_lengths)
    alone = [
        model(speech[i : i + 1, : lengths[i]], lengths[i : i + 1], text[i : i + 1], text_lengths[i : i + 1])[0]
        for i in range(2)
    ]

    torch.testing.assert_close(loss, torch.stack(alone).mean())
    assert stats["loss"].item() == pytest.approx(loss.item())
    assert int(weight) == 2


def test_text_goes_to_pieces_and_back(load: Load, tokenizer: Path) -> None:
    """0 is left to the blank; a piece's symbol is its number and one."""
    tokens = load("src.text").SentencepieceTokens(model=tokenizer)

    assert tokens.vocab_size == 29
    for line in LINES:
        sample = tokens({"utt_id": "a", "text": line})
        assert sample["text"].dtype == np.int64
        assert sample["text"].min() > 0
        assert sample["text"].max() < 29
        assert tokens.decode(sample["text"].tolist()) == line


def test_the_tokenizer_is_read_when_it_is_needed(load: Load, tokenizer: Path) -> None:
    """A preprocessor can be made before the stage train_tokenizer, and travels to workers as its path."""
    tokens = load("src.text").SentencepieceTokens
    early = tokens(model="nowhere/unigram.model")
    with pytest.raises(FileNotFoundError, match="train_tokenizer"):
        early({"text": "YES"})

    used = tokens(model=tokenizer)
    used({"text": "YES"})
    sent = pickle.dumps(used)
    assert len(sent) < 1_000
    assert pickle.loads(sent)({"text": "YES"})["text"].tolist() == used({"text": "YES"})["text"].tolist()


def test_transcripts_are_those_of_the_training_set(load: Load, tmp_path: Path) -> None:
    """One text a line, from the manifest of `train`; without it, the stage that makes it is named."""
    transcripts = load("src.text").transcripts
    with pytest.raises(FileNotFoundError, match="create_dataset"):
        list(transcripts(tmp_path))
    manifest = tmp_path / "data" / "an4" / "train" / "manifest.tsv"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("utt_id\ttext\twav\tsamples\na\tYES\tw\t1\nb\tGO ON\tw\t1\n")

    assert list(transcripts(recipe_dir=tmp_path)) == ["YES", "GO ON"]


def test_recognizer_answers_with_text_and_says_what_does_not_fit(
    load: Load, model: Any, tokenizer: Path, tmp_path: Path
) -> None:
    """The checkpoint's weights under `model.` are used; other sizes are refused in words."""
    inference = load("src.inference")
    checkpoint = tmp_path / "last.ckpt"
    sizes = {"n_mels": 20, "hidden_size": 32, "vocab_size": 29}
    with pytest.raises(FileNotFoundError, match="run the stage train first"):
        inference.Recognizer(checkpoint, tokenizer, **sizes)
    torch.save({"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}}, checkpoint)
    speech = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)

    hypothesis = inference.Recognizer(checkpoint, tokenizer, **sizes, device="cpu")(speech)

    (symbols,) = model.recognize(torch.from_numpy(speech)[None], torch.tensor([16_000]))
    assert hypothesis == load("src.text").SentencepieceTokens(tokenizer).decode(symbols)
    output = inference.build_output(data={"utt_id": "a", "text": "YES"}, model_output=hypothesis, idx=0)
    assert output == {"utt_id": "a", "hyp": hypothesis, "ref": "YES"}
    with pytest.raises(ValueError, match=r"vocab_size = 30.*29 symbols"):
        inference.Recognizer(checkpoint, tokenizer, **{**sizes, "vocab_size": 30})
    with pytest.raises(ValueError, match="not of a model with n_mels = 20, hidden_size = 64"):
        inference.Recognizer(checkpoint, tokenizer, **{**sizes, "hidden_size": 64})


@pytest.mark.training
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"no AN4 archive at {ARCHIVE}; MINI_AN4_ARCHIVE names one")
def test_it_learns_real_speech_by_heart(load: Load, tokenizer: Path, tmp_path: Path) -> None:
    """After 130 steps on the utterances of `train` it says each of them without a mistake."""
    builder = load("dataset.builder").MiniAn4Builder()
    builder.build(recipe_dir=tmp_path, archive=ARCHIVE)
    data = load("dataset.dataset").MiniAn4(split="train", recipe_dir=tmp_path)
    tokens = load("src.text").SentencepieceTokens(model=tokenizer)
    items = [data[index] for index in range(min(4, len(data)))]
    _, batch = CommonCollateFn(int_pad_value=-1)([tokens(item) for item in items])
    torch.manual_seed(0)
    model = load("src.model").CTCRecognizer(n_mels=40, hidden_size=128, vocab_size=29)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(130):
        loss, _, _ = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    said = [tokens.decode(s) for s in model.recognize(batch["speech"], batch["speech_lengths"])]
    assert said == [item["text"] for item in items]
