"""`esp3c run --sweep`: what the points are, what they are called, where they write, and what is refused before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esp3c.cli import child
from esp3c.cli.common import Failure
from esp3c.cli.main import main
from esp3c.cli.sweep_values import axes_of, points_of, split

CLUSTER = (
    'parallel gpu = slurm(partition = "p", gpus_per_node = 2, cpus_per_task = 4, mem = 8GB, time = 4h, n_workers = 3)\n'
)


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, parts",
    [
        ("1e-3,3e-4", ["1e-3", "3e-4"]),
        (" 1 , 2 ", ["1", "2"]),
        ("[1,2],[3,4]", ["[1,2]", "[3,4]"]),
        ('"a,b","c"', ['"a,b"', '"c"']),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        ('"""a",b""",c', ['"""a",b"""', "c"]),
        ("a.b(x=1,y={z=[2,3]}),c", ["a.b(x=1,y={z=[2,3]})", "c"]),
        ('"(",")"', ['"("', '")"']),
        ("1", ["1"]),
        ("1,,2", ["1", "", "2"]),
    ],
)
def test_values_end_at_commas_outside_of_brackets_and_quotes(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def _names(*asked: str) -> list[str]:
    return [point.name for point in points_of(axes_of(asked, ()))]


def test_points_are_the_product_of_all_values_the_last_key_changes_fastest() -> None:
    points = points_of(axes_of(["a.lr=1,2", "new b.seed=3,4"], ()))

    assert [point.overrides for point in points] == [
        ("a.lr=1", "new b.seed=3"),
        ("a.lr=1", "new b.seed=4"),
        ("a.lr=2", "new b.seed=3"),
        ("a.lr=2", "new b.seed=4"),
    ]
    assert [point.name for point in points] == ["lr=1-seed=3", "lr=1-seed=4", "lr=2-seed=3", "lr=2-seed=4"]


def test_names_of_points_are_names_of_files_and_tell_points_apart() -> None:
    """What is no character of a file's name is left out; what would then be the same, or is too long, has a part of a hash."""
    long_names = _names("a.x=" + ",".join(f'"{"word" * 10}{number}"' for number in range(3)))
    many = _names(*(f"k.key_number_{number}=12345678" for number in range(9)))
    found = [
        *_names('a.x="a/b","ü",-1,1,"A","a",".."'),
        *long_names,
        *many,
    ]

    assert _names("a.lr=1", "b.lr=2", "c.d.size=3") == ["a.lr=1-b.lr=2-size=3"]
    assert found[0] == "x=a-b"
    assert found[2:4] == ["x=-1", "x=1"]
    assert len({name.casefold() for name in found}) == len(found)
    assert all(name.isascii() and len(name) <= 100 and not set(name) & set("/\\ \"'*?:<>|") for name in found)
    assert _names('a.x="A","a"')[0] == found[4]


def test_an_experiment_that_is_named_by_the_sweep_is_called_so() -> None:
    [point, *_] = points_of(axes_of(['recipe.exp_tag="small","large"', "a.lr=1,2"], ()))

    assert _names('recipe.exp_tag="small","large"') == ["small", "large"]
    assert (point.name, point.suffix) == ("small-lr=1", "lr=1")


@pytest.mark.parametrize(
    "asked, overrides, said",
    [
        (["training.seed"], [], "expected KEY=VALUE,VALUE, for example --sweep training.optimizer.lr=1e-3,3e-4"),
        (["=1,2"], [], "expected KEY=VALUE,VALUE"),
        (["a.b=1,"], [], "a value is missing"),
        (["a.b="], [], "a value is missing"),
        (["a.b=1,2,1"], [], "1 is there twice"),
        (["a.b=(1,2"], [], "`)` is missing"),
        (["a.b=1]"], [], "`]` closes nothing"),
        (['a.b="1'], [], "a quote is not closed"),
        (["a.b=\udcff"], [], "not UTF-8"),
        (["a.b=1", "new a.b=2"], [], "it is there twice"),
        (["a.b=1,2"], ["new a.b=3"], "--set gives it a value as well"),
    ],
)
def test_what_cannot_be_read_is_refused(asked: list[str], overrides: list[str], said: str) -> None:
    with pytest.raises(Failure) as failure:
        axes_of(asked, overrides)
    assert said in str(failure.value)
    assert failure.value.code == 2


# -- recipes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe that `esp3c init` begins with, which is also the working folder."""
    folder = tmp_path / "tones"
    assert main(["init", str(folder)]) == 0
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The commands that would have been run."""
    commands: list[list[str]] = []

    def stream(command: list[str], *_: object) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(child, "stream", stream)
    yield commands


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _spec(called: list[list[str]]) -> dict[str, Any]:
    """What the last command was told."""
    command = called[-1]
    assert command[1:4] == ["-P", "-m", "esp3rt.sweep"]
    found: dict[str, Any] = json.loads(Path(command[4]).read_text(encoding="utf-8"))
    return found


def _edit(folder: Path, *changes: tuple[str, str]) -> None:
    path = folder / "recipe.esp"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def _to_cluster(folder: Path, *stages: str) -> None:
    _edit(folder, ("stages {", CLUSTER + "\nstages {"), *((f"  {each}\n", f"  {each} on gpu\n") for each in stages))


def _lines(command: list[str], config: str) -> list[str]:
    """The lines of a config that a command names."""
    return Path(command[command.index(f"--{config}_config") + 1]).read_text(encoding="utf-8").splitlines()


def _stages(command: list[str]) -> list[str]:
    words = command[command.index("--stages") + 1 :]
    return words[: next(number for number, word in enumerate(words) if word.startswith("--"))]


def test_each_point_is_built_with_an_experiment_of_its_own(tones: Path, called: list[list[str]]) -> None:
    """Under `.esp3c/set`; where its results will be is said with absolute paths."""
    assert main(["run", "--sweep", "training.optimizer.lr=1e-3,3e-4", "--sweep", "recipe.seed=1,2"]) == 0

    spec = _spec(called)
    names = [f"lr={lr}-seed={seed}" for lr in ("1e-3", "3e-4") for seed in (1, 2)]
    assert [point["name"] for point in spec["points"]] == names
    assert (spec["keys"], spec["columns"]) == (["training.optimizer.lr", "recipe.seed"], ["lr", "seed"])
    last = spec["points"][-1]
    lines = _lines(last["here"], "training")
    assert [line for line in lines if line.startswith(("exp_tag", "seed", "  lr"))] == [
        "exp_tag: ctc-lr=3e-4-seed=2",
        "seed: 2",
        "  lr: 0.0003",
    ]
    exp = tones / "exp" / "ctc-lr=3e-4-seed=2"
    assert last["folder"] == str(exp)
    assert last["history"] == {"file": str(exp / "history.csv"), "metric": "valid/loss", "mode": "min"}
    assert last["metrics"] == [{"file": str(exp / "inference" / "metrics.json"), "label": ""}]
    assert len({Path(point["here"][1]).parent for point in spec["points"]}) == 4
    assert Path(last["here"][1]).parent.parent == tones / ".esp3c" / "set"


def test_what_does_the_same_for_all_points_is_done_once(tones: Path, called: list[list[str]]) -> None:
    assert main(["run", "--sweep", "training.optimizer.lr=1e-3,3e-4"]) == 0

    spec = _spec(called)
    assert _stages(spec["shared"]) == ["create_dataset", "collect_stats"]
    assert [_stages(point["here"]) for point in spec["points"]] == [["train", "infer", "measure"]] * 2
    assert {point["job"] for point in spec["points"]} == {None}


def test_points_that_measure_different_things_keep_what_they_find_apart(tones: Path, called: list[list[str]]) -> None:
    """`collect_stats` depends on the model."""
    assert main(["run", "--sweep", "training.model.hidden_size=32,48"]) == 0

    spec = _spec(called)
    assert _stages(spec["shared"]) == ["create_dataset"]
    assert _stages(spec["points"][0]["here"])[0] == "collect_stats"
    for point in spec["points"]:
        assert "stats_dir: ${exp_dir}/stats" in _lines(point["here"], "training")


def test_inferences_that_are_swept_share_the_training(tones: Path, called: list[list[str]]) -> None:
    """It is done once, and each writes into a folder of its own beside the others."""
    assert main(["run", "--sweep", 'inference.model.notes="do re","do mi"']) == 0

    spec = _spec(called)
    assert _stages(spec["shared"]) == ["create_dataset", "collect_stats", "train"]
    folders = [tones / "exp" / "ctc" / f"inference-notes=do-{each}" for each in ("re", "mi")]
    assert [point["metrics"][0]["file"] for point in spec["points"]] == [str(each / "metrics.json") for each in folders]
    assert "exp_tag: ctc" in _lines(spec["points"][0]["here"], "training")


def test_one_value_alone_is_a_point_as_well(tones: Path, called: list[list[str]]) -> None:
    assert main(["run", "--sweep", "training.optimizer.lr=1e-3"]) == 0

    spec = _spec(called)
    assert [point["folder"] for point in spec["points"]] == [str(tones / "exp" / "ctc-lr=1e-3")]


def test_a_sweep_that_names_its_experiments_is_left_to_it(tones: Path, called: list[list[str]]) -> None:
    """With another key, the point's name stands behind."""
    assert main(["run", "--sweep", 'recipe.exp_tag="a","b"']) == 0
    alone = [Path(point["folder"]).name for point in _spec(called)["points"]]
    assert main(["run", "--sweep", 'recipe.exp_tag="a","b"', "--sweep", "recipe.seed=1,2"]) == 0
    both = [Path(point["folder"]).name for point in _spec(called)["points"]]

    assert alone == ["a", "b"]
    assert both == ["a-seed=1", "a-seed=2", "b-seed=1", "b-seed=2"]


def test_tags_of_further_trainings_are_named_after_the_point_too(tones: Path, called: list[list[str]]) -> None:
    """But not that of a training that is the same in all points."""
    _edit(
        tones,
        (
            "inference {\n",
            'config short extends training { new exp_tag = "short"  trainer.max_epochs = 1 }\n\ninference {\n',
        ),
        ("  train\n", "  train_short requires short runs train\n  train\n"),
    )
    assert main(["run", "--sweep", "training.optimizer.lr=1e-3,3e-4"]) == 0
    follows = [line for line in _lines(_spec(called)["points"][0]["here"], "short") if line.startswith("exp_tag")]
    assert main(["run", "--sweep", "training.trainer.max_epochs=2,3"]) == 0
    spec = _spec(called)

    assert follows == ["exp_tag: short-lr=1e-3"]
    assert _stages(spec["shared"]) == ["create_dataset", "collect_stats", "train_short"]
    assert "exp_tag: short" in _lines(spec["points"][0]["here"], "short")


def test_the_same_command_finds_the_same_sweep_and_a_changed_recipe_is_another(
    tones: Path, called: list[list[str]]
) -> None:
    """How many run at once, and whether somebody waits, does not matter. A comment does not either."""
    words = ["run", "--sweep", "training.optimizer.lr=1e-3,3e-4"]
    assert main(words) == 0
    before = _files(tones)
    assert main([*words, "--sweep-jobs", "2"]) == 0
    same = called[-1]
    assert _files(tones) == before
    _edit(tones, ("recipe tones", "# A remark.\nrecipe tones"))
    assert main(words) == 0
    remarked = called[-1]
    _edit(tones, ("trainer { max_epochs = 10 ", "trainer { max_epochs = 11 "))
    assert main(words) == 0

    assert same[4:] == [called[0][4], "--jobs=2"]
    assert remarked == called[0]
    assert called[-1][4] != called[0][4]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_errors_of_all_points_are_said_with_their_names_and_nothing_is_written(
    tones: Path, called: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is said once, however many points have it."""
    before = _files(tones)

    assert main(["run", "--sweep", "training.optimizer.lr=1e-3,abc", "--sweep", 'recipe.seed=1,"x"']) == 1

    said = capsys.readouterr().err
    assert said.count("`abc` is not defined") == 1
    assert "--> --sweep training.optimizer.lr=abc:1:23" in said
    assert "  = in lr=abc-seed=1, lr=abc-seed=x\n" in said
    assert "  = in lr=1e-3-seed=x, lr=abc-seed=x\n" in said
    assert "2 errors, in 3 of 4 points; nothing was run" in said
    assert _files(tones) == before
    assert called == []


def test_a_mistake_of_the_recipe_itself_is_in_all_points(
    tones: Path, called: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    _edit(tones, ("max_epochs", "max_epoch"))

    assert main(["run", "--sweep", "recipe.seed=1,2,3"]) == 1

    said = capsys.readouterr().err
    assert said.count("did you mean `max_epochs`?") == 1
    assert "  = in all 3 points\n" in said
    assert called == []


@pytest.mark.parametrize(
    "words, changes, said",
    [
        (["notes=" + '"do re","do mi"'], [], "change what `create_dataset` makes in data"),
        (["recipe.seed=1,2", "--stages", "create_dataset"], [], "nothing that create_dataset does depends on these values"),
        (["metrics.metrics=[espnet3.systems.asr.metrics.wer.WER(ref_key = \"ref\", hyp_key = \"hyp\")],"
          "[espnet3.systems.asr.metrics.cer.CER(ref_key = \"ref\", hyp_key = \"hyp\")]"], [],
         "change neither a training nor an inference, so that all points would write to exp/ctc"),
        (["recipe.seed=1,2"], [('exp_tag = "ctc"', 'exp_dir = "${recipe_dir}/here"')],
         "`train` of several points would write to here; write `${exp_tag}` into `training.exp_dir`"),
        (["recipe.seed=1,2"], [('exp_tag = "ctc"', 'exp_tag = "${oc.env:TAG}"')], "is known only when it runs"),
        (["recipe.seed=1,2", "--detach"], [], "none of their stages runs there"),
        (["recipe.seed=1,2", "--on", "nowhere"], [], "the recipe has no such `parallel`"),
        (["recipe.seed=1,2", "--stages", "trian"], [], "did you mean `train`?"),
        (["recipe.seed=1,2", "--stages", "train"], [("  train\n", "  train on gpu\n"), ("devices = 1", "devices = 2  num_nodes = 2"),
          ("stages {", CLUSTER + "stages {")], "`train` of seed=1 wants 2 machines"),
    ],
)  # fmt: skip
def test_what_no_sweep_can_do_is_refused_and_nothing_is_written(
    words: list[str],
    changes: list[tuple[str, str]],
    said: str,
    tones: Path,
    called: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _edit(tones, *changes)
    before = _files(tones)

    assert main(["run", "--sweep", *words]) == 2

    assert said in capsys.readouterr().err
    assert _files(tones) == before
    assert called == []


def test_a_dry_run_says_the_points_and_writes_nothing(
    tones: Path, called: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    _to_cluster(tones, "train")
    before = _files(tones)

    assert main(["run", "--sweep", "recipe.seed=1,2", "--dry-run"]) == 0

    assert capsys.readouterr().out == (
        "2 points of `tones`, nothing is run:\n"
        "  seed=1\n"
        "  seed=2\n"
        "once for all: create_dataset, collect_stats\n"
        "for each point in a job: train, infer, measure\n"
    )
    assert _files(tones) == before
    assert called == []


# -- on a cluster ------------------------------------------------------------------------------------------------------


def test_from_the_first_stage_that_is_a_job_on_a_point_is_one_job(tones: Path, called: list[list[str]]) -> None:
    """With the setting of that stage, in what SLURM counts; what each point does before is done here."""
    _to_cluster(tones, "train", "infer")
    assert main(["run", "--sweep", "training.model.hidden_size=32,48", "--detach", "--sweep-jobs", "1"]) == 0

    spec = _spec(called)
    assert called[-1][5:] == ["--jobs=1", "--detach"]
    assert [_stages(point["here"]) for point in spec["points"]] == [["collect_stats"]] * 2
    assert [_stages(point["job"]) for point in spec["points"]] == [["train", "infer", "measure"]] * 2
    assert spec["setting"] == {
        "env": "slurm",
        "n_workers": 1,
        "options": {"partition": "p", "gpus_per_node": 2, "cpus_per_task": 4, "mem": "7630M", "time": 240},
    }


def test_a_job_of_a_point_is_one_process_with_the_cores_of_all(tones: Path, called: list[list[str]]) -> None:
    """Lightning starts the others itself."""
    _to_cluster(tones, "train")
    _edit(tones, ('accelerator = "cpu"  devices = 1', 'accelerator = "gpu"  devices = 2'))
    assert main(["run", "--sweep", "recipe.seed=1,2"]) == 0

    assert _spec(called)["setting"]["options"]["cpus_per_task"] == 8


def test_on_here_keeps_the_points_on_this_machine(tones: Path, called: list[list[str]]) -> None:
    _to_cluster(tones, "train", "infer")
    assert main(["run", "--sweep", "recipe.seed=1,2", "--on", "here"]) == 0

    spec = _spec(called)
    assert spec["setting"] is None
    assert [point["here"][-2:] for point in spec["points"]] == [["--on", "here"]] * 2


def test_on_a_parallel_of_the_recipe_sends_the_points_there(tones: Path, called: list[list[str]]) -> None:
    _to_cluster(tones, "measure")
    assert main(["run", "--sweep", "recipe.seed=1,2", "--on", "gpu", "--stages", "train", "infer"]) == 0

    assert _stages(_spec(called)["points"][0]["job"]) == ["train", "infer"]
