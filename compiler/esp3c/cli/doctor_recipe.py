"""Checks of the recipe: what the compiler says, what it names that is not installed, and the limits of the site."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from esp3c.cli.doctor_finding import FAIL, OK, WARN, Finding, Patient
from esp3c.cli.doctor_python import Requirement, install, is_there, older, requirements, version_of
from esp3c.diagnostics import Severity
from esp3c.ir import CallNode, CarriedNode, Entry, ListNode, MapNode, Node, PythonNode, Recipe, Scalar, strip
from esp3c.schema.backends import JOB_QUEUES, OVER_DASK

_MODULES = {"dask-jobqueue": "dask_jobqueue", "espeakng-loader": "espeakng_loader", "espnet": "espnet2"}
"""Modules of packages that are not called like them."""

_BY_STAGE = {"upload_model": "publication", "upload_demo": "publication"}
_AFTERWARDS = {"pack_demo": "demo"}
"""Stages that write something which needs an extra when it is started."""

_NOT_OURS = {"exp", "data", "conf", "recipe_data", "run.py", "system.py"}


def compiled(patient: Patient) -> Iterator[Finding]:
    """The recipe has no mistakes."""
    if patient.result is None:
        others = sorted(each.name for each in patient.folder.glob("*.esp"))
        said = f"there is no recipe.esp in {patient.recipe or 'this folder'}: the environment alone is looked at"
        if others:
            yield Finding(
                "recipe", WARN, said, f"esp3c doctor {shlex.quote(os.path.join(patient.recipe or '', others[0]))}"
            )
        else:
            yield Finding("recipe", OK, said)
        return
    found = patient.result.diagnostics
    errors = [each for each in found if each.severity is Severity.ERROR]
    name = patient.recipe or "recipe.esp"
    if errors:
        first = min(errors, key=lambda each: each.primary.span.start)
        said = f"{len(errors)} {'error' if len(errors) == 1 else 'errors'} in {name}, the first {first.code.id}: {first.message}"
        yield Finding("recipe", FAIL, said, f"esp3c check {name}")
    elif found:
        counted = f"{len(found)} {'warning' if len(found) == 1 else 'warnings'}"
        yield Finding("recipe", WARN, f"{counted} in {name}", f"esp3c check {name}")
    else:
        recipe = patient.result.recipe
        yield Finding("recipe", OK, f"{name}: no problems, {len(recipe.stages)} stages")


def extras(patient: Patient) -> Iterator[Finding]:
    """What the recipe names of optional packages is installed."""
    if patient.result is None:
        return
    wanted = _wanted(patient.result.recipe, patient.folder)
    told: set[str] = set()
    for extra in dict.fromkeys(each.extra for each in requirements()):
        packages = [each for each in requirements() if each.extra == extra]
        asked = [each for each in packages if _module(each) in wanted or extra in wanted]
        # What several extras bring is spoken of once.
        if extra in {"", "dev"} or all(each.name in told for each in asked):
            continue
        told |= {each.name for each in asked}
        reason = next(wanted[each] for each in (extra, *map(_module, asked)) if each in wanted)
        missing = [each for each in asked if not is_there(_module(each))]
        old = [each for each in asked if each not in missing and older(version_of(each.name) or each.least, each.least)]
        todo = install(extra)
        if missing:
            # Of what a stage only writes, the stage itself needs nothing.
            result = WARN if extra in _AFTERWARDS.values() else FAIL
            yield Finding(f"extra {extra}", result, f"{missing[0].name} is not installed, and {reason}", todo)
        elif old:
            yield Finding(f"extra {extra}", FAIL, f"{old[0].name} is older than {old[0].least}", todo)
        else:
            yield Finding(f"extra {extra}", OK, f"installed; {reason}")


def _module(requirement: Requirement) -> str:
    return _MODULES.get(requirement.name, requirement.name.replace("-", "_"))


def _wanted(recipe: Recipe, folder: Path) -> dict[str, str]:
    """Modules and extras that a recipe needs, each with the reason in words."""
    found: dict[str, str] = {}
    for stage in recipe.stages:
        runs = getattr(stage.runs, "name", "") or stage.name
        if runs in _BY_STAGE:
            found[_BY_STAGE[runs]] = f"stage `{stage.name}` needs it"
        if runs in _AFTERWARDS:
            found[_AFTERWARDS[runs]] = f"what stage `{stage.name}` writes needs it when it is started"
    for parallel in recipe.parallels.values():
        backend = getattr(parallel.value, "backend", "")
        if backend in OVER_DASK:
            found["distributed"] = f"`parallel {parallel.name}` needs it"
        if backend in JOB_QUEUES:
            found["dask_jobqueue"] = found["distributed"]
    roots = [config.root for config in recipe.configs.values()] + [each.settings for each in recipe.datasets.values()]
    for root in roots:
        for path in _paths(root):
            found.setdefault(path.partition(".")[0], f"the recipe names `{path}`")
    for source in sorted(_sources(recipe, folder)):
        for name in _names(source):
            found.setdefault(name, f"{os.path.relpath(source, folder)} imports it")
    return found


def _paths(node: Node) -> Iterator[str]:
    """All Python paths in a value."""
    left: list[Node] = [node]
    while left:
        match left.pop():
            case CallNode(target, _, arguments, positional, _, options):
                yield target.path
                left += [arguments, options, *positional]
            case PythonNode(target):
                yield target.path
            case MapNode(entries):
                left += [each.value for each in entries if isinstance(each, Entry)]
            case ListNode(items):
                left += items
            case CarriedNode(_, value):
                left.append(value)
            case _:
                continue


def _sources(recipe: Recipe, folder: Path) -> Iterator[Path]:
    """The recipe's own Python, and that of datasets that lie beside it."""
    places = [folder]
    for dataset in recipe.datasets.values():
        node = dataset.settings.get("source")
        tag = strip(node) if node is not None else None
        if isinstance(tag, Scalar) and isinstance(tag.value, str) and "/" in tag.value:
            name, task = tag.value.split("/", 1)
            for above in (folder.parent, folder.parent.parent):
                places += [above / name / task / "dataset", above / name / "dataset"]
    for place in places:
        for here, folders, names in os.walk(place):
            folders[:] = [each for each in folders if each not in _NOT_OURS and not each.startswith((".", "__"))]
            yield from (Path(here) / name for name in names if name.endswith(".py") and name not in _NOT_OURS)


def _names(source: Path) -> Iterator[str]:
    """The packages that a module imports, also those that it asks for by name (`find_spec("…")`)."""
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module=str() as module, level=0):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Attribute(attr="find_spec" | "import_module"), args=[ast.Constant(value=str() as name), *_]
            ):
                yield name.partition(".")[0]
            case _:
                continue


def limits(patient: Patient) -> Iterator[Finding]:
    """The site gives what the recipe's jobs ask for."""
    if patient.result is None or not patient.result.ok or not patient.on_slurm or shutil.which("scontrol") is None:
        return
    from esp3c.cli.site import over_site_limits

    found = over_site_limits(patient.result.recipe, [stage.name for stage in patient.result.recipe.stages])
    for each in found:
        where = re.sub(r".*/", "", str(each.primary.span))
        yield Finding("limits", FAIL, each.message, f"{where}: {each.primary.text}; esp3c explain {each.code.id}")
    if not found:
        yield Finding("limits", OK, "the site gives what the jobs ask for")


CHECKS = (compiled, extras, limits)
