"""AN4's lists: which recordings there are, and what is said in them."""

import re
from dataclasses import dataclass
from pathlib import Path

# "<s> YES </s> (an251-fash-b)", in the test set without the marks of the sentence's ends.
_LINE = re.compile(r"^(?P<words>.*)\((?P<utt_id>[^()\s]+)\)$")
_MARKS = ("<s>", "</s>")


class TranscriptError(ValueError):
    """A list of AN4 does not read as it should; the message names file and line."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """An utterance: its name, its words, and its audio below `wav/`, without the suffix."""

    utt_id: str
    text: str
    stem: str


def read_recordings(an4: Path, part: str) -> list[Recording]:
    """The recordings of `part` ("train" or "test"), in the order of its `.fileids`.

    Raises:
        FileNotFoundError: A list is missing.
        TranscriptError: A line cannot be read, or a recording has no transcription.
    """
    texts = _read_transcription(an4 / "etc" / f"an4_{part}.transcription")
    fileids = an4 / "etc" / f"an4_{part}.fileids"
    recordings = []
    for number, line in enumerate(fileids.read_text(encoding="utf-8").splitlines(), 1):
        stem = line.strip()
        if not stem:
            continue
        utt_id = stem.rpartition("/")[2]
        if utt_id not in texts:
            raise TranscriptError(f"{fileids}:{number}: {utt_id} has no line in an4_{part}.transcription")
        recordings.append(Recording(utt_id=utt_id, text=texts[utt_id], stem=stem))
    return recordings


def _read_transcription(path: Path) -> dict[str, str]:
    texts = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.match(line.strip())
        if match is None:
            raise TranscriptError(f"{path}:{number}: {line!r} does not end in the utterance's name in brackets")
        words = [word for word in match["words"].split() if word not in _MARKS]
        texts[match["utt_id"]] = " ".join(words)
    return texts
