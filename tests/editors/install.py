"""The editors and shells that the tests drive, and their packages on Debian.

python tests/editors/install.py          # installs what is missing, as root on Debian; fails where it cannot
python tests/editors/install.py --try    # says in one line where it cannot, and does not fail: the tests will be skipped
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_SWITCH = "ESP3C_INSTALL_EDITORS"

# Not Emacs, which is large: its tests are for where it is.
_PROGRAMS = {"nvim": "neovim", "zsh": "zsh", "fish": "fish"}

_DOWNLOAD_LIMIT = 240


def missing() -> list[str]:
    """The packages whose programs are not here."""
    return sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program)})


def why_not() -> str | None:
    """What keeps packages from being installed."""
    if os.environ.get(_SWITCH) == "0":
        return f"{_SWITCH} is 0"
    if not shutil.which("apt-get"):
        return "there is no apt-get"
    if os.geteuid() != 0:
        return "it takes root"
    return None


def install(packages: list[str]) -> str | None:
    """Install packages; what went wrong, if something did."""
    # Only the download is bounded: it may hang, and dpkg must not be interrupted.
    fetch = ["--download-only", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    try:
        if _apt("install", *fetch, *packages, limit=_DOWNLOAD_LIMIT):
            _apt("update", limit=_DOWNLOAD_LIMIT)
            if problem := _apt("install", *fetch, *packages, limit=_DOWNLOAD_LIMIT):
                return problem
    except subprocess.TimeoutExpired:
        return f"the download took more than {_DOWNLOAD_LIMIT} s"
    return _apt("install", "--no-download", *packages)


def _apt(verb: str, *rest: str, limit: float | None = None) -> str | None:
    done = subprocess.run(
        ["apt-get", verb, "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60", *rest],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return None if done.returncode == 0 else " ".join(lines[:2]) or f"apt-get {verb} ended with {done.returncode}"


def main(arguments: list[str]) -> int:
    packages = missing()
    if not packages:
        return 0
    problem = why_not()
    if problem is None:
        print(f"editors: apt-get install {' '.join(packages)}, for the tests ({_SWITCH}=0 prevents it)", flush=True)
        problem = install(packages)
    if problem is None and (still := missing()):
        problem = f"still without {' '.join(still)}"
    if problem is None:
        return 0
    print(f"editors: not installed ({problem}); tests that need {' '.join(packages)} are skipped", flush=True)
    return 0 if "--try" in arguments else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
