" Vim indent file
" Language: esp (speech recipes of esp3c)
"
" A line stands one level deeper than the line of the innermost bracket that is open there, however many that line opens;
" a line that begins with closing brackets stands as the line of the last one's partner. So does `esp3c fmt` write.

if exists('b:did_indent')
  finish
endif
let b:did_indent = 1

setlocal indentexpr=GetEspIndent(v:lnum)
setlocal indentkeys=0{,0},0),0],o,O,!^F
setlocal autoindent nosmartindent
let b:undo_indent = 'setlocal indentexpr< indentkeys< autoindent< smartindent< | unlet! b:esp_indent'

if exists('*GetEspIndent')
  finish
endif

let s:cpo_before = &cpo
set cpo&vim

" What matters to brackets: they, and what may hide some: a comment, a text (long, whole, or without an end).
let s:token = '#\|"""\|"\%([^"\\]\|\\.\)*"\?\|''[^'']*''\|[][(){}]'
" The rest of a long text, up to its end.
let s:long = '^\%([^"\\]\|\\.\|"\%(""\)\@!\)*"""'
let s:closing = {'(': ')', '[': ']', '{': '}'}

" The indentation of a line, or -1 where it is to stay as it is: inside a text.
function! GetEspIndent(number) abort
  let [open, text] = s:state(a:number - 1)
  if text
    return -1
  endif
  let open = copy(open)
  let partner = 0
  for closer in split(matchstr(substitute(getline(a:number), '\s', '', 'g'), '^[])}]*'), '\zs')
    let partner = s:close(open, closer)
  endfor
  if partner
    return indent(partner)
  endif
  return empty(open) ? 0 : indent(open[-1][0]) + shiftwidth()
endfunction

" Behind a line: the brackets that are open, each with its line and what closes it, and the line of a text that goes on.
"
" The states are kept with the lines that they are of: `=` asks for one line after the other.
function! s:state(number) abort
  let [lines, states] = get(b:, 'esp_indent', [[], [[[], 0]]])
  let now = getline(1, a:number)
  let same = min([len(lines), len(now)])
  let step = 1
  while same > 0 && lines[: same - 1] !=# now[: same - 1]
    let same = max([0, same - step])
    let step = step * 2
  endwhile
  let states = states[: same]
  for index in range(same, a:number - 1)
    call add(states, s:behind(states[-1], now[index], index + 1))
  endfor
  let b:esp_indent = [now, states]
  return states[-1]
endfunction

function! s:behind(state, line, number) abort
  let [before, text] = a:state
  let open = copy(before)
  " A bracket behind a text of several lines counts where the text begins: the lines of that are not indented.
  let here = text ? text : a:number
  let at = 0
  if text
    let at = matchend(a:line, s:long)
    if at < 0
      return a:state
    endif
  endif
  while 1
    let [token, start, at] = matchstrpos(a:line, s:token, at)
    if token ==# '' || token ==# '#'
      return [open, 0]
    elseif token ==# '"""'
      let end = matchend(strpart(a:line, at), s:long)
      if end < 0
        return [open, here]
      endif
      let at += end
    elseif has_key(s:closing, token)
      call add(open, [here, s:closing[token]])
    elseif token =~# '^[])}]'
      call s:close(open, token)
    endif
  endwhile
endfunction

" Closes the innermost bracket of its kind, with all inside that nobody closed; its line, or 0 where there is none.
function! s:close(open, closer) abort
  let index = len(a:open) - 1
  while index >= 0
    if a:open[index][1] ==# a:closer
      return remove(a:open, index, -1)[0][0]
    endif
    let index -= 1
  endwhile
  return 0
endfunction

let &cpo = s:cpo_before
unlet s:cpo_before
