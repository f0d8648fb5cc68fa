"""Statistics that are collected by shards: the same bytes, however the split was cut and wherever it was measured."""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from espnet3.components.data.collect_stats import collect_stats

MODULES = {
    "__init__.py": "",
    "dataset.py": """
        import numpy as np
        class Dataset:
            def __init__(self, split): self.split = split
            def __len__(self): return 43
            def __getitem__(self, index):
                noise = np.random.default_rng(index).normal(size=5 + index % 7) * 10.0 ** (index % 5 - 2)
                return {"utt_id": f"u{index:02d}", "speech": noise.astype(np.float32)}
    """,
    "model.py": """
        import torch
        class Model(torch.nn.Module):
            def collect_feats(self, speech, speech_lengths, **batch):
                return {"feats": torch.stack([speech, speech * 0.1], dim=-1), "feats_lengths": speech_lengths}
    """,
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stats_src"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / name).write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("stats_src", "stats_src.dataset", "stats_src.model"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("package")
def test_a_sum_of_floats_does_not_tell_where_it_was_cut() -> None:
    """One shard, many, and two worker processes give the same files."""
    model = OmegaConf.create({"_target_": "stats_src.model.Model"})
    dataset = OmegaConf.create({"train": [{"data_src": "stats_src.dataset", "data_src_args": {"split": "train"}}]})
    loader = OmegaConf.create({"collate_fn": {"_target_": "espnet3.components.data.collate.CommonCollateFn"}})

    def measured(out: str, **setting: int) -> dict[str, bytes]:
        parallel = OmegaConf.create({"env": "local", **setting})
        collect_stats(model, dataset, loader, "train", Path(out), parallel_config=parallel, write_collected_feats=True)
        files = {
            path.relative_to(Path(out) / "train"): path for path in Path(out, "train").rglob("*") if path.is_file()
        }
        hidden = ("split.", ".leases", "manifest.json")
        merged = {
            name.as_posix(): path.read_bytes() for name, path in files.items() if not str(name).startswith(hidden)
        }
        return {name: data.replace(f"{out}/".encode(), b"out/") for name, data in merged.items()}

    one = measured("one", n_shards=1)
    assert set(one) >= {"speech_shape", "feats_stats.npz", "feats.scp", "collected_feats/feats/42.npy"}
    assert measured("many", n_shards=9) == one
    assert measured("two", n_workers=2, n_shards=5) == one
    with np.load("one/train/feats_stats.npz") as stats:
        lengths = [5 + index % 7 for index in range(43)]
        assert int(stats["count"]) == sum(lengths)
        assert stats["sum"][0] == pytest.approx(10 * stats["sum"][1], rel=1e-4)
