"""What the values of a job's options may be made of.

A value reaches a line of a job script or of a shell: as what was written, and as nothing besides. The tables are those of the
compiler, which holds a recipe against them; an environment variable, and a YAML that was written by hand, have their values
only here. A test holds the two against each other.
"""

from __future__ import annotations

import re

_NAME = "_.-+@:=/%"
_ANY = _NAME + ",*()[]{}|&?!~^<># "

# What an option may hold besides ASCII letters and digits. No quotes, `$`, backquotes, `;` and `\` anywhere: inside single
# quotes a shell takes a backslash as it is, and sbatch does not. `extra` is about each value of additional_parameters.
CHARACTERS = {
    "account": _NAME + ",",
    "comment": _NAME + ",*()[]?! ",
    "constraint": _NAME + ",*()[]|&!",
    "dependency": _NAME + ",?",
    "exclude": _NAME + ",[]",
    "exclusive": "",
    "gpus_per_node": "_.-+:,",
    "gpus_per_task": "_.-+:,",
    "gres": _NAME + ",*",
    "job_name": "_.-+@:",
    "mail_type": "_,",
    "mail_user": "_.-+@%=,",
    "mem": ".",
    "mem_per_cpu": ".",
    "mem_per_gpu": ".",
    "nodelist": _NAME + ",[]",
    "partition": _NAME + ",",
    "python": _NAME + ",",
    "qos": _NAME + ",",
    "srun_args": _ANY,
    "time": "-:.",
    "wckey": _NAME + ",*",
    "extra": _ANY,
}
# For people: letters and digits of all scripts.
ANY_LETTERS = frozenset({"comment"})
# In which sbatch would take what comes behind a `#` for a comment, were its quotes lost.
HASH = r"(?:.* )?#.*"
# A line in front of the first command that sbatch reads as options.
DIRECTIVE = r"\s*#(?:SBATCH|PBS|BSUB)\b.*"
# A long option of sbatch without its dashes; `_` stands for `-`.
EXTRA_NAME = r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"
# An option and its value in one; anything else would be the program that srun runs.
SRUN_ARGUMENT = r"--[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:=.*)?|-[A-Za-z].*"
RESERVED = {
    "array": "`n_workers` says how many jobs share the items",
    "error": "a run finds the logs of its jobs by their names",
    "help": "it is no option of a job",
    "input": "jobs read nothing from there",
    "ntasks": "`nodes` and `ntasks_per_node` say how many",
    "open-mode": "a job that is queued again goes on in its log",
    "output": "a run finds the logs of its jobs by their names",
    "parsable": "a run reads the number of its job from what sbatch prints",
    "quiet": "a run reads the number of its job from what sbatch prints",
    "signal": "`signal_delay_s` says when",
    "test-only": "nothing would be sent",
    "usage": "it is no option of a job",
    "version": "it is no option of a job",
    "wait": "a run waits by itself",
    "wrap": "the job is the stage",
}


def why_no_value(option: str, text: str) -> str:
    """What is wrong with the value of an option; empty where nothing is."""
    odd = _not_printable(text)
    if odd is None:
        allowed = CHARACTERS[option]
        letters = option in ANY_LETTERS
        odd = next((c for c in text if c not in allowed and not (c.isalnum() and (letters or c.isascii()))), None)
    if odd is not None:
        return f"holds {_shown(odd)}, which is no part of a value there: {text!r}"
    if re.fullmatch(HASH, text):
        return f"holds a # that begins a word, which sbatch could take for a comment: {text!r}"
    if not text:
        return "is empty; leave it out instead"
    return ""


def why_no_line(text: str) -> str:
    """What is wrong with a line of shell; empty where nothing is."""
    odd = _not_printable(text, "\t")
    if odd is not None:
        return f"holds {_shown(odd)}; write one line of shell in each text: {text!r}"
    if re.fullmatch(DIRECTIVE, text):
        return (
            f"holds an option of sbatch; options have names of their own, or stand in additional_parameters: {text!r}"
        )
    return ""


def why_no_argument(text: str) -> str:
    """What is wrong with an argument of srun; empty where nothing is."""
    why = why_no_value("srun_args", text)
    if why or re.fullmatch(SRUN_ARGUMENT, text):
        return why
    return f"holds what is no option of srun, which would run it in the place of the job; write --name=value: {text!r}"


def _not_printable(text: str, but: str = "") -> str | None:
    return next((character for character in text if not character.isprintable() and character not in but), None)


def _shown(character: str) -> str:
    if character in "\r\n":
        return "a line break"
    return repr(character) if character.isprintable() else f"the character U+{ord(character):04X}"
