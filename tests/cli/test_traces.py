"""What `esp3c plan` says of earlier runs: facts of the disk, in the form in which the framework leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.cli.traces import absent, trace
from esp3c.ir import Recipe
from esp3c.schema.stages import CHECKPOINTS, OUTPUTS, SCORES, STATS
from support.fixtures import FIXTURES, compile_text

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits"


def digits() -> Recipe:
    return compile_text((DIGITS / "recipe.esp").read_text(encoding="utf-8")).recipe


def state(stage: str, home: Path) -> tuple[str, str]:
    recipe = digits()
    found = trace(recipe, next(each for each in recipe.stages if each.name == stage), home)
    return found.state, found.text


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_a_training_is_told_by_its_checkpoint_and_its_history(tmp_path: Path) -> None:
    assert state("train", tmp_path) == ("nothing", "there is no exp/ctc/last.ckpt yet")
    write(tmp_path / "exp/ctc/history.csv", "epoch,step\n1,61\n2,122\n")
    assert state("train", tmp_path)[0] == "nothing"

    write(tmp_path / "exp/ctc/last.ckpt")
    begun = state("train", tmp_path)
    assert begun[0] == "begun" and "history.csv has 2 of 9 epochs" in begun[1]

    write(tmp_path / "exp/ctc/history.csv", "epoch,step\n9,549\n")
    done = state("train", tmp_path)
    assert done[0] == "there" and "9 of 9 epochs" in done[1] and "if the settings are the same" in done[1]


@pytest.mark.parametrize("history", ["", "epoch\n", "a,b\n1,2\n", "epoch,b\nx,2\n", "\xff"])
def test_a_history_that_cannot_be_read_is_no_history(tmp_path: Path, history: str) -> None:
    write(tmp_path / "exp/ctc/last.ckpt")
    (tmp_path / "exp/ctc/history.csv").write_bytes(history.encode("latin-1"))

    found = state("train", tmp_path)
    assert found[0] == "begun" and "epochs" not in found[1]


def test_shards_are_told_by_what_the_framework_leaves(tmp_path: Path) -> None:
    from espnet3.parallel import _shards

    assert state("infer", tmp_path)[0] == "nothing"
    for name, items in (("seen_voices", 20), ("unseen_voices", 30)):
        base = tmp_path / "exp/ctc/inference" / name
        _shards.enter_plan(base, _shards.Plan(runner="r", inputs={}, n_items=items, shards=(items,)), True)
        _shards.shard_dir(base, 0).mkdir()
    assert state("infer", tmp_path)[0] == "begun"

    _shards.write_done(_shards.shard_dir(tmp_path / "exp/ctc/inference/seen_voices", 0), 20, "f")
    partly = state("infer", tmp_path)
    assert partly[0] == "begun"
    assert "20 items done in exp/ctc/inference/seen_voices, 0 of 1 shards are done in exp/ctc/inference/un" in partly[1]

    _shards.write_done(_shards.shard_dir(tmp_path / "exp/ctc/inference/unseen_voices", 0), 30, "f")
    assert state("infer", tmp_path)[0] == "there"


def test_shards_that_others_took_over_are_counted_where_they_are(tmp_path: Path) -> None:
    """A shard counts in the folder of its latest owner, whatever stands in those of the earlier ones."""
    from espnet3.parallel import _shards

    for name in ("seen_voices", "unseen_voices"):
        base = tmp_path / "exp/ctc/inference" / name
        _shards.enter_plan(base, _shards.Plan(runner="r", inputs={}, n_items=5, shards=(1,) * 5), True)
        for number in range(4):
            _shards.shard_dir(base, number).mkdir()
            _shards.write_done(_shards.shard_dir(base, number), 1, "f")
        taken, not_yet = (_shards.begin_turn(base, number, 2) for number in (2, 3))
        taken.mkdir()
        not_yet.mkdir()
        _shards.write_done(taken, 1, "f")
    infer = next(each for each in digits().stages if each.name == "infer")
    found = trace(digits(), infer, tmp_path)

    assert found.shards == (6, 10)
    assert found.text.startswith("3 of 5 shards are done in exp/ctc/inference/seen_voices, 3 of 5 shards are done in ")


def test_the_shards_of_a_workload(tmp_path: Path) -> None:
    from espnet3.parallel import _shards

    recipe = compile_text(
        'recipe r { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "t" }\n'
        'dataset d { source = "mini_an4/asr" }\n'
        "training { dataset { train = [d()] } }\n"
        'stages { label_all { runner = src.label.Runner(output_dir = "${exp_dir}/labels")\n'
        "  provider = src.label.Provider()  over = training.dataset.train } }\n"
    ).recipe
    (stage,) = recipe.stages
    assert trace(recipe, stage, tmp_path).text == "nothing in exp/t/labels yet"

    base = tmp_path / "exp/t/labels/all"
    _shards.enter_plan(base, _shards.Plan(runner="r", inputs={}, n_items=3, shards=(1, 2)), True)
    _shards.shard_dir(base, 0).mkdir()
    _shards.write_done(_shards.shard_dir(base, 0), 1, "f")
    found = trace(recipe, stage, tmp_path)

    assert (found.state, found.shards) == ("begun", (1, 2))
    assert "1 of 2 shards are done in exp/t/labels/all" in found.text


@pytest.mark.parametrize("manifest", ["", "[]", '{"shards": 3}', "[" * 100_000])
def test_a_plan_that_cannot_be_read_is_nothing(tmp_path: Path, manifest: str) -> None:
    for split in ("train", "valid"):
        write(tmp_path / "exp/stats" / split / "manifest.json", manifest)

    assert state("collect_stats", tmp_path)[0] == "nothing"


def test_the_data_is_the_builders_business(tmp_path: Path) -> None:
    assert state("create_dataset", tmp_path) == (
        "unknown",
        "there is no folder data/; the builder says what is left to do",
    )
    (tmp_path / "data").mkdir()
    assert state("create_dataset", tmp_path) == ("unknown", "data/ is there; the builder says what is left to do")


def test_scores_and_tokenizer(tmp_path: Path) -> None:
    assert state("measure", tmp_path)[0] == "nothing"
    write(tmp_path / "exp/ctc/inference/metrics.json", "{}")
    assert state("measure", tmp_path)[0] == "there"

    recipe = compile_text((FIXTURES / "graph" / "twelve_stages.esp").read_text(encoding="utf-8")).recipe
    stage = next(each for each in recipe.stages if each.name == "train_tokenizer")
    assert trace(recipe, stage, tmp_path).state == "nothing"
    write(tmp_path / "data/tokenizer/bpe.model")
    assert trace(recipe, stage, tmp_path).state == "nothing"
    write(tmp_path / "data/tokenizer/tokens.txt")
    assert trace(recipe, stage, tmp_path).state == "there"


def test_nothing_is_said_of_what_cannot_be_known(tmp_path: Path) -> None:
    recipe = compile_text((FIXTURES / "graph" / "odd_names.esp").read_text(encoding="utf-8")).recipe
    assert {trace(recipe, stage, tmp_path).state for stage in recipe.stages} == {"unknown"}
    assert [list(absent(recipe, stage, set(), tmp_path)) for stage in recipe.stages] == [[], []]

    recipe = compile_text((FIXTURES / "graph" / "twelve_stages.esp").read_text(encoding="utf-8")).recipe
    (own,) = (each for each in recipe.stages if each.name == "export_onnx")
    assert trace(recipe, own, tmp_path).text == ""


def test_a_file_that_no_planned_stage_writes(tmp_path: Path) -> None:
    recipe = digits()
    infer = next(each for each in recipe.stages if each.name == "infer")
    train = next(each for each in recipe.stages if each.name == "train")

    assert list(absent(recipe, infer, {"train", "infer"}, tmp_path)) == []
    assert [each.split(" ")[0] for each in absent(recipe, infer, {"infer"}, tmp_path)] == ["exp/ctc/last.ckpt"]
    assert [each.split(" ")[0] for each in absent(recipe, train, {"train"}, tmp_path)] == ["exp/stats/*"]
    write(tmp_path / "exp/ctc/last.ckpt")
    write(tmp_path / "exp/stats/train/speech_shape")
    assert list(absent(recipe, infer, {"infer"}, tmp_path)) == []
    assert list(absent(recipe, train, {"train"}, tmp_path)) == []


def test_the_names_of_files_are_those_of_the_framework() -> None:
    from espnet3.components.callbacks.history import EpochHistory
    from espnet3.components.callbacks.loop_state import LAST
    from espnet3.parallel import _shards
    from espnet3.systems.base.metric import METRICS_FILE

    history = EpochHistory("exp")
    history.rows = [{"epoch": 1, "step": 2}]
    assert history._as_csv().startswith("epoch,") and history.path.name == "history.csv"
    assert LAST == "last.ckpt" and CHECKPOINTS.names.split("|")[0] == "*.ckpt"
    assert SCORES.names == METRICS_FILE
    assert (_shards.MANIFEST, _shards.DONE) == ("manifest.json", "done")
    assert (STATS.folder, OUTPUTS.folder) == ("training.stats_dir", "inference.inference_dir")
