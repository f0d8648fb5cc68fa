"""SCP files: one line an utterance, its id, a space, and a value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet3.utils.errors import OutputError, did_you_mean, listed


def get_class_path(obj: object) -> str:
    """The dotted path of the class of `obj`, or of `obj` itself if it is a class."""
    cls = obj if isinstance(obj, type) else type(obj)
    return f"{cls.__module__}.{cls.__qualname__}"


def load_scp_paths(
    inference_dir: Path,
    test_name: str,
    inputs: Sequence[str] | Mapping[str, str],
    file_suffix: str = ".scp",
) -> dict[str, Path]:
    """Find the files that a metric reads for one test set.

    Args:
        inference_dir: The folder that holds a folder for each test set.
        test_name: The name of the test set.
        inputs: The fields, or a mapping from the metric's own names to fields.
        file_suffix: What follows a field's name in the name of its file.

    Returns:
        For each name, the path `<inference_dir>/<test_name>/<field><file_suffix>`.

    Raises:
        OutputError: The test set has no folder or a field no file; the message names those that are there.
    """
    folder = Path(inference_dir) / test_name
    if not folder.is_dir():
        there = sorted(entry.name for entry in folder.parent.glob("*/")) if folder.parent.is_dir() else []
        raise OutputError(
            f"no output of inference for the test set {test_name!r}: there is no folder {folder} "
            f"(there is {listed(there)}){did_you_mean(test_name, there)}; run the stage infer for it first"
        )
    fields = dict(inputs) if isinstance(inputs, Mapping) else {name: name for name in inputs}
    paths = {}
    for name, field in fields.items():
        path = folder / f"{field}{file_suffix}"
        if not path.is_file():
            there = sorted(entry.name.removesuffix(file_suffix) for entry in folder.glob(f"*{file_suffix}"))
            raise OutputError(
                f"the metric reads the field {field!r}, but {path} does not exist: inference wrote "
                f"{listed(there)}{did_you_mean(field, there)}"
            )
        paths[name] = path
    return paths


def read_scp(path: Path) -> dict[str, str]:
    """The values of an SCP file by utterance, in its order.

    Raises:
        OutputError: An utterance has two lines.
    """
    values: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="\n") as handle:
        for number, line in enumerate(handle, 1):
            utt_id, _, value = line.rstrip("\n").partition(" ")
            if not utt_id:
                continue
            if utt_id in values:
                raise OutputError(f"{path}:{number}: the utterance {utt_id!r} has a second line")
            values[utt_id] = value
    return values
