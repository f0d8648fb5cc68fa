"""The recipe of a template under a name of one's own, and with its training on a cluster if that is wanted.

The text is changed where the tree of the recipe says that something stands, and then written in its one form.
"""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.limits import Partition
from esp3c.cli.init_templates import Template
from esp3c.format import format_text
from esp3c.record import record
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.parse import parse

CLUSTER = "cluster"
"""The name of the `parallel` that is written."""

_SENT = ("collect_stats", "train", "infer")
_HOUR = 3600.0
_CORES, _MEMORY, _WORKERS = 4, 16 * 10**9, 2


@record
class Names:
    """What is asked for: the name of the recipe, and the partition that its stages are sent to."""

    recipe: str
    partition: Partition | None = None


def recipe_text(template: Template, text: str, wanted: Names) -> str:
    """The recipe of a template as it was asked for."""
    source = Source("recipe.esp", text)
    file, _ = parse(source)
    edits = [_name(file, wanted.recipe), *_own_dataset(file, template)]
    if wanted.partition is not None:
        edits += _on_cluster(file, wanted.partition)
    for span, new in sorted(edits, key=lambda each: each[0].start, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return format_text(Source("recipe.esp", text)) or text


_Edit = tuple[Span, str]


def _name(file: ast.File, name: str) -> _Edit:
    (header,) = (each for each in file.declarations if isinstance(each, ast.RecipeDeclaration))
    return header.name.span, name


def _own_dataset(file: ast.File, template: Template) -> Iterator[_Edit]:
    """The dataset of a recipe that lies beside this one becomes that of the folder `dataset`."""
    for each in file.declarations:
        if isinstance(each, ast.DatasetDeclaration):
            for entry in each.block.entries:
                value = entry.value if isinstance(entry, ast.Setting) else None
                if template.tag and isinstance(value, ast.Text) and value.plain == template.tag:
                    yield value.span, '"dataset"'


def _on_cluster(file: ast.File, partition: Partition) -> Iterator[_Edit]:
    """The stages that take long go to the cluster; a `parallel` that nothing stands on any more goes away."""
    lines = [line for each in file.declarations if isinstance(each, ast.StagesDeclaration) for line in each.stages]
    left = {use.text for line in lines if not _is_sent(line) for use in line.on}
    for each in file.declarations:
        match each:
            case ast.StagesDeclaration(span=span):
                yield Span(span.source, span.start, span.start), _parallel(partition) + "\n\n"
            case ast.ParallelDeclaration(name, _, span) if name.text not in left:
                yield span, ""
            case ast.ConfigDeclaration(block=block) if _gpus(partition):
                yield from _accelerators(block)
    for line in filter(_is_sent, lines):
        if line.on:
            yield line.on[0].span, CLUSTER
        else:
            end = line.block.span.start if line.block is not None else line.span.end
            yield Span(line.span.source, end, end), f" on {CLUSTER} "


def _is_sent(line: ast.StageLine) -> bool:
    runs = line.runs[0].dotted if line.runs else line.name.text
    return runs in _SENT


def _accelerators(block: ast.Block) -> Iterator[_Edit]:
    """A training that keeps to the CPU takes the GPU that its job gets."""
    for entry in block.entries:
        if isinstance(entry, ast.Setting) and isinstance(entry.value, ast.Block):
            yield from _accelerators(entry.value)
        elif isinstance(entry, ast.Setting) and entry.key.dotted == "accelerator":
            yield entry.value.span, '"auto"'


def _gpus(partition: Partition) -> bool:
    return any(node.gpus for node in partition.nodes)


def _parallel(partition: Partition) -> str:
    """The `parallel` line: modest amounts, none over what the partition gives."""
    cores = min(
        [_CORES, *(node.cpus for node in partition.nodes), *([partition.max_cpus] if partition.max_cpus else [])]
    )
    memory = min(
        [_MEMORY, *(node.mem for node in partition.nodes), *([partition.max_mem] if partition.max_mem else [])]
    )
    minutes = int(min(_HOUR, partition.max_time or _HOUR) // 60)
    settings = [f'partition = "{partition.name}"']
    settings += ["gpus_per_node = 1"] if _gpus(partition) else []
    settings += [f"cpus_per_task = {max(cores, 1)}", f"mem = {_amount(memory)}"]
    settings += [f"time = {max(minutes, 1)}min", f"n_workers = {_WORKERS}"]
    return f"parallel {CLUSTER} = slurm({', '.join(settings)})"


def _amount(memory: int) -> str:
    return f"{memory // 10**9}GB" if memory % 10**9 == 0 else f"{max(memory // 10**6, 1)}MB"
