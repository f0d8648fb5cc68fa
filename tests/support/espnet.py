"""ESPnet2, in a folder that Python does not look into: tests put it on the path of processes that need it.

python tests/support/espnet.py FOLDER        # once, behind pip: makes the folder fit for a machine without a GPU
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

FOLDER = Path(sys.prefix) / "espnet"
INSTALLED = (FOLDER / "espnet2" / "__init__.py").is_file()
REASON = f"no ESPnet2 in {FOLDER}; `make test` puts it there"

# What its English pronunciation would fetch from the network when it is imported, and never opens here.
_FETCHED = ("taggers/averaged_perceptron_tagger_eng.zip", "corpora/cmudict.zip")


def environment() -> dict[str, str]:
    """The environment of a process that finds ESPnet2."""
    paths = [str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NLTK_DATA": str(FOLDER / "nltk_data")}


def prepare(folder: Path) -> None:
    """Take out what wants CUDA, and put empty archives in the place of what would be fetched."""
    for library in (folder / "torchaudio" / "lib").glob("*.so"):
        library.unlink()
    for name in _FETCHED:
        archive = folder / "nltk_data" / name
        archive.parent.mkdir(parents=True, exist_ok=True)
        zipfile.ZipFile(archive, "w").close()


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
