"""A trained model that is called with one recording, or whatever else its recipe infers from.

```python
model = InferenceModel.from_packed("model_pack", trust_user_code=True)
model("hello.wav")["hyp"]
```

A bundle may name code of its own. It is run only where the caller trusts it; an error says which code that is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, OutputError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from espnet3.publication.bundled_code import BundledCode

_CONFIG = "conf/inference.yaml"


class UntrustedCode(ConfigError):
    """A bundle names code that may only run where the caller trusts it."""


class InferenceModel:
    """The model of an inference config, with its preprocessor before it and its `output_fn` behind it.

    Args:
        inference_config: As for the stage infer: `model`, `input_key`, `output_fn`, `dataset.preprocessor`, `provider`,
            `runner`, `idx_key`, `device`. Test sets are not looked at.

    Attributes:
        sample_rate: The rate in Hz that the model hears at, if it is known: files of another rate are resampled.

    Raises:
        ConfigError: A key that is needed is missing or names nothing that exists.
    """

    def __init__(self, inference_config: DictConfig) -> None:
        self.config = inference_config
        self.sample_rate: int | None = None
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
        from omegaconf import OmegaConf

        from espnet3.publication.bundled_code import BundledCode
        from espnet3.publication.sealed_folder import read_meta, verify
        from espnet3.publication.trust import named_code, references

        folder = Path(pack_dir).absolute()
        meta = read_meta(folder)
        verify(folder, meta)
        if _CONFIG not in meta["sha256"]:
            raise ConfigError(
                f"{folder} was packed without an inference config, so nothing says how to call its model; "
                "pack it again with --inference_config"
            )
        plain = _read(folder / _CONFIG)
        referring = list(references(plain))
        if referring:
            raise ConfigError(f"{folder / _CONFIG}: {referring[0]} refers to something outside of the bundle")
        code = named_code(plain, folder)
        if code and not trust_user_code:
            own = sorted(name for name in meta["sha256"] if name.endswith(".py"))
            raise UntrustedCode(
                f"{folder} names code that would run when it is loaded:\n"
                + "".join(f"  {each.words}\n" for each in code)
                + (f"The bundle's own Python: {', '.join(own)}\n" if own else "")
                + "Read it. If you trust it, load the bundle with trust_user_code=True"
            )
        config = OmegaConf.create({**plain, "recipe_dir": str(folder)})
        OmegaConf.resolve(config)
        model = cls.__new__(cls)
        model.config = config
        rate = meta.get("sample_rate")
        model.sample_rate = rate if isinstance(rate, int) else None
        hashes = {name: str(entry["sha256"]) for name, entry in meta["sha256"].items()}
        model._code = BundledCode(folder, hashes) if trust_user_code else None
        # Files that a packed file names in its turn are named from the recipe's folder, whose place the bundle takes.
        with model._running(), contextlib.chdir(folder):
            model._build()
        return model

    @classmethod
    def from_pretrained(cls, model_tag: str, trust_user_code: bool = False) -> InferenceModel:
        """Load a bundle from the model hub; it is fetched once and kept in the hub's cache.

        Args:
            model_tag: `owner/name`, or `owner/name@revision` for what cannot change any more; a bundle's folder is taken
                as it is.
            trust_user_code: Whether code that the bundle names may run.

        Raises:
            ConfigError: The hub has no such model, or does not hand it out.
            BundleError, UntrustedCode: As for `from_packed`.
        """
        from espnet3.publication.hub import fetch

        if Path(model_tag).is_dir():
            return cls.from_packed(model_tag, trust_user_code)
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
            not have (the reference text) is "" to the preprocessor and to `output_fn`.

        Raises:
            OutputError: The sample lacks an input.
        """
        prepared = self._prepared(sample, idx)
        with self._running():
            return self._one(prepared, idx, extra_kwargs)

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
            size = self.config.get("batch_size")
            if not size:
                return [self._one(sample, idx, {}) for sample, idx in zip(prepared, numbers, strict=True)]
            found: list[Any] = []
            for start in range(0, len(prepared), int(size)):
                found += self._batch(prepared[start : start + int(size)], numbers[start : start + int(size)])
            return found

    # -- how it is made -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        from espnet3.systems.base.inference_provider import InferenceProvider
        from espnet3.utils.instantiation import instantiate

        keys = self.config.get("input_key")
        if not keys:
            raise ConfigError("the inference config has no input_key: which entry of a sample goes to the model")
        self._input_keys = [keys] if isinstance(keys, str) else [str(key) for key in keys]
        provider = _class(self.config, "provider") or InferenceProvider
        self.model: Any = provider.build_model(self.config)
        self._output_fn: Callable[..., Any] | None = _function(self.config.get("output_fn"), "output_fn")
        dataset = self.config.get("dataset")
        preprocessor = dataset.get("preprocessor") if dataset is not None else None
        self._preprocessor: Callable[..., Any] | None = None
        if preprocessor is not None:
            from espnet3.components.data.data_organizer import DataOrganizer

            organizer = DataOrganizer(preprocessor=instantiate(preprocessor, "dataset.preprocessor"))
            self._preprocessor, self._takes_uid = organizer.preprocessor, organizer.use_espnet_preprocessor
        self._runner: Any = _class(self.config, "runner")

    def _running(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._code is None else self._code.active()

    # -- how it is called -----------------------------------------------------------------------------------------------

    def _prepared(self, sample: Any, idx: Any) -> Any:
        if isinstance(sample, Mapping):
            fields = dict(sample)
        else:
            from espnet3.publication.audio import is_audio, read_audio

            name = Path(sample).stem if is_audio(sample) else str(idx)
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
            if self.config.get("batch_size"):
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


def _without_gradients() -> AbstractContextManager[Any]:
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.inference_mode()


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no config")
    return content


def _class(config: DictConfig, key: str) -> Any:
    """The class that stands under `provider` or `runner`; None where the usual one is meant."""
    from espnet3.utils._dotted import import_dotted

    node = config.get(key)
    if node is None:
        return None
    path = node if isinstance(node, str) else node.get("_target_")
    return import_dotted(str(path), key)


def _function(node: Any, key: str) -> Callable[..., Any] | None:
    from espnet3.utils._dotted import import_dotted
    from espnet3.utils.instantiation import instantiate

    if node is None:
        return None
    found: Callable[..., Any] = import_dotted(node, key) if isinstance(node, str) else instantiate(node, key)
    if not callable(found):
        raise ConfigError(f"{key}: {node} is nothing that can be called")
    return found
