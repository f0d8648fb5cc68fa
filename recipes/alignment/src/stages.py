"""The recipe's own stages. Each leaves a note of what it was made from, and does nothing where that is still so."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.files import sha256_of, write_bytes, write_json, write_text
from esp3rt.progress import console_line, track
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

# One more whenever the same settings would give another alignment.
_ALIGNMENT_VERSION = 1
_COMPARED_SHAPES = ((1, 16_000), (3, 24_321), (2, 80_000))


def prepare_alignment_stage(config: "DictConfig") -> None:
    """Write where the words of each utterance are: `train.ctm` and `valid.ctm` in `prepare_alignment.output_dir`.

    Args:
        config: The training config. Read are `dataset.train`, `dataset.valid`, `recipe_dir` and `prepare_alignment`
            (`output_dir`, `sample_rate`, `pause_level`, `evenness`).

    Raises:
        ConfigError: `pause_level` is not between 0 and 1.
    """
    from espnet3.components.data.dataset_module import instantiate_dataset_reference

    from src.labels import ctm_text
    from src.segmentation import frame_energies, segment_words

    settings = config.prepare_alignment
    if not 0.0 < settings.pause_level < 1.0:
        raise ConfigError(
            f"prepare_alignment.pause_level is {settings.pause_level}; it lies between 0 and 1",
            key="prepare_alignment.pause_level",
        )
    folder = Path(settings.output_dir)
    for split in ("train", "valid"):
        datasets = [instantiate_dataset_reference(entry, config.recipe_dir) for entry in config.dataset[split]]
        samples = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
        made_from: dict[str, Any] = {
            "version": _ALIGNMENT_VERSION,
            "settings": [settings.sample_rate, settings.pause_level, settings.evenness],
            "samples": _hash_of_samples(samples),
        }
        path = folder / f"{split}.ctm"
        if _is_made_from(path, made_from):
            console_line(f"prepare_alignment: {path} is there and unchanged")
            continue
        alignments = {}
        for dataset, index in track(samples, label=f"align {split}", unit="utterances"):
            sample = dataset[index]
            energies = frame_energies(sample["speech"], settings.sample_rate)
            words = sample["text"].split()
            alignments[sample["utt_id"]] = segment_words(energies, words, settings.pause_level, settings.evenness)
        write_text(path, ctm_text(alignments))
        _note(path, made_from)


def export_onnx(training_config: "DictConfig", export_config: "DictConfig") -> None:
    """Export the trained model to ONNX, load that again, and compare what both say.

    Args:
        training_config: How the model is made.
        export_config: `checkpoint`, `path`, `opset`, and the `tolerance` of the comparison.

    Raises:
        ConfigError: There is no checkpoint, or it is of another model; the packages for it are not installed; or the
            exported model says something else than the trained one, and then no file is written.
    """
    checkpoint, path = Path(export_config.checkpoint), Path(export_config.path)
    if not checkpoint.is_file():
        raise ConfigError(
            f"checkpoint: {checkpoint} is not there; run the stage train first", key="checkpoint", config=export_config
        )
    made_from = {"checkpoint": sha256_of(checkpoint), "opset": export_config.opset}
    if _is_made_from(path, made_from):
        console_line(f"export_onnx: {path} is there and unchanged")
        return
    import torch

    from espnet3.components.modeling.pretrained import load_pretrained
    from espnet3.systems.base.training import build_model

    from src.onnx_model import exported, largest_difference

    torch.set_num_threads(1)
    model = load_pretrained(build_model(training_config), str(checkpoint)).eval()
    onnx_model = exported(model, export_config.opset)
    difference = largest_difference(model, onnx_model, _COMPARED_SHAPES)
    # Written so that nan fails too.
    if not difference <= export_config.tolerance:
        raise ConfigError(
            f"tolerance: scores of the exported model differ by up to {difference:.2g} from those of the trained one, "
            f"which is more than {export_config.tolerance:.2g}; nothing was written",
            key="tolerance",
            config=export_config,
        )
    write_bytes(path, onnx_model)
    _note(path, made_from)
    console_line(
        f"export_onnx: {path}, {len(onnx_model):,} bytes; ONNX Runtime and torch differ by at most {difference:.2g}"
    )


def _hash_of_samples(samples: list[tuple[Any, int]]) -> str:
    digest = hashlib.sha256()
    for dataset, index in samples:
        sample = dataset[index]
        digest.update(f"{sample['utt_id']}\n{sample['text']}\n".encode())
        digest.update(sample["speech"].tobytes())
    return digest.hexdigest()


def _is_made_from(path: Path, made_from: dict[str, Any]) -> bool:
    """Whether a file is whole, and was made from just this."""
    try:
        noted = json.loads(_note_of(path).read_text(encoding="utf-8"))
        return bool(noted == {"made_from": made_from, "sha256": sha256_of(path)})
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def _note(path: Path, made_from: dict[str, Any]) -> None:
    write_json(_note_of(path), {"made_from": made_from, "sha256": sha256_of(path)})


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
