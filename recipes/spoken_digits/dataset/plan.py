"""What is to be said, by whom and how: settled by (seed, split, index) before anything is spoken.

Nothing else enters an utterance's parameters, so that any of them can be made alone, in any order, again, and a
larger data set holds the smaller one.
"""

import hashlib
import json
import random
from dataclasses import asdict, dataclass

from .voices import ACCENTS, SEEN_VARIANTS, UNSEEN_VARIANTS

SPLITS = ("train", "valid", "test", "test_unseen")

# One more whenever the same parameters would give other samples: old audio is then made again.
RECIPE_VERSION = 1

_FEWEST_DIGITS, _MOST_DIGITS = 2, 6
_PITCH = (25, 75)
_WORDS_PER_MINUTE = (130, 210)
_SNR_DB = (15.0, 35.0)


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """How one utterance is made.

    `pitch` is eSpeak NG's, 0 to 100 around the voice's own; `speed` is in words a minute; `snr` in dB; `seed`
    is the seed of the noise; `sample_rate` is in Hz.
    """

    utt_id: str
    text: str
    voice: str
    pitch: int
    speed: int
    snr: float
    seed: int
    sample_rate: int

    @property
    def file_name(self) -> str:
        """The audio's name: the parameters' hash is in it, so other parameters never meet old audio."""
        facts = json.dumps([RECIPE_VERSION, asdict(self)], sort_keys=True)
        return f"{self.utt_id}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}.wav"


def split_sizes(utterances: int) -> dict[str, int]:
    """Utterances a split, where the training set has `utterances`.

    Raises:
        ValueError: `utterances` is less than one.
    """
    if utterances < 1:
        raise ValueError(f"utterances = {utterances}: the training set needs at least one utterance")
    test = max(1, utterances // 10)
    return {"train": utterances, "valid": max(1, utterances // 20), "test": test, "test_unseen": test}


def plan_split(split: str, *, utterances: int, sample_rate: int, seed: int) -> list[Utterance]:
    """All utterances of `split`, in order."""
    size = split_sizes(utterances)[split]
    return [plan_utterance(split, index, sample_rate=sample_rate, seed=seed) for index in range(size)]


def plan_utterance(split: str, index: int, *, sample_rate: int, seed: int) -> Utterance:
    """The utterance number `index` of `split`."""
    draw = random.Random(f"spoken_digits/{seed}/{split}/{index}")
    variants = UNSEEN_VARIANTS if split == "test_unseen" else SEEN_VARIANTS
    digits = [draw.choice("0123456789") for _ in range(draw.randint(_FEWEST_DIGITS, _MOST_DIGITS))]
    return Utterance(
        utt_id=f"{split}-{index:05d}",
        text=" ".join(digits),
        voice=f"{draw.choice(ACCENTS)}+{draw.choice(variants)}",
        pitch=draw.randint(*_PITCH),
        speed=draw.randint(*_WORDS_PER_MINUTE),
        snr=round(draw.uniform(*_SNR_DB), 1),
        seed=draw.getrandbits(32),
        sample_rate=sample_rate,
    )
