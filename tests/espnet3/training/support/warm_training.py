"""Imported by the fork server: what a training imports late is then there before a test begins."""

import hydra.utils
import torch
import toy_training

import espnet3.components.trainers.trainer

LATE = (hydra.utils, espnet3.components.trainers.trainer)

# The first step of an optimizer imports a compiler.
_weight = torch.nn.Parameter(torch.zeros(1))
_weight.grad = torch.zeros(1)
for _optimizer in (torch.optim.AdamW([_weight]), torch.optim.SGD([_weight], lr=0.1)):
    _optimizer.step()
toy_training.toy_config("nowhere")
