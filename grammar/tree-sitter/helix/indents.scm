; Helix's captures. Those of Neovim are in ../queries/indents.scm.
[
  (block)
  (stage_list)
  (list)
  (arguments)
] @indent

(block "}" @outdent)
(stage_list "}" @outdent)
(list "]" @outdent)
(arguments ")" @outdent)
