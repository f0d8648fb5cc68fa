(recipe_declaration name: (identifier) @name) @definition.class
(dataset_declaration name: (identifier) @name) @definition.class
(config_declaration name: (identifier) @name) @definition.class
(config_declaration name: (well_known) @name) @definition.class
(parallel_declaration name: (identifier) @name) @definition.constant
(let_declaration name: (identifier) @name) @definition.constant
(stage name: (identifier) @name) @definition.function

(extends base: (identifier) @name) @reference.class
(requires_clause config: (identifier) @name) @reference.class
(on_clause parallel: (identifier) @name) @reference.constant
(runs_clause target: (path name: (identifier) @name)) @reference.call
(call target: (path name: (identifier) @name)) @reference.call
(partial_call target: (path name: (identifier) @name)) @reference.call
