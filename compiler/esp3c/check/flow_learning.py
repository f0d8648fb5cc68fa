"""Rules on how a model learns: the turns of a GAN, its optimizers and their parameters, and schedulers.

What they say is found while the data is followed (`flow_gan`, `flow_params`, `flow_plateau`).
"""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.flow import said
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Severity, explained
from esp3c.ir import Recipe
from esp3c.world import World


@needs_whole_file
@explained("ESP0526", "a GAN model that cannot take turns")
def gan_turns(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The `forward` of a GAN model does not say whose turn it is, or cannot be told.

        def forward(self, speech, **batch):
            return {"loss": loss, "stats": stats, "weight": len(speech)}

    `TTSSystem` calls it twice a batch, `model(forward_generator=…, **batch)`, and takes a dict with `loss`, `stats`, `weight`
    and `optim_idx`, which is 0 for the generator and 1 for the discriminator.
    """
    return said(gan_turns, recipe, world)


@needs_whole_file
@explained("ESP0527", "optimizers that a GAN model cannot be trained with")
def gan_optimizers(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A GAN model is trained with something else than the optimizers `generator` and `discriminator`.

        model     = src.model.Vocoder()          # extends AbsGANModel
        optimizer = torch.optim.AdamW(lr = 2e-4)

    Each turn has an optimizer of its own: `optimizers { generator { … }  discriminator { … } }`, where `params` is a part of
    the names of its parameters.
    """
    return said(gan_optimizers, recipe, world)


@needs_whole_file
@explained("ESP0528", "a GAN model in a system that takes no turns")
def gan_system(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A GAN model is trained by a system that calls it once a batch, as one with a single loss.

        recipe vocoder { system = espnet3.systems.asr.system.ASRSystem }

    Write `espnet3.systems.tts.system.TTSSystem`, or extend that one. Its stages have the same names.
    """
    return said(gan_system, recipe, world)


@needs_whole_file
@explained("ESP0529", "parameters that the model does not have", Severity.WARNING)
def optimizer_params(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`params` of an optimizer looks like a slip for a part of the model, and is a part of no name in the model's class.

        optimizers { generator { optimizer = torch.optim.AdamW()  params = "generater" } }     # self.generator = …

    An optimizer gets the parameters whose names contain this text. The training stops where there are none.
    """
    return said(optimizer_params, recipe, world)


@needs_whole_file
@explained("ESP0530", "a scheduler without its metric")
def plateau_metric(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`ReduceLROnPlateau` takes a step when there never is the metric that it follows.

        scheduler         = torch.optim.lr_scheduler.ReduceLROnPlateau(patience = 2)
        scheduler_monitor = "train/loss"

    Without `scheduler_interval = "epoch"` schedulers step after each batch, and the means of an epoch are known at its end.
    The training ends with the first batch. The same happens after the first epoch where a metric of the validation is
    followed and there is none in that epoch (`check_val_every_n_epoch`, `limit_val_batches = 0`).
    """
    return said(plateau_metric, recipe, world)


@needs_whole_file
@explained("ESP0531", "a scheduler that steps before its metric is there", Severity.WARNING)
def plateau_steps(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`ReduceLROnPlateau` steps after each batch, and follows a metric of the validation.

        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(patience = 2)      # follows `valid/loss`

    The training ends with the first batch, unless that is the whole epoch. Write `scheduler_interval = "epoch"`.
    """
    return said(plateau_steps, recipe, world)


@needs_whole_file
@explained("ESP0532", "a schedule that is shorter than its training")
def cycle_too_short(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`OneCycleLR` is made for fewer steps than the training surely makes.

        scheduler          = torch.optim.lr_scheduler.OneCycleLR(max_lr = 1e-3, total_steps = 10)
        scheduler_interval = "epoch"
        trainer { max_epochs = 20 }

    torch refuses the step behind the last. What is looked at are epochs against `max_epochs`, and batches against
    `max_steps` where that alone ends the training: how many batches an epoch has is known when it runs.
    """
    return said(cycle_too_short, recipe, world)


LEARNING_RULES = (
    gan_turns, gan_optimizers, gan_system, optimizer_params, plateau_metric, plateau_steps, cycle_too_short,
)  # fmt: skip
