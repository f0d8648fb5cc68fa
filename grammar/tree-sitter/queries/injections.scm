; Lines of shell, by intent.
((argument
   name: (identifier) @_name
   value: (list (string (string_content) @injection.content)))
 (#match? @_name "^(setup|teardown)$")
 (#set! injection.language "bash"))

((comment) @injection.content
 (#set! injection.language "comment"))
