"""The heavy loop of the preparation, as provider and runner: recordings in, clips and their rows out.

As a runner, it is cut into shards: it goes on where it was interrupted, and runs in as many processes as the stage is
given.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esp3rt.files import write_text
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider

from .audio import at_speed, first_word, read_wav, resampled, write_wav

ROWS = "rows.jsonl"

Row = dict[str, Any]


class ClipsProvider(EnvironmentProvider):
    """Tells where recordings are and what is made of them.

    Args:
        config: `source` and `out`, folders; `jobs`, a list of `{utt_id, text, wav, speed}`; `sample_rate` of the clips,
            in Hz; `seconds`, their length.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)  # type: ignore[arg-type]

    def build_env_local(self) -> dict[str, Any]:
        """The settings, by the names that `ClipsRunner.forward` has for them."""
        return dict(self.config)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """The same in a worker."""
        settings = dict(self.config)
        return lambda: settings


class ClipsRunner(BaseRunner):
    """Makes one clip an item: resampled, at another speed, cut to its first word."""

    def __init__(self, provider: ClipsProvider, **options: Any) -> None:
        super().__init__(provider, **options)
        self.label, self.unit = "make clips", "clips"

    @staticmethod
    def forward(  # type: ignore[override]
        idx: int, jobs: list[Row], source: str, out: str, sample_rate: int, seconds: float
    ) -> Row:
        """Make clip `idx` and give its row."""
        job = jobs[idx]
        recording, rate = read_wav(Path(source) / job["wav"])
        clip = first_word(at_speed(resampled(recording, rate, sample_rate), job["speed"]), sample_rate, seconds)
        utt_id = f"{job['utt_id']}-x{job['speed']:g}"
        write_wav(Path(out) / f"wav/{utt_id}.wav", clip, sample_rate)
        return {"utt_id": utt_id, "text": job["text"], "wav": f"wav/{utt_id}.wav", "of": job["utt_id"]}

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:  # type: ignore[override]
        """Begin a shard."""
        return {"shard_dir": shard_dir, "lines": []}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Row, state: dict[str, Any], **env: Any) -> None:
        """Keep a row."""
        writers["lines"].append(json.dumps(result, sort_keys=True) + "\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Write the shard's rows."""
        write_text(writers["shard_dir"] / ROWS, "".join(writers["lines"]))
        return None

    def merge(self, shard_dirs: list[Path]) -> list[Row]:
        """Join the rows of all shards, and give them."""
        assert self.output_dir is not None
        concatenate_shard_files(shard_dirs, ROWS, self.output_dir / ROWS)
        return [json.loads(line) for line in (self.output_dir / ROWS).read_text(encoding="utf-8").split("\n") if line]
