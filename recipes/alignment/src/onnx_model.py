"""A torch model as ONNX, and ONNX Runtime to run it."""

import logging
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espnet3.utils.errors import ConfigError


class _Scores(nn.Module):
    """What of a model is exported: from the speech of whole utterances to their scores."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, speech: Tensor) -> Tensor:
        scores: Tensor = self.model.scores(speech)
        return scores


def exported(model: nn.Module, opset: int, samples: int = 16_000) -> bytes:
    """The function from `speech`, float32[batch, time], to `scores` as an ONNX file.

    Args:
        model: A model with a method `scores`, in evaluation mode.
        opset: The version of ONNX's operators.
        samples: The length of the example that the model is followed with.

    Raises:
        ConfigError: The packages for it are not installed.
    """
    for package in ("onnx", "onnxscript"):
        _required(package)
    batch, time = torch.export.Dim("batch", min=1), torch.export.Dim("time", min=samples // 4)
    # It tells of packages that this model has no use for.
    logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter's own use of names that torch is about to drop.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Scores(model),
            (torch.zeros(2, samples),),
            dynamo=True,
            input_names=["speech"],
            output_names=["scores"],
            opset_version=opset,
            dynamic_shapes={"speech": {0: batch, 1: time}},
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def session(model: bytes) -> Any:
    """ONNX Runtime's session for a model, on one thread of the CPU.

    Raises:
        ConfigError: ONNX Runtime is not installed.
    """
    runtime = _required("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def largest_difference(model: nn.Module, onnx_model: bytes, shapes: Iterable[tuple[int, int]]) -> float:
    """By how much the scores of torch and of ONNX Runtime differ at most, for noise of these shapes."""
    running, draw, largest = session(onnx_model), torch.Generator().manual_seed(0), 0.0
    for shape in shapes:
        speech = torch.rand(shape, generator=draw) * 2.0 - 1.0
        with torch.no_grad():
            expected = _Scores(model)(speech).numpy()
        (actual,) = running.run(None, {"speech": speech.numpy()})
        if actual.shape != expected.shape:
            raise ValueError(f"speech {shape}: ONNX gives scores {actual.shape}, torch {expected.shape}")
        largest = max(largest, float(np.abs(actual - expected).max()))
    return largest


def _required(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(f"the package {error.name} is not installed: pip install 'esp3c[onnx]'") from error
