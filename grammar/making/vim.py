"""Vim's and Neovim's syntax of recipes: `vim/syntax/esp.vim`.

What a word is follows from where it stands, as for the parser: an item says with `nextgroup` what may come behind it, and a
bracket says with `contains` what may stand inside. So `dataset` is a keyword at the beginning of a declaration, a key in
a block, and nothing but a name behind an `=`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from esp3c.words import Words

# What stands behind a declaration's word, a clause and a modifier: the groups are those of the text below.
_DECLARATIONS = {
    "recipe": "espName",
    "dataset": "espName",
    "config": "espName",
    "parallel": "espMachine",
    "let": "espName",
    "stages": "espStages",
}
_CLAUSES = {"requires": "espRequired", "runs": "espRuns", "on": "espOn"}
_MODIFIERS = {"extends": "espExtends", "new": "espNew", "partial": "espPartial"}

# `:syn keyword` takes these for its own options.
_OPTIONS = {
    "cchar", "conceal", "concealends", "contained", "containedin", "contains", "display", "extend", "fold", "grouphere",
    "groupthere", "keepend", "matchgroup", "nextgroup", "oneline", "skipempty", "skipnl", "skipwhite", "transparent",
}  # fmt: skip


def files(words: Words) -> dict[str, str]:
    """The files with their paths below `grammar/`.

    Raises:
        ValueError: the language has a word of which it is not said here what may stand behind it.
    """
    for known, told in ((words.declarations, _DECLARATIONS), (words.clauses, _CLAUSES), (words.modifiers, _MODIFIERS)):
        if set(known) != set(told):
            raise ValueError(f"say in {__file__} what stands behind {', '.join(sorted(set(known) ^ set(told)))}")
    marks = {
        "<declarations>": _followed("espDeclaration", "", _DECLARATIONS),
        "<clauses>": _followed("espClause", "contained ", _CLAUSES),
        "<configs>": _keywords("espConfig", "nextgroup=espBlock skipwhite skipempty", words.well_known),
        "<stages>": _keywords("espStage", "contained nextgroup=@espBehindStage skipwhite skipempty", words.stages),
        "<backends>": _keywords("espBackend", "contained nextgroup=espSettings skipwhite skipempty", words.backends),
        "<types>": _keywords("espType", "contained nextgroup=espDims skipwhite skipempty", words.types),
        "<blocks>": _keywords("espBlockKey", "contained nextgroup=@espBehindKey skipwhite skipempty", words.blocks),
        "<hydra>": _keywords("espHydraKey", "contained nextgroup=@espBehindKey skipwhite skipempty", words.hydra_keys),
        "<keys>": _keywords("espKey", "contained nextgroup=@espBehindKey skipwhite skipempty", words.keys),
        "<constants>": _keywords("espConstant", "contained", words.constants),
        # The longest first: Vim takes the first branch that fits, and `m` of `min` would be enough for it.
        "<units>": r"\|".join(sorted(words.units, key=lambda unit: (-len(unit), unit))),
    }
    text = _SYNTAX
    for mark, meaning in marks.items():
        text = text.replace(mark, meaning)
    return {"vim/syntax/esp.vim": text}


def _followed(group: str, options: str, known: dict[str, str]) -> str:
    """The `:syn keyword` lines of words that each have something else behind them."""
    return "\n".join(
        f"syn keyword {group} {options}nextgroup={behind} skipwhite skipempty {word}" for word, behind in known.items()
    )


def _keywords(group: str, options: str, known: Iterable[str]) -> str:
    """The `:syn keyword` lines of a group."""
    words = sorted(known)
    if taken := _OPTIONS.intersection(words):
        raise ValueError(f"`:syn keyword` cannot have {', '.join(sorted(taken))}: give {group} a `:syn match` for it")
    head = f"syn keyword {group} {options}"
    lines = textwrap.wrap(" ".join(words), width=100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([head, *(f"  \\ {line}" for line in lines)])


_SYNTAX = r'''" Vim syntax file
" Language: esp (speech recipes of esp3c)
" Made by grammar/make_editors.py from the words of the language: changes are made there.

if exists('b:current_syntax')
  finish
endif

let s:cpo_before = &cpo
set cpo&vim

syn case match
syn iskeyword @,48-57,_,192-255
" A text of several lines may begin anywhere above, and recipes are short.
syn sync fromstart
syn spell notoplevel

" -- Declarations: these words are themselves only where one begins ---------------------------------------------------

<declarations>
<configs>

syn match espName contained "\K\k*" nextgroup=espExtends,espAssign,espBlock skipwhite skipempty
syn keyword espExtends contained extends nextgroup=espBase skipwhite skipempty
syn match espBase contained "\K\k*" nextgroup=espBlock skipwhite skipempty
syn match espMachine contained "\K\k*" nextgroup=espMachineAssign skipwhite skipempty
syn match espMachineAssign contained "=" nextgroup=espBackend,@espValue skipwhite skipempty
<backends>

" -- Stages ------------------------------------------------------------------------------------------------------------

syn region espStages contained matchgroup=espBracket start="{" end="}" fold contains=espStage,espOwnStage,espComment
syn match espOwnStage contained "\K\k*" nextgroup=@espBehindStage skipwhite skipempty
<stages>
<clauses>
syn match espRequired contained "\K\k*" nextgroup=espRequiredComma,@espBehindStage skipwhite skipempty
syn match espRequiredComma contained "," nextgroup=espRequired skipwhite skipempty
syn match espRuns contained "\K\k*\%(\_s*\.\_s*\K\k*\)*" nextgroup=@espBehindStage skipwhite skipempty
syn match espOn contained "\K\k*" nextgroup=@espBehindStage skipwhite skipempty
syn cluster espBehindStage contains=espClause,espBlock

" -- Blocks ------------------------------------------------------------------------------------------------------------

syn region espBlock contained matchgroup=espBracket start="{" end="}" fold contains=@espKeys,espNew,espComma,espComment
syn match espOwnKey contained "\K\k*" nextgroup=@espBehindKey skipwhite skipempty
syn match espQuotedKey contained +"[^"\\]*\%(\\.[^"\\]*\)*"+ nextgroup=@espBehindKey skipwhite skipempty
syn match espNew contained +\<new\>\ze\_s\+\%(\K\|"\)+ nextgroup=@espKeys skipwhite skipempty
<blocks>
<hydra>
<keys>
syn cluster espKeys contains=espOwnKey,espQuotedKey,espBlockKey,espHydraKey,espKey
syn cluster espBehindKey contains=espDot,espAssign,espOptional,espColon,espBlock
syn match espDot contained "\." nextgroup=@espKeys skipwhite skipempty
syn match espAssign contained "=" nextgroup=@espValue skipwhite skipempty
syn match espComma contained ","

" -- Fields of a sample ------------------------------------------------------------------------------------------------

syn match espOptional contained "?" nextgroup=espColon skipwhite skipempty
syn match espColon contained ":" nextgroup=espType,espOwnType skipwhite skipempty
syn match espOwnType contained "\K\k*" nextgroup=espDims skipwhite skipempty
<types>
syn region espDims contained matchgroup=espBracket start="\[" end="\]" contains=espDim,espNumber,espComma,espComment
syn match espDim contained "\K\k*"

" -- Values ------------------------------------------------------------------------------------------------------------

syn cluster espValue contains=espReference,espCall,espPartial,espConstant,espNumber,@espText,espList,espBlock
syn match espReference contained "\K\k*\%(\_s*\.\_s*\K\k*\)*" nextgroup=espBlock skipwhite skipempty
syn match espCall contained "\K\k*\%(\_s*\.\_s*\K\k*\)*\ze\_s*(" nextgroup=espArguments skipwhite skipempty
syn keyword espPartial contained partial nextgroup=espCall,espReference skipwhite skipempty
<constants>
syn match espNumber contained "-\?\d[0-9_]*\%(\.\d[0-9_]*\)\?\%([eE][+-]\?\d\+\)\?\%(<units>\)\?\>"

syn region espList contained matchgroup=espBracket start="\[" end="\]" fold contains=@espValue,espComma,espComment
syn region espArguments contained matchgroup=espBracket start="(" end=")" fold
  \ contains=@espValue,espArgument,espComma,espComment nextgroup=espBlock skipwhite skipempty
syn match espArgument contained "\K\k*\ze\_s*=" nextgroup=espAssign skipwhite skipempty
" Those of a backend are keys that are known.
syn region espSettings contained matchgroup=espBracket start="(" end=")" fold contains=@espKeys,espComma,espComment

" -- Text --------------------------------------------------------------------------------------------------------------

syn cluster espText contains=espString,espLongString,espSingleQuoted
syn cluster espInText contains=espEscape,espBadEscape,espDollar,espInterpolation,@Spell
syn match espSingleQuoted contained "'[^']*'\?"
syn region espString contained start=+"+ skip=+\\.+ end=+"+ end=+$+ keepend contains=@espInText
syn region espLongString contained start=+"""+ skip=+\\.+ end=+"""+ keepend fold contains=@espInText
syn match espBadEscape contained "\\."
syn match espEscape contained +\\\%([ntr"\\]\|u{\x\{1,6}}\|$\)+
syn match espDollar contained "\$\${"
syn region espInterpolation contained matchgroup=espInterpolationMark start="\${" end="}" oneline
  \ contains=espInterpolation,espInterpolationBraces
syn region espInterpolationBraces contained transparent start="{" end="}" oneline
  \ contains=espInterpolation,espInterpolationBraces

" -- Comments ----------------------------------------------------------------------------------------------------------

syn match espComment "#.*" contains=espTodo,espIgnore,@Spell
syn keyword espTodo contained TODO FIXME XXX NOTE
syn match espIgnore contained "\%(#\s*\)\@<=esp:\s*ignore\[[^]]*\]"

hi def link espDeclaration Keyword
hi def link espConfig Keyword
hi def link espClause Keyword
hi def link espExtends StorageClass
hi def link espNew StorageClass
hi def link espPartial StorageClass
hi def link espStage Function
hi def link espCall Function
hi def link espRuns Function
hi def link espBackend Type
hi def link espType Type
hi def link espBlockKey Structure
hi def link espHydraKey Special
hi def link espKey Identifier
hi def link espQuotedKey String
hi def link espConstant Constant
hi def link espNumber Number
hi def link espAssign Operator
hi def link espMachineAssign Operator
hi def link espOptional Operator
hi def link espString String
hi def link espLongString String
hi def link espSingleQuoted Error
hi def link espEscape SpecialChar
hi def link espDollar SpecialChar
hi def link espBadEscape Error
hi def link espInterpolation Identifier
hi def link espInterpolationMark Special
hi def link espComment Comment
hi def link espTodo Todo
hi def link espIgnore SpecialComment

let b:current_syntax = 'esp'

let &cpo = s:cpo_before
unlet s:cpo_before
'''
