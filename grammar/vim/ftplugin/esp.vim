" Vim filetype plugin
" Language: esp (speech recipes of esp3c)

if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

let s:cpo_before = &cpo
set cpo&vim

setlocal comments=:# commentstring=#\ %s
setlocal formatoptions-=t formatoptions+=croql
setlocal expandtab shiftwidth=2 softtabstop=2 textwidth=120
setlocal matchpairs=(:),[:],{:}
" `gf` on `src.model.Reader` opens src/model.py.
setlocal suffixesadd=.esp,.py includeexpr=esp3c#file(v:fname)
let b:undo_ftplugin = 'setlocal comments< commentstring< formatoptions< expandtab< shiftwidth< softtabstop< textwidth<'
      \ . ' matchpairs< suffixesadd< includeexpr<'

if exists('g:loaded_matchit')
  let b:match_words = '(:),\[:\],{:}'
  let b:match_skip = 's:comment\|string'
  let b:undo_ftplugin .= ' | unlet! b:match_words b:match_skip'
endif

if get(g:, 'esp3c_folding', 0)
  setlocal foldmethod=syntax
  let b:undo_ftplugin .= ' | setlocal foldmethod<'
endif

if get(g:, 'esp3c_compiler', 1)
  compiler esp3c
  let b:undo_ftplugin .= ' | setlocal makeprg< errorformat< | unlet! b:current_compiler'
endif

command! -buffer -bar -nargs=0 Esp3cBuild call esp3c#open('build', expand('%:p'), [])
command! -buffer -bar -nargs=* -complete=customlist,esp3c#stages Esp3cPlan call esp3c#open('plan', expand('%:p'), [<f-args>])
command! -buffer -bar -nargs=* -complete=customlist,esp3c#stages Esp3cRun call esp3c#open('run', expand('%:p'), [<f-args>])
let b:undo_ftplugin .= ' | silent! delcommand Esp3cBuild'
      \ . ' | silent! delcommand Esp3cPlan | silent! delcommand Esp3cRun'

let &cpo = s:cpo_before
unlet s:cpo_before
