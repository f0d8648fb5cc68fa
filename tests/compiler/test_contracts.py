"""What the compiler believes of espnet3's own components, held against the real ones."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from esp3c.schema import contracts


def real(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def names(function: Any) -> list[str]:
    return [each for each in inspect.signature(function).parameters if each != "self"]


@pytest.mark.parametrize("path", contracts.METRIC_FIELDS)
def test_the_fields_of_a_metric_are_its_arguments_and_defaults(path: str) -> None:
    parameters = inspect.signature(real(path)).parameters
    metric = real(path)()

    assert {name: parameters[name].default for name in parameters if name.endswith("_key")} == contracts.METRIC_FIELDS[
        path
    ]
    assert {name: getattr(metric, name) for name in contracts.METRIC_FIELDS[path]} == contracts.METRIC_FIELDS[path]


def test_the_common_collate_function_makes_what_is_said_of_it() -> None:
    import numpy as np

    known = contracts.COLLATES[contracts.COMMON_COLLATE]
    collate = real(contracts.COMMON_COLLATE)(**{known.without: ["mel"]})
    sample = {"utt_id": "a", "speech": np.zeros(3, np.float32), "mel": np.zeros((2, 80)), "speaker": 3, "text": "b"}

    _, batch = collate([sample, sample])

    assert set(batch) == {"speech", f"speech{known.lengths}", "mel", "speaker"}
    assert not known.text


def test_torchs_own_collate_function_keeps_every_field() -> None:
    import torch

    batch = torch.utils.data.default_collate([{"utt_id": "a", "number": 1.0}])

    assert set(batch) == {"utt_id", "number"}
    assert contracts.DEFAULT_COLLATE.text and not contracts.DEFAULT_COLLATE.lengths


def test_a_module_is_called_through_its_forward() -> None:
    assert real(contracts.MODULE).__name__ == "Module"


def test_an_output_fn_is_called_with_these_names() -> None:
    forward = inspect.getsource(real(contracts.INFERENCE_RUNNER).forward)

    (first, _) = calls = [call.partition(")")[0] for call in forward.split("output = output_fn(")[1:]]
    assert len(calls) == 2
    assert tuple(part.strip().partition("=")[0] for part in first.split(",")) == contracts.OUTPUT_FN
    assert inspect.signature(real(contracts.INFERENCE_RUNNER)).parameters["idx_key"].default == contracts.UTT_ID


def test_the_hooks_of_a_runner_begin_with_what_the_runner_gives() -> None:
    runner = real(contracts.BASE_RUNNER)
    for hook, given in contracts.HOOKS.items():
        assert tuple(names(getattr(runner, hook)))[: len(given)] == given
    assert set(contracts.HOOKS) == {*contracts.WRITER_HOOKS, *contracts.STATE_HOOKS}
    assert set(names(runner.init_state)) - {"env"} == contracts.RUNNER_ENV


def test_the_environment_of_an_inference_is_what_is_said_of_it() -> None:
    class Provider(real(contracts.INFERENCE_PROVIDER)):  # type: ignore[misc]
        @staticmethod
        def build_dataset(config: Any) -> list[int]:
            return []

        @staticmethod
        def build_model(config: Any) -> None:
            return None

    from omegaconf import OmegaConf

    from espnet3.systems.base import inference

    params = inference._params(OmegaConf.create({"input_key": "speech"}))
    runner = real(contracts.INFERENCE_RUNNER)(Provider(None, params))

    assert set(params) == contracts.INFER_PARAMS
    assert set(Provider(None, {}).build_env_local()) == contracts.INFERENCE_ENV
    assert set(runner.options()) == contracts.INFERENCE_OPTIONS
    assert set(runner.environment()) == contracts.INFERENCE_ENV | contracts.INFER_PARAMS | contracts.INFERENCE_OPTIONS


def test_providers_and_runners_are_where_they_are_said_to_be() -> None:
    for path in (contracts.ENVIRONMENT_PROVIDER, contracts.PARALLEL_PROVIDER, contracts.INFERENCE_PROVIDER):
        assert issubclass(real(path), real(contracts.ENVIRONMENT_PROVIDER))
    assert issubclass(real(contracts.INFERENCE_RUNNER), real(contracts.BASE_RUNNER))


def test_the_types_of_artifacts_are_those_that_can_be_written() -> None:
    from espnet3.utils import writer_utils

    assert set(contracts.ARTIFACTS) == set(writer_utils._SUFFIXES)


def test_gan_models_and_their_turns_are_those_of_the_framework() -> None:
    from espnet3.systems.tts import gan_model

    assert contracts.GAN_TURNS == gan_model.TURNS
    assert tuple(contracts.GAN_MODELS[1].rsplit(".", 1)) == gan_model._ESPNET2
    assert contracts.GAN_FLAG in names(real(contracts.GAN_MODELS[0]).forward)
    assert real(contracts.GAN_SYSTEM).__name__ == "TTSSystem"
