" What the commands and the compiler of recipes have in common.

let s:cpo_before = &cpo
set cpo&vim

" The nearest folder above a recipe that is a repository, or the recipe's own.
function! esp3c#root(recipe) abort
  let own = fnamemodify(a:recipe, ':p:h')
  let folder = own
  while 1
    if isdirectory(folder . '/.git') || filereadable(folder . '/.git')
      return folder
    endif
    let above = fnamemodify(folder, ':h')
    if above ==# folder
      return own
    endif
    let folder = above
  endwhile
endfunction

" The words of the command line that starts esp3c for recipes of a root (that of this buffer): `g:esp3c_program`, a list or a
" single word; or the esp3c of the root's own environment, of the active one, or of PATH.
function! esp3c#program(...) abort
  if exists('g:esp3c_program')
    return type(g:esp3c_program) == type([]) ? copy(g:esp3c_program) : [g:esp3c_program]
  endif
  let root = a:0 ? a:1 : esp3c#root(expand('%:p'))
  for environment in [root . '/.venv', root . '/venv', $VIRTUAL_ENV, $CONDA_PREFIX]
    let program = environment . (has('win32') ? '/Scripts/esp3c.exe' : '/bin/esp3c')
    if environment !=# '' && executable(program)
      return [program]
    endif
  endfor
  return ['esp3c']
endfunction

" The same for a shell, with what Vim itself would replace there escaped.
function! esp3c#shell() abort
  return join(map(esp3c#program(), 'v:val =~# "^[-+./[:alnum:]_~]\\+$" ? v:val : shellescape(v:val, 1)'))
endfunction

" The file of a dotted Python path, as seen from the recipe of this buffer; the path itself where there is none.
function! esp3c#file(path) abort
  let parts = split(a:path, '\.')
  let folder = expand('%:p:h')
  while !empty(parts)
    let module = join(parts, '/')
    for file in [module . '.py', module . '/__init__.py']
      if filereadable(folder . '/' . file)
        return folder . '/' . file
      endif
    endfor
    call remove(parts, -1)
  endwhile
  return a:path
endfunction

" Completes the stages that the recipe of this buffer has, by how they are coloured.
function! esp3c#stages(lead, line, cursor) abort
  let found = []
  for number in range(1, line('$'))
    let text = getline(number)
    let at = match(text, '\K\k*')
    while at >= 0
      let word = matchstr(text, '\k\+', at)
      let group = synIDattr(synID(number, at + 1, 0), 'name')
      if (group ==# 'espStage' || group ==# 'espOwnStage') && stridx(word, a:lead) == 0
        call add(found, word)
      endif
      let at = match(text, '\K\k*', at + len(word))
    endwhile
  endfor
  return found
endfunction

" Runs `esp3c VERB RECIPE [--stages STAGE …]` in a terminal below, in the folder of the recipe.
function! esp3c#open(verb, recipe, stages) abort
  let program = esp3c#program(esp3c#root(a:recipe))
  if !executable(program[0])
    return s:fail(printf('%s is not a program here: install esp3c, or set g:esp3c_program to where it is', program[0]))
  endif
  if !filereadable(a:recipe)
    return s:fail(printf('%s is not a file yet: write it first (:write)', a:recipe))
  endif
  if getbufvar(bufnr(a:recipe), '&modified') is 1
    if !&autowrite && !&autowriteall
      return s:fail(printf('%s has changes that are not written: write it first (:write)', a:recipe))
    endif
    call s:write(a:recipe)
  endif
  let words = program + [a:verb, fnamemodify(a:recipe, ':t')] + (empty(a:stages) ? [] : ['--stages'] + a:stages)
  let options = {'cwd': fnamemodify(a:recipe, ':h')}
  botright new
  if !has('nvim')
    call term_start(words, extend(options, {'curwin': 1}))
  elseif has('nvim-0.11')
    call jobstart(words, extend(options, {'term': v:true}))
  else
    call termopen(words, options)
  endif
endfunction

function! s:write(path) abort
  for window in win_findbuf(bufnr(a:path))[:0]
    let here = win_getid()
    call win_gotoid(window)
    update
    call win_gotoid(here)
  endfor
endfunction

function! s:fail(message) abort
  echohl ErrorMsg
  echomsg 'esp3c: ' . a:message
  echohl None
endfunction

let &cpo = s:cpo_before
unlet s:cpo_before
