; made by grammar/make_editors.py from the words of the language

(comment) @comment

; -- words of the language

["recipe" "dataset" "config" "parallel" "let" "stages" "extends" "requires" "runs" "on"] @keyword
(well_known) @keyword
["new" "partial"] @keyword.storage.modifier
(boolean) @constant.builtin.boolean
(null) @constant.builtin

; -- what is declared, and where it is named

(recipe_declaration name: (identifier) @type)
(dataset_declaration name: (identifier) @type)
(config_declaration name: (identifier) @type)
(extends base: (identifier) @type)
(requires_clause config: (identifier) @type)
(let_declaration name: (identifier) @constant)
(parallel_declaration name: (identifier) @constant)
(on_clause parallel: (identifier) @constant)

((stage name: (identifier) @function.builtin)
 (#match? @function.builtin "^(create_dataset|train_tokenizer|collect_stats|train|infer|measure|pack_model|upload_model|pack_demo|upload_demo)$"))
((stage name: (identifier) @function)
 (#not-match? @function "^(create_dataset|train_tokenizer|collect_stats|train|infer|measure|pack_model|upload_model|pack_demo|upload_demo)$"))

; -- keys

((key (identifier) @variable.builtin)
 (#match? @variable.builtin "^(_target_|_partial_|_args_|_recursive_|_convert_)$"))
((key (identifier) @variable.other.member)
 (#not-match? @variable.other.member "^(_target_|_partial_|_args_|_recursive_|_convert_)$"))
(argument name: (identifier) @variable.parameter)

; -- types of the fields of a sample

((type name: (identifier) @type.builtin)
 (#match? @type.builtin "^(str|int|float|bool|float16|float32|float64|bfloat16|int8|int16|int32|int64|uint8|complex64)$"))
(type dimension: (identifier) @variable.parameter)

; -- what is called

(call target: (path qualifier: (identifier) @namespace))
(partial_call target: (path qualifier: (identifier) @namespace))
(runs_clause target: (path qualifier: (identifier) @namespace))
([
  (setting value: (call target: (path name: (identifier) @constructor)))
  (let_declaration value: (call target: (path name: (identifier) @constructor)))
  (argument value: (call target: (path name: (identifier) @constructor)))
  (list (call target: (path name: (identifier) @constructor)))
  (arguments (call target: (path name: (identifier) @constructor)))
  (partial_call target: (path name: (identifier) @constructor))
  (runs_clause target: (path name: (identifier) @constructor))
 ]
 (#match? @constructor "^[A-Z]"))
([
  (setting value: (call target: (path name: (identifier) @function)))
  (let_declaration value: (call target: (path name: (identifier) @function)))
  (argument value: (call target: (path name: (identifier) @function)))
  (list (call target: (path name: (identifier) @function)))
  (arguments (call target: (path name: (identifier) @function)))
  (partial_call target: (path name: (identifier) @function))
  (runs_clause target: (path name: (identifier) @function))
 ]
 (#not-match? @function "^[A-Z]"))

((parallel_declaration value: (call target: (path name: (identifier) @function.builtin)))
 (#match? @function.builtin "^(local|local_gpu|slurm|dask|pbs|moab|sge|oar|lsf|htcondor)$"))

; -- names: those of classes by their capital letter

((reference (path qualifier: (identifier) @namespace name: (identifier) @_name))
 (#match? @_name "^[A-Z]"))
((reference (path qualifier: (identifier) @variable name: (identifier) @_name))
 (#not-match? @_name "^[A-Z]"))
((reference (path name: (identifier) @type))
 (#match? @type "^[A-Z]"))
((reference (path name: (identifier) @variable))
 (#not-match? @variable "^[A-Z]"))

; -- numbers

(integer) @constant.numeric.integer
(float) @constant.numeric.float
((unit) @type.builtin
 (#match? @type.builtin "^(ms|s|min|h|d|B|KB|MB|GB|TB|KiB|MiB|GiB|TiB|Hz|kHz|MHz)$"))

; -- text

["\"" "\"\"\""] @string
(string_content) @string
(escape_sequence) @constant.character.escape
(interpolation ["${" "}"] @punctuation.special)
(interpolation name: (path (identifier) @variable))
(interpolation resolver: (path (identifier) @function.builtin))
(resolver_text) @string

; -- signs

["=" "?"] @operator
["," "." ":"] @punctuation.delimiter
(block ["{" "}"] @punctuation.bracket)
(stage_list ["{" "}"] @punctuation.bracket)
(list ["[" "]"] @punctuation.bracket)
(type ["[" "]"] @punctuation.bracket)
(arguments ["(" ")"] @punctuation.bracket)
