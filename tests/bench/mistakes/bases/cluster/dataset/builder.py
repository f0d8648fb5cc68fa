"""Writes the corpus as shards."""

from pathlib import Path

from espnet3.components.data.dataset_builder import DatasetBuilder


class CorpusBuilder(DatasetBuilder):
    """Takes the recordings under `source` and writes `shards` folders a split."""

    def is_source_prepared(self, recipe_dir: str | Path = ".", sample_rate: int = 16_000, shards: int = 1) -> bool:
        return (Path(recipe_dir) / "source" / "done").is_file()

    def prepare_source(self, recipe_dir: str | Path = ".", sample_rate: int = 16_000, shards: int = 1) -> None:
        (Path(recipe_dir) / "source").mkdir(parents=True, exist_ok=True)
        (Path(recipe_dir) / "source" / "done").write_text(f"{sample_rate}\n")

    def is_built(self, recipe_dir: str | Path = ".", sample_rate: int = 16_000, shards: int = 1) -> bool:
        return (Path(recipe_dir) / "data" / "done").is_file()

    def build(self, recipe_dir: str | Path = ".", sample_rate: int = 16_000, shards: int = 1) -> None:
        data = Path(recipe_dir) / "data"
        for split in ("train_clean", "train_other", "valid", "test_clean", "test_other"):
            (data / split).mkdir(parents=True, exist_ok=True)
            (data / split / "items.jsonl").touch()
        (data / "done").write_text(f"{sample_rate} {shards}\n")
