"""The settings of a job: text that stays in its place on a line of SLURM's batch script, and amounts that can be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.check.blocks import set_entry
from esp3c.check.finding import Finding
from esp3c.check.linked import linked
from esp3c.check.machines import gpu_count, gpus
from esp3c.diagnostics import Label
from esp3c.ir import CarriedNode, Entry, LinkNode, ListNode, MapNode, Node, Recipe, Scalar, Text, strip
from esp3c.record import record
from esp3c.schema.backends import SIGNAL_DELAY, SLURM, TIME
from esp3c.schema.sbatch_values import (
    ANY_LETTERS,
    CHARACTERS,
    DIRECTIVE,
    EXTRA_NAME,
    HASH,
    LONG_OPTIONS,
    RESERVED,
    SHELL,
    SRUN_ARGUMENT,
)
from esp3c.schema.types import SIZE, Block
from esp3c.suggest import certain, nearest, one_of

_IN_YAML = {
    "additional_parameters": "extra", "queue": "partition", "project": "account", "job_script_prologue": "setup",
    "job_script_epilogue": "teardown",
}  # fmt: skip
"""Words in ESPnet3's own form of a machine setting, `parallel { env = "slurm"  options { … } }`, that are others here."""


def not_of_the_value(recipe: Recipe, root: MapNode | None, entry: Entry) -> Iterator[Finding]:
    """What a setting of a SLURM job holds besides a value. References are followed in the config of this root."""
    name = _IN_YAML.get(entry.name, entry.name)
    value = strip(linked(recipe, root, entry.value))
    if name == "extra":
        for flag in value.entries if isinstance(value, MapNode) else ():
            yield from _flag(recipe, root, flag)
    elif name in SHELL:
        for line in value.items if isinstance(value, ListNode) else ():
            yield from _shell_line(entry.name, _written(recipe, root, line))
    elif name == "srun_args":
        for item in value.items if isinstance(value, ListNode) else ():
            yield from _argument(entry.name, _written(recipe, root, item))
    else:
        yield from _value(entry.name, _written(recipe, root, entry.value), name)


def _flag(recipe: Recipe, root: MapNode | None, flag: Entry) -> Iterator[Finding]:
    if not re.fullmatch(EXTRA_NAME, flag.name):
        label = "without the dashes" if flag.name.startswith("-") else "such as `reservation`"
        yield Finding("this is not the name of an option of sbatch", Label(flag.key_span, label))
    value = strip(flag.value)
    if isinstance(value, Scalar) and value.value is False:
        yield Finding(f"`{flag.name} = false` is no option of sbatch", Label(flag.value.span, "leave it out instead"))
    own = flag.name.replace("-", "_")
    yield from _value(flag.name, _written(recipe, root, flag.value), own if own in CHARACTERS else "extra")


def _shell_line(name: str, written: _Written | None) -> Iterator[Finding]:
    if written is None:
        return
    control = next((each for each in written.text if not each.isprintable() and each != "\t"), None)
    if control is not None:
        label = "one line of shell each: make two of it" if control in "\r\n" else "no part of a line of shell"
        yield written.finding(f"a line of `{name}` holds {_shown(control)}", label)
    elif re.fullmatch(DIRECTIVE, written.text):
        yield written.finding(
            f"a line of `{name}` is an option of sbatch", "options have keys here, or stand in `extra`"
        )


def _argument(name: str, written: _Written | None) -> Iterator[Finding]:
    if written is None:
        return
    yield from _value(name, written, name)
    if written.whole and written.text.isprintable() and not re.fullmatch(SRUN_ARGUMENT, written.text):
        yield written.finding(
            f"`{written.text}` in `{name}` is no option of srun",
            "srun would run it in the place of the job; an option and its value are one text: `--mpi=none`",
        )


def _value(name: str, written: _Written | None, option: str) -> Iterator[Finding]:
    """What is wrong with the text of one option, which may be made of the characters of `option`."""
    characters = CHARACTERS.get(option)
    if written is None:
        return
    control = next((each for each in written.text if not each.isprintable()), None)
    if control is not None:
        yield written.finding(f"`{name}` holds {_shown(control)}", "it would end the line of the batch script")
        return
    if characters is None:
        return
    odd = next((each for each in written.text if not _may_hold(option, characters, each)), None)
    if odd is not None:
        yield written.finding(f"`{name}` holds {_shown(odd)}", f"not part of what `{name}` can be")
    elif re.fullmatch(HASH, written.text):
        yield written.finding(f"`{name}` holds a `#` that begins a word", "sbatch could take it for a comment")
    elif written.whole and not written.text:
        yield written.finding(f"`{name}` is empty", "leave it out instead")


def _may_hold(option: str, characters: str, each: str) -> bool:
    if each in characters:
        return True
    return each.isalnum() and (each.isascii() or option in ANY_LETTERS)


def _shown(character: str) -> str:
    if character in "\r\n":
        return "a line break"
    if not character.isprintable():
        return f"the character U+{ord(character):04X}"
    return {" ": "a blank", "`": "a backquote"}.get(character, f"`{character}`")


@record
class _Written:
    """The text of a value as far as it is known: `whole`, or without what only a run knows. Where it is used, and stands."""

    text: str
    whole: bool
    used: Node
    stands: Node

    def finding(self, message: str, label: str) -> Finding:
        there = self.stands.span
        because = (Label(there, "the value stands here"),) if there != self.used.span else ()
        return Finding(message, Label(self.used.span, label), because)


def _written(recipe: Recipe, root: MapNode | None, node: Node) -> _Written | None:
    """The text that a value is; None where it is none."""
    value = strip(linked(recipe, root, node))
    if isinstance(value, Scalar):
        return _Written(value.value, True, node, value) if isinstance(value.value, str) else None
    if not isinstance(value, Text):
        return None
    known = [_part(recipe, root, part) for part in value.parts]
    return _Written("".join(each or "" for each in known), None not in known, node, value)


def _part(recipe: Recipe, root: MapNode | None, part: object) -> str | None:
    """What stands in a text for a part of it; None where only a run knows it."""
    if isinstance(part, str):
        return part
    if not isinstance(part, LinkNode | CarriedNode):
        return None
    value = strip(linked(recipe, root, part))
    if isinstance(value, Scalar):
        return str(value.value)
    written = _written(recipe, root, value) if isinstance(value, Text) else None
    return written.text if written is not None and written.whole else None


# -- further options of sbatch ----------------------------------------------------------------------------------------


def misspelt_flags(settings: MapNode) -> Iterator[Finding]:
    """Names in `extra` that are a slip away from an option of sbatch; a site may have options of its own."""
    for flag in _flags(settings):
        name = flag.name.replace("_", "-")
        near = nearest(name, LONG_OPTIONS) if re.fullmatch(EXTRA_NAME, name) else []
        if name not in LONG_OPTIONS and certain(name, near) is not None:
            yield Finding(f"sbatch has no option `{flag.name}`", Label(flag.key_span, f"did you mean {one_of(near)}?"))


def not_for_extra(settings: MapNode) -> Iterator[Finding]:
    """Options in `extra` that a run sets itself, or that have a key of their own."""
    for flag in _flags(settings):
        why = RESERVED.get(flag.name.replace("_", "-"))
        own = SLURM.key(flag.name.replace("-", "_"))
        if why is not None:
            yield Finding(f"`{flag.name}` cannot be set in `extra`", Label(flag.key_span, why))
        elif own is not None:
            message = f"`{flag.name}` is a setting of `slurm` itself"
            yield Finding(message, Label(flag.key_span, f"write `{own.name} = …` beside `extra`"))


def _flags(settings: MapNode) -> tuple[Entry, ...]:
    entry = set_entry(settings, "extra")
    extra = strip(entry.value) if entry is not None else None
    return extra.entries if isinstance(extra, MapNode) else ()


# -- amounts ----------------------------------------------------------------------------------------------------------


LEAST_MEMORY = 256_000_000
"""Bytes without which not even torch is imported."""

EARLY = 60
"""Seconds by which SLURM may warn a job earlier than it was asked to."""

_LIMITS = ("time", "walltime")


def tiny_amounts(settings: MapNode, block: Block) -> Iterator[Finding]:
    """Times, memories and disks of a job in which nothing can run."""
    for entry in settings.entries:
        value, key = strip(entry.value), block.key(entry.name)
        if key is None or not isinstance(value, Scalar) or isinstance(value.value, bool | str | None):
            continue
        plain = value.dimension is None
        if key.type == SIZE and 0 < value.value < (2**20 if plain else LEAST_MEMORY):
            least, unit, example = "importing torch takes", "bytes", "64GB"
        elif entry.name in _LIMITS and _is_tiny_time(value):
            least, unit, example = "a minute", "seconds", "4h"
        else:
            continue
        yield Finding(
            f"`{entry.name} = {value.span.text}` is {value.value:g} {unit}",
            Label(entry.value.span, f"write the unit, such as `{example}`" if plain else f"less than {least}"),
            (Label(value.span, "the value stands here"),) if entry.value is not value else (),
        )


def _is_tiny_time(value: Scalar) -> bool:
    if isinstance(value.value, bool | str | None):
        return False
    return 0 < value.value < (600 if value.dimension is None else 60)


def counted_twice(settings: MapNode) -> Iterator[Finding]:
    """GPUs that `gpus_per_node` and `gres` ask for in different numbers."""
    one, other = set_entry(settings, "gpus_per_node"), set_entry(settings, "gres")
    count = strip(one.value) if one is not None else None
    gres = strip(other.value) if other is not None else None
    if not isinstance(count, Scalar) or not isinstance(gres, Scalar) or not isinstance(gres.value, str):
        return
    first = gpus(count.value) if isinstance(count.value, str) else count.value
    second = gpus(gres.value) if gres.value.startswith("gpu") else None
    if type(first) is int and second is not None and first != second:
        yield Finding(
            f"`gpus_per_node` asks for {gpu_count(first)}, and `gres` for {second}",
            Label(gres.span, "leave one of them out"),
            (Label(count.span, "the other"),),
        )


def warned_at_once(settings: MapNode) -> Iterator[Finding]:
    """A warning that is due, or may be, when the job has only just begun."""
    warning, limit = set_entry(settings, "signal_delay_s"), set_entry(settings, "time")
    delay, time = _seconds(warning, SIGNAL_DELAY), _seconds(limit, TIME)
    tiny = limit is not None and _is_tiny_time(_scalar(limit))
    if delay is None or time is None or tiny or time <= 0 or time > delay + EARLY:
        return
    because = (Label(limit.value.span, "its time"),) if limit is not None else ()
    if warning is None:
        if limit is not None:
            message = f"a job of {time:g} s is told to save what it has {delay:g} s before its end"
            label = "SLURM may tell it a minute earlier; more time, or a shorter `signal_delay_s`"
            yield Finding(message, Label(limit.value.span, label))
    elif time <= delay:
        message = "`signal_delay_s` is as long as the job, or longer"
        label = "shorter than `time`" if limit is not None else f"shorter than `time`, which is {TIME:g} s here"
        yield Finding(message, Label(warning.value.span, label), because)
    else:
        message = "`signal_delay_s` leaves the job less than a minute"
        yield Finding(message, Label(warning.value.span, "SLURM may warn a job a minute earlier"), because)


def _scalar(entry: Entry) -> Scalar:
    value = strip(entry.value)
    return value if isinstance(value, Scalar) else Scalar(None, entry.value.span)


def _seconds(entry: Entry | None, otherwise: float) -> float | None:
    """The seconds of a setting; None where they are not known."""
    if entry is None:
        return otherwise
    value = _scalar(entry).value
    return None if isinstance(value, bool | str | None) else float(value)
