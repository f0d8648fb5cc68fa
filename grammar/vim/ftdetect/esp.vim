autocmd BufNewFile,BufRead *.esp setfiletype esp
