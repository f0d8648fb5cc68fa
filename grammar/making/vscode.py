"""VS Code: the TextMate grammar.

White space only separates, so a TextMate grammar, which sees one line at a time, has to know from what stands around a
word what the word is. Three rules carry that: the value behind a `=` ends where a value can end, a declaration's head ends
with its name, and what stands in braces otherwise begins with a key.
"""

from __future__ import annotations

import json
from typing import Any

from esp3c.words import Words

Rule = dict[str, Any]

NAME = r"[^\W\d]\w*"
PATH = rf"{NAME}(?:\s*\.\s*{NAME})*"
HEAD = rf"((?:{NAME}\s*\.\s*)*)"


def files(words: Words) -> dict[str, str]:
    """The grammar as one JSON file."""
    text = json.dumps(grammar(words), indent=2, ensure_ascii=False)
    return {"vscode/syntaxes/esp.tmLanguage.json": text + "\n"}


def grammar(words: Words) -> Rule:
    """The TextMate grammar `source.esp`."""
    return {
        "name": "esp3c recipe",
        "scopeName": "source.esp",
        "fileTypes": ["esp"],
        "patterns": _include("comment", "declaration", "assigned", "block", "value"),
        "repository": {
            "comment": _comment(),
            **_declarations(words),
            **_stages(words),
            **_entries(words),
            **_values(words),
            **_text(),
        },
    }


def _include(*names: str) -> list[Rule]:
    return [{"include": f"#{name}"} for name in names]


def _scope(name: str) -> Rule:
    return {"name": f"{name}.esp"}


def _match(pattern: str, *captures: str | Rule, name: str = "") -> Rule:
    """A rule for one match; captures count from 1."""
    rule: Rule = {"match": pattern}
    if name:
        rule = {"name": f"{name}.esp", **rule}
    if captures:
        rule["captures"] = _captures(*captures)
    return rule


def _captures(*captures: str | Rule) -> Rule:
    return {
        str(number): _scope(capture) if isinstance(capture, str) else capture
        for number, capture in enumerate(captures, start=1)
        if capture
    }


def _any(words: tuple[str, ...]) -> str:
    """One of the words, whole."""
    return rf"\b(?:{'|'.join(words)})\b"


def _comment() -> Rule:
    # The line's end belongs to it: what looks back for the end of a value must not find a word of the comment there.
    return {
        "name": "comment.line.number-sign.esp",
        "begin": "#",
        "beginCaptures": {"0": _scope("punctuation.definition.comment")},
        "end": r"$\n?",
        "patterns": [
            _match(
                r"\b(esp:\s*ignore)(\[)([^\]\n]*)(\])",
                "keyword.other.ignore",
                "punctuation.section.brackets.begin",
                "constant.other.code",
                "punctuation.section.brackets.end",
            )
        ],
    }


def _named(keyword: str, scope: str, name_scope: str) -> Rule:
    """A word with a name behind it, on this line or a later one."""
    return {
        "begin": rf"\b{keyword}\b",
        "beginCaptures": {"0": _scope(scope)},
        "end": rf"({NAME})|(?=[{{}}=])",
        "endCaptures": _captures(name_scope),
        "patterns": _include("comment"),
    }


def _declarations(words: Words) -> Rule:
    scopes = {
        "recipe": "entity.name.class.recipe",
        "dataset": "entity.name.type.dataset",
        "config": "entity.name.type.config",
        "parallel": "entity.name.type.machine",
        "let": "variable.other.constant",
    }
    heads = [_named(word, f"storage.type.{word}", scopes[word]) for word in words.declarations if word != "stages"]
    return {
        "declaration": {
            "patterns": [
                *heads,
                _named("extends", "storage.modifier.extends", "entity.other.inherited-class"),
                _match(_any(words.well_known), name="storage.type.config"),
                {
                    "begin": r"\bstages\b",
                    "beginCaptures": {"0": _scope("storage.type.stages")},
                    # A `}` ends it, and so does a declaration that begins while this one is still being written.
                    "end": rf"(?<=\}})|(?=^\s*{_any((*words.declarations, *words.well_known))})",
                    "patterns": _include("comment", "stage-lines"),
                },
            ]
        }
    }


def _stages(words: Words) -> Rule:
    config = "entity.name.type.config"
    known = _match(_any(words.stages), name="support.function.stage")

    def configs(begin: str, scope: str) -> Rule:
        return {
            "begin": begin,
            "beginCaptures": {"0": _scope(scope)},
            "end": rf"({NAME})(?!\w)(?!\s*,)|(?=[{{}}])",
            "endCaptures": _captures(config),
            "patterns": [
                *_include("comment"),
                _match(NAME, name=config),
                _match(",", name="punctuation.separator.comma"),
            ],
        }

    clauses = {
        "requires": [configs(r"\brequires\b", "keyword.control.requires"), configs(",", "punctuation.separator.comma")],
        "runs": [
            {
                "begin": r"\bruns\b",
                "beginCaptures": {"0": _scope("keyword.control.runs")},
                "end": rf"{HEAD}({NAME})(?!\w)|(?=[{{}}])",
                "endCaptures": _captures(
                    {"patterns": _include("module")}, {"patterns": [known, _match(NAME, name="entity.name.function")]}
                ),
                "patterns": _include("comment"),
            }
        ],
        "on": [_named("on", "keyword.control.on", "entity.name.type.machine")],
    }
    return {
        "stage-lines": {
            "name": "meta.stages.esp",
            "begin": r"\{",
            "beginCaptures": {"0": _scope("punctuation.section.block.begin")},
            "end": r"\}",
            "endCaptures": {"0": _scope("punctuation.section.block.end")},
            "patterns": [
                *_include("comment"),
                *(rule for clause in words.clauses for rule in clauses[clause]),
                known,
                _match(NAME, name="entity.name.function.stage"),
                *_include("block"),
            ],
        }
    }


def _entries(words: Words) -> Rule:
    dots = {"patterns": _include("key-words")}
    return {
        "block": {
            "name": "meta.block.esp",
            "begin": r"\{",
            "beginCaptures": {"0": _scope("punctuation.section.block.begin")},
            "end": r"\}",
            "endCaptures": {"0": _scope("punctuation.section.block.end")},
            "patterns": [
                *_include("comment"),
                # `new` is a key itself where it is set.
                _match(r"\bnew\b(?!\s*[=.{:?,}])", name="storage.modifier.new"),
                _match(_any(words.hydra_keys), name="variable.language.hydra"),
                _match(rf"{HEAD}({NAME})(?=\s*\{{)", dots, "variable.other.property.section"),
                _match(rf"{HEAD}({NAME})(?!\w)", dots, "variable.other.property"),
                _match(r"\?", name="keyword.operator.optional"),
                *_include("field-type", "assigned", "string", "comma", "block", "list", "arguments"),
            ],
        },
        "key-words": {
            "patterns": [
                _match(r"\.", name="punctuation.accessor"),
                _match(NAME, name="variable.other.property"),
            ]
        },
        "comma": _match(",", name="punctuation.separator.comma"),
        "field-type": {
            "begin": ":",
            "beginCaptures": {"0": _scope("punctuation.separator.type")},
            "end": r"(?<=[\w\]\"])(?!\w)(?!\s*[\[.(])|(?=[\])},])",
            "patterns": [
                *_include("comment"),
                _match(_any(words.types), name="support.type.sample"),
                {
                    "name": "meta.dimensions.esp",
                    "begin": r"\[",
                    "beginCaptures": {"0": _scope("punctuation.section.brackets.begin")},
                    "end": r"\]",
                    "endCaptures": {"0": _scope("punctuation.section.brackets.end")},
                    "patterns": [
                        *_include("comment", "comma", "number"),
                        _match(NAME, name="variable.parameter.dimension"),
                    ],
                },
                # `key: value`, a habit from elsewhere, keeps its colours until it is mended.
                *_include("value"),
            ],
        },
        "assigned": {
            "begin": "=",
            "beginCaptures": {"0": _scope("keyword.operator.assignment")},
            # Behind a value, unless it goes on; and where there is none: before a bracket, a comma, the next setting.
            "end": rf"(?<=[\w\])}}\"'])(?!\w)(?!\s*[.({{])|(?=[\])}},])|(?={PATH}\s*=)",
            "patterns": _include("value"),
        },
    }


def _values(words: Words) -> Rule:
    module: Rule = {"patterns": _include("module")}
    owner: Rule = {"patterns": _include("owner")}

    def bracketed(kind: str, begin: str, end: str, section: str, patterns: list[Rule]) -> Rule:
        return {
            "name": f"meta.{kind}.esp",
            "begin": begin,
            "beginCaptures": {"0": _scope(f"punctuation.section.{section}.begin")},
            "end": end,
            "endCaptures": {"0": _scope(f"punctuation.section.{section}.end")},
            "patterns": patterns,
        }

    return {
        "value": {
            "patterns": [
                *_include("comment", "string", "number"),
                # With the space behind it, so that the value does not end here.
                _match(r"\b(partial)\b\s*", "storage.modifier.partial"),
                _match(r"\b(?:true|false)\b", name="constant.language.boolean"),
                _match(r"\bnull\b", name="constant.language.null"),
                _match(rf"{_any(words.backends)}(?=\s*\()", name="support.class.backend"),
                _match(rf"{HEAD}(_?[A-Z]\w*)(?=\s*\()", module, "entity.name.type.class"),
                _match(rf"{HEAD}({NAME})(?=\s*\()", module, "entity.name.function"),
                _match(rf"((?:{NAME}\s*\.\s*)+)(_?[A-Z]\w*)", module, "entity.name.type.class"),
                _match(rf"((?:{NAME}\s*\.\s*)+)({NAME})", owner, "variable.other.property"),
                _match(NAME, name="variable.other.readwrite"),
                *_include("arguments", "list", "block", "comma"),
            ]
        },
        "arguments": bracketed(
            "function-call.arguments",
            r"\(",
            r"\)",
            "arguments",
            [
                *_include("comment"),
                _match(rf"({NAME})(?=\s*=)", "variable.parameter"),
                *_include("assigned", "value"),
            ],
        ),
        "list": bracketed("list", r"\[", r"\]", "brackets", _include("value")),
        "module": {
            "patterns": [
                _match(r"\.", name="punctuation.accessor"),
                _match(NAME, name="entity.name.namespace"),
            ]
        },
        "owner": {
            "patterns": [
                _match(r"\.", name="punctuation.accessor"),
                _match(NAME, name="variable.other.object"),
            ]
        },
        "number": {
            "patterns": [
                _match(
                    rf"(-?\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)(?:({'|'.join(words.units)})\b|({NAME}))?",
                    "constant.numeric",
                    "keyword.other.unit",
                    "invalid.illegal.unit",
                )
            ]
        },
    }


def _text() -> Rule:
    def quoted(name: str, quotes: str, end: str, escape: str) -> Rule:
        return {
            "name": f"string.quoted.{name}.esp",
            "begin": quotes,
            "beginCaptures": {"0": _scope("punctuation.definition.string.begin")},
            "end": end,
            "endCaptures": {"0": _scope("punctuation.definition.string.end")},
            "patterns": [
                _match(escape, name="constant.character.escape"),
                _match(r"\\.", name="invalid.illegal.escape"),
                *_include("interpolation"),
            ],
        }

    escapes = r'\\(?:[ntr"\\]|u\{[0-9A-Fa-f]{1,6}\})|\$\$\{'
    return {
        "string": {
            "patterns": [
                quoted("triple", '"""', '"""', escapes + r"|\\$"),
                quoted("double", '"', '"|(?=$)', escapes),
                _match(r"'[^'\n]*'?", name="invalid.illegal.quotes"),
            ]
        },
        "interpolation": {
            "name": "meta.embedded.line.esp",
            "begin": r"\$\{",
            "beginCaptures": {"0": _scope("punctuation.section.embedded.begin")},
            # It ends with its line: text may hold a `${` that is no reference.
            "end": r'\}|(?=$|")',
            "endCaptures": {"0": _scope("punctuation.section.embedded.end")},
            "patterns": [
                *_include("interpolation"),
                {
                    "begin": rf"({PATH})\s*(:)",
                    "beginCaptures": _captures("support.function.resolver", "punctuation.separator.resolver"),
                    "end": r'(?=\}|$|")',
                    "contentName": "string.unquoted.esp",
                    "patterns": _include("interpolation"),
                },
                _match(rf"((?:{NAME}\s*\.\s*)+)({NAME})", {"patterns": _include("owner")}, "variable.other.property"),
                _match(NAME, name="variable.other.readwrite"),
            ],
        },
    }
