/**
 * The tree-sitter grammar of `.esp` recipes.
 *
 * It follows compiler/esp3c/syntax/esp.lark, and like it accepts slightly more than the language: what is wrong is said by
 * esp3c, and an editor has more of a tree with one positional argument in it than of an error.
 *
 * Words such as `dataset` or `on` are names everywhere but where a declaration or a clause may begin. `word` brings that
 * about: the lexer reads a name, and takes it for a keyword only in states that have a use for the keyword.
 */

// What Python's `\w` and `\d` mean, which the compiler reads by.
const LETTER = "\\p{L}\\p{Nl}\\p{No}_";
const DIGIT = "\\p{Nd}";
const NAME = new RegExp(`[${LETTER}][${LETTER}${DIGIT}]*`);
const DIGITS = `${DIGIT}[${DIGIT}_]*`;
const FRACTION = `\\.${DIGITS}`;
const EXPONENT = `[eE][+-]?${DIGIT}+`;

/** One or more, with `separator` between them, and behind the last if `last` is there. */
const separated = (separator, rule, ...last) => seq(rule, repeat(seq(separator, rule)), ...last);

module.exports = grammar({
  name: "esp",

  extras: ($) => [/[ \t\r\n\f\uFEFF]/, $.comment],

  word: ($) => $.identifier,

  supertypes: ($) => [$._declaration, $._value],

  rules: {
    source_file: ($) => repeat($._declaration),

    // -- declarations ------------------------------------------------------------------------------------------------

    _declaration: ($) =>
      choice(
        $.recipe_declaration,
        $.dataset_declaration,
        $.config_declaration,
        $.parallel_declaration,
        $.let_declaration,
        $.stages_declaration,
      ),

    recipe_declaration: ($) => seq("recipe", field("name", $.identifier), field("body", $.block)),

    dataset_declaration: ($) => seq("dataset", field("name", $.identifier), field("body", $.block)),

    config_declaration: ($) =>
      choice(
        seq(field("name", $.well_known), field("body", $.block)),
        seq("config", field("name", $.identifier), optional($.extends), field("body", $.block)),
      ),

    well_known: (_) => choice("training", "inference", "metrics", "publication", "demo"),

    extends: ($) => seq("extends", field("base", $.identifier)),

    parallel_declaration: ($) => seq("parallel", field("name", $.identifier), "=", field("value", $._value)),

    let_declaration: ($) => seq("let", field("name", $.identifier), "=", field("value", $._value)),

    stages_declaration: ($) => seq("stages", field("body", $.stage_list)),

    // -- stages ------------------------------------------------------------------------------------------------------

    stage_list: ($) => seq("{", repeat($.stage), "}"),

    stage: ($) =>
      seq(
        field("name", $.identifier),
        repeat(choice($.requires_clause, $.runs_clause, $.on_clause)),
        optional(field("body", $.block)),
      ),

    requires_clause: ($) => seq("requires", separated(",", field("config", $.identifier))),

    runs_clause: ($) => seq("runs", field("target", $.path)),

    on_clause: ($) => seq("on", field("parallel", $.identifier)),

    // -- blocks ------------------------------------------------------------------------------------------------------

    block: ($) => seq("{", repeat(seq(choice($.setting, $.section, $.sample_field), optional(","))), "}"),

    setting: ($) => seq(optional("new"), field("key", $.key), "=", field("value", $._value)),

    section: ($) => seq(optional("new"), field("key", $.key), field("body", $.block)),

    sample_field: ($) => seq(field("key", $.key), optional("?"), ":", field("type", $.type)),

    key: ($) => separated(".", $._key_word),

    // `new` alone is a key as any other word.
    _key_word: ($) => choice($.identifier, alias("new", $.identifier), $.string),

    type: ($) =>
      seq(
        field("name", $.identifier),
        optional(seq("[", separated(",", field("dimension", choice($.identifier, $.integer))), "]")),
      ),

    // -- values ------------------------------------------------------------------------------------------------------

    _value: ($) =>
      choice(
        $.string,
        $.long_string,
        $.integer,
        $.float,
        $.quantity,
        $.boolean,
        $.null,
        $.list,
        $.block,
        $.partial_call,
        $.call,
        $.reference,
      ),

    reference: ($) => seq($.path, optional(field("body", $.block))),

    call: ($) =>
      seq(field("target", $.path), field("arguments", $.arguments), optional(field("body", $.block))),

    partial_call: ($) => seq("partial", field("target", $.path), field("arguments", $.arguments)),

    arguments: ($) => seq("(", optional(separated(",", choice($.argument, $._value), optional(","))), ")"),

    argument: ($) => seq(field("name", $.identifier), "=", field("value", $._value)),

    list: ($) => seq("[", optional(separated(",", $._value, optional(","))), "]"),

    path: ($) => seq(repeat(seq(field("qualifier", $.identifier), ".")), field("name", $.identifier)),

    boolean: (_) => choice("true", "false"),

    null: (_) => "null",

    integer: (_) => new RegExp(`-?${DIGITS}`),

    float: (_) => new RegExp(`-?${DIGITS}(?:${FRACTION}(?:${EXPONENT})?|${EXPONENT})`),

    quantity: ($) => seq(field("number", choice($.integer, $.float)), field("unit", $.unit)),

    unit: (_) => token.immediate(NAME),

    // -- text --------------------------------------------------------------------------------------------------------

    string: ($) =>
      seq(
        '"',
        repeat(
          choice(
            alias($._plain, $.string_content),
            $.escape_sequence,
            $.interpolation,
          ),
        ),
        token.immediate('"'),
      ),

    long_string: ($) =>
      seq(
        '"""',
        repeat(
          choice(
            alias($._long_plain, $.string_content),
            alias(token.immediate(/\\\r?\n/), $.escape_sequence),
            $.escape_sequence,
            $.interpolation,
          ),
        ),
        token.immediate('"""'),
      ),

    // A `$` or a quote that begins nothing is a word of its own for the lexer.
    _plain: (_) => prec.right(repeat1(choice(token.immediate(prec(1, /[^"\\\n$]+/)), token.immediate("$")))),

    _long_plain: (_) => prec.right(repeat1(choice(token.immediate(prec(1, /[^"\\$]+/)), token.immediate(/["$]/)))),

    escape_sequence: (_) => token.immediate(/\\([ntr"\\]|u\{[0-9a-fA-F]{1,6}\})|\$\$\{/),

    interpolation: ($) =>
      seq(
        token.immediate("${"),
        choice(
          field("name", $.path),
          seq(field("resolver", $.path), ":", repeat(choice($.resolver_text, $.interpolation))),
        ),
        "}",
      ),

    resolver_text: (_) => token.immediate(prec(1, /[^{}$"\n]+/)),

    identifier: (_) => NAME,

    comment: (_) => /#[^\n]*/,
  },
});
