"""The settings of a job: text that stays in its place on a line of SLURM's batch script, and amounts that can be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.check.blocks import set_entry
from esp3c.check.finding import Finding
from esp3c.check.machines import gpu_count, gpus
from esp3c.diagnostics import Label
from esp3c.ir import Entry, ListNode, MapNode, Node, Scalar, Text, strip
from esp3c.schema.types import SIZE, Block

_FREE = frozenset({"comment", "job_name"})
"""Settings with text for people. All that they must not hold is a line break or another character that controls."""

_SHELL = frozenset({"setup"})
"""Settings that are shell commands by their nature."""

_EXPRESSIONS = {"constraint": "&|()[]*!", "dependency": "?", "gres": "*", "nodelist": "[]", "exclude": "[]"}
"""Characters that mean something to SLURM in these settings."""

_ODD = frozenset("\"'`$;\\<>&|()[]{}*?!#~^") | frozenset(" ")
_FLAG = re.compile(r"-{0,2}[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def not_of_the_value(entry: Entry) -> Iterator[Finding]:
    """What an entry of a SLURM block holds besides a value."""
    name = entry.name
    values = [strip(entry.value)]
    if isinstance(values[0], ListNode):
        values = [strip(each) for each in values[0].items]
    for value in values if name not in _SHELL else ():
        text = _literal(value)
        if text is None:
            continue
        control = next((each for each in text if not each.isprintable()), None)
        if control is not None:
            what = "a line break" if control in "\r\n" else f"the character U+{ord(control):04X}"
            yield Finding(f"`{name}` holds {what}", Label(value.span, "it would end the line of the batch script"))
        elif name not in _FREE and isinstance(strip(entry.value), Scalar | Text):
            odd = next((each for each in text if each in _ODD and each not in _EXPRESSIONS.get(name, "")), None)
            if odd is not None:
                shown = "a blank" if odd == " " else f"`{odd}`"
                yield Finding(f"`{name}` holds {shown}", Label(value.span, f"not part of what `{name}` can be"))
            elif not text:
                yield Finding(f"`{name}` is empty", Label(value.span, "leave it out instead"))


def odd_flags(entry: Entry) -> Iterator[Finding]:
    """Names and values in `extra` that are no flag of sbatch."""
    extra = strip(entry.value)
    if entry.name != "extra" or not isinstance(extra, MapNode):
        return
    for flag in extra.entries:
        if not _FLAG.fullmatch(flag.name):
            yield Finding("this is not the name of a flag of sbatch", Label(flag.key_span, "such as `mail-user`"))
        text = _literal(strip(flag.value))
        if text is not None and not text.isprintable():
            message = f"`{flag.name}` holds a line break or another character that controls"
            yield Finding(message, Label(flag.value.span, "it would end the line of the batch script"))


def _literal(value: Node) -> str | None:
    """The text of a value as far as it is written, None where it is none."""
    if isinstance(value, Scalar):
        return value.value if isinstance(value.value, str) else None
    if isinstance(value, Text):
        return "".join(part for part in value.parts if isinstance(part, str)) or None
    return None


# -- amounts ----------------------------------------------------------------------------------------------------------


LEAST_MEMORY = 256_000_000
"""Bytes without which not even torch is imported."""


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
        elif entry.name in _LIMITS and 0 < value.value < (600 if plain else 60):
            least, unit, example = "a minute", "seconds", "4h"
        else:
            continue
        yield Finding(
            f"`{entry.name} = {value.span.text}` is {value.value:g} {unit}",
            Label(entry.value.span, f"write the unit, such as `{example}`" if plain else f"less than {least}"),
            (Label(value.span, "the value stands here"),) if entry.value is not value else (),
        )


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
    """A warning that is due before the job begins."""
    warning, limit = set_entry(settings, "signal_delay_s"), set_entry(settings, "time")
    delay = strip(warning.value) if warning is not None else None
    time = strip(limit.value) if limit is not None else None
    if not isinstance(delay, Scalar) or not isinstance(time, Scalar) or warning is None or limit is None:
        return
    if isinstance(delay.value, bool | str | None) or isinstance(time.value, bool | str | None):
        return
    if 0 < time.value <= delay.value:
        label = Label(warning.value.span, "shorter than `time`")
        yield Finding(
            "`signal_delay_s` is as long as the job, or longer", label, (Label(limit.value.span, "its time"),)
        )
