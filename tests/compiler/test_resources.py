"""Resources, publication and safety: what they read, and that they are silent where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

import esp3c
from esp3c.check.machines import gpus
from esp3c.check.publication import refused
from esp3c.disk import DiskWorld
from esp3c.pipeline import compile
from esp3c.schema.lightning import STRATEGIES, TRAINER
from esp3c.schema.safety import harm
from esp3c.schema.types import Range
from esp3c.source import Source
from support.fixtures import check_text, ok_fixtures

ROOT = Path(__file__).parents[2]
RECIPES = [
    *sorted((ROOT / "recipes").glob("*/recipe.esp")),
    *sorted(Path(esp3c.__file__).parent.glob("templates/*/*.esp")),
]
FAMILIES = {"resources", "publication", "safety"}
NEW_KEYS = {"ESP0311", "ESP0312", "ESP0313", "ESP0314"}

HEAD = """
recipe r { system = espnet3.systems.asr.system.ASRSystem }
dataset digits { source = "mini_an4/asr" }
training {
  dataset { train = [digits(split = "a")]  valid = [digits(split = "b")] }
  model = elsewhere.Model()
  optimizer = elsewhere.Adam()
"""


def codes(text: str) -> list[str]:
    return [each.code.id for each in check_text(text)]


def on(trainer: str, machine: str) -> list[str]:
    """What is said of a training with this `trainer` block on this machine, for four hours where it is SLURM's."""
    machine = machine.replace("slurm(", "slurm(time = 4h, ")
    return codes(f"{HEAD}  trainer {{ {trainer} }}\n}}\nparallel m = {machine}\nstages {{ train on m }}\n")


@pytest.mark.parametrize("path", [*RECIPES, *ok_fixtures()], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_correct_recipe_gets_nothing_of_these_families(path: Path) -> None:
    assert len(RECIPES) >= 3
    text = path.read_text(encoding="utf-8")
    if path in RECIPES:
        found = compile(Source(path.name, text), DiskWorld(path.parent)).diagnostics
    else:
        found = tuple(check_text(text))

    assert [each for each in found if each.code.family in FAMILIES or each.code.id in NEW_KEYS] == []


# -- resources --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "machine",
    [
        'slurm(gres = "gpu:1")',
        "slurm(gpus_per_task = 1)",
        "slurm(exclusive = true)",
        "slurm(extra = { gpus = 4 })",
        'slurm(gpus_per_node = "${oc.env:GPUS}")',
        "local(n_workers = 2)",
    ],
)
def test_gpus_that_are_asked_for_in_another_way_are_not_known(machine: str) -> None:
    assert on('devices = 4  accelerator = "gpu"', machine) == []


@pytest.mark.parametrize("devices", ['"auto"', "-1", '"-1"', '[0, "${oc.decode:x}"]', '"${oc.env:DEVICES}"'])
def test_devices_that_are_no_count_are_not_known(devices: str) -> None:
    assert on(f"devices = {devices}", "slurm(gpus_per_node = 1)") == []
    assert on(f"devices = {devices}", "slurm(gpus_per_node = 8)") == []


@pytest.mark.parametrize("devices", ["[0, 1]", '"0,1"', '"2"', "2"])
def test_devices_that_are_listed_are_counted(devices: str) -> None:
    assert on(f"devices = {devices}", "slurm(gpus_per_node = 1)") == ["ESP0801"]
    assert on(f"devices = {devices}", "slurm(gpus_per_node = 2)") == []


def test_a_number_from_a_resolver_may_be_one() -> None:
    assert on('num_nodes = "${oc.decode:${oc.env:NODES}}"', "slurm(nodes = 4)") == []


def test_other_options_of_sbatch_ask_for_no_gpus() -> None:
    assert on('devices = 4  accelerator = "gpu"', "slurm(extra = { nice = 4 })") == ["ESP0804"]


@pytest.mark.parametrize(
    ("trainer", "machine", "expected"),
    [
        # What one side leaves open, the other says; so does a 1 of the trainer, which the defaults say.
        ("", "slurm(gpus_per_node = 4, ntasks_per_node = 4)", []),
        ("devices = 1", "slurm(gpus_per_node = 4, ntasks_per_node = 4, nodes = 2)", []),
        ("devices = 1", "slurm(gpus_per_node = 2, ntasks_per_node = 4)", ["ESP0801"]),
        ("devices = 1", "slurm(gpus_per_node = 4, ntasks_per_node = 2)", ["ESP0802"]),
        ("devices = 4  num_nodes = 2", "slurm(gpus_per_node = 4)", []),
        ('devices = "auto"', "slurm(gpus_per_node = 4)", []),
        ('devices = "auto"', "slurm(gpus_per_node = 4, ntasks_per_node = 2)", ["ESP0802"]),
        ("devices = 4", "slurm(gpus_per_node = 4, ntasks_per_node = 1)", ["ESP0814"]),
        ("devices = 4", 'slurm(gpus_per_node = 4, ntasks_per_node = "${oc.decode:x}")', []),
    ],
)
def test_a_job_has_the_shape_of_its_training(trainer: str, machine: str, expected: list[str]) -> None:
    assert on(trainer, machine) == expected


def test_devices_of_a_cpu_are_processes() -> None:
    assert on('devices = 8  accelerator = "cpu"', "slurm(mem = 32GB)") == []
    assert on("devices = 8", "slurm(mem = 32GB)") == []


@pytest.mark.parametrize(
    ("trainer", "machine", "expected"),
    [
        ("devices = 2", "slurm(gpus_per_node = 1)", "ESP0801"),
        ("devices = 2", 'slurm(gpus_per_node = "h100:4")', "ESP0802"),
        ("num_nodes = 2", "local()", "ESP0805"),
        ("devices = 2  num_nodes = 2", "slurm(gpus_per_node = 2, nodes = 4)", "ESP0805"),
    ],
)
def test_what_is_known_is_compared(trainer: str, machine: str, expected: str) -> None:
    assert on(trainer, machine) == [expected]


def test_a_training_that_runs_nowhere_in_particular_may_be_started_by_something_else() -> None:
    assert codes(f"{HEAD}  trainer {{ devices = 4  num_nodes = 8 }}\n}}\nstages {{ train }}\n") == []


def test_a_number_behind_a_reference_is_known_where_it_is_used() -> None:
    text = f"{HEAD}  num_device = 2\n  trainer {{ devices = num_device }}\n"
    text += "  dataloader { train { dist_world_size = trainer.devices }  valid { dist_world_size = 3 } }\n}\nstages { train }\n"

    (found,) = check_text(text)

    assert (found.code.id, found.primary.span.text) == ("ESP0806", "3")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2", 2),
        ("a100:2", 2),
        ("gpu:a100:2", 2),
        ("gpu:3", 3),
        ("a100", 1),
        ("a100:2,v100:1", 3),
        ("1x", None),
        ("", None),
    ],
)
def test_gpus_are_counted_as_slurm_counts_them(text: str, count: int | None) -> None:
    assert gpus(text) == count


def test_a_best_model_criterion_by_reference_is_followed() -> None:
    text = (
        HEAD + '  seed = 3\n  best_model_criterion = [["valid/loss", seed, "min"], ["valid/acc", exp_tag, "max"]]\n}\n'
    )

    assert codes(text + "stages { train }\n") == []


# -- the schema against the real things -------------------------------------------------------------------------------


def test_the_strategies_are_lightnings() -> None:
    from lightning.pytorch.strategies import StrategyRegistry

    assert {*StrategyRegistry.available_strategies(), "auto"} == set(STRATEGIES)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_epochs", -2), ("max_steps", -2), ("limit_train_batches", 1.5), ("limit_val_batches", -1),
        ("overfit_batches", -0.5), ("fast_dev_run", -1), ("num_nodes", 0), ("devices", 0),
        ("reload_dataloaders_every_n_epochs", -1), ("precision", 8), ("max_time", "12:00"), ("val_check_interval", "1h"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused_by_lightning(key: str, value: object) -> None:
    from lightning import Trainer

    known = TRAINER.key(key)
    assert known is not None
    if isinstance(value, str):
        assert known.text is not None
    else:
        assert known.numbers is not None and isinstance(value, int | float) and not known.numbers.holds(value)

    with pytest.raises(Exception, match=r".+"):
        Trainer(**{"accelerator": "cpu", "logger": False, key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_epochs", -1), ("max_epochs", 0), ("max_steps", -1), ("limit_train_batches", 0.5), ("limit_train_batches", 1),
        ("limit_train_batches", 10), ("limit_train_batches", 10.0), ("num_sanity_val_steps", -1), ("precision", 64),
        ("val_check_interval", 0.25), ("val_check_interval", 100), ("gradient_clip_val", 0), ("log_every_n_steps", 0),
        ("min_epochs", 0), ("fast_dev_run", 0),
    ],
)  # fmt: skip
def test_what_is_in_range_is_taken_by_lightning(key: str, value: float) -> None:
    from lightning import Trainer

    known = TRAINER.key(key)
    assert known is not None and known.numbers is not None and known.numbers.holds(value)

    Trainer(**{"accelerator": "cpu", "logger": False, "enable_checkpointing": False, key: value})  # type: ignore[arg-type]


def test_a_range_says_what_it_holds() -> None:
    assert Range(0, also=((-1.0, "for no limit"),)).words == "a number of at least 0, or -1 for no limit"
    assert Range(0, 1, above=True).words == "a number more than 0 and at most 1"
    assert Range(among=(16, 32, 64)).words == "16, 32 or 64"


# -- publication ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["espnet/digits", "a/b", "my-team_1/digits.ctc-v1.0", "A1/" + "x" * 96])
def test_a_name_that_the_hub_takes(name: str) -> None:
    assert refused(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "", "digits", "a/b/c", "a/", "/b", "my team/b", "a/b--c", "a/b..c", "a/-b", "a/b-", "a/.b", "a/b.", "-a/b",
        "a/b.git", "a/größe", "a/b\n", "a/" + "x" * 97, "https://hub.example/a/b", "a/b@main",
    ],
)  # fmt: skip
def test_a_name_that_the_hub_refuses(name: str) -> None:
    assert refused(name)


def test_a_stage_of_ones_own_may_make_the_bundle() -> None:
    text = f'{HEAD}}}\npublication {{ upload_model {{ hf_repo = "a/b" }} }}\n'

    assert codes(text + "stages { train  upload_model }\n") == ["ESP0902"]
    assert codes(text + "stages { train  make_bundle requires training runs elsewhere.bundle  upload_model }\n") == []


def test_an_experiment_that_is_there_may_be_packed() -> None:
    text = f"{HEAD}}}\npublication {{ pack_model {{ readme = null }} }}\nstages {{ pack_model }}\n"

    assert codes(text) == ["ESP0903", "ESP0908"]
    assert codes(text.replace("model =", 'exp_dir = "/exp/done"\n  model =', 1)) == ["ESP0908"]


# -- safety -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["os.system", "os.execvp", "os.spawnl", "subprocess.Popen", "builtins.eval", "pickle.loads", "ctypes.CDLL", "runpy.run_path",
     "torch.hub.load", "yaml.unsafe_load", "importlib.import_module", "shutil.rmtree", "joblib.load", "dill.loads"],
)  # fmt: skip
def test_what_executes_is_known(path: str) -> None:
    assert harm(path)


@pytest.mark.parametrize(
    "path",
    ["os.path.join", "torch.load", "yaml.safe_load", "torch.nn.Linear", "os.environ.get", "codecs.lookup", "code_switch.Model",
     "subprocessing.Run", "pathlib.Path", "builtins.dict", "pickle_tools.read", "numpy.load"],
)  # fmt: skip
def test_what_only_looks_like_it_is_left_alone(path: str) -> None:
    assert harm(path) is None


def test_reading_a_file_is_no_harm() -> None:
    text = f'{HEAD}  fit = {{ a = builtins.open(file = "x"), b = builtins.open(file = "x", mode = "rb") }}\n}}\nstages {{ train }}\n'

    assert codes(text) == []


@pytest.mark.parametrize(
    "setting",
    [
        'exp_dir = "/scratch/me/exp"', 'exp_dir = "${oc.env:SCRATCH}/../exp"', 'data_dir = "${recipe_dir}/a/../data"',
        'stats_dir = "${exp_dir}/../stats"', 'dataset_dir = "../../corpora"', 'data_dir = "/usr2/data"', 'data_dir = "a..b/c"',
    ],
)  # fmt: skip
def test_a_folder_that_is_fine(setting: str) -> None:
    assert codes(f"{HEAD}  {setting}\n}}\nstages {{ train }}\n") == []


@pytest.mark.parametrize(
    "setting",
    ['exp_dir = "../exp"', 'data_dir = "data/../../data"', 'stats_dir = "${exp_dir}/../../../stats"', 'exp_dir = "/etc/exp"',
     'exp_tag = ".."', 'data_dir = "/tmp/../usr/lib"', 'data_dir = "~/data"'],
)  # fmt: skip
def test_a_folder_that_is_not(setting: str) -> None:
    assert codes(f"{HEAD}  {setting}\n}}\nstages {{ train }}\n") == ["ESP1004"]


def test_a_backend_that_is_none_is_said_once() -> None:
    text = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\nparallel here = lcal(n_workers = 2)\n"
    found = [each.code.id for each in check_text(text + "training { parallel = here }\n")]

    assert found == ["ESP0202"]


def test_the_form_of_yaml_has_shards_too() -> None:
    text = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\n"
    parallel = 'training { parallel { env = "local"  n_workers = 2  n_shards = 8 } }\n'

    assert [each.code.id for each in check_text(text + parallel)] == []
    assert [each.code.id for each in check_text(text + parallel.replace('"local"', '"daks"'))] == ["ESP0302"]


def test_an_option_of_a_cluster_with_a_slip_is_found_and_an_unknown_one_is_left_to_its_library() -> None:
    text = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\n"
    parallel = 'training { parallel { env = "pbs"  n_workers = 2  options { cores = 2  memory_limit = "4GB" } } }\n'

    assert [each.code.id for each in check_text(text + parallel)] == []
    assert [each.code.id for each in check_text(text + parallel.replace("cores", "coers"))] == ["ESP0301"]


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("mem = 4GB", "did you mean `memory`?"),
        ("time = 2h", "did you mean `walltime`?"),
        ('partition = "x"', "did you mean `queue`?"),
        ("options = { cores = 1 }", "write what is in it here itself: `cores = …`"),
    ],
)
def test_a_word_of_another_queue_leads_to_that_of_this_one(written: str, label: str) -> None:
    text = f"recipe r {{ system = espnet3.systems.asr.system.ASRSystem }}\nparallel grid = pbs(cores = 2, {written})\n"
    (found,) = check_text(text + "training { parallel = grid }\n")

    assert (found.code.id, found.primary.text) == ("ESP0301", label)
