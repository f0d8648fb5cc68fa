"""Recipes without a meaning: every shape that the grammar has, with any white space and comments between the words.

`recipe` draws the words of one; `spaced` makes a text of them.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

GAPS = [
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\n  ",
    "\n\n",
    "\n \n\n",
    "\r\n",
    "\t",
    "\f",
    " #{}\n",
    "#{}\n",
    "\n#{}\n\n",
    "\n  # {}\r\n",
]
NAMES = [
    "a", "b", "lr", "model", "optimizer", "scheduler_interval", "dataset", "on", "new", "runs", "requires", "extends", "stages",
    "recipe", "let", "training", "config", "é", "_x9", "a_rather_long_name_for_a_setting_of_a_recipe",
]  # fmt: skip
SCALARS = [
    "1", "-1", "4_000_000", "2e-3", "16kHz", "4h", "true", "false", "null", '""', '"a # b"', '"${a.b} $${"', '"\\"#\\u{1F600}"',
    '"""x"""', '"""\n    # no comment\n  y "" z\n\n\n  """', '"' + "long " * 20 + '"',
]  # fmt: skip

name = st.sampled_from(NAMES)
path = st.lists(name, min_size=1, max_size=3).map(lambda parts: " . ".join(parts).split(" "))
head = path.filter(lambda parts: parts[0] not in {"true", "false", "null", "partial"})
scalar = st.one_of(st.sampled_from(SCALARS).map(lambda text: [text]), head)


def joined(parts: list[list[str]], between: list[str]) -> list[str]:
    return [word for number, part in enumerate(parts) for word in ([*between, *part] if number else part)]


def block_of(value: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    key = st.one_of(path, st.sampled_from([['"odd key"'], ["true"], ["partial"]]))
    setting = st.tuples(key, value).map(lambda pair: [*pair[0], "=", *pair[1]])
    field = st.tuples(
        name, st.sampled_from([[], ["?"]]), st.sampled_from([["str"], ["float32", "[", "time", ",", "80", "]"]])
    )
    entry = st.one_of(
        setting,
        setting,
        setting.map(lambda words: ["new", *words]),
        field.map(lambda three: [three[0], *three[1], ":", *three[2]]),
        st.tuples(name, st.just(["{", "}"])).map(lambda pair: [pair[0], *pair[1]]),
    )
    target = st.sampled_from([["_target_", "=", "torch", ".", "optim", ".", "AdamW"], ["_target_", "=", '"a.B"'], []])
    comma = st.sampled_from([[], [","]])
    return st.tuples(target, st.lists(st.tuples(entry, comma), max_size=4)).map(
        lambda both: ["{", *both[0], *(word for pair in both[1] for word in (*pair[0], *pair[1])), "}"]
    )


def larger(value: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    argument = st.one_of(value, st.tuples(name, value).map(lambda pair: [pair[0], "=", *pair[1]]))
    last = st.sampled_from([[], [","]])
    arguments = st.tuples(st.lists(argument, max_size=4), last).map(
        lambda both: ["(", *joined(both[0], [","]), *(both[1] if both[0] else []), ")"]
    )
    block = block_of(value)
    return st.one_of(
        st.tuples(st.lists(value, max_size=4), last).map(
            lambda both: ["[", *joined(both[0], [","]), *(both[1] if both[0] else []), "]"]
        ),
        block,
        st.tuples(head, arguments).map(lambda both: [*both[0], *both[1]]),
        st.tuples(head, arguments).map(lambda both: ["partial", *both[0], *both[1]]),
        st.tuples(head, arguments, block).map(lambda three: [*three[0], *three[1], *three[2]]),
        st.tuples(head, block).map(lambda both: [*both[0], *both[1]]),
    )


value = st.recursive(scalar, larger, max_leaves=12)
clause = st.one_of(
    st.sampled_from([["requires", "training"], ["requires", "a", ",", "b"], ["on", "gpu"]]),
    path.map(lambda words: ["runs", *words]),
)
stage = st.tuples(
    st.sampled_from(["train", "infer", "prepare_alignment", "a"]),
    st.lists(clause, max_size=3),
    st.one_of(st.just([]), block_of(scalar)),
).map(lambda three: [three[0], *(word for each in three[1] for word in each), *three[2]])
declaration = st.one_of(
    st.tuples(st.sampled_from(["let", "parallel"]), name, value).map(
        lambda three: [three[0], three[1], "=", *three[2]]
    ),
    st.tuples(
        st.sampled_from(
            [["recipe", "r"], ["dataset", "d"], ["training"], ["config", "c"], ["config", "c", "extends", "b"]]
        ),
        block_of(value),
    ).map(lambda both: [*both[0], *both[1]]),
    st.lists(stage, max_size=4).map(lambda stages: ["stages", "{", *(word for each in stages for word in each), "}"]),
)
recipe = st.lists(declaration, max_size=4).map(lambda parts: [word for part in parts for word in part])


def spaced(words: list[str], chance: random.Random) -> str:
    """The words with any white space between them, and comments that are all different."""
    gaps = [chance.choice(GAPS) for _ in (*words, "")] if chance.random() < 0.9 else [" "] * (len(words) + 1)
    # A dot at the end of a line ends what it stands in.
    gaps[1:] = [" " if word == "." else gap for word, gap in zip(words, gaps[1:], strict=True)]
    texts = (gap.format(f" {number}" + " \t" * (number % 2)) for number, gap in enumerate(gaps))
    return "".join(gap + word for gap, word in zip(texts, [*words, ""], strict=True))
