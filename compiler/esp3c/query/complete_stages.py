"""Stage lines: the stages of the system, clauses, configs, machines, what a line runs."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.ir import Use
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here, Wanted
from esp3c.query.complete_python import heads, members, whole
from esp3c.query.hover_parts import Part, Said
from esp3c.query.in_sight import shown
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import KNOWN_STAGES, Stage
from esp3c.schema.types import PythonName
from esp3c.syntax.grammar import CLAUSES

FUNCTION = Wanted("runs", PythonName("a function"))

_CLAUSES = {
    "requires": "the configs that it works with",
    "runs": "a stage of the system, or a Python function",
    "on": "where it runs: a `parallel`",
}


def stages(here: Here) -> Iterator[Proposal]:
    """The stages of the system that have no line yet, in its order."""
    there = {each.name for each in here.recipe.stages if each.name_span.start != here.context.start}
    own = _by_clauses(_rest_of_line(here))
    if own and own not in there:
        yield Proposal(own, Sort.STAGE, 1, "by what its line says")
    for name in stages_of_system(here):
        if name not in there:
            yield _stage(name, 3)


def _by_clauses(words: list[str]) -> str:
    """A name for a stage by what its line says already: `train_low` for `requires training_low runs train`."""
    run = words[words.index("runs") + 1] if "runs" in words[:-1] else ""
    config = words[words.index("requires") + 1].rstrip(",") if "requires" in words[:-1] else ""
    if "." in run:
        return run.rpartition(".")[2]
    known = KNOWN_STAGES.get(run)
    if known is None or not config:
        return ""
    return f"{run}_{config.removeprefix(known.requires[0] + '_')}"


def stages_of_system(here: Here) -> tuple[str, ...]:
    system = here.recipe.system
    return system.stages if system is not None and system.stages is not None else tuple(KNOWN_STAGES)


def _stage(name: str, rank: int) -> Proposal:
    known = KNOWN_STAGES.get(name)
    if known is None:
        return Proposal(name, Sort.STAGE, rank, "a stage of the recipe's own System")
    return Proposal(name, Sort.STAGE, rank, f"works with {', '.join(known.requires)}", _stage_text(known))


def _stage_text(stage: Stage) -> tuple[Part, ...]:
    lines: list[str] = []
    if stage.reads:
        reads = (" or ".join(f"`{each}`" for each in key.split("|")) for key in stage.reads)
        lines.append(f"Reads {', '.join(reads)}.")
    if stage.after:
        lines.append("Comes behind " + ", ".join(f"`{each}`" for each in stage.after) + ".")
    if stage.writes:
        lines.append("Writes " + ", ".join(each.what for each in stage.writes) + ".")
    if stage.shares_items:
        lines.append("Its items are shared among the workers of its machine.")
    return tuple(map(Said, lines))


def clauses(here: Here) -> Iterator[Proposal]:
    """The clauses that a line has not yet, and what may follow it."""
    given = set(here.context.clause) | set(_rest_of_line(here))
    for word in CLAUSES:
        if word not in given:
            yield Proposal(word, Sort.KEYWORD, 1, _CLAUSES[word])
    yield from stages(here)


def _rest_of_line(here: Here) -> list[str]:
    text = here.view.source.text
    end = text.find("\n", here.context.end)
    return text[here.context.end : end if end >= 0 else len(text)].split()


def configs(here: Here) -> Iterator[Proposal]:
    """The configs that a line may work with; those of the kinds that its stage wants first."""
    clause, end = here.context.clause, here.context.end
    there = set(clause[1:])
    slots = _wanted_kinds(here)
    for name, config in here.recipe.configs.items():
        if name not in there or _is_word(here, name):
            rank = 1 if config.kind in slots and name != config.kind else 2 if config.kind in slots else 4
            yield Proposal(name, Sort.CONFIG, rank, config.kind or "config of its own" if name != config.kind else "")
    for name in CONFIGS:
        if name not in here.recipe.configs and name not in there and end:
            yield Proposal(name, Sort.CONFIG, 8, "not in this recipe")


def _is_word(here: Here, name: str) -> bool:
    return here.view.source.text[here.context.start : here.context.end] == name


def _wanted_kinds(here: Here) -> tuple[str, ...]:
    """The kinds of the configs that the stage of this line works with."""
    name = here.context.clause[0] if here.context.clause else ""
    line = next((each for each in here.recipe.stages if each.name == name), None)
    run = line.runs.name if line is not None and isinstance(line.runs, Use) else name
    known = KNOWN_STAGES.get(run)
    return (*known.requires, *known.also) if known is not None else ()


def machines(here: Here) -> Iterator[Proposal]:
    """The machine settings."""
    for name in here.recipe.parallels:
        owner = here.sight.names.parallels.get(name)
        yield Proposal(name, Sort.PARALLEL, 1, shown(owner.root) if owner is not None else "")


def bases(here: Here) -> Iterator[Proposal]:
    """The configs that another one may extend."""
    words = here.sight.declared.configs
    name = _declared_name(here)
    for config, declaration in words.items():
        if config != name:
            base = declaration.extends
            yield Proposal(config, Sort.CONFIG, 1, f"extends {base.text}" if base is not None else "")


def _declared_name(here: Here) -> str:
    before = here.view.source.text[: here.context.start].split()
    return before[-2] if len(before) > 1 else ""


def runs(here: Here) -> Iterator[Proposal]:
    """What a line may run."""
    if here.context.path:
        yield from members(here, FUNCTION)
        return
    for name in stages_of_system(here):
        yield _stage(name, 2)
    yield from whole(here, FUNCTION)
    yield from heads(here)
