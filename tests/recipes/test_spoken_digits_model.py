"""Model, text, augmentation and inference of recipes/spoken_digits."""

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from espnet3.components.data.collate import CommonCollateFn

pytestmark = pytest.mark.usefixtures("one_thread")

VOCABULARY = "0123456789 "


@pytest.fixture
def load(importer_of: Callable[[str], Callable[[str], ModuleType]]) -> Callable[[str], ModuleType]:
    return importer_of("spoken_digits")


@pytest.fixture
def model(load: Callable[[str], ModuleType]) -> Any:
    torch.manual_seed(0)
    return load("src.model").CTCRecognizer(n_mels=20, hidden_size=32, vocab_size=12)


def test_filters_lie_on_the_mel_scale(load: Callable[[str], ModuleType]) -> None:
    """Each filter peaks at its centre on the mel scale, or at the centre stretched."""
    filterbank = load("src.features").mel_filterbank
    n_fft, rate, n_mels = 4096, 16_000, 10
    mels = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), n_mels + 2)[1:-1]
    centres = 700 * (10 ** (mels / 2595) - 1)
    for stretch in (1.0, 0.9):
        bank = filterbank(n_mels, n_fft, rate, stretch=stretch)

        assert bank.shape == (n_fft // 2 + 1, n_mels)
        assert bank.min() == 0.0
        peaks = bank.argmax(0).numpy() * rate / n_fft
        assert np.abs(peaks - centres * stretch).max() <= rate / n_fft


@pytest.mark.parametrize("samples", [200, 400, 559, 560, 5_000, 16_001])
def test_an_utterance_is_recognized_alike_alone_and_in_a_padded_batch(model: Any, samples: int) -> None:
    """What stands behind an utterance's end reaches neither its probabilities nor their number."""
    model.eval()
    generator = torch.Generator().manual_seed(samples)
    long = torch.randn(12_000, generator=generator)
    short = torch.randn(samples, generator=generator)
    size = max(len(long), samples)
    batch = torch.randn(2, size, generator=generator)
    batch[0, :12_000], batch[1, :samples] = long, short

    both, lengths = model.encode(batch, torch.tensor([12_000, samples]))
    alone, (frames,) = model.encode(short[None], torch.tensor([samples]))

    assert int(lengths[1]) == int(frames) == alone.shape[1]
    assert alone.shape[2] == 12
    torch.testing.assert_close(both[1, :frames], alone[0], rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_batch_is_the_mean_of_its_utterances(model: Any) -> None:
    """Padding of the labels counts as little as padding of the speech."""
    model.eval()
    speech, lengths = torch.randn(3, 20_000), torch.tensor([20_000, 9_000, 14_000])
    text = torch.tensor([[3, 11, 4, 11, 9], [1, -1, -1, -1, -1], [5, 11, 5, -1, -1]])
    text_lengths = torch.tensor([5, 1, 3])

    loss, stats, weight = model(speech, lengths, text, text_lengths)
    alone = [
        model(speech[i : i + 1, : lengths[i]], lengths[i : i + 1], text[i : i + 1], text_lengths[i : i + 1])[0]
        for i in range(3)
    ]

    torch.testing.assert_close(loss, torch.stack(alone).mean())
    assert float(stats["loss"]) == pytest.approx(loss.item())
    assert not stats["loss"].requires_grad
    assert int(weight) == 3


def test_training_hides_and_stretches_and_evaluation_does_not(model: Any) -> None:
    """The same batch differs from step to step in training, and never in evaluation."""
    speech, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 16_000])
    with torch.no_grad():
        model.train()
        first, again = (model.encode(speech, lengths)[0] for _ in range(2))
        assert not torch.allclose(first, again)

        model.eval()
        first, again = (model.encode(speech, lengths)[0] for _ in range(2))
        assert torch.equal(first, again)


def test_the_model_learns(model: Any) -> None:
    """Thirty steps on two utterances bring the loss down, and every weight has a part in it."""
    torch.manual_seed(1)
    batch = {
        "speech": torch.randn(2, 16_000),
        "speech_lengths": torch.tensor([16_000, 12_000]),
        "text": torch.tensor([[4, 11, 2], [7, -1, -1]]),
        "text_lengths": torch.tensor([3, 1]),
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _, _ = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_hidden_size_must_serve_two_directions(load: Callable[[str], ModuleType]) -> None:
    """The message names the argument."""
    with pytest.raises(ValueError, match="hidden_size = 31"):
        load("src.model").CTCRecognizer(n_mels=20, hidden_size=31, vocab_size=12)


def test_text_goes_to_numbers_and_back(load: Callable[[str], ModuleType]) -> None:
    """0 is left to the blank, so a vocabulary of 11 characters needs 12 symbols."""
    tokens = load("src.text").CharTokens(VOCABULARY)
    sample = {"utt_id": "a", "text": "3 1 0", "speech": np.zeros(3, np.float32)}

    changed = tokens(sample)

    assert changed["text"].dtype == np.int64
    assert changed["text"].tolist() == [4, 11, 2, 11, 1]
    assert tokens.decode(changed["text"]) == "3 1 0"
    assert sample["text"] == "3 1 0"
    assert changed["speech"] is sample["speech"]


def test_text_that_the_vocabulary_lacks_is_refused(load: Callable[[str], ModuleType]) -> None:
    """The message names the utterance, the text and the character."""
    with pytest.raises(ValueError, match="'3 x' of a has 'x'"):
        load("src.text").CharTokens(VOCABULARY)({"utt_id": "a", "text": "3 x"})
    with pytest.raises(ValueError, match="'1' twice"):
        load("src.text").CharTokens("0112")


def test_gain_is_repeatable_and_within_its_range(load: Callable[[str], ModuleType]) -> None:
    """The same seed of Python's generator gives the same levels; none is further off than `max_db`."""
    gain = load("src.transforms").RandomGain(max_db=6)
    sample = {"utt_id": "a", "speech": np.full(4, 0.1, np.float32), "text": "1"}

    def draw() -> list[float]:
        random.seed(9)
        return [float(gain(sample)["speech"][0]) for _ in range(50)]

    levels = draw()
    assert levels == draw()
    decibels = 20 * np.log10(np.array(levels) / 0.1)
    assert np.abs(decibels).max() <= 6.001
    assert decibels.max() - decibels.min() > 8
    assert gain(sample)["speech"].dtype == np.float32
    assert sample["speech"][0] == np.float32(0.1)
    with pytest.raises(ValueError, match="max_db = -1"):
        load("src.transforms").RandomGain(max_db=-1)


def test_recognizer_reads_a_checkpoint_and_answers_with_text(
    load: Callable[[str], ModuleType], model: Any, tmp_path: Path
) -> None:
    """The weights are those under `model.`; the answer is that of the model, as text."""
    inference = load("src.inference")
    checkpoint = tmp_path / "last.ckpt"
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": {**state, "other.weight": torch.zeros(1)}, "epoch": 3}, checkpoint)
    recognizer = inference.Recognizer(checkpoint, vocab_size=12, n_mels=20, hidden_size=32, device="cpu")
    speech = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)

    hypothesis = recognizer(speech)

    (numbers,) = model.eval().recognize(torch.from_numpy(speech)[None], torch.tensor([16_000]))
    assert hypothesis == "".join(VOCABULARY[number - 1] for number in numbers)
    assert recognizer(speech=torch.from_numpy(speech)) == hypothesis
    data = {"utt_id": "test-1", "speech": speech, "text": "3 1"}
    expected = {"utt_id": "test-1", "hyp": hypothesis, "ref": "3 1"}
    assert inference.build_output(data=data, model_output=hypothesis, idx=0) == expected


def test_recognizer_says_what_does_not_fit(load: Callable[[str], ModuleType], model: Any, tmp_path: Path) -> None:
    """No checkpoint, one of another size, a vocabulary of another size: three different messages."""
    recognizer = load("src.inference").Recognizer
    checkpoint = tmp_path / "last.ckpt"
    with pytest.raises(FileNotFoundError, match="run the stage train"):
        recognizer(checkpoint, vocab_size=12)
    torch.save({"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}}, checkpoint)
    with pytest.raises(ValueError, match="not of a model with n_mels = 20, hidden_size = 64"):
        recognizer(checkpoint, vocab_size=12, n_mels=20, hidden_size=64)
    with pytest.raises(ValueError, match="vocab_size = 30, but the vocabulary"):
        recognizer(checkpoint, vocab_size=30)


def test_greedy_search_removes_repeats_and_blanks(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbol that is said twice needs a blank between; frames behind the end say nothing."""
    path = torch.tensor([[0, 4, 4, 0, 4, 11, 11, 2], [1, 1, 0, 0, 5, 5, 5, 5]])
    log_probs = torch.nn.functional.one_hot(path, 12).float()
    monkeypatch.setattr(model, "encode", lambda speech, lengths: (log_probs, torch.tensor([8, 4])))

    assert model.recognize(torch.zeros(2, 1), torch.tensor([1, 1])) == [[4, 4, 11, 2], [1]]


def test_batches_of_the_collate_function_fit_the_model(load: Callable[[str], ModuleType], model: Any) -> None:
    """Transform, preprocessor, collate and forward take what the one before gives."""
    gain, tokens = load("src.transforms").RandomGain(3), load("src.text").CharTokens(VOCABULARY)
    items = [
        {"utt_id": f"u{size}", "speech": np.random.default_rng(size).random(size, np.float32), "text": text}
        for size, text in [(9_000, "1 2 3"), (6_000, "7")]
    ]

    names, batch = CommonCollateFn(int_pad_value=-1)([tokens(gain(item)) for item in items])
    loss, _, _ = model(**batch)

    assert names == ["u9000", "u6000"]
    assert bool(torch.isfinite(loss))
