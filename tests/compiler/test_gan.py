"""GAN models: which numbers their training logs, and what is left alone."""

import pytest

from support.fixtures import check_text

RECIPE = """
recipe vocoder {{ system = {system} }}

dataset digits {{ class = flow.data.Digits }}

training {{
  dataset {{ train = [digits(split = "train")]  valid = [digits(split = "valid")] }}
  dataloader {{ collate_fn = espnet3.components.data.collate.CommonCollateFn() }}
  model = flow.gan.{model}()
  optimizers {{
    generator {{ optimizer = torch.optim.AdamW(lr = 1e-3)  params = "generator" }}
    discriminator {{ optimizer = torch.optim.AdamW(lr = 1e-3)  params = "discriminator" }}
  }}
  best_model_criterion = [["valid/{metric}", 1, "min"]]
}}

stages {{ train }}
"""
TTS = "espnet3.systems.tts.system.TTSSystem"


def said(metric: str = "loss", system: str = TTS, model: str = "Vocoder") -> list[str]:
    found = check_text(RECIPE.format(metric=metric, system=system, model=model))
    return [f"{each.code.id} {each.message}" for each in found]


@pytest.mark.parametrize(
    "metric", ["loss", "generator_loss", "discriminator_loss", "mel_loss", "real_loss", "discriminator_mel_loss"]
)
def test_numbers_of_both_turns_are_logged(metric: str) -> None:
    """The losses under the names of the turns, and the stats of both."""
    assert said(metric) == []


@pytest.mark.parametrize(
    ("metric", "near"), [("generatorloss", "valid/generator_loss"), ("mel_los", "valid/mel_loss"), ("optim_idx", "")]
)
def test_other_numbers_are_not(metric: str, near: str) -> None:
    """A criterion that asks for one of them is an error, and the nearest is named."""
    (message,) = said(metric)

    assert message.startswith(
        f"ESP0521 `best_model_criterion` asks for `valid/{metric}`, which a training does not log"
    )
    assert f"did you mean `{near}`?" in message or not near


def test_a_system_with_a_trainer_of_its_own_may_do_anything() -> None:
    """Its `_build_trainer` decides what the model is called with."""
    assert said(system="flow.gan.OwnTurns", model="TurnBlind", metric="anything") == []


def test_a_turn_under_a_wrong_name_is_said_once() -> None:
    """Not again of the scheduler that has the right one."""
    schedulers = "schedulers { generator { scheduler = torch.optim.lr_scheduler.OneCycleLR() } }\n  best_model"
    text = RECIPE.format(system=TTS, model="Vocoder", metric="loss").replace("best_model", schedulers)

    assert check_text(text) == []
    assert [each.code.id for each in check_text(text.replace("generator {", "genrator {", 1))] == ["ESP0527"]
