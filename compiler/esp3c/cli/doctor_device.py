"""Checks of torch, its devices, and of sound files. A Python of its own imports torch; here it is only listened to."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from typing import Any

from esp3c.cli.child import end_with_parent
from esp3c.cli.doctor_finding import FAIL, OK, WARN, Finding, asked, size
from esp3c.cli.doctor_python import pip

PATIENCE = 90.0
"""Seconds for torch: from a network file system its import takes long."""

_PROGRAM = """
import io, json, sys, warnings

told = {}

def tell(name, look):
    # Whatever goes wrong in somebody's library is what is to be told.
    try:
        told[name] = look()
    except BaseException as error:
        told[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}

def torch():
    import torch
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
        count = torch.cuda.device_count() if there else 0
        devices = [torch.cuda.get_device_properties(number) for number in range(count)]
        why = ""
        if not there and torch.version.cuda and torch.backends.cuda.is_built():
            try:
                torch.cuda.init()
            except Exception as error:
                why = str(error).splitlines()[0]
    works = ""
    if there:
        try:
            a = torch.ones(8, 8, device="cuda")
            assert float((a @ a).sum()) == 512.0
        except Exception as error:
            works = str(error).splitlines()[0]
    mps = getattr(torch.backends, "mps", None)
    return {
        "version": torch.__version__, "cuda": torch.version.cuda, "hip": getattr(torch.version, "hip", None), "there": there,
        "why": why or " ".join(str(each.message).splitlines()[0] for each in said), "broken": works,
        "devices": [{"name": each.name, "memory": each.total_memory, "capability": [each.major, each.minor]} for each in devices],
        "cudnn": torch.backends.cudnn.version() if there else None, "bf16": there and torch.cuda.is_bf16_supported(),
        "mps": bool(mps and mps.is_available()), "threads": torch.get_num_threads(),
    }

def soundfile():
    import numpy, soundfile
    sound = numpy.linspace(-0.5, 0.5, 1600, dtype="float32")
    done = []
    for form in ("WAV", "FLAC"):
        file = io.BytesIO()
        soundfile.write(file, sound, 16000, format=form)
        file.seek(0)
        again, rate = soundfile.read(file, dtype="float32")
        assert rate == 16000 and abs(again - sound).max() < 1e-3, form + " reads back as something else"
        done.append(form)
    return {"version": soundfile.__version__, "library": soundfile.__libsndfile_version__, "forms": done}

tell("torch", torch)
tell("soundfile", soundfile)
json.dump(told, sys.stdout)
"""


class Listener:
    """A Python that looks at torch while other things are checked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._why = ""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._why = f"it cannot be started: {getattr(error, 'strerror', None) or error}"

    def heard(self, patience: float = PATIENCE) -> dict[str, Any]:
        """What it tells, or an `error` in words."""
        if self._process is None:
            return {"error": self._why}
        try:
            out, err = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return {"error": f"no answer within {patience:g} s"}
        finally:
            self.end()
        if self._process.returncode < 0:
            return {
                "error": f"it was ended by signal {-self._process.returncode}: a library crashed, or memory ran out"
            }
        try:
            told = json.loads(out.decode("utf-8", "replace").splitlines()[-1])
        except (ValueError, IndexError):
            said = err.decode("utf-8", "replace").strip().splitlines()
            return {"error": said[-1] if said else f"exit code {self._process.returncode}"}
        return told if isinstance(told, dict) else {"error": "it said something else than was asked"}

    def end(self) -> None:
        """Ends it where it is still at work."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def heard(told: dict[str, Any], missing: Collection[str] = ()) -> Iterator[Finding]:
    """All that it tells. Of a package that is known to be `missing` nothing more is said."""
    if "error" in told:
        todo = f"{shlex.quote(sys.executable)} -c 'import torch, soundfile' says more"
        yield Finding("torch", FAIL, f"the Python that looks at torch and at sound: {told['error']}", todo)
        return
    for name, look in (("torch", devices), ("soundfile", sound)):
        absent = re.search(r"No module named '(\w+)", told[name].get("error", ""))
        if name not in missing and (absent is None or absent[1] not in missing):
            yield from look(told)


def devices(told: dict[str, Any]) -> Iterator[Finding]:
    """torch can be imported, and uses the GPUs that are there."""
    torch = told["torch"]
    if "error" in torch:
        yield Finding("torch", FAIL, f"cannot be imported: {torch['error']}", f"{pip()} --force-reinstall torch")
        return
    built = f"CUDA {torch['cuda']}" if torch["cuda"] else f"ROCm {torch['hip']}" if torch["hip"] else "the CPU alone"
    yield Finding("torch", OK, f"{torch['version']}, built for {built}; {torch['threads']} threads")
    for each in torch["devices"]:
        capability = ".".join(map(str, each["capability"]))
        yield Finding("gpu", OK, f"{each['name']}, {size(each['memory'])}, compute capability {capability}")
    if torch["broken"]:
        todo = "a torch that is built for this GPU: https://pytorch.org/get-started/locally/"
        yield Finding("gpu", FAIL, f"torch sees it and cannot count on it: {torch['broken']}", todo)
    elif torch["there"]:
        bf16 = "bf16" if torch["bf16"] else "no bf16: training uses 32 bits unless `precision` says otherwise"
        yield Finding("cuda", OK, f"cuDNN {torch['cudnn'] or 'is not there'}; {bf16}")
    elif torch["mps"]:
        yield Finding("gpu", OK, "of an Apple chip (mps)")
    else:
        yield _no_gpu(torch)


def _no_gpu(torch: dict[str, Any]) -> Finding:
    """Why torch has no GPU: there is none, it is hidden, torch is built without, or the driver does not fit."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("gpu", OK, "none on this machine")
    seen = asked([command, "--query-gpu=name,driver_version", "--format=csv,noheader"])
    gpus = [line.split(",") for line in seen.out.splitlines() if "," in line] if seen.ok else []
    if not seen.ok and "mismatch" in seen.why + seen.out:
        todo = "the driver was updated under a running system: restart the machine, or load its kernel module again"
        return Finding("gpu", FAIL, "library and kernel module of the driver are of two versions", todo)
    if not gpus:
        found = f"nvidia-smi finds none: {seen.why or 'it lists nothing'}"
        return Finding("gpu", WARN, found, "load the driver, if there should be one")
    them = "it" if len(gpus) == 1 else "them"
    found = f"{len(gpus)} × {gpus[0][0].strip()}, driver {gpus[0][1].strip()}, and torch does not use {them}"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return Finding("gpu", WARN, f"{found}: CUDA_VISIBLE_DEVICES hides them", "unset CUDA_VISIBLE_DEVICES")
    if not torch["cuda"]:
        todo = "install a torch that is built for CUDA: https://pytorch.org/get-started/locally/"
        return Finding("gpu", FAIL, f"{found}: it is built without CUDA", todo)
    todo = f"a newer driver, or a torch for an older CUDA than {torch['cuda']}: nvidia-smi says which its driver has"
    return Finding("gpu", FAIL, f"{found}: {torch['why'] or 'it does not say why'}", todo)


def sound(told: dict[str, Any]) -> Iterator[Finding]:
    """Sound files can be written and read."""
    file = told["soundfile"]
    if "error" in file:
        todo = f"{pip()} --force-reinstall soundfile; its wheels bring libsndfile, other systems have a package of it"
        yield Finding("soundfile", FAIL, file["error"], todo)
    else:
        forms = " and ".join(file["forms"])
        yield Finding("soundfile", OK, f"{file['version']} with libsndfile {file['library']} writes and reads {forms}")
