"""Names: texts in which a name was to stand, and stands as plain letters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from esp3c.check.targets_used import values_of
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, Severity, code_of, explained
from esp3c.ir import ParallelNode, Recipe, Scalar, Text
from esp3c.schema.blocks import SCAFFOLD_NAMES
from esp3c.source import Span
from esp3c.world import World

_NAMES = "|".join(sorted(SCAFFOLD_NAMES))
_WITHOUT = re.compile(rf"(?<![$\\]){{({_NAMES})}}|\$({_NAMES})\b|\$\(({_NAMES})\)|\$\[({_NAMES})\]|%\(({_NAMES})\)s")
"""`{exp_dir}`, `$exp_dir`, `$(exp_dir)` and `%(exp_dir)s`."""


@explained("ESP0211", "a name that is not put into the text", Severity.WARNING)
def plain_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A text holds the name of a folder in the way of another language, so it stays as it is.

        checkpoint = "{exp_dir}/last.ckpt"
        checkpoint = "$exp_dir/last.ckpt"

    A name in a text is written `${exp_dir}`. Without that, a folder of just these letters is looked for.
    """
    shell = {
        id(each)
        for node in values_of(recipe)
        if isinstance(node, ParallelNode)
        for inner in (node.settings.get("setup"), node.settings.get("srun_args"))
        for each in (getattr(inner, "items", ()) or ())
    }
    for node in values_of(recipe):
        if id(node) in shell or not isinstance(node, Text | Scalar):
            continue
        parts = node.parts if isinstance(node, Text) else (node.value,)
        if not any(isinstance(part, str) and _WITHOUT.search(part) for part in parts):
            continue
        written = node.span.text
        for match in _WITHOUT.finditer(written):
            name = next(each for each in match.groups() if each)
            place = Span(node.span.source, node.span.start + match.start(), node.span.start + match.end())
            yield Diagnostic(
                code_of(plain_name),
                f"`{match.group()}` stays as it is",
                Label(place, f"write `${{{name}}}`"),
                fix=Fix(f"write `${{{name}}}`", (Edit(place, f"${{{name}}}"),)),
            )
