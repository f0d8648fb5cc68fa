"""What a bundle of somebody else cannot do, with trust and without."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from espnet3.publication.inference_model import InferenceModel, UntrustedCode
from espnet3.publication.sealed_folder import META, BundleError
from espnet3.utils.errors import ConfigError
from support.foreign import IDENTITY, MODEL, foreign, with_meta

LOADER = "espnet3.components.modeling.pretrained.load_pretrained"


@pytest.mark.parametrize("slashes", ["", "\\", "\\\\", "\\\\\\", "\\\\\\\\\\"])
@pytest.mark.parametrize("trust", [False, True])
def test_no_resolver_runs(tmp_path: Path, slashes: str, trust: bool) -> None:
    """However often its `${` is escaped, and wherever it stands: what it would make or read stays unmade and unread."""
    marker = tmp_path / "ran"
    for place, value in (
        ("model", f"{slashes}${{oc.create:{{_target_: pathlib.Path.touch, self: {marker}}}}}"),
        ("note", f"{slashes}${{oc.env:HOME}}"),
        ("output_fn", f"{slashes}${{oc.env:HOME}}"),
    ):
        bundle = foreign(tmp_path / place, {place: value})
        with pytest.raises(BundleError, match=rf"{place} refers to something outside of the bundle"):
            InferenceModel.from_packed(bundle, trust)
    bundle = foreign(tmp_path / "nested", {"model": {**IDENTITY, "_args_": [{"a": f"{slashes}${{oc.env:HOME}}"}]}})
    with pytest.raises(BundleError, match=r"model\._args_\[0\]\.a refers"):
        InferenceModel.from_packed(bundle, trust)
    assert not marker.exists()


def test_references_inside_the_config(tmp_path: Path) -> None:
    """They become what they refer to, with its kind; a target is looked at as what it becomes."""
    bundle = foreign(
        tmp_path / "plain",
        {
            "exp_dir": "${recipe_dir}/exp",
            "size": 3,
            "note": "${exp_dir}/x of ${size}",
            "model": {"_target_": "torch.nn.Linear", "in_features": "${size}", "out_features": "${model.in_features}"},
        },
    )
    model = InferenceModel.from_packed(bundle)
    assert model.config.note == f"{bundle}/exp/x of 3"
    assert model(torch.zeros(3)).shape == (3,)

    hidden = foreign(tmp_path / "hidden", {"a": "os", "b": "getcwd", "model": {"_target_": "${a}.${b}"}})
    with pytest.raises(UntrustedCode, match=r"model\._target_: os\.getcwd"):
        InferenceModel.from_packed(hidden)
    for name, keys in (("loop", {"a": "${b}", "b": "x${a}"}), ("node", {"a": "${model}"})):
        with pytest.raises(BundleError, match=r"refers to (itself|something outside)"):
            InferenceModel.from_packed(foreign(tmp_path / name, keys))
    bomb = {f"a{at}": f"${{a{at - 1}}}" * 10 for at in range(1, 12)}
    with pytest.raises(BundleError, match="becomes longer than"):
        InferenceModel.from_packed(foreign(tmp_path / "bomb", {"a0": "x", **bomb}))


@pytest.mark.parametrize("where", ["elsewhere", "inside"])
def test_its_files_do_not_take_the_place_of_packages(tmp_path: Path, where: str) -> None:
    """In a Python whose working folder comes first on the path, as with `-c`; loading it changes no folder."""
    names = ("hydra", "omegaconf", "lightning_utilities", "numpy", "safetensors", "inspect", "soundfile", "yaml")
    bundle = foreign(tmp_path / "bundle", {}, {f"{name}.py": "print('ran')\n" for name in names})
    # Python itself looks there first; what is loaded before the bundle is not the bundle's doing.
    code = (
        "import sys; sys.path.remove('')\n"
        "from espnet3.publication.inference_model import InferenceModel\n"
        "import os; sys.path.insert(0, ''); before = os.getcwd(), list(sys.path)\n"
        f"model = InferenceModel.from_packed({str(bundle)!r})\n"
        "import threading; model([1.0])\n"
        "assert (os.getcwd(), sys.path) == before\n"
        "print('loaded')"
    )
    here = bundle if where == "inside" else tmp_path
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("loaded\n", 0), done.stderr


def test_the_working_folder_stays_while_it_is_loaded_without_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    build = torch.nn.Identity.__init__

    def watched(self: torch.nn.Identity, *given: Any, **named: Any) -> None:
        seen.append(os.getcwd())
        build(self, *given, **named)

    monkeypatch.setattr(torch.nn.Identity, "__init__", watched)
    InferenceModel.from_packed(foreign(tmp_path / "bundle", {}))

    assert seen == [os.getcwd()]


def test_yaml_that_grows_or_holds_itself(tmp_path: Path) -> None:
    """Refused at once, in the config and in meta.yaml, as are files that are too large or nested too deep."""
    usual = "input_key: input\nmodel: {_target_: torch.nn.Identity}\n"
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 9)
    )
    texts = {
        "alias": (usual + bomb, r"has an alias, \*a0"),
        "itself": (usual + "x: &a {y: *a}\n", r"has an alias, \*a"),
        "deep": (usual + "x: " + "[" * 2000 + "]" * 2000, "nested deeper"),
        "set": (usual + "x: !!set {a, b}\n", "x is a set"),
        "number": (usual + "x: " + "9" * 5000, "is no YAML"),
        "large": (usual + "x: " + "y" * 3_000_000, "is larger than"),
        "list": ("- 1\n", "holds no config"),
    }
    began = time.monotonic()
    for name, (text, message) in texts.items():
        with pytest.raises(ConfigError, match=message):
            InferenceModel.from_packed(foreign(tmp_path / name, text))
    bundle = foreign(tmp_path / "meta", {})
    (bundle / META).write_text((bundle / META).read_text(encoding="utf-8") + bomb, encoding="utf-8")
    with pytest.raises(BundleError, match="has an alias"):
        InferenceModel.from_packed(bundle)

    assert time.monotonic() - began < 5.0


def test_everything_stays_inside_the_bundle(tmp_path: Path) -> None:
    """Links that lead out, listed or not, and paths that do."""
    outside = tmp_path / "outside.pt"
    torch.save({}, outside)
    files = {"w.pt": outside.read_bytes()}
    model = {"_target_": LOADER, "model": IDENTITY}
    for name, checkpoint in (("up", "${recipe_dir}/../outside.pt"), ("whole", str(outside)), ("rel", "../outside.pt")):
        bundle = foreign(tmp_path / name, {"model": {**model, "checkpoint": checkpoint}}, files)
        with pytest.raises(BundleError, match=r"leads out of the bundle|is no file of the bundle"):
            InferenceModel.from_packed(bundle)
    positional = foreign(tmp_path / "args", {"model": {"_target_": LOADER, "_args_": [IDENTITY, str(outside)]}})
    with pytest.raises(BundleError, match="must say `checkpoint`"):
        InferenceModel.from_packed(positional)

    bundle = foreign(tmp_path / "link", {}, files)
    (bundle / "w.pt").unlink()
    (bundle / "w.pt").symlink_to(outside)
    with pytest.raises(BundleError, match=r"w\.pt is a link that leads out of the bundle"):
        InferenceModel.from_packed(bundle)
    bundle = foreign(tmp_path / "folder", {})
    (bundle / "more").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="'more' was added"):
        InferenceModel.from_packed(bundle, trust_user_code=True)
    # A folder that is passed over when the files are looked at, and a link in it.
    bundle = foreign(tmp_path / "git", {"note": "${recipe_dir}/.git/x"})
    (bundle / ".git").mkdir()
    (bundle / ".git" / "x").symlink_to(outside)
    with pytest.raises(BundleError, match="note leads out of the bundle"):
        InferenceModel.from_packed(bundle, trust_user_code=True)


def test_links_of_a_hubs_cache_are_followed(tmp_path: Path) -> None:
    """Its snapshots are links to blobs beside them, and to nothing else."""
    torch.save({"weight": torch.full((1, 1), 2.0), "bias": torch.zeros(1)}, tmp_path / "w.pt")
    model = {
        "_target_": LOADER,
        "model": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1},
        "checkpoint": "${recipe_dir}/w.pt",
    }
    snapshot = foreign(
        tmp_path / "models--a" / "snapshots" / "abc", {"model": model}, {"w.pt": (tmp_path / "w.pt").read_bytes()}
    )
    blobs = tmp_path / "models--a" / "blobs"
    blobs.mkdir()
    (snapshot / "w.pt").rename(blobs / "0123")
    (snapshot / "w.pt").symlink_to("../../blobs/0123")

    assert InferenceModel.from_packed(snapshot)(torch.full((1,), 3.0)).tolist() == [6.0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"input_key": 3}, "input_key must be a name or a list of names, not 3"),
        ({"input_key": {"a": 1}}, "input_key must be a name or a list"),
        ({"input_key": [1]}, "input_key must be a name or a list"),
        ({"output_fn": ["os.system"]}, "output_fn must be a dotted path or a target"),
        ({"model": "torch.nn.Identity"}, "model must be a target"),
        ({"model": [IDENTITY]}, "model must be a target"),
        ({"model": {"_target_": ["torch.nn.Identity"]}}, "model._target_ is no dotted path"),
        ({"dataset": 3}, "dataset must be a mapping"),
        ({"batch_size": "two"}, "batch_size must be a whole number"),
        ({"provider": {"_target_": "hydra.utils.get_class", "path": LOADER}}, "provider: hydra.utils.get_class is no class"),
        ({"provider": 3}, "provider must name a class"),
        ({"runner": "torch.nn.functional.relu"}, "runner: torch.nn.functional.relu is no class"),
        ({"model": {"_target_": LOADER, "model": IDENTITY, "checkpoint": "bad.pt"}}, "model: .*bad.pt"),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit_are_said(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    """Nothing of it is an error of Python's."""
    bundle = foreign(tmp_path / "bundle", keys, {"bad.pt": b"no weights"})
    with pytest.raises(ConfigError, match=message):
        InferenceModel.from_packed(bundle, trust_user_code=True)


def test_a_class_that_is_looked_up_needs_trust(tmp_path: Path) -> None:
    """A provider is what its target names, not what a lookup would find."""
    known = "espnet3.systems.base.inference_provider.InferenceProvider"
    bundle = foreign(tmp_path / "bundle", {"provider": {"_target_": "hydra.utils.get_class", "path": known}})
    with pytest.raises(UntrustedCode, match=r"provider\._target_: hydra\.utils\.get_class"):
        InferenceModel.from_packed(bundle)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"sha256": {"conf/inference.yaml": {"size": 1}}}, "has no size and SHA-256 of conf/inference.yaml"),
        ({"sha256": {"conf/inference.yaml": "x"}}, "has no size and SHA-256"),
        ({"sha256": {5: {"size": 1, "sha256": "0" * 64}}}, "names 5, which is not inside it"),
        ({"sha256": {"conf/../x": {"size": 1, "sha256": "0" * 64}}}, "is not inside it"),
        ({"sha256": []}, "lists no files"),
        ({"format": 2}, "has the format 2"),
    ],
)
def test_a_meta_that_does_not_fit_is_said(tmp_path: Path, meta: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        InferenceModel.from_packed(with_meta(foreign(tmp_path / "bundle", {}), **meta))


def test_all_code_is_listed_and_none_but_the_listed_is_loaded(tmp_path: Path) -> None:
    """A compiled module is named like any other, and verified when it is loaded; one that was added is not found."""
    suffix = f"src/fast.cpython-{sys.version_info.major}{sys.version_info.minor}-x86_64-linux-gnu.so"
    files = {"src/__init__.py": "", "src/m.py": "from src import fast\n" + MODEL}
    bundle = foreign(tmp_path / "listed", {"model": {"_target_": "src.m.Model"}}, {**files, suffix: b"no library"})
    with pytest.raises(UntrustedCode, match=rf"own Python: src/__init__\.py, {suffix.replace('.', '[.]')}, src/m\.py"):
        InferenceModel.from_packed(bundle)

    late = "\n    def later(self):\n        import src.__pycache__.q\n"
    bundle = foreign(tmp_path / "added", {"model": {"_target_": "src.m.Model"}}, {**files, "src/m.py": MODEL + late})
    (bundle / "src" / "__pycache__").mkdir()
    (bundle / "src" / "__pycache__" / "q.py").write_text("raise SystemExit\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match=r"src\.__pycache__"):
        InferenceModel.from_packed(bundle, trust_user_code=True).model.later()


@pytest.mark.parametrize("name", ["os.py", "torch/x.py", "code/__init__.py", "numpy.cpython-311-x86_64-linux-gnu.so"])
def test_no_module_of_python_or_the_framework_is_displaced(tmp_path: Path, name: str) -> None:
    bundle = foreign(tmp_path / "bundle", {}, {name: ""})
    with pytest.raises(BundleError, match=rf"{name.replace('.', '[.]')} would take the place of"):
        InferenceModel.from_packed(bundle, trust_user_code=True)
    assert os.getcwd and torch.nn


def test_what_is_imported_late_is_found(tmp_path: Path) -> None:
    """In a generator that is read after the call, in a thread that outlives it, in a method that is called beside it."""
    body = (
        "import threading\n"
        + MODEL
        + "\n    def lazily(self):\n        from src.late import X\n        return X\n"
        + "    def forward(self, input):\n        import importlib\n        from .late import X\n        yield X\n"
        + "        yield importlib.import_module('src.later').Y\n"
    )
    models = []
    for each in "ab":
        files = {"src/__init__.py": "", "src/m.py": body, "src/late.py": f"X = '{each}'\n", "src/later.py": "Y = 1\n"}
        bundle = foreign(tmp_path / each, {"model": {"_target_": "src.m.Model"}}, files)
        models.append(InferenceModel.from_packed(bundle, trust_user_code=True))
    found: list[str] = []
    threads = [threading.Thread(target=lambda model=model: found.append(model.model.lazily())) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == ["a", "b"]
    assert [list(model([0.0])) for model in models] == [["a", 1], ["b", 1]]
    assert not [name for name in sys.modules if name.split(".")[0] == "src"]


def test_a_thread_of_a_call_imports_while_the_call_waits_for_it(tmp_path: Path) -> None:
    body = (
        "import threading\n"
        + MODEL.replace("return input", "found = []")
        + "        def work():\n            from src.late import X\n            found.append(X)\n"
        + "        thread = threading.Thread(target=work, daemon=True)\n        thread.start()\n"
        + "        thread.join(20)\n        return found\n"
    )
    files = {"src/__init__.py": "", "src/m.py": body, "src/late.py": "X = 1\n"}
    bundle = foreign(tmp_path / "bundle", {"model": {"_target_": "src.m.Model"}}, files)

    assert InferenceModel.from_packed(bundle, trust_user_code=True)([0.0]) == [1]


def test_a_transform_of_a_test_set_is_not_applied_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [{"name": "clean"}, {"name": "noisy", "transform": {"_target_": "src.noise.Noise"}}]
    InferenceModel.from_packed(foreign(tmp_path / "bundle", {"dataset": {"test": tests}}))

    assert "the transform of the test set 'noisy' is not applied" in capsys.readouterr().out


def test_a_licence_may_be_put_beside_a_bundle(tmp_path: Path) -> None:
    bundle = foreign(tmp_path / "bundle", {})
    (bundle / "LICENSE.md").write_text("free", encoding="utf-8")
    assert InferenceModel.from_packed(bundle).primary_input_key == "input"
    (bundle / "LICENSE.py").write_text("", encoding="utf-8")
    with pytest.raises(BundleError, match=r"'LICENSE\.py' was added"):
        InferenceModel.from_packed(bundle)


def test_hashes_are_those_of_the_files(tmp_path: Path) -> None:
    """The bundles of these tests are sound but for what each is about."""
    bundle = foreign(tmp_path / "bundle", {})
    listed = yaml.safe_load((bundle / META).read_text(encoding="utf-8"))["sha256"]["conf/inference.yaml"]["sha256"]
    assert listed == hashlib.sha256((bundle / "conf" / "inference.yaml").read_bytes()).hexdigest()
