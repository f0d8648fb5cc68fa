"""What is said where something stands in a place that the language has no use for, by the fact's kind: message and label."""

from __future__ import annotations

MISPLACED = {
    "field": (
        "`{0}: type` declares a field, and fields stand in `sample` blocks",
        "a setting is `{0} = value`",
    ),
    "dotted-key": (
        "`{0}` reaches inside, and that is for a config that extends another",
        "write a block instead, `a {{ b = … }}`",
    ),
    "new": ("`new` marks an addition to a config that is extended", "take `new` out"),
    "target": ("`_target_` takes the dotted path of a class or function", "not a dotted path"),
    "partial": ("`_partial_` takes true or false", "with true, the call is made later"),
    "block-behind": ("a block stands behind a dataset only", "`{0}` is not a declared dataset"),
    "config-as-value": ("a config is not a value", "name a value in it: `{0}.key`"),
    "system": ("`system` takes the dotted path of a System class", "not a dotted path"),
    "clause": ("`{0}` stands twice on this stage line", "the second one"),
    "over": (
        "`over` takes the list of a config, such as `training.dataset.train`",
        "not a place in a config",
    ),
    "parallel": ("a `parallel` takes a backend call", "for example `local(n_workers = 2)`"),
    "interpolation": ("`{0}` is not a name", "`${{name}}` or `${{block.name}}` stands for a value"),
    "reserved-config": ("`{0}` is a well-known config", "write `{0} {{ … }}` without `config`"),
    "reserved-backend": ("`{0}` is the name of a machine backend", "choose another name"),
    "sample-setting": ("a `sample` holds fields, `name: type`", "`{0}` is not a field"),
    "elsewhere": (
        "`{0}` is written nowhere, and another experiment than this one has it",
        "set it in that config, and it can be named here",
    ),
    "too-much": (
        "`{0}` stands for more than can be written out",
        "too many values, or too deep inside each other",
    ),
    "override-config": ("a whole config cannot be set", "name a key in it: `{0}.key=value`"),
}
