"""The outputs of inference: what is checked of each, and how it becomes lines of SCP files.

`take` is the whole of it, one output at a time. `fused_steps` does the same for outputs that are plain (a dict with
the same text fields each time): it calls dataset, model and `output_fn`, collects a chunk's outputs, checks them all at
once and writes their lines together. Whatever is not plain goes through `take`, which says what is wrong with it.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.parallel._shard_work import Steps
from espnet3.utils.errors import OutputError, did_you_mean, listed
from espnet3.utils.writer_utils import write_artifact

if TYPE_CHECKING:
    from typing import TextIO


def take(
    writers: dict[str, Any],
    result: Any,
    idx_key: str,
    output_keys: str | Sequence[str] | None,
    required: Sequence[str],
) -> None:
    """Check one result and write a line for each of its fields; see `InferenceRunner.write_record`."""
    for output in iter_outputs(result, "the result"):
        resolved_idx_key(output, idx_key, "the output")
        utt_id = _checked_id(output[idx_key], idx_key, writers["utt_ids"])
        fields = _fields(output, idx_key, output_keys, required, utt_id)
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
            _handle(writers, field).write(f"{utt_id} {value}\n")


def fused_steps(writers: dict[str, Any], env: dict[str, Any], general: Callable[[Any, Any, Any], None]) -> Steps:
    """Forward and writing in one loop, for a model that takes values as they are and outputs that are plain.

    Args:
        writers: What `open_writers` gave.
        env: The environment: `dataset`, `model`, `input_key`, `output_fn`, `idx_key`.
        general: `general(output, sample, index)` does what is to be done with any output of an item.
    """
    dataset, model, output_fn, idx_key = env["dataset"], env["model"], env["output_fn"], env["idx_key"]
    keys = keys_of(env["input_key"])
    one = keys[0] if len(keys) == 1 else None
    rows: list[tuple[Any, ...]] = []
    keep = rows.append
    item: Any = None

    def run(chunk: Sequence[Any]) -> None:
        # So many outputs stay in the processor's cache until their lines are written.
        for start in range(0, len(chunk), _TOGETHER):
            try:
                run_few(chunk[start : start + _TOGETHER])
            finally:
                # What came before an error is checked and written as it would have been without it.
                flush()

    def run_few(chunk: Sequence[Any]) -> None:
        nonlocal item
        fields = writers["field_keys"] or ()
        # Until the first output has shown its fields, none is plain.
        width, get = len(fields) + 1 if fields else -1, itemgetter(idx_key, *fields)
        for item in chunk:
            sample = dataset[item]
            try:
                inputs = {one: sample[one]} if one is not None else {key: sample[key] for key in keys}
            except (KeyError, TypeError, IndexError):
                inputs = {key: input_of(sample, key, item, model) for key in keys}
            output = output_fn(data=sample, model_output=model(**inputs), idx=item)
            if type(output) is dict and len(output) == width:
                try:
                    keep(get(output))
                    continue
                except KeyError:
                    pass
            flush()
            general(output, sample, item)

    def flush() -> None:
        if not rows:
            return
        taken = rows[:]
        rows.clear()
        if not _write_together(writers, taken):
            for row in taken:
                take(writers, dict(zip((idx_key, *writers["field_keys"]), row, strict=True)), idx_key, None, ())

    return Steps(run, lambda: item)


def _write_together(writers: dict[str, Any], rows: list[tuple[Any, ...]]) -> bool:
    """Write the lines of many outputs at once; False, and nothing written, where one of them is not plain."""
    ids, *columns = zip(*rows, strict=True)
    seen, new = writers["utt_ids"], set(ids)
    # Of a large shard the later ids are compared when all are there; these are found at once.
    remembered = len(seen) < _REMEMBERED
    if len(new) != len(ids) or "" in new or (remembered and not seen.isdisjoint(new)):
        return False
    try:
        joined = " ".join(ids)
        # Only what can be printed: so the blanks in it are those between the ids.
        if joined.count(" ") != len(ids) - 1 or not joined.isprintable():
            return False
        texts = []
        for column in columns:
            values = column if type(column[0]) is str else tuple(map(_text_of, column))
            joined = "\n".join(values)
            if joined.count("\n") != len(values) - 1 or "\r" in joined:
                return False
            texts.append(values)
    except TypeError:
        return False
    if remembered:
        seen |= new
    for field, values in zip(writers["field_keys"], texts, strict=True):
        lines: Iterable[str] = map(" ".join, zip(ids, values))  # noqa: B905
        _handle(writers, field).write("\n".join(lines) + "\n")
    return True


def _text_of(value: Any) -> str:
    if type(value) not in _PLAIN:
        raise TypeError
    return str(value)


def check_ids_across(files: Sequence[Path], idx_key: str) -> None:
    """See that no two lines of several SCP files have the same id.

    An id is kept as a number of eight bytes, so that a test set of any size can be looked through.

    Raises:
        OutputError: Two have.
    """
    import numpy as np

    marks = array("q")
    for ids in _ids(files):
        marks.extend(map(hash, ids))
    ordered = np.sort(np.frombuffer(marks, dtype=np.int64)) if marks else np.empty(0, dtype=np.int64)
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen: set[str] = set()
    for ids in _ids(files) if twice else ():
        for utt_id in ids:
            if hash(utt_id) in twice:
                _checked_id(utt_id.decode(), idx_key, seen)


def _ids(files: Sequence[Path]) -> Iterator[list[bytes]]:
    for path in files:
        if path.is_file():
            with path.open("rb") as handle:
                rest = b""
                while block := handle.read(1 << 20):
                    whole, newline, rest = (rest + block).rpartition(b"\n")
                    yield _ID.findall(whole + newline)


_ID = re.compile(rb"([^ \n]+) [^\n]*\n")
_TOGETHER = 512
_REMEMBERED = 10_000
_PLAIN = frozenset({str, int, float, bool})


def _handle(writers: dict[str, Any], field: str) -> TextIO:
    handle: TextIO | None = writers["scp_handles"].get(field)
    if handle is None:
        handle = (writers["shard_dir"] / f"{field}.scp").open("w", encoding="utf-8", newline="\n")
        writers["scp_handles"][field] = handle
    return handle


def keys_of(keys: str | Sequence[str] | None) -> tuple[str, ...]:
    if keys is None:
        return ()
    return (keys,) if isinstance(keys, str) else tuple(keys)


def source_of(output_fn: Callable[..., Any] | None, model: Any) -> str:
    if output_fn is None:
        return f"the model {type(model).__qualname__} (there is no output_fn)"
    function = getattr(output_fn, "func", output_fn)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"output_fn {getattr(function, '__module__', '')}.{name}"


def input_of(sample: Any, key: str, idx: Any, model: Any) -> Any:
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


def iter_outputs(result: Any, source: str) -> Iterator[dict[str, Any]]:
    for output in result if isinstance(result, list | tuple) else [result]:
        if not isinstance(output, Mapping):
            raise OutputError(
                f"{source} must give a dict with the utterance's id and the fields to write, not a "
                f"{type(output).__name__}"
            )
        yield dict(output)


def with_id(output: dict[str, Any], sample: Any, idx_key: str) -> dict[str, Any]:
    if idx_key not in output and isinstance(sample, Mapping) and idx_key in sample:
        return {idx_key: sample[idx_key], **output}
    return output


def resolved_idx_key(output: Mapping[str, Any], idx_key: str, source: str) -> str:
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
    wanted = there if output_keys is None else list(keys_of(output_keys))
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
    name, base = utt_id.replace("%", "%25").replace("/", "%2F"), writers["shard_dir"].parent
    try:
        # Beside the shards: where a file stands must not tell how the work was cut.
        path = write_artifact(value, base / field / name, settings)
    except OutputError as error:
        raise OutputError(f"field {field!r} of utterance {utt_id!r}: {error}") from error
    inside = os.path.relpath(path, base)
    writers["outputs"].append(inside)
    return os.path.join(writers["artifact_dir"] or base, inside)


def with_writers(artifacts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings of the fields, each writer made: once a shard, not once an item."""
    made = {field: dict(settings or {}) for field, settings in artifacts.items()}
    for field, settings in made.items():
        if isinstance(settings.get("writer"), Mapping):
            from espnet3.utils.instantiation import instantiate

            settings["writer"] = instantiate(settings["writer"], f"output_artifacts.{field}.writer")
    return made
