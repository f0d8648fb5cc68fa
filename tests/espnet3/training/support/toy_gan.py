"""A GAN small enough to be trained, killed and taken up again in a test."""

import os
from typing import Any

import torch
from toy_training import _signal_when_told, toy_config

from espnet3.systems.tts.gan_model import AbsGANModel


class ToyGAN(AbsGANModel):
    """A generator that imitates frames of the data, and a discriminator with dropout."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.generator = torch.nn.Linear(4, 4)
        self.discriminator = torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(4, 1))

    def forward(self, forward_generator: bool = True, *, speech: torch.Tensor, **batch: Any) -> dict[str, Any]:
        _signal_when_told(self.training)
        made = self.generator(speech.flip(-1))
        if forward_generator:
            fooled = (1 - self.discriminator(made)).square().mean()
            loss = fooled + (made - speech).abs().mean()
            stats = {"adversarial": fooled.detach(), "shared": 1.0}
        else:
            real, fake = self.discriminator(speech), self.discriminator(made.detach())
            loss = (1 - real).square().mean() + fake.square().mean()
            stats = {"real": real.mean().detach(), "shared": 2.0}
        return {"loss": loss, "stats": stats, "weight": len(speech), "optim_idx": 0 if forward_generator else 1}


class SwitchedTurns(ToyGAN):
    """Gives the loss of the wrong turn."""

    def forward(self, forward_generator: bool = True, *, speech: torch.Tensor, **batch: Any) -> dict[str, Any]:
        return super().forward(not forward_generator, speech=speech, **batch)


class NoTurns(ToyGAN):
    """Forgets to say whose loss it is."""

    def forward(self, forward_generator: bool = True, *, speech: torch.Tensor, **batch: Any) -> dict[str, Any]:
        result = super().forward(forward_generator, speech=speech, **batch)
        del result["optim_idx"]
        return result


class Diverging(ToyGAN):
    """The discriminator's loss is no number in chosen batches."""

    def __init__(self, bad: tuple[int, ...] = ()) -> None:
        super().__init__(dropout=0.0)
        self.bad = set(bad)
        self.turns: list[str] = []

    def forward(self, forward_generator: bool = True, *, speech: torch.Tensor, **batch: Any) -> dict[str, Any]:
        result = super().forward(forward_generator, speech=speech, **batch)
        if self.training:
            self.turns.append("g" if forward_generator else "d")
            if not forward_generator and self.turns.count("d") in self.bad:
                result["loss"] = result["loss"] * float("nan")
        return result


GAN: dict[str, Any] = {
    "optimizer": None,
    "model": {"_target_": "toy_gan.ToyGAN"},
    "optimizers": {
        "generator": {
            "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
            "params": "generator",
            "accum_grad_steps": 2,
        },
        "discriminator": {
            "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9},
            "params": "discriminator",
            "step_every_n_iters": 2,
            "gradient_clip_val": 0.1,
        },
    },
    "schedulers": {
        "generator": {"scheduler": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9}},
        "discriminator": {
            "scheduler": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0},
            "interval": "epoch",
            "monitor": "valid/generator_loss",
        },
    },
    "best_model_criterion": [["valid/generator_loss", 2, "min"]],
}


def gan_config(exp_dir: Any, **changes: Any) -> Any:
    return toy_config(exp_dir, **{**GAN, **changes})


def train_gan(
    config: dict[str, Any], kill: tuple[str, int] | None = None, process: dict[str, str] | None = None
) -> None:
    """Train in this process; `process` are the variables by which processes that train together find each other."""
    os.environ.update(process or {})
    import toy_training
    from omegaconf import OmegaConf

    from espnet3.components.callbacks import learning_curve
    from espnet3.systems.tts.system import TTSSystem

    torch.set_num_threads(1)
    learning_curve.draw_learning_curve = lambda rows: b"a picture"
    if kill is not None:
        toy_training._arm(*kill)
    TTSSystem(training_config=OmegaConf.create(config)).train()


class Counting(ToyGAN):
    """Keeps a buffer that differs between processes until they are brought together."""

    def __init__(self) -> None:
        super().__init__(dropout=0.0)
        self.register_buffer("seen", torch.zeros(()))
        self.begun_with: list[float] = []

    def forward(self, forward_generator: bool = True, *, speech: torch.Tensor, **batch: Any) -> dict[str, Any]:
        if not forward_generator:
            self.begun_with.append(float(self.seen))
            self.seen += speech.mean()
        return super().forward(forward_generator, speech=speech, **batch)


def toy_batches(count: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return [{"speech": torch.randn(3, 4, generator=draw)} for _ in range(count)]


def fit_batches(config: dict[str, Any], process: dict[str, str], out: str) -> None:
    """Train on batches that are different in each process, and keep what each one has in the end."""
    os.environ.update(process)
    from omegaconf import OmegaConf

    from espnet3.systems.tts.gan_trainer import build_gan_trainer

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Counting()
    trainer = build_gan_trainer(OmegaConf.create(config), model)
    trainer.trainer.limit_val_batches = 0
    rank = int(process["LOCAL_RANK"])
    trainer.fit(torch.utils.data.DataLoader(toy_batches(5, seed=rank), batch_size=None))  # type: ignore[arg-type]
    torch.save({**model.state_dict(), "begun_with": torch.tensor(model.begun_with)}, f"{out}/{rank}.pt")
