"""What every metric has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from espnet3.utils.errors import OutputError, did_you_mean, listed
from espnet3.utils.scp_utils import read_scp


class BaseMetric(ABC):
    """Reads what inference wrote for one test set and gives numbers by name.

    Which fields it reads is said by its attributes whose names end in `_key` (`ref_key = "ref"`), by an
    attribute `inputs`, or by `inputs` beside the metric in the config.
    """

    @abstractmethod
    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        """Measure one test set.

        Args:
            data: For each field, its SCP file.
            test_name: The name of the test set.
            output_dir: The folder that holds a folder for each test set, for a metric that writes
                something.
        """

    def iter_inputs(self, data: dict[str, Path], *keys: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield each utterance's id and its values under `keys`, in the order of the first file.

        Raises:
            OutputError: A key has no file, or the files do not hold the same utterances.
        """
        for key in keys:
            if key not in data:
                raise OutputError(
                    f"{type(self).__qualname__} reads {key!r} but was given {listed(data)}{did_you_mean(key, data)}"
                )
        columns = {key: read_scp(data[key]) for key in keys}
        first = columns[keys[0]] if keys else {}
        for key, column in columns.items():
            if column.keys() != first.keys():
                lone = next(iter(column.keys() ^ first.keys()))
                has, lacks = (key, keys[0]) if lone in column else (keys[0], key)
                raise OutputError(
                    f"the utterance {lone!r} stands in {data[has]} but not in {data[lacks]}; both are needed"
                )
        for utt_id in first:
            yield utt_id, {key: column[utt_id] for key, column in columns.items()}
