"""What is coloured how where tree-sitter has read a recipe: the queries that hold words of the language.

Neovim and the command `tree-sitter` take one set of names for what is coloured, Helix another. Which of several matches
wins differs between them too, so that no two of these patterns are ever about the same piece of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from esp3c.words import Words

_HELIX = {
    "boolean": "constant.builtin.boolean",
    "constant": "constant",
    "constant.builtin": "constant.builtin",
    "constructor": "constructor",
    "function": "function",
    "function.builtin": "function.builtin",
    "function.call": "function",
    "keyword": "keyword",
    "keyword.modifier": "keyword.storage.modifier",
    "module": "namespace",
    "number": "constant.numeric.integer",
    "number.float": "constant.numeric.float",
    "property": "variable.other.member",
    "string.escape": "constant.character.escape",
    "type": "type",
    "type.builtin": "type.builtin",
    "variable": "variable",
    "variable.builtin": "variable.builtin",
    "variable.parameter": "variable.parameter",
}
"""Names of Helix for those of Neovim; the others are the same in both."""


def files(words: Words) -> dict[str, str]:
    """The queries, by their path below `grammar/`."""
    text = _highlights(words)
    return {
        "tree-sitter/queries/highlights.scm": text,
        "tree-sitter/helix/highlights.scm": re.sub(r"@([a-z][\w.]*)", lambda found: "@" + _in_helix(found[1]), text),
    }


def _in_helix(name: str) -> str:
    return _HELIX.get(name, name)


def _quoted(found: Iterable[str]) -> str:
    return " ".join(f'"{each}"' for each in found)


def _one_of(found: Iterable[str]) -> str:
    # `#not-any-of?` would say it better, but not every reader of queries has it right.
    return f'"^({"|".join(found)})$"'


def _calls(name: str, test: str) -> str:
    """The last word of what is called, in all places of a call but behind `parallel NAME =`, which has backends."""
    target = f"(call target: (path name: (identifier) @{name}))"
    inside = ("setting", "let_declaration", "argument")
    places = [*(f"({each} value: {target})" for each in inside), f"(list {target})", f"(arguments {target})"]
    places += [f"(partial_call target: (path name: (identifier) @{name}))"]
    places += [f"(runs_clause target: (path name: (identifier) @{name}))"]
    return "([\n" + "".join(f"  {each}\n" for each in places) + f' ]\n ({test} @{name} "^[A-Z]"))\n'


def _highlights(words: Words) -> str:
    alone = [each for each in words.declarations if each not in words.well_known]
    return f"""\
; made by grammar/make_editors.py from the words of the language

(comment) @comment

; -- words of the language

[{_quoted((*alone, "extends", *words.clauses))}] @keyword
(well_known) @keyword
[{_quoted(each for each in words.modifiers if each != "extends")}] @keyword.modifier
(boolean) @boolean
(null) @constant.builtin

; -- what is declared, and where it is named

(recipe_declaration name: (identifier) @type)
(dataset_declaration name: (identifier) @type)
(config_declaration name: (identifier) @type)
(extends base: (identifier) @type)
(requires_clause config: (identifier) @type)
(let_declaration name: (identifier) @constant)
(parallel_declaration name: (identifier) @constant)
(on_clause parallel: (identifier) @constant)

((stage name: (identifier) @function.builtin)
 (#match? @function.builtin {_one_of(words.stages)}))
((stage name: (identifier) @function)
 (#not-match? @function {_one_of(words.stages)}))

; -- keys

((key (identifier) @variable.builtin)
 (#match? @variable.builtin {_one_of(words.hydra_keys)}))
((key (identifier) @property)
 (#not-match? @property {_one_of(words.hydra_keys)}))
(argument name: (identifier) @variable.parameter)

; -- types of the fields of a sample

((type name: (identifier) @type.builtin)
 (#match? @type.builtin {_one_of(words.types)}))
(type dimension: (identifier) @variable.parameter)

; -- what is called

(call target: (path qualifier: (identifier) @module))
(partial_call target: (path qualifier: (identifier) @module))
(runs_clause target: (path qualifier: (identifier) @module))
{_calls("constructor", "#match?")}{_calls("function.call", "#not-match?")}
((parallel_declaration value: (call target: (path name: (identifier) @function.builtin)))
 (#match? @function.builtin {_one_of(words.backends)}))

; -- names: those of classes by their capital letter

((reference (path qualifier: (identifier) @module name: (identifier) @_name))
 (#match? @_name "^[A-Z]"))
((reference (path qualifier: (identifier) @variable name: (identifier) @_name))
 (#not-match? @_name "^[A-Z]"))
((reference (path name: (identifier) @type))
 (#match? @type "^[A-Z]"))
((reference (path name: (identifier) @variable))
 (#not-match? @variable "^[A-Z]"))

; -- numbers

(integer) @number
(float) @number.float
((unit) @type.builtin
 (#match? @type.builtin {_one_of(words.units)}))

; -- text

["\\"" "\\"\\"\\""] @string
(string_content) @string
(escape_sequence) @string.escape
(interpolation ["${{" "}}"] @punctuation.special)
(interpolation name: (path (identifier) @variable))
(interpolation resolver: (path (identifier) @function.builtin))
(resolver_text) @string

; -- signs

["=" "?"] @operator
["," "." ":"] @punctuation.delimiter
(block ["{{" "}}"] @punctuation.bracket)
(stage_list ["{{" "}}"] @punctuation.bracket)
(list ["[" "]"] @punctuation.bracket)
(type ["[" "]"] @punctuation.bracket)
(arguments ["(" ")"] @punctuation.bracket)
"""
