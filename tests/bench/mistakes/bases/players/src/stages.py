"""Stages that are functions."""

from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig


def export_onnx(training_config: DictConfig, export_config: DictConfig) -> None:
    """Writes the generator as ONNX."""
    generator = instantiate(training_config.model.generator)
    size = (1, export_config.input.frames, export_config.input.bands)
    Path(export_config.path).parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(generator, (torch.zeros(size),), export_config.path, opset_version=export_config.opset)
