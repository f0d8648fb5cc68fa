"""Speech recognition as a task: an encoder with CTC and an attention decoder, of ESPnet2's classes.

It needs the package `espnet`; importing this module without it raises `EspnetMissing`, which says how to install it.
"""

from __future__ import annotations

from espnet3.systems.asr._completed_task import CompletedTask
from espnet3.utils.task_utils import importing_espnet

with importing_espnet("espnet3.systems.asr.task"):
    from espnet2.tasks.asr import ASRTask as EspnetASRTask


class ASRTask(CompletedTask, EspnetASRTask):  # type: ignore[misc]
    """ESPnet2's recognition task, whose model is an `ESPnetASRModel`.

    Hybrid CTC and attention: Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition"
    (2017).
    """
