"""The runner of the stage infer: an item goes through the model, its outputs into SCP files.

For item `idx` the model is called with the sample's values under `input_key`, by name; `output_fn` turns
what comes back into a dict with the utterance's id and one entry for each field. A field that is text or a
number becomes a line of `<field>.scp`; anything else becomes a file of its own, whose path is the line's
value.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from esp3rt.files import write_text
from espnet3.parallel._shard_work import Steps, is_overridden, usual_steps
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.systems.base.inference_records import (
    check_ids_across,
    fused_steps,
    input_of,
    iter_outputs,
    keys_of,
    resolved_idx_key,
    source_of,
    take,
    with_id,
    with_writers,
)
from espnet3.utils.errors import OutputError, listed

if TYPE_CHECKING:
    from espnet3.parallel.env_provider import EnvironmentProvider

FIELD_KEYS = "field_keys.txt"
OUTPUTS = "outputs.txt"


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
            "artifact_dir": "" if self.output_dir is None else str(self.output_dir / self.shard_subdir),
        }

    @classmethod
    def around_work(cls) -> AbstractContextManager[Any]:
        """No gradients, if the work uses torch at all."""
        torch = sys.modules.get("torch")
        return nullcontext() if torch is None else torch.inference_mode()

    def resolve_idx_key(self, output: dict[str, Any]) -> str:
        """The entry of `output` that holds the utterance's id.

        Raises:
            OutputError: There is none; the message names the nearest key.
        """
        return resolved_idx_key(output, self.idx_key, "the output")

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
        if not isinstance(idx, list | tuple | range):
            sample = dataset[idx]
            inputs = {key: input_of(sample, key, idx, model) for key in keys_of(input_key)}
            output = model(**inputs)
            if output_fn is not None:
                output = output_fn(data=sample, model_output=output, idx=idx)
            samples, indices = [sample], [idx]
        else:
            indices = list(idx)
            samples = [dataset[index] for index in indices]
            batch = {
                key: [input_of(sample, key, index, model) for sample, index in zip(samples, indices, strict=True)]
                for key in keys_of(input_key)
            }
            output = model(**batch)
            if output_fn is not None:
                output = output_fn(data=samples, model_output=output, idx=indices)
            if not isinstance(output, list | tuple) or len(output) != len(indices):
                got = f"{len(output)} outputs" if isinstance(output, list | tuple) else type(output).__name__
                raise OutputError(
                    f"{source_of(output_fn, model)} was given a batch of {len(indices)} items and must return "
                    f"a list of as many dicts, not {got}"
                )
        outputs = _with_ids(output, samples, output_fn, model, idx_key)
        return outputs[0] if isinstance(output, Mapping) and not isinstance(idx, list | tuple | range) else outputs

    @classmethod
    def steps(cls, state: dict[str, Any], env: dict[str, Any], shard_id: int, batched: bool) -> Steps:
        """In one loop, where `forward` and `write_record` are as they are here and nothing has to be moved."""
        model, output_fn, idx_key = env.get("model"), env.get("output_fn"), env.get("idx_key", "utt_id")
        own = all(
            inspect.getattr_static(cls, name) is inspect.getattr_static(InferenceRunner, name)
            for name in ("forward", "write_record", "open_writers")
        )
        plain = output_fn is not None and not env.get("output_artifacts") and env.get("output_keys") is None
        if (
            not own
            or not plain
            or state.get("shard_dir") is None
            or batched
            or hasattr(model, "parameters")
            or is_overridden(cls, "reduce_state")
        ):
            return usual_steps(cls, state, env, shard_id)
        required = (*keys_of(env.get("hyp_key")), *keys_of(env.get("ref_key")))

        def general(output: Any, sample: Any, index: Any) -> None:
            take(state["writers"], _with_ids(output, [sample], output_fn, model, idx_key), idx_key, None, required)

        return fused_steps(state["writers"], {**env, "idx_key": idx_key}, general)

    @staticmethod
    def open_writers(
        shard_dir: Path | None,
        output_artifacts: dict[str, dict[str, Any]] | None = None,
        artifact_dir: str = "",
        **env: Any,
    ) -> dict[str, Any]:
        """Prepare to write a shard's SCP files; each is opened with the first value of its field.

        Args:
            shard_dir: The shard's folder.
            output_artifacts: How fields are written that are files of their own.
            artifact_dir: The folder of these files as SCP files name it; by default the one around the shards.
        """
        return {
            "artifact_dir": artifact_dir,
            "shard_dir": shard_dir,
            "artifact_configs": with_writers(output_artifacts or {}),
            "scp_handles": {},
            "field_keys": None,
            "utt_ids": set(),
            "outputs": [],
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
        take(writers, result, idx_key, output_keys, (*keys_of(hyp_key), *keys_of(ref_key)))

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Close the SCP files and write the names of the fields to `field_keys.txt`."""
        for handle in writers["scp_handles"].values():
            handle.close()
        fields, outputs = writers["field_keys"] or [], writers["outputs"]
        folder = writers["shard_dir"]
        if folder is not None:
            # What the `done` file vouches for need not be brought to the disk by itself.
            (folder / FIELD_KEYS).write_text(_lines(fields), encoding="utf-8")
            if outputs:
                (folder / OUTPUTS).write_text(_lines(outputs), encoding="utf-8")
        return {"field_keys": fields, "outputs": [folder.parent / name for name in outputs]}

    def merge(self, shard_dirs: list[Path]) -> dict[str, Any] | None:
        """Join the shards' SCP files under `<output_dir>/<shard_subdir>`, in the order of the items.

        Files of fields that this run no longer has are removed.

        Returns:
            The path of each field's file.
        """
        if self.output_dir is None:
            return None
        base = self.output_dir / self.shard_subdir
        fields = _common_fields(shard_dirs)
        for stale in set(_read_lines(base / FIELD_KEYS)) - set(fields):
            (base / f"{stale}.scp").unlink(missing_ok=True)
            if (base / stale).is_dir():
                shutil.rmtree(base / stale)
        if fields:
            check_ids_across([folder / f"{fields[0]}.scp" for folder in shard_dirs], self.idx_key)
        paths = {}
        for field in fields:
            path = base / f"{field}.scp"
            concatenate_shard_files(shard_dirs, path.name, path)
            paths[field] = path
        _sweep(base, fields, {name for folder in shard_dirs for name in _read_lines(folder / OUTPUTS)})
        write_text(base / FIELD_KEYS, _lines(fields))
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


def _with_ids(
    output: Any, samples: Sequence[Any], output_fn: Callable[..., Any] | None, model: Any, idx_key: str
) -> list[dict[str, Any]]:
    """The outputs as dicts with an id, which is the sample's where the model itself gives the dicts."""
    source = source_of(output_fn, model)
    outputs = list(iter_outputs(output, source))
    if output_fn is None and len(outputs) == len(samples):
        outputs = [with_id(entry, sample, idx_key) for entry, sample in zip(outputs, samples, strict=True)]
    for entry in outputs:
        resolved_idx_key(entry, idx_key, source)
    return outputs


def _common_fields(shard_dirs: Sequence[Path]) -> list[str]:
    """The fields of the shards.

    Raises:
        OutputError: Two shards differ.
    """
    common: list[str] = []
    for folder in shard_dirs:
        fields = _read_lines(folder / FIELD_KEYS)
        if common and fields and set(fields) != set(common):
            raise OutputError(
                f"the outputs of {folder.name} have the fields {listed(fields)}, those before it had {listed(common)}: "
                f"every output must have the same ({listed(sorted(set(fields) ^ set(common)))})"
            )
        common = common or fields
    return common


def _sweep(base: Path, fields: Sequence[str], outputs: set[str]) -> None:
    """Take away the files of utterances that are there no more."""
    for field in fields:
        for path in (base / field).rglob("*") if (base / field).is_dir() else ():
            if path.is_file() and path.relative_to(base).as_posix() not in outputs:
                path.unlink()


def _lines(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
