"""Speech recognition with a transducer as a task, of ESPnet2's classes.

It needs the package `espnet`; importing this module without it raises `EspnetMissing`, which says how to install it.
"""

from __future__ import annotations

import argparse
from typing import Any

from espnet3.systems.asr._completed_task import CompletedTask
from espnet3.utils.task_utils import importing_espnet

with importing_espnet("espnet3.systems.asr.transducer_task"):
    from espnet2.tasks.asr_transducer import ASRTransducerTask as EspnetTransducerTask


class ASRTransducerTask(CompletedTask, EspnetTransducerTask):  # type: ignore[misc]
    """ESPnet2's transducer task, whose model is an `ESPnetASRTransducerModel`.

    Where ESPnet2's own loss (`warprnnt_pytorch`) is not installed, that of
    `espnet3.components.modeling.transducer_loss` takes its place.
    """

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> Any:
        """Build the model.

        Args:
            args: Settings; those left out are added, and `token_list` becomes a list.

        Raises:
            ConfigError: A setting is misspelt or names a class that is not there.
        """
        from espnet3.components.modeling.transducer_loss import give_loss

        return give_loss(super().build_model(args))
