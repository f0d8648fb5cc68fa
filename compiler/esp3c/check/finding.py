"""What a rule found, before it has the rule's code."""

from __future__ import annotations

from esp3c.diagnostics import Code, Diagnostic, Label
from esp3c.record import record


@record
class Finding:
    message: str
    label: Label
    because: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()

    def said(self, code: Code) -> Diagnostic:
        return Diagnostic(code, self.message, self.label, self.because, self.help)
