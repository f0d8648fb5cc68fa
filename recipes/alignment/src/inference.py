"""From speech to text with the exported model, by the best way through its states."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src.labels import PAUSE, STATES, first_half
from src.onnx_model import session


class OnnxReader:
    """The exported model, run by ONNX Runtime.

    Args:
        path: What the stage export_onnx wrote.
        switch_cost: What it costs to leave one state for another, in nats.

    Raises:
        FileNotFoundError: The model has not been exported.
    """

    def __init__(self, path: str | Path, switch_cost: float = 6.0) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is not there: run the stage export_onnx first")
        self._session = session(Path(path).read_bytes())
        self.switch_cost = switch_cost

    def __call__(self, speech: npt.NDArray[np.float32]) -> str:
        """The digits of one utterance, float32[time], with spaces between them."""
        (scores,) = self._session.run(None, {"speech": np.asarray(speech, dtype=np.float32)[None]})
        return " ".join(digits_of(best_path(scores[0], self.switch_cost)))


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}


def best_path(scores: npt.NDArray[np.float32], switch_cost: float) -> list[int]:
    """The best sequence of states, by Viterbi's algorithm (1967).

    A digit is its first half and then its second; from there, and from the pause, any digit or the pause may follow.

    Args:
        scores: Log probabilities, float32[frames, states].
        switch_cost: Taken off for each change of state, in nats.
    """
    digits = range(10)
    moves = np.full((STATES, STATES), -np.inf)
    ends = [PAUSE, *(first_half(str(digit)) + 1 for digit in digits)]
    begins = [PAUSE, *(first_half(str(digit)) for digit in digits)]
    moves[np.ix_(ends, begins)] = -switch_cost
    for digit in digits:
        first = first_half(str(digit))
        moves[first, first + 1] = -switch_cost
    np.fill_diagonal(moves, 0.0)
    best = np.full(STATES, -np.inf)
    best[begins] = scores[0, begins]
    came_from = np.zeros(scores.shape, dtype=np.int64)
    for frame in range(1, len(scores)):
        total = best[:, None] + moves
        came_from[frame] = total.argmax(axis=0)
        best = total.max(axis=0) + scores[frame]
    path = [int(max(ends, key=lambda state: best[state]))]
    for frame in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[frame, path[-1]]))
    return path[::-1]


def digits_of(path: list[int]) -> list[str]:
    """The digits that a path goes through: each has a second half that a first half leads to."""
    changes = [(before, state) for before, state in pairwise(path) if before != state]
    return [str((before - 1) // 2) for before, state in changes if before % 2 == 1 and state == before + 1]
