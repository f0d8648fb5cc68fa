; Neovim's captures. Those of Helix are in ../helix/indents.scm.
[
  (block)
  (stage_list)
  (list)
  (arguments)
] @indent.begin

(block "}" @indent.branch @indent.end)
(stage_list "}" @indent.branch @indent.end)
(list "]" @indent.branch @indent.end)
(arguments ")" @indent.branch @indent.end)

; Blanks are part of the text.
(long_string) @indent.ignore

; An entry that is being written has no closing bracket yet.
(ERROR "{") @indent.begin
(ERROR "[") @indent.begin
(ERROR "(") @indent.begin
