; All declarations of a file share one set of names, so the file is the one scope of those.
(source_file) @local.scope

(dataset_declaration name: (identifier) @local.definition)
(config_declaration name: (identifier) @local.definition)
(parallel_declaration name: (identifier) @local.definition)
(let_declaration name: (identifier) @local.definition)

(extends base: (identifier) @local.reference)
(requires_clause config: (identifier) @local.reference)
(on_clause parallel: (identifier) @local.reference)

; Of a dotted name, the first word is looked up.
(reference (path . (identifier) @local.reference))
(call target: (path . name: (identifier) @local.reference))
(interpolation name: (path . (identifier) @local.reference))
