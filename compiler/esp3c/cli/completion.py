"""`esp3c completion SHELL`: a script with which a shell completes the words of `esp3c`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from esp3c.cli.complete import SHELLS

EPILOG = """\
examples:
  esp3c completion bash        to be kept as ~/.local/share/bash-completion/completions/esp3c
  esp3c completion zsh         to be kept as _esp3c in a folder of fpath, before compinit
  esp3c completion fish        to be kept as ~/.config/fish/completions/esp3c.fish

The file for bash is read by the package bash-completion, and does nothing without it. This line in ~/.bashrc needs no package:
  eval "$(esp3c completion bash)"

For this shell alone: eval "$(esp3c completion bash)" in bash and zsh, esp3c completion fish | source in fish.

Completed are commands, options and their values, recipes, stages, places, runs and error codes, and the keys of the recipe that
--set and --sweep take, with their values where these can be counted. Nothing of the recipe is imported or run.
"""

_BASH = """\
# Completion of esp3c for bash, written by `esp3c completion bash`.
# Keep it as ~/.local/share/bash-completion/completions/esp3c, which the package bash-completion reads: without that package
# the file does nothing. Or put this line into ~/.bashrc, which needs no package:
#   eval "$(esp3c completion bash)"

_esp3c() {
  local line
  COMPREPLY=()
  # Where nothing answers (an environment that is gone) nothing is offered.
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("$1" _complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" "$COMP_TYPE" 2>/dev/null)
}
complete -o nospace -o nosort -F _esp3c esp3c 2>/dev/null || complete -o nospace -F _esp3c esp3c
"""

_ZSH = """\
#compdef esp3c
# Completion of esp3c for zsh, written by `esp3c completion zsh`.
# Keep it as _esp3c in a folder of fpath, before compinit:
#   mkdir -p ~/.zfunc; esp3c completion zsh > ~/.zfunc/_esp3c
#   fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit    in ~/.zshrc
# Or, behind compinit in ~/.zshrc: eval "$(esp3c completion zsh)"

_esp3c() {
  local line word what space
  local -a whole part
  local -a before=("${(@Q)words[2,CURRENT-1]}")
  for line in "${(@f)$("${(Q)words[1]}" _complete zsh esp3c "${before[@]}" -- "${(Q)PREFIX}" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    space=${line[1]}
    word=${${line%%$'\\t'*}[2,-1]}
    what=${line#*$'\\t'}
    word=${word//:/\\\\:}
    if [[ $space == + ]]; then whole+=("$word${what:+:$what}"); else part+=("$word${what:+:$what}"); fi
  done
  (( $#whole + $#part )) || return 1
  (( $#whole )) && _describe -V 'esp3c' whole
  (( $#part )) && _describe -V 'esp3c' part -S ''
  return 0
}

if [[ $funcstack[1] == _esp3c ]]; then
  _esp3c "$@"
else
  compdef _esp3c esp3c
fi
"""

_FISH = """\
# Completion of esp3c for fish, written by `esp3c completion fish`.
# Keep it as ~/.config/fish/completions/esp3c.fish, or put this line into ~/.config/fish/config.fish:
#   esp3c completion fish | source

function __esp3c_complete
  set -l words (commandline -opc)
  set -l word (commandline -ct)
  $words[1] _complete fish $words -- "$word" 2>/dev/null
end

complete -c esp3c -f -k -a '(__esp3c_complete)'
"""

SCRIPTS = dict(zip(SHELLS, (_BASH, _ZSH, _FISH), strict=True))


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "completion",
        description="Prints a script with which a shell completes the words of esp3c.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    sys.stdout.write(SCRIPTS[args.shell])
    return 0
