" Vim compiler file
" Compiler: esp3c (checks speech recipes)

if exists('g:current_compiler')
  finish
endif
let g:current_compiler = 'esp3c'

let s:cpo_before = &cpo
set cpo&vim

if exists(':CompilerSet') != 2
  command -nargs=* CompilerSet setlocal <args>
endif

" Arguments of `:make` go to the check: `:make --shapes`.
execute 'CompilerSet makeprg=' . escape(esp3c#shell() . ' check $* %:S', ' \|"')

" A diagnostic ends with an empty line. Of what stands between, the place, what is said behind `^^^` and the lines
" `= help` and `= fix` are read.
CompilerSet errorformat=
      \%Eerror[ESP%n]:\ %m,
      \%Wwarning[ESP%n]:\ %m,
      \%C%*\\s-->\ %f:%l:%v,
      \%-C%*\\s\|%*[-\ ]^%\\+\ %\\+-%.%#,
      \%C%*\\s\|%*[-\ ]^%\\+\ %m,
      \%C%*\\s\|\ \|_^\ %m,
      \%C%*\\s=\ %m,
      \%-Z%$,
      \%-C%.%#,
      \%-G%*\\d\ error%.%#,
      \%-G%*\\d\ warning%.%#,
      \%-G%.%#:\ no\ problems\ found%.%#,
      \%-G%*\\s,
      \%-G%$

let &cpo = s:cpo_before
unlet s:cpo_before
