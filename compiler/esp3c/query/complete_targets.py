"""Targets that recipes name often, by what a place wants: offered whole, where the package that has them is installed."""

from __future__ import annotations

from esp3c.schema.contracts import (
    COLLATES,
    INFERENCE_PROVIDER,
    INFERENCE_RUNNER,
    METRIC_FIELDS,
    PARALLEL_PROVIDER,
    PARTS,
)
from esp3c.schema.stages import SYSTEMS

WELL_KNOWN = (
    "espnet3", "torch", "lightning", "torchaudio", "torchmetrics", "transformers", "espnet2", "espnet", "egs3",
)  # fmt: skip
"""Packages of the field; offered before a letter is typed, where they are installed."""


def _in(package: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names)


TARGETS: dict[str, tuple[str, ...]] = {
    "an Optimizer": _in(
        "torch.optim", "AdamW", "Adam", "SGD", "RAdam", "NAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Adafactor"
    ),
    "a scheduler": _in(
        "torch.optim.lr_scheduler", "OneCycleLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "LinearLR",
        "ExponentialLR", "StepLR", "MultiStepLR", "ReduceLROnPlateau", "PolynomialLR", "ConstantLR", "CyclicLR",
        "SequentialLR", "ChainedScheduler", "LambdaLR",
    ),
    "a metric": tuple(METRIC_FIELDS),
    "a collate function": tuple(COLLATES),
    "a torch.nn.Module": tuple(PARTS),
    "a callback": _in(
        "lightning.pytorch.callbacks", "EarlyStopping", "LearningRateMonitor", "ModelCheckpoint", "Timer",
        "GradientAccumulationScheduler", "StochasticWeightAveraging", "DeviceStatsMonitor", "RichProgressBar",
    ),
    "a logger": _in(
        "lightning.pytorch.loggers", "TensorBoardLogger", "CSVLogger", "WandbLogger", "MLFlowLogger", "CometLogger"
    ),
    "a Lightning strategy": _in(
        "lightning.pytorch.strategies", "DDPStrategy", "FSDPStrategy", "DeepSpeedStrategy", "SingleDeviceStrategy"
    ),
    "a profiler": _in("lightning.pytorch.profilers", "SimpleProfiler", "AdvancedProfiler", "PyTorchProfiler"),
    "a runner": (INFERENCE_RUNNER,),
    "a provider": (INFERENCE_PROVIDER, PARALLEL_PROVIDER),
    "a System class": tuple(SYSTEMS),
}  # fmt: skip
"""By the words in which the schema says what a call makes, or what a Python name names."""
