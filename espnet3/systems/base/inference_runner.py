"""The runner of the stage infer: an item goes through the model, its outputs into SCP files.

For item `idx` the model is called with the sample's values under `input_key`, by name; `output_fn` turns
what comes back into a dict with the utterance's id and one entry for each field. A field that is text or a
number becomes a line of `<field>.scp`; anything else becomes a file of its own, whose path is the line's
value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from esp3rt.files import write_text
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.utils.errors import OutputError, did_you_mean, listed
from espnet3.utils.writer_utils import write_artifact

if TYPE_CHECKING:
    from espnet3.parallel.env_provider import EnvironmentProvider

FIELD_KEYS = "field_keys.txt"


class InferenceRunner(BaseRunner):
    """Runs inference over a test set; see the module's text.

    Args:
        provider: Provides `dataset`, `model`, `input_key` and `output_fn`.
        idx_key: The entry of an output that holds the utterance's id.
        hyp_key: Fields that each output must have, if they are not the usual "hyp".
        ref_key: Fields that each output must have, if they are not the usual "ref".
        output_keys: The fields to write; None writes all that an output has.
        kwargs: As for `BaseRunner`: `batch_size`, `output_dir`, `shard_subdir`, `resume`.
    """

    results_without_output_dir: ClassVar[bool] = True

    def __init__(
        self,
        provider: EnvironmentProvider,
        idx_key: str = "utt_id",
        hyp_key: str | Sequence[str] = "hyp",
        ref_key: str | Sequence[str] = "ref",
        output_keys: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(provider, **kwargs)
        self.idx_key = idx_key
        self.hyp_key = hyp_key
        self.ref_key = ref_key
        self.output_keys = output_keys
        self.label = f"infer {self.shard_subdir}".rstrip()
        self.unit = "utterances"

    def options(self) -> dict[str, Any]:
        """The keys, as `write_record` takes them."""
        return {
            "idx_key": self.idx_key,
            "output_keys": self.output_keys,
            "hyp_key": None if self.hyp_key == "hyp" else self.hyp_key,
            "ref_key": None if self.ref_key == "ref" else self.ref_key,
        }

    def around_work(self) -> AbstractContextManager[Any]:
        """No gradients, if the work uses torch at all."""
        torch = sys.modules.get("torch")
        return nullcontext() if torch is None else torch.inference_mode()

    def resolve_idx_key(self, output: dict[str, Any]) -> str:
        """The entry of `output` that holds the utterance's id.

        Raises:
            OutputError: There is none; the message names the nearest key.
        """
        return _resolved_idx_key(output, self.idx_key, "the output")

    @staticmethod
    def forward(
        idx: int | Iterable[int],
        dataset: Any = None,
        model: Any = None,
        input_key: str | Sequence[str] | None = None,
        output_fn: Callable[..., Any] | None = None,
        idx_key: str = "utt_id",
        **kwargs: Any,
    ) -> Any:
        """Run the model on one item, or on a list of items.

        One item: `model(**{key: sample[key]})`, then `output_fn(data=sample, model_output=…, idx=idx)`,
        which returns a dict or a list of dicts. A list: each input is the list of the items' values, and
        `output_fn` takes lists and returns a list of as many dicts.

        Without an `output_fn` the model itself returns the dicts; the id is then taken from the sample if
        the model does not give it.

        Raises:
            OutputError: A sample lacks an input, or what comes back are no dicts, or not as many as items.
        """
        if isinstance(idx, int):
            sample = dataset[idx]
            inputs = {key: _input(sample, key, idx, model) for key in _keys(input_key)}
            output = model(**inputs)
            if output_fn is not None:
                output = output_fn(data=sample, model_output=output, idx=idx)
            samples, indices = [sample], [idx]
        else:
            indices = list(idx)
            samples = [dataset[index] for index in indices]
            batch = {
                key: [_input(sample, key, index, model) for sample, index in zip(samples, indices, strict=True)]
                for key in _keys(input_key)
            }
            output = model(**batch)
            if output_fn is not None:
                output = output_fn(data=samples, model_output=output, idx=indices)
            if not isinstance(output, list | tuple) or len(output) != len(indices):
                got = f"{len(output)} outputs" if isinstance(output, list | tuple) else type(output).__name__
                raise OutputError(
                    f"{_source(output_fn, model)} was given a batch of {len(indices)} items and must return "
                    f"a list of as many dicts, not {got}"
                )
        outputs = list(_iter_outputs(output, _source(output_fn, model)))
        if output_fn is None and len(outputs) == len(samples):
            outputs = [_with_id(entry, sample, idx_key) for entry, sample in zip(outputs, samples, strict=True)]
        for entry in outputs:
            _resolved_idx_key(entry, idx_key, _source(output_fn, model))
        return outputs[0] if isinstance(idx, int) and isinstance(output, Mapping) else outputs

    @staticmethod
    def open_writers(
        shard_dir: Path | None, output_artifacts: dict[str, dict[str, Any]] | None = None, **env: Any
    ) -> dict[str, Any]:
        """Prepare to write a shard's SCP files; each is opened with the first value of its field."""
        return {
            "shard_dir": shard_dir,
            "artifact_configs": _with_writers(output_artifacts or {}),
            "scp_handles": {},
            "field_keys": None,
            "utt_ids": set(),
        }

    @staticmethod
    def write_record(
        writers: dict[str, Any],
        result: Any,
        state: dict[str, Any],
        idx_key: str = "utt_id",
        output_keys: str | Sequence[str] | None = None,
        hyp_key: str | Sequence[str] | None = None,
        ref_key: str | Sequence[str] | None = None,
        **env: Any,
    ) -> None:
        """Check one result and write a line for each of its fields.

        Raises:
            OutputError: The id is missing, has a blank in it or came before; a field is missing, is None,
                or holds a line break; a value has no file type.
        """
        for output in _iter_outputs(result, "the result"):
            _resolved_idx_key(output, idx_key, "the output")
            utt_id = _checked_id(output[idx_key], idx_key, writers["utt_ids"])
            fields = _fields(output, idx_key, output_keys, (*_keys(hyp_key), *_keys(ref_key)), utt_id)
            if writers["field_keys"] is None:
                writers["field_keys"] = fields
            elif set(fields) != set(writers["field_keys"]):
                differ = sorted(set(fields) ^ set(writers["field_keys"]))
                raise OutputError(
                    f"utterance {utt_id!r} has the fields {listed(fields)}, those before it had "
                    f"{listed(writers['field_keys'])}: every output must have the same ({listed(differ)})"
                )
            for field in fields:
                value = _scp_value(output[field], field, utt_id, writers)
                handle = writers["scp_handles"].get(field)
                if handle is None:
                    path = writers["shard_dir"] / f"{field}.scp"
                    handle = path.open("w", encoding="utf-8", newline="\n")
                    writers["scp_handles"][field] = handle
                handle.write(f"{utt_id} {value}\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Close the SCP files and write the names of the fields to `field_keys.txt`."""
        for handle in writers["scp_handles"].values():
            handle.close()
        fields = writers["field_keys"] or []
        if writers["shard_dir"] is not None:
            write_text(writers["shard_dir"] / FIELD_KEYS, "".join(f"{field}\n" for field in fields))
        return {"field_keys": fields}

    def merge(self, shard_dirs: list[Path]) -> dict[str, Any] | None:
        """Join the shards' SCP files under `<output_dir>/<shard_subdir>`, in the order of the items.

        Files of fields that this run no longer has are removed.

        Returns:
            The path of each field's file.
        """
        if self.output_dir is None:
            return None
        base = self.output_dir / self.shard_subdir
        fields = list(dict.fromkeys(field for folder in shard_dirs for field in _read_fields(folder)))
        for stale in set(_read_fields(base)) - set(fields):
            (base / f"{stale}.scp").unlink(missing_ok=True)
        paths = {}
        for field in fields:
            path = base / f"{field}.scp"
            concatenate_shard_files(shard_dirs, path.name, path)
            paths[field] = path
        write_text(base / FIELD_KEYS, "".join(f"{field}\n" for field in fields))
        return paths

    def __call__(self, indices: Iterable[int]) -> Any:
        """Run over `indices` in their order.

        Returns:
            With an `output_dir`, the path of each field's SCP file; without one, the list of outputs.
        """
        results = super().__call__(indices)
        if self.output_dir is None and self.batch_size is not None:
            return [output for batch in results for output in batch]
        return results


def _keys(keys: str | Sequence[str] | None) -> tuple[str, ...]:
    if keys is None:
        return ()
    return (keys,) if isinstance(keys, str) else tuple(keys)


def _source(output_fn: Callable[..., Any] | None, model: Any) -> str:
    if output_fn is None:
        return f"the model {type(model).__qualname__} (there is no output_fn)"
    function = getattr(output_fn, "func", output_fn)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"output_fn {getattr(function, '__module__', '')}.{name}"


def _input(sample: Any, key: str, idx: int, model: Any) -> Any:
    try:
        value = sample[key]
    except (KeyError, TypeError, IndexError):
        there = list(sample) if isinstance(sample, Mapping) else []
        raise OutputError(
            f"input_key names {key!r}, but item {idx} of the test set has {listed(there)}{did_you_mean(key, there)}"
        ) from None
    if hasattr(value, "detach") and hasattr(model, "parameters"):
        first = next(iter(model.parameters()), None)
        if first is not None and value.device != first.device:
            return value.to(first.device)
    return value


def _iter_outputs(result: Any, source: str) -> Iterator[dict[str, Any]]:
    for output in result if isinstance(result, list | tuple) else [result]:
        if not isinstance(output, Mapping):
            raise OutputError(
                f"{source} must give a dict with the utterance's id and the fields to write, not a "
                f"{type(output).__name__}"
            )
        yield dict(output)


def _with_id(output: dict[str, Any], sample: Any, idx_key: str) -> dict[str, Any]:
    if idx_key not in output and isinstance(sample, Mapping) and idx_key in sample:
        return {idx_key: sample[idx_key], **output}
    return output


def _resolved_idx_key(output: Mapping[str, Any], idx_key: str, source: str) -> str:
    if idx_key not in output:
        raise OutputError(
            f"{source} gives no {idx_key!r}, which names the utterance (idx_key); it gives {listed(output)}"
            f"{did_you_mean(idx_key, [str(key) for key in output])}"
        )
    return idx_key


def _checked_id(value: Any, idx_key: str, seen: set[str]) -> str:
    utt_id = str(value)
    if not utt_id or len(utt_id.split()) != 1 or utt_id != utt_id.strip():
        raise OutputError(f"{idx_key} {utt_id!r} cannot start a line of an SCP file: it is empty or has a blank")
    if utt_id in seen:
        raise OutputError(f"{idx_key} {utt_id!r} came before: each utterance of a test set needs an id of its own")
    seen.add(utt_id)
    return utt_id


def _fields(
    output: Mapping[str, Any],
    idx_key: str,
    output_keys: str | Sequence[str] | None,
    required: Sequence[str],
    utt_id: str,
) -> list[str]:
    there = [str(key) for key in output if key != idx_key]
    wanted = there if output_keys is None else list(_keys(output_keys))
    for field in (*wanted, *required):
        if field not in output:
            raise OutputError(
                f"the output of utterance {utt_id!r} has no field {field!r}; it has {listed(there)}"
                f"{did_you_mean(field, there)}"
            )
    if not wanted:
        raise OutputError(f"the output of utterance {utt_id!r} has an id but no field to write")
    return wanted


def _scp_value(value: Any, field: str, utt_id: str, writers: dict[str, Any]) -> str:
    settings = writers["artifact_configs"].get(field)
    if settings is None:
        # A number of NumPy or torch is a number.
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
        if value is None:
            raise OutputError(f'field {field!r} of utterance {utt_id!r} is None; give "" where there is no text')
        if isinstance(value, str | int | float):
            text = str(value)
            if "\n" in text or "\r" in text:
                raise OutputError(
                    f"field {field!r} of utterance {utt_id!r} has a line break in it, which would end its "
                    f"line of {field}.scp: {text[:60]!r}"
                )
            return text
    name = utt_id.replace("%", "%25").replace("/", "%2F")
    try:
        path = write_artifact(value, writers["shard_dir"] / field / name, settings)
    except OutputError as error:
        raise OutputError(f"field {field!r} of utterance {utt_id!r}: {error}") from error
    return str(path)


def _with_writers(artifacts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings of the fields, each writer made: once a shard, not once an item."""
    made = {field: dict(settings or {}) for field, settings in artifacts.items()}
    for field, settings in made.items():
        if isinstance(settings.get("writer"), Mapping):
            from espnet3.utils.instantiation import instantiate

            settings["writer"] = instantiate(settings["writer"], f"output_artifacts.{field}.writer")
    return made


def _read_fields(folder: Path) -> list[str]:
    path = folder / FIELD_KEYS
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
