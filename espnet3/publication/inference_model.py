"""A trained model that is called with one recording, or whatever else its recipe infers from.

```python
model = InferenceModel.from_packed("model_pack", trust_user_code=True)
model("hello.wav")["hyp"]
```

A bundle may name code of its own. It is run only where the caller trusts it; an error says which code that is. Without
trust, none of its files can be imported, and the working folder stays what it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.progress import console_line
from espnet3.publication.import_guard import shut_out
from espnet3.utils.errors import ConfigError, OutputError, UserError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from espnet3.publication.bundled_code import BundledCode


class UntrustedCode(ConfigError):
    """A bundle names code that may only run where the caller trusts it."""


class InferenceModel:
    """The model of an inference config, with its preprocessor before it and its `output_fn` behind it.

    Args:
        inference_config: As for the stage infer: `model`, `input_key`, `output_fn`, `dataset.preprocessor`, `provider`,
            `runner`, `idx_key`, `device`. Test sets are not looked at, so a `transform` of one of them is not applied.

    Attributes:
        sample_rate: The rate in Hz that the model hears at, if it is known: files of another rate are resampled.

    Raises:
        ConfigError: A key that is needed is missing or names nothing that exists.
    """

    def __init__(self, inference_config: DictConfig) -> None:
        self.config = inference_config
        self.sample_rate: int | None = None
        self._folder: Path | None = None
        self._code: BundledCode | None = None
        self._build()

    @classmethod
    def from_packed(cls, pack_dir: str | Path, trust_user_code: bool = False) -> InferenceModel:
        """Load the bundle in a folder. All files are verified first.

        Args:
            pack_dir: What the stage pack_model made.
            trust_user_code: Whether code that the bundle names may run.

        Raises:
            BundleError: It is no bundle, is damaged, or was changed.
            UntrustedCode: It names code, and `trust_user_code` is not set; the message lists the code.
        """
        folder = Path(pack_dir).absolute()
        # What is imported from here on must not be a file of the bundle, should this be the working folder.
        with shut_out(folder):
            from omegaconf import OmegaConf

            from espnet3.publication.bundle import open_bundle
            from espnet3.publication.bundled_code import BundledCode
            from espnet3.publication.trust import with_own_files

            bundle = open_bundle(folder)
            if bundle.code and not trust_user_code:
                raise UntrustedCode(
                    f"{folder} names code that would run when it is loaded:\n{bundle.listing}"
                    "Read it. If you trust it, load the bundle with trust_user_code=True"
                )
            model = cls.__new__(cls)
            model._folder = folder
            model._code = BundledCode(folder, bundle.hashes) if trust_user_code else None
            model.config = OmegaConf.create(bundle.config if trust_user_code else with_own_files(bundle.config, folder))
            rate = bundle.meta.get("sample_rate")
            model.sample_rate = rate if type(rate) is int and rate > 0 else None
            # Files that a packed file names in its turn are named from the recipe's folder, whose place the bundle takes.
            with nullcontext() if model._code is None else model._code.active(enter=True):
                model._build()
        return model

    @classmethod
    def from_pretrained(cls, model_tag: str, trust_user_code: bool = False) -> InferenceModel:
        """Load a bundle from the model hub; it is fetched once and kept in the hub's cache.

        Args:
            model_tag: `owner/name`, or `owner/name@revision` for what cannot change any more. Never a folder that happens
                to have this name; a path that can be no tag (`./name`, a whole path) is the bundle there.
            trust_user_code: Whether code that the bundle names may run.

        Raises:
            ConfigError: The hub has no such model, or does not hand it out.
            BundleError, UntrustedCode: As for `from_packed`.
        """
        from espnet3.publication.hub import fetch

        if str(model_tag).startswith(("./", "../", "/", "~")):
            return cls.from_packed(Path(model_tag).expanduser(), trust_user_code)
        return cls.from_packed(fetch(model_tag), trust_user_code)

    @property
    def primary_input_key(self) -> str:
        """The field of a sample that a single value stands for: the first of `input_key`."""
        return self._input_keys[0]

    def forward(self, sample: Any, idx: Any = 0, **extra_kwargs: Any) -> Any:
        """Run the model on one sample.

        Args:
            sample: A dict of fields as the recipe's dataset gives it; or the value of the primary input: an array or
                tensor, or the path of an audio file, which is read as float32[time] (its channels' mean) and resampled
                to `sample_rate`.
            idx: The sample's number, or its name.
            extra_kwargs: Further arguments of the model's call.

        Returns:
            What `output_fn` makes of the model's output; without one, the model's output. A field that the sample does
            not have (the reference text) is "" to the preprocessor and to `output_fn`. A generator goes on where it is
            read, under the same conditions.

        Raises:
            OutputError: The sample lacks an input.
        """
        prepared = self._prepared(sample, idx)
        with self._running():
            found = self._one(prepared, idx, extra_kwargs)
        return self._stepwise(found) if isinstance(found, Generator) else found

    def __call__(self, sample: Any, idx: Any = 0, **extra_kwargs: Any) -> Any:
        """As `forward`."""
        return self.forward(sample, idx, **extra_kwargs)

    def forward_batch(self, samples: Sequence[Any], indices: Sequence[Any] | None = None) -> list[Any]:
        """Run the model on several samples: in one call where the config has a `batch_size`, else one after the other.

        Args:
            samples: As for `forward`.
            indices: Their numbers or names; 0, 1, … by default.

        Returns:
            One result a sample, in their order.

        Raises:
            ValueError: There are not as many indices as samples.
            OutputError: A sample lacks an input, or a batch did not give as many results.
        """
        numbers = list(range(len(samples))) if indices is None else list(indices)
        if len(numbers) != len(samples):
            raise ValueError(f"{len(samples)} samples need as many indices, not {len(numbers)}")
        prepared = [self._prepared(sample, idx) for sample, idx in zip(samples, numbers, strict=True)]
        if not prepared:
            return []
        with self._running():
            size = self._batch_size
            found: list[Any] = []
            if size is None:
                found = [self._one(sample, idx, {}) for sample, idx in zip(prepared, numbers, strict=True)]
            else:
                for start in range(0, len(prepared), size):
                    found += self._batch(prepared[start : start + size], numbers[start : start + size])
        return [self._stepwise(each) if isinstance(each, Generator) else each for each in found]

    # -- how it is made -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        from espnet3.publication import inference_keys as keys
        from espnet3.systems.base.inference_provider import InferenceProvider
        from espnet3.utils.instantiation import instantiate

        self._input_keys = keys.input_keys_of(self.config)
        self._batch_size = keys.batch_size_of(self.config)
        provider = keys.class_of(self.config, "provider", "build_model")
        if provider is None:
            keys.model_of(self.config)
            provider = InferenceProvider
        self.model: Any = _built(provider, self.config)
        self._output_fn: Callable[..., Any] | None = keys.function_of(self.config, "output_fn")
        preprocessor = keys.preprocessor_of(self.config)
        self._preprocessor: Callable[..., Any] | None = None
        if preprocessor is not None:
            from espnet3.components.data.data_organizer import DataOrganizer

            organizer = DataOrganizer(preprocessor=instantiate(preprocessor, "dataset.preprocessor"))
            self._preprocessor, self._takes_uid = organizer.preprocessor, organizer.use_espnet_preprocessor
        self._runner: Any = keys.class_of(self.config, "runner", "forward")
        changed = keys.with_transform(self.config)
        if changed:
            console_line(
                f"InferenceModel: the transform of the test set {listed(changed)} is not applied to what it is given"
            )

    def _running(self) -> AbstractContextManager[Any]:
        if self._code is not None:
            return self._code.active()
        return nullcontext() if self._folder is None else shut_out(self._folder)

    def _stepwise(self, found: Generator[Any, Any, Any]) -> Generator[Any, None, Any]:
        """The values of a generator, each made as the model's call would have made it."""
        while True:
            with self._running(), _without_gradients():
                try:
                    value = next(found)
                except StopIteration as end:
                    return end.value
            yield value

    # -- how it is called -----------------------------------------------------------------------------------------------

    def _prepared(self, sample: Any, idx: Any) -> Any:
        if isinstance(sample, Mapping):
            fields = dict(sample)
        else:
            from espnet3.publication.audio import is_audio, read_audio

            name = Path(sample).stem if is_audio(sample) else str(idx)
            with self._running():
                value = read_audio(sample, self.sample_rate) if is_audio(sample) else sample
            fields = {"utt_id": name, self.primary_input_key: value}
        fields.setdefault(str(self.config.get("idx_key") or "utt_id"), str(idx))
        if self._preprocessor is None:
            return _Sample(fields)
        with self._running():
            if self._takes_uid:
                made = self._preprocessor(str(fields["utt_id"]), _Sample(fields))
            else:
                made = self._preprocessor(_Sample(fields))
        return _Sample({**fields, **made})

    def _one(self, sample: _Sample, idx: Any, extra: dict[str, Any]) -> Any:
        with _without_gradients():
            if self._runner is not None:
                env = {"model": self.model, "input_key": self._input_keys, "output_fn": self._output_fn}
                return self._runner.forward(0, dataset=[sample], **env, **extra)
            if self._batch_size is not None:
                return self._batch([sample], [idx], extra)[0]
            inputs = {key: self._input(sample, key) for key in self._input_keys}
            output = self.model(**inputs, **extra)
            return output if self._output_fn is None else self._output_fn(data=sample, model_output=output, idx=idx)

    def _batch(self, samples: list[_Sample], indices: list[Any], extra: dict[str, Any] | None = None) -> list[Any]:
        with _without_gradients():
            if self._runner is not None:
                env = {"model": self.model, "input_key": self._input_keys, "output_fn": self._output_fn}
                found = self._runner.forward(list(range(len(samples))), dataset=samples, **env, **(extra or {}))
            else:
                inputs = {key: [self._input(sample, key) for sample in samples] for key in self._input_keys}
                found = self.model(**inputs, **(extra or {}))
                if self._output_fn is not None:
                    found = self._output_fn(data=samples, model_output=found, idx=indices)
        if not isinstance(found, list | tuple) or len(found) != len(samples):
            got = f"{len(found)} results" if isinstance(found, list | tuple) else type(found).__name__
            raise OutputError(f"a batch of {len(samples)} samples must give a list of as many results, not {got}")
        return list(found)

    def _input(self, sample: _Sample, key: str) -> Any:
        if key not in sample:
            raise OutputError(
                f"the sample has no {key!r} (input_key); it has {listed(sample)}{did_you_mean(key, sample)}"
            )
        value = sample[key]
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(self.model, torch.nn.Module):
            return value
        first = next(iter(self.model.parameters()), None)
        tensor = torch.as_tensor(value) if hasattr(value, "__array__") else value
        return tensor.to(first.device) if first is not None and isinstance(tensor, torch.Tensor) else tensor


class _Sample(dict[str, Any]):
    """A sample from outside of a dataset: there is no reference, and what reads it gets an empty text."""

    def __missing__(self, key: str) -> str:
        return ""


def _built(provider: Any, config: DictConfig) -> Any:
    from hydra.errors import InstantiationException

    try:
        return provider.build_model(config)
    except InstantiationException as error:
        # A file that does not fit is said in its own words, without those of what made it.
        if isinstance(error.__cause__, UserError):
            raise ConfigError(f"model: {error.__cause__}", key="model") from error
        raise


def _without_gradients() -> AbstractContextManager[Any]:
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.inference_mode()
