"""How much is said."""

from pathlib import Path

from espnet3.components.metrics.base_metric import BaseMetric


class WordCount(BaseMetric):
    """The mean number of words of a field."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        counts = [len(row[self.field].split()) for _, row in self.iter_inputs(data, self.field)]
        return {"words": sum(counts) / max(1, len(counts))}
