"""What folds, also while brackets are missing."""

from __future__ import annotations

from esp3c.query.folding import Part, folds, pairs
from esp3c.query.view import view
from esp3c.source import Source
from support.fixtures import WORLD


def found(text: str) -> list[tuple[str, int, int]]:
    """The kinds, and the lines of the first and last character that disappear."""
    source = Source("recipe.esp", text)
    return [
        (each.what.value, source.line_of(each.start), source.line_of(each.end)) for each in folds(view(source, WORLD))
    ]


def test_brackets_texts_comments_and_regions_of_several_lines() -> None:
    text = """\
# One comment
# and another.
# A third.

# region data
let a = [
  1,
  2,
]  # not a run
# alone
let b = { c = 1 }
# endregion

training {
  note = \"\"\"
    long
  \"\"\"
}
"""
    assert found(text) == [
        (Part.COMMENT, 1, 3),
        (Part.REGION, 5, 12),
        (Part.BRACKET, 6, 9),
        (Part.BRACKET, 14, 18),
        (Part.TEXT, 15, 17),
    ]


def test_a_region_ends_a_run_of_comments_and_regions_stand_in_each_other() -> None:
    text = "# a\n# b\n#region one\n# c\n# d\n# region two\nlet a = 1\n# endregion\n#endregion\n# endregion\n"

    assert found(text) == [(Part.COMMENT, 1, 2), (Part.REGION, 3, 9), (Part.COMMENT, 4, 5), (Part.REGION, 6, 8)]


def test_with_a_bracket_missing_all_others_keep_their_folds() -> None:
    text = "recipe a {\n  seed = 1\n\ntraining {\n  trainer {\n    devices = 1\n  }\n}\n\nstages {\n  train\n}\n"

    assert found(text) == [
        (Part.BRACKET, 1, 2),
        (Part.BRACKET, 4, 8),
        (Part.BRACKET, 5, 7),
        (Part.BRACKET, 10, 12),
    ]


def test_what_a_missing_bracket_holds_ends_behind_its_last_word() -> None:
    text = "training {\n  trainer {\n    devices = 1\n\n\nlet a = 1\n"
    source = Source("recipe.esp", text)

    assert [(each.closed, text[each.end - 1]) for each in pairs(view(source, WORLD))] == [(False, "1"), (False, "1")]


def test_a_text_that_is_never_closed_folds_to_the_end() -> None:
    assert found('let a = """\nx\ny\n') == [(Part.TEXT, 1, 4)]
