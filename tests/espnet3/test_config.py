"""Config files: composing, merging, resolving, and errors that name file and line."""

import logging
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from espnet3.utils.config_utils import (
    ConfigError,
    load_and_merge_config,
    load_config_with_defaults,
    load_default_config,
    place_of,
    resolve_config,
    self_name,
)
from espnet3.utils.run_utils import (
    apply_training_experiment_context,
    parallel_for_stage,
    resolve_loaded_configs,
    validate_experiment_context,
)

BASE = "espnet3.systems.base"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_defaults_compose_in_their_order(folder: Path) -> None:
    """Later wins, a group goes under its name, `_self_` says where this file comes."""
    write("conf/common.yaml", "a: common\nb: common\nc: common\n")
    write("conf/optimizer/base.yaml", "weight_decay: 0.1\nlr: 1\n")
    write("conf/optimizer/adam.yaml", "defaults: [base]\nlr: 1e-3\n")
    write("conf/last.yaml", "c: last\n")
    path = write(
        "conf/t.yaml",
        "defaults:\n  - common\n  - optimizer: adam\n  - optional local: me\n  - _self_\n  - last\n"
        "b: self\nc: self\noptimizer:\n  eps: 2\n",
    )

    assert OmegaConf.to_container(load_config_with_defaults(path)) == {
        "a": "common",
        "b": "self",
        "c": "last",
        "optimizer": {"weight_decay": 0.1, "lr": 0.001, "eps": 2},
    }


def test_self_comes_last_where_it_is_not_written(folder: Path) -> None:
    """A file wins over what it includes; a global package lifts a group's content up."""
    write("g/x.yaml", "a: 1\nb: 1\n")
    path = write("t.yaml", "defaults:\n  - g@_global_: x\na: 2\n")

    assert OmegaConf.to_container(load_config_with_defaults(path)) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"t.yaml": "a: 1\nb:\n  c: 1\n  c: 2\n"}, r"t.yaml:4:3: the key 'c' stands here a second time"),
        ({"t.yaml": "a: [1\nb: 2\n"}, r"t.yaml:2:2: .*\(while parsing a flow sequence\)"),
        ({"t.yaml": "- 1\n"}, r"t.yaml:1: a config file holds keys and values"),
        ({"u.yaml": "a: 1\n"}, r"t.yaml: there is no such config file; \. has u.yaml"),
        (
            {"t.yaml": "defaults: [u]\n", "u.yaml": "defaults: [t]\n"},
            r"in a circle: t.yaml -> u.yaml -> t.yaml",
        ),
        ({"t.yaml": "a: 1\ndefaults:\n  - nope\n"}, r"t.yaml:3: the defaults name nope.yaml, which does not"),
        ({"t.yaml": "defaults:\n  - override g: x\n"}, r"t.yaml:2: `override g`: only `optional`"),
        ({"t.yaml": "defaults:\n  - '${x}'\n"}, r"t.yaml:2: `defaults` are read before values are known"),
        ({"t.yaml": "rate: 1\nx:\n  y: ${rat}\n"}, r"t.yaml:3: x.y: \$\{rat\} names a .*did you mean 'rate'"),
        ({"t.yaml": "x: ${lr\n"}, r"t.yaml:1: "),
        ({"t.yaml": "a: 1\nb: ${lod_line:x}\n"}, r"t.yaml:2: b: Unsupported interpolation type lod_line"),
        ({"t.yaml": "a: ???\nb: ${a}\n"}, r"t.yaml:2: b: it refers to a value that is not set"),
    ],
)
def test_mistakes_name_file_and_line(folder: Path, files: dict[str, str], message: str) -> None:
    """The message is enough to find the place."""
    for name, text in files.items():
        write(name, text)
    with pytest.raises(ConfigError, match=message):
        load_config_with_defaults("t.yaml")


def test_yaml_is_read_by_omegaconfs_rules(folder: Path) -> None:
    """What `OmegaConf.load` reads, this reads alike."""
    text = "a: 1e-3\nb: 2020-01-01\nc: yes\nd: 1_000\ne: 0x10\nf: ~\ng: '5'\nh: .5\ni: 12:30\n"
    text += "j: &x {k: 1}\nl: *x\n"
    path = write("t.yaml", text)

    assert load_config_with_defaults(path) == OmegaConf.load(path)
    assert load_config_with_defaults(path).a == 0.001
    assert load_config_with_defaults(write("empty.yaml", "# nothing\n")) == {}


def test_self_name_is_the_stem_of_the_file_in_which_it_stands(folder: Path) -> None:
    """Also of an included file; in a system's defaults, that of the user's file."""
    write("conf/common.yaml", "from_common: ${self_name:}\n")
    path = write("conf/training_large.yaml", "defaults: [common]\nown: x_${self_name:}\n")
    config = load_config_with_defaults(path)
    merged = load_and_merge_config(path, "training.yaml", BASE)

    assert config == {"from_common": "common", "own": "x_training_large"}
    assert merged is not None
    assert (merged.exp_tag, merged.exp_dir) == ("training_large", "./exp/training_large")
    assert load_default_config("inference.yaml", BASE)._get_node("inference_dir")._value() == "${exp_dir}/inference"
    assert OmegaConf.create({"a": "${self_name:conf/x.yaml}"}).a == "x"
    with pytest.raises(ConfigError, match="a meaning only in a config file"):
        self_name()


def test_lines_of_a_file_that_a_later_stage_writes_stay_open(folder: Path) -> None:
    """Resolving does not need the file; reading the value does, and finds it once it is there."""
    path = write(
        "t.yaml",
        "out: data\ntokens: ${load_line:${out}/tokens.txt}\nmodel:\n  tokens: ${tokens}\n  a: ${out}\n",
    )
    config = load_config_with_defaults(path)
    with pytest.raises(InterpolationResolutionError, match="if a stage writes it"):
        _ = config.model.tokens
    write("data/tokens.txt", "<blank>\n a\nb\n")

    assert config.model.a == "data"
    assert config.model.tokens == ["<blank>", " a", "b"]
    resolve_config(config)
    assert OmegaConf.to_container(config, resolve=False)["model"]["tokens"] == ["<blank>", " a", "b"]


def test_a_config_that_was_not_asked_for_is_none() -> None:
    """None in, None out."""
    assert load_and_merge_config(None, "training.yaml", BASE) is None


def test_defaults_must_exist(folder: Path) -> None:
    """A package or file of defaults that is not there is named."""
    path = write("t.yaml", "a: 1\n")
    with pytest.raises(ConfigError, match=r"no package 'espnet3\.systems\.nope'"):
        load_and_merge_config(path, "training.yaml", "espnet3.systems.nope")
    with pytest.raises(ConfigError, match=r"has no defaults conf/nope.yaml"):
        load_and_merge_config(path, "nope.yaml", BASE)


def test_places_survive_merging(folder: Path) -> None:
    """A key knows the user's file and line, a default the file of defaults."""
    path = write("conf/training.yaml", "exp_tag: a\ntrainer:\n  max_epochs: 3\n")
    config = load_and_merge_config(path, "training.yaml", BASE)
    assert config is not None

    assert place_of(config, "trainer.max_epochs") == "conf/training.yaml:3"
    assert place_of(config, "trainer.max_epochs.deeper") == "conf/training.yaml:3"
    assert place_of(config, "trainer.devices").partition(":")[0].endswith("systems/base/conf/training.yaml")
    assert place_of(config, "nope") == ""


def _configs(training: str | None = "exp_tag: ctc\n") -> tuple[object, object, object]:
    loaded = []
    for name, text in (
        ("training", training),
        ("inference_beam", "input_key: speech\n"),
        ("metrics", "metrics: []\n"),
    ):
        path = None if text is None else write(f"conf/{name}.yaml", text)
        kind = name.partition("_")[0]
        loaded.append(load_and_merge_config(path, f"{kind}.yaml", BASE, resolve=False))
    return loaded[0], loaded[1], loaded[2]


def test_one_experiment_for_all_configs(folder: Path) -> None:
    """exp_tag and exp_dir come from training, inference_dir from inference; further configs take part."""
    training, inference, metrics = _configs()
    export = OmegaConf.create({"path": "${exp_dir}/model.onnx"})
    apply_training_experiment_context(
        training_config=training,
        inference_config=inference,
        metrics_config=metrics,
        publication_config=None,
        log=logging.getLogger("test"),
        further_configs=[export, None],
    )
    validate_experiment_context(
        training_config=training,
        inference_config=inference,
        metrics_config=metrics,
        stages_to_run=["train", "infer", "measure"],
    )
    resolve_loaded_configs(training, inference, metrics, None, export)

    assert inference.inference_dir == "./exp/ctc/inference_beam"
    assert metrics.inference_dir == "./exp/ctc/inference_beam"
    assert export.path == "./exp/ctc/model.onnx"


def test_inference_without_an_experiment_is_refused(folder: Path) -> None:
    """The message names the stage and both ways out."""
    _, inference, metrics = _configs(training=None)
    with pytest.raises(ConfigError, match=r"stage `infer`: .*give --training_config.* or set exp_tag"):
        validate_experiment_context(
            training_config=None, inference_config=inference, metrics_config=metrics, stages_to_run=["infer"]
        )


def test_an_experiment_that_is_null_is_none(folder: Path) -> None:
    """`exp_tag:` with nothing behind it makes no folder called None; another config's experiment goes in its place."""
    empty = "recipe_dir: .\nexp_tag:\nexp_dir: ${recipe_dir}/exp/${exp_tag}\ninference_dir: ${exp_dir}/beam\n"
    alone, carried = (OmegaConf.create(empty) for _ in range(2))
    training = OmegaConf.create("exp_tag: ctc\nexp_dir: exp/ctc\n")
    arguments = {"metrics_config": None, "stages_to_run": ["infer"]}
    with pytest.raises(ConfigError, match=r"stage `infer`: .*exp_tag; give --training_config.* or set exp_tag"):
        validate_experiment_context(training_config=None, inference_config=alone, **arguments)
    with pytest.raises(ConfigError, match=r"exp_dir of the training config .*; name the experiment with exp_tag"):
        apply_training_experiment_context(
            training_config=OmegaConf.create(empty),
            inference_config=None,
            metrics_config=None,
            publication_config=None,
            log=logging.getLogger("test"),
        )
    apply_training_experiment_context(
        training_config=training,
        inference_config=carried,
        metrics_config=None,
        publication_config=None,
        log=logging.getLogger("test"),
    )
    validate_experiment_context(training_config=training, inference_config=carried, **arguments)

    assert carried.inference_dir == "exp/ctc/beam"


def test_metrics_alone_look_where_inference_usually_writes(folder: Path) -> None:
    """Without an inference config the default place is `<exp_dir>/inference`."""
    training, _, metrics = _configs()
    apply_training_experiment_context(
        training_config=training,
        inference_config=None,
        metrics_config=metrics,
        publication_config=None,
        log=logging.getLogger("test"),
    )

    assert metrics.inference_dir == "./exp/ctc/inference"


def test_the_machine_of_a_stage() -> None:
    """A stage's own setting, else the config's, else none."""
    config = OmegaConf.create({"parallel": {"env": "local"}, "stage_parallel": {"infer": {"env": "slurm"}}})

    assert parallel_for_stage(config, "infer") == {"env": "slurm"}
    assert parallel_for_stage(config, "train") == {"env": "local"}
    assert parallel_for_stage(OmegaConf.create({}), "train") is None
    assert parallel_for_stage(None, "train") is None
