; What may be closed up: everything between brackets, and text of several lines.
[
  (block)
  (stage_list)
  (list)
  (arguments)
  (long_string)
] @fold

(comment)+ @fold
