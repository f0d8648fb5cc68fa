"""The toy training as a program: `run_toy.py CONFIG`, where CONFIG is a config as JSON.

Variables of the environment, all optional:

- TOY_STEPS: a file that gets a line for each batch of each process: its rank, its process, its node.
- TOY_SECONDS: what each batch takes at least, on the first TOY_SLOW_STARTS (1) starts of its job.
- TOY_SIGNAL: the `kill` of `toy_training.run_training` as two words, for the process of rank TOY_RANK (0) on the first start.

Each node of SLURM counts as a machine of its own.
"""

import json
import os
import sys
import time

import toy_training

from esp3rt import lease

RANK = int(os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK") or 0)
NODE = os.environ.get("SLURMD_NODENAME", "here")
START = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
IS_SLOW = int(os.environ.get("TOY_SLOW_STARTS", "1")) > START


def tell(training: bool) -> None:
    if training and IS_SLOW:
        time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    if training and "TOY_STEPS" in os.environ:
        with open(os.environ["TOY_STEPS"], "a") as steps:
            steps.write(f"{RANK} {os.getpid()} {NODE}\n")
    signal_when_told(training)


signal_when_told = toy_training._signal_when_told

if __name__ == "__main__":
    toy_training._signal_when_told = tell
    machine = lease._machine()
    lease._machine = lambda: f"{machine} {NODE}"
    words = os.environ.get("TOY_SIGNAL", "").split() if START == 0 else []
    is_meant = words and int(os.environ.get("TOY_RANK", "0")) == RANK
    with open(sys.argv[1]) as config:
        toy_training.run_training(json.load(config), (words[0], int(words[1])) if is_meant else None)
