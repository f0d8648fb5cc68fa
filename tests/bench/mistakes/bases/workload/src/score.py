"""How often the tag is right."""

from pathlib import Path

from espnet3.components.metrics.base_metric import BaseMetric


class Accuracy(BaseMetric):
    """The share of items whose two fields are the same."""

    def __init__(self, truth_key: str, guess_key: str, digits: int = 3) -> None:
        self.truth_key = truth_key
        self.guess_key = guess_key
        self.digits = digits

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        pairs = [row for _, row in self.iter_inputs(data, self.truth_key, self.guess_key)]
        right = sum(row[self.truth_key] == row[self.guess_key] for row in pairs)
        return {"accuracy": round(right / max(1, len(pairs)), self.digits)}
