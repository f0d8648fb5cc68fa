"""A training step with several optimizers.

The model's forward returns one `OptimizationStep` for each optimizer that shall learn from this batch. Each
loss is sent back to the parameters of its own optimizer only, so that a generator's loss leaves no gradient
in the discriminator that it runs through. All losses go back before any weight moves.

Where the losses take turns, as in a GAN, `learn` is called once a turn and `end_iteration` once a batch.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from espnet3.components.modeling.optimization_spec import OptimizationStep, OptimizerRuntimeState
from espnet3.components.modeling.optimizers import NamedOptimizer
from espnet3.components.modeling.shared_gradients import shared_gradients
from espnet3.utils.errors import ConfigError, did_you_mean


class MultiOptimization:
    """The optimizers of a model and where their updates stand.

    Args:
        named: The optimizers by name.
    """

    def __init__(self, named: Mapping[str, NamedOptimizer]) -> None:
        self.named = dict(named)
        self.states = {name: OptimizerRuntimeState() for name in self.named}
        self.iteration = 0

    def lightning_form(self) -> tuple[list[torch.optim.Optimizer], list[dict[str, Any]]]:
        """Give the optimizers and schedulers as `configure_optimizers` returns them."""
        schedulers = []
        for name, owner in self.named.items():
            if owner.scheduler is None or owner.scheduler_spec is None:
                continue
            entry: dict[str, Any] = {
                "scheduler": owner.scheduler,
                "interval": owner.scheduler_spec.interval,
                "name": f"lr-{name}",
            }
            if isinstance(owner.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                entry["monitor"] = owner.scheduler_spec.monitor or "valid/loss"
                entry["reduce_on_plateau"] = True
            schedulers.append(entry)
        return [owner.optimizer for owner in self.named.values()], schedulers

    def step(self, module: Any, steps: list[OptimizationStep]) -> bool:
        """Learn from all losses of a batch: `learn` and `end_iteration`."""
        learnt = self.learn(module, steps)
        self.end_iteration()
        return learnt

    def learn(self, module: Any, steps: list[OptimizationStep]) -> bool:
        """Send losses back and move the weights whose turn it is.

        Args:
            module: The `ESPnetLightningModule`, which owns backward, clipping and the optimizers' wrappers.
            steps: The losses by optimizer.

        Returns:
            Whether all gradients were finite numbers; those of an optimizer where they are not are thrown away.

        Raises:
            ConfigError: A loss for an optimizer that is not there, or two for one.
        """
        self._check_names(steps)
        taking_part = [step for step in steps if self.iteration % self.named[step.name].spec.step_every_n_iters == 0]
        for place, step in enumerate(taking_part):
            owner = self.named[step.name]
            parameters = list(owner.parameters.values())
            with shared_gradients(module.trainer, parameters):
                module.manual_backward(
                    step.loss / owner.spec.accum_grad_steps,
                    inputs=parameters,
                    retain_graph=place + 1 < len(taking_part),
                )
            self.states[step.name].accum_counter += 1
        finite = [self._update(module, step.name) for step in taking_part]
        return all(finite)

    def end_iteration(self) -> None:
        """Go on to the next batch, which `step_every_n_iters` counts."""
        self.iteration += 1

    def end_epoch(self, metrics: Mapping[str, Any]) -> None:
        """Step the schedulers that go by epochs."""
        for owner in self.named.values():
            self._step_scheduler(owner, "epoch", metrics)

    def state_dict(self) -> dict[str, Any]:
        """Give the counters, and the gradients that wait for an update."""
        return {
            "iteration": self.iteration,
            "states": {name: asdict(state) for name, state in self.states.items()},
            "gradients": {
                key: parameter.grad.detach().clone()
                for name, owner in self.named.items()
                if self.states[name].accum_counter
                for key, parameter in owner.parameters.items()
                if parameter.grad is not None
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken; the parameters must be on their device by now."""
        self.iteration = int(state["iteration"])
        self.states = {name: OptimizerRuntimeState(**entry) for name, entry in state["states"].items()}
        for owner in self.named.values():
            for key, parameter in owner.parameters.items():
                if key in state["gradients"]:
                    parameter.grad = state["gradients"][key].to(parameter.device, parameter.dtype)

    def _update(self, module: Any, name: str) -> bool:
        state, owner = self.states[name], self.named[name]
        if state.accum_counter < owner.spec.accum_grad_steps:
            return True
        state.accum_counter = 0
        wrapped = module.optimizers()
        wrapped = dict(zip(self.named, wrapped if isinstance(wrapped, list) else [wrapped], strict=True))[name]
        finite: bool = module.drop_unless_finite(owner.parameters.values())
        if finite and owner.spec.gradient_clip_val is not None:
            module.clip_gradients(
                wrapped,
                gradient_clip_val=owner.spec.gradient_clip_val,
                gradient_clip_algorithm=owner.spec.gradient_clip_algorithm,
            )
        wrapped.step()
        wrapped.zero_grad()
        state.update_step += 1
        self._step_scheduler(owner, "step", {})
        return finite

    def _check_names(self, steps: list[OptimizationStep]) -> None:
        seen: set[str] = set()
        for step in steps:
            if step.name not in self.named:
                raise ConfigError(
                    f"the model returned a loss for the optimizer {step.name!r}, which is not "
                    "under optimizers"
                    f"{did_you_mean(step.name, self.named)}; there are {', '.join(self.named)}"
                )
            if step.name in seen:
                raise ConfigError(f"the model returned two losses for the optimizer {step.name!r}; add them up")
            seen.add(step.name)

    @staticmethod
    def _step_scheduler(owner: NamedOptimizer, interval: str, metrics: Mapping[str, Any]) -> None:
        spec = owner.scheduler_spec
        if owner.scheduler is None or spec is None or spec.interval != interval:
            return
        if isinstance(owner.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            monitor = spec.monitor or "valid/loss"
            if monitor not in metrics:
                raise ConfigError(
                    f"schedulers.{spec.name} follows {monitor!r}, which is not logged"
                    f"{did_you_mean(monitor, metrics)}; there are {', '.join(metrics) or 'none'}"
                )
            owner.scheduler.step(float(metrics[monitor]))
        else:
            owner.scheduler.step()
