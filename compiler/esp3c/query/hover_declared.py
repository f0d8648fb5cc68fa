"""What is shown of declarations and stages: what they are made of, who uses them, and where they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.machines import machine_in_force
from esp3c.emit.machines import for_dask_jobqueue, for_submitit
from esp3c.graph.flow import built_in, configs_of, datasets_used, files_of, products
from esp3c.graph.folders import is_known
from esp3c.graph.machines import machine_text, value_text
from esp3c.ir import Dataset, ParallelNode, PythonNode, Recipe, Scalar, Stage, Use, strip
from esp3c.python.reader import reader
from esp3c.query.docstrings import docstring_of, shown
from esp3c.query.hover_parts import Code, Part, Said, code
from esp3c.query.hover_words import word
from esp3c.query.occurrences import Index, Role
from esp3c.query.python_places import builder_path, class_of, method_of_system
from esp3c.query.values_shown import followed, lines_of, measured
from esp3c.query.view import View
from esp3c.query.ways import Sort, Thing, Value
from esp3c.schema.backends import IN_YAML, JOB_QUEUES
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.syntax import ast


def recipe(view: View) -> list[Part]:
    known = view.recipe
    parts: list[Part] = [Said(f"recipe `{known.name}`")]
    if known.system is not None:
        parts.append(Said(f"System: `{known.system.path}`"))
    if known.stages:
        parts.append(Said(f"Stages: {_listed(each.name for each in known.stages)}"))
    return parts


def config(view: View, name: str) -> list[Part]:
    known = view.recipe.configs.get(name)
    if known is None:
        return [*word(name), Said(f"This recipe has no `{name}`.")] if name in CONFIGS else []
    parts: list[Part] = []
    if known.well_known:
        parts += word(name)
    elif known.extends is not None:
        parts.append(Said(f"config `{name}`: all of `{known.extends}`, with changes"))
    else:
        parts.append(Said(f"config `{name}`"))
    users = [each.name for each in view.recipe.stages if name in each.needs]
    heirs = [each.name for each in view.recipe.configs.values() if each.extends == name]
    parts.append(Said(f"Written to `conf/{name}.yaml`." + (f" Stages: {_listed(users)}." if users else "")))
    if heirs:
        parts.append(Said(f"Extended by {_listed(heirs)}."))
    return parts


def dataset(view: View, name: str) -> list[Part]:
    known = view.recipe.datasets.get(name)
    if known is None:
        return []
    parts: list[Part] = [Said(f"dataset `{name}`")]
    path, builder = class_of(known), builder_path(known)
    if path:
        parts.append(Said(f"class: `{path}`"))
    if builder:
        parts.append(Said(f"builder: `{builder}`"))
    if known.sample is not None:
        parts.append(Code(_sample(known)))
    summary = shown(docstring_of(reader(view.world), path))[:1] if path else []
    return [*parts, *summary, *_users(view.recipe, name)]


def _sample(known: Dataset) -> str:
    fields = [f"{each.name}{'?' * each.optional}: {each.type.span.text}" for each in known.sample or ()]
    line = f"sample {{ {'  '.join(fields)} }}"
    return line if len(line) <= 100 else "sample {\n" + "".join(f"  {each}\n" for each in fields) + "}"


def _users(known: Recipe, name: str) -> Iterator[Part]:
    from_configs = [each.name for each in known.configs.values() if name in datasets_used(each)]
    if from_configs:
        yield Said(f"used by {_listed(from_configs)}")


def field(view: View, thing: Thing) -> list[Part]:
    """A field of a sample."""
    known = view.recipe.datasets.get(thing.owner[1])
    found = next((each for each in known.sample or () if each.name == thing.name), None) if known is not None else None
    if found is None:
        return []
    said = f"field of each item of `{thing.owner[1]}`" + (", which may be absent" if found.optional else "")
    return [Code(f"{found.name}{'?' * found.optional}: {found.type.span.text}"), Said(said)]


def let(view: View, index: Index, name: str) -> list[Part]:
    owner = index.names.lets.get(name)
    if owner is None:
        return []
    end = followed(index, owner, (), owner.root)
    value = end.end.shape if isinstance(end.end, Value) else owner.root
    parts: list[Part] = [Code(f"let {name} = {lines_of(value.span)}")]
    base = measured(value)
    if base:
        parts.append(Said(f"{code(value.span.text)} is {base}"))
    if end.by:
        parts.append(Said("by way of " + " → ".join(code(each) for each in (name, *end.by))))
    uses = sum(each.role is Role.USED for each in index.of(Thing(Sort.LET, name)))
    parts.append(Said(f"used {uses} time{'s' if uses != 1 else ''}"))
    return parts


def parallel(view: View, name: str) -> list[Part]:
    """A machine setting as it is written, and as what is asked of it is counted there."""
    known = view.recipe.parallels.get(name)
    if known is None or not isinstance(known.value, ParallelNode):
        return []
    value = known.value
    parts: list[Part] = [Code(f"parallel {name} = {lines_of(value.span)}")]
    asked = [(each.name, strip(each.value)) for each in value.settings.entries]
    options: list[str] = []
    for setting, node in asked:
        number = node.value if isinstance(node, Scalar) else None
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        written = for_submitit(setting, number) if value.backend == "slurm" else None
        if value.backend in JOB_QUEUES:
            written = for_dask_jobqueue(value.backend, setting, number)
        if written is not None:
            options.append(f"`{IN_YAML.get(setting, setting)}` = `{written}`")
    if options:
        what = "sbatch" if value.backend == "slurm" else f"`{value.backend}`"
        parts.append(Said(f"{what} is asked for {', '.join(options)}"))
    users = [each.name for each in view.recipe.stages if each.on is not None and each.on.name == name]
    if users:
        parts.append(Said(f"Stages: {_listed(users)}"))
    return parts


# -- stages -------------------------------------------------------------------------------------------------------------


def stage(view: View, name: str) -> list[Part]:
    """A stage line: what it runs, which configs it works with, what it reads and leaves, and where it runs."""
    line = next((each for each in view.recipe.stages if each.name == name), None)
    if line is None:
        return system_stage(view, name)
    parts: list[Part] = [Said(f"stage `{name}`" + _runs(line))]
    if line.needs:
        parts.append(Said(f"Configs: {_listed(line.needs)}"))
    known = built_in(line)
    if known is not None:
        reads = [_in_configs(view.recipe, line, each) for each in known.reads]
        if reads:
            parts.append(Said(f"Needs the keys {', '.join(reads)}."))
        if known.after:
            parts.append(Said(f"Comes after {_listed(known.after)}."))
        parts += _files(view.recipe, line)
    parts.append(_place(view.recipe, line))
    return [*parts, *_documented(view, line)]


def _runs(line: Stage) -> str:
    if isinstance(line.runs, PythonNode):
        return f" runs `{line.runs.target.path}`"
    if isinstance(line.runs, Use):
        return f" runs `{line.runs.name}` of the system"
    if line.workload is not None:
        over = f" over `{'.'.join(map(str, (line.over[0], *line.over[1])))}`" if line.over is not None else ""
        return f" goes through items{over}"
    return "" if line.name in KNOWN_STAGES else ", a method of the recipe's System"


def _in_configs(known: Recipe, line: Stage, dotted: str) -> str:
    """`training.model|training.models` with the configs that stand in for the system's own."""
    stands = configs_of(known, line)
    options: list[str] = []
    for each in dotted.split("|"):
        head, _, rest = each.partition(".")
        options.append(f"`{stands.get(head, head)}.{rest}`")
    return " or ".join(options)


def _files(known: Recipe, line: Stage) -> Iterator[Part]:
    found = built_in(line)
    for files in found.reads_files if found is not None else ():
        place, names = files_of(known, line, files)
        if not is_known(place):
            continue
        condition = " where batches are cut by length" if files.when else ""
        yield Said(f"Reads {files.what}{condition}: {code(f'{place}/{names}')}")
    for product in products(known):
        if product.writer == line.name:
            readers = _listed(each.stage for each in product.readers)
            used = f", for {readers}" if readers else ""
            yield Said(f"Leaves {product.what}{used}: {code(product.path)}")


def _place(known: Recipe, line: Stage) -> Part:
    machine = machine_in_force(known, line)
    if machine is None:
        return Said("Runs on this machine.")
    if machine.settings is None:
        return Said(f"Runs on `{machine.backend}`.")
    return Said(f"Runs on {code(machine_text(machine.backend, machine.settings))}.")


def _documented(view: View, line: Stage) -> list[Part]:
    reading = reader(view.world)
    if isinstance(line.runs, PythonNode):
        return shown(docstring_of(reading, line.runs.target.path))[:2]
    if line.workload is not None:
        runner = line.workload.get("runner")
        return [Said(f"runner: {code(value_text(runner))}")] if runner is not None else []
    name = line.runs.name if isinstance(line.runs, Use) else line.name
    return _method_doc(view, name)


def system_stage(view: View, name: str) -> list[Part]:
    """A stage that the system has, as `runs` names it."""
    known = KNOWN_STAGES.get(name)
    doc = _method_doc(view, name)
    if known is None:
        return [Said(f"stage `{name}` of the recipe's System"), *doc] if doc else []
    parts: list[Part] = [Said(f"stage `{name}` of the system"), Said(f"Configs: {_listed(known.requires)}")]
    return [*parts, *doc]


def _method_doc(view: View, name: str) -> list[Part]:
    found = method_of_system(view.recipe, view.world, name)
    return shown(docstring_of(reader(view.world), found.path))[:2] if found is not None else []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)


def declared(view: View, index: Index, thing: Thing) -> list[Part]:
    """What a declaration or a stage line makes."""
    match thing.sort:
        case Sort.RECIPE:
            return recipe(view)
        case Sort.CONFIG:
            return config(view, thing.name)
        case Sort.DATASET:
            return dataset(view, thing.name)
        case Sort.PARALLEL:
            return parallel(view, thing.name)
        case Sort.LET:
            return let(view, index, thing.name)
        case Sort.STAGE:
            return stage(view, thing.name)
        case Sort.METHOD:
            return system_stage(view, thing.name)
        case Sort.FIELD:
            return field(view, thing)
    return []


def type_at(view: View, offset: int) -> ast.Name | None:
    """The name of a type of `sample` at an offset."""
    for known in view.recipe.datasets.values():
        for each in known.sample or ():
            if each.type.name.span.start <= offset <= each.type.name.span.end:
                return each.type.name
    return None
