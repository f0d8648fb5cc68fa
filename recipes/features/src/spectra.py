"""Log spectra of speech, as a provider that builds what is heavy once, and a runner that writes files."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from espnet3.components.data.data_organizer import DataOrganizer
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.utils.instantiation import instantiate

_FLOOR = 1e-6


class Spectra:
    """Log power spectra, float32[frames, n_fft // 2 + 1].

    Args:
        n_fft: Length of a frame, in samples; neighbours overlap by half.
    """

    def __init__(self, n_fft: int) -> None:
        self.n_fft = n_fft
        self.window = np.hanning(n_fft).astype(np.float32)

    def __call__(self, speech: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`speech`: float32[time]; shorter than a frame, it is filled up with silence."""
        padded = np.pad(speech, (0, max(0, self.n_fft - len(speech))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.n_fft // 2]
        return np.log(np.square(np.abs(np.fft.rfft(frames * self.window))) + _FLOOR).astype(np.float32)


class SpectraProvider(EnvironmentProvider):
    """Provides the training split and the spectra.

    Args:
        config: The training config.
        n_fft: Length of a frame, in samples.
    """

    def __init__(self, config: Any, n_fft: int = 256) -> None:
        super().__init__(config)
        self.params = {"n_fft": n_fft}

    def build_env_local(self) -> dict[str, Any]:
        """Build it here, once."""
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """The function that builds it in a worker, once."""
        config, n_fft = self.config, self.params["n_fft"]

        def setup() -> dict[str, Any]:
            organizer: DataOrganizer = instantiate(config.dataset, "dataset")
            return {"dataset": organizer.train, "model": Spectra(n_fft)}

        return setup


class SpectraRunner(BaseRunner):
    """Writes the spectra of every utterance: `spectra.f32`, one frame after the other, and `index.jsonl`."""

    @staticmethod
    def forward(idx: int | Iterable[int], dataset: Any, model: Spectra, **env: Any) -> list[dict[str, Any]]:
        """The spectra of one utterance, or of a few."""
        samples = [dataset[each] for each in ([idx] if isinstance(idx, int) else idx)]
        return [{"utt_id": sample["utt_id"], "spectra": model(sample["speech"])} for sample in samples]

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        """A shard's two files."""
        assert shard_dir is not None
        return {"spectra": (shard_dir / "spectra.f32").open("wb"), "index": (shard_dir / "index.jsonl").open("w")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        """Append the utterances of one result."""
        for each in result:
            frames, bins = each["spectra"].shape
            writers["spectra"].write(each["spectra"].tobytes())
            writers["index"].write(json.dumps({"utt_id": each["utt_id"], "frames": frames, "bins": bins}) + "\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Close both."""
        for handle in writers.values():
            handle.close()
        return None

    def merge(self, shard_dirs: list[Path]) -> Any:
        """Join the shards and say how many frames there are."""
        assert self.output_dir is not None
        for name in ("spectra.f32", "index.jsonl"):
            concatenate_shard_files(sorted(shard_dirs), name, self.output_dir / name)
        frames = sum(json.loads(line)["frames"] for line in (self.output_dir / "index.jsonl").open())
        print(f"{frames} frames in {self.output_dir / 'spectra.f32'}")
        return {"frames": frames}
