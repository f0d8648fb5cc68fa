"""Publication: what is packed exists, the bundle has a place of its own, and the hub takes its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values, config_value
from esp3c.check.checkpoints import not_written
from esp3c.check.flow import flow_of
from esp3c.check.flow_base import stock
from esp3c.check.machines import built_in, followed
from esp3c.check.own_code import code_may, stages_may
from esp3c.check.paths import written_out
from esp3c.check.rule import needs_whole_file
from esp3c.check.targets_used import objects_of
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Config, LinkNode, ListNode, MapNode, Node, Recipe, Scalar, Text, strip
from esp3c.suggest import nearest
from esp3c.world import World

LONGEST_NAME = 96
"""How many characters the hub allows for the name of a repository."""

_HUB = re.compile(r"[A-Za-z0-9._-]+")


@explained("ESP0901", "a name that the hub would refuse")
def hub_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`hf_repo` is not the name of a repository on the Hugging Face hub.

        publication { upload_model { hf_repo = "my team/digits--ctc" } }

    It is `owner/name`, in letters, digits, `-`, `_` and `.`; no `--` or `..`, no `-` or `.` at an end, not `.git` at the
    end, and at most 96 characters for the name.
    """
    for config in recipe.configs.values():
        for node in all_values(config.root) if config.kind in {"publication", "demo"} else ():
            for entry in node.entries if isinstance(node, MapNode) else ():
                name = written_out(recipe, config.root, entry.value) if entry.name == "hf_repo" else None
                why = refused(name) if name is not None else None
                if why is not None:
                    message = f"`{name}` is not a name for a repository on the hub"
                    yield Diagnostic(code_of(hub_name), message, Label(entry.value.span, why))


def refused(name: str) -> str | None:
    """Why the hub would refuse the name of a repository; None where it would not."""
    if "://" in name:
        return "the name alone, `owner/name`, without the address"
    parts = name.split("/")
    if len(parts) != 2 or not all(parts):
        return "it is `owner/name`"
    for part in parts:
        if not _HUB.fullmatch(part):
            odd = next(letter for letter in part if not _HUB.fullmatch(letter))
            return "it holds a blank" if odd == " " else f"`{odd}` is not allowed in it"
        if part[0] in "-." or part[-1] in "-.":
            return f"`{part}` begins or ends with `-` or `.`"
    if "--" in name or ".." in name:
        return "`--` and `..` are not allowed in it"
    if parts[1].endswith(".git"):
        return "`.git` does not belong to the name"
    if len(parts[1]) > LONGEST_NAME:
        return f"the name has {len(parts[1])} characters, and {LONGEST_NAME} are allowed"
    return None


_MAKES = {"upload_model": "pack_model", "upload_demo": "pack_demo", "pack_demo": "pack_model"}
"""A stage of publication, and the one that makes what it takes."""


_PACKING = r"pack|bundle|hf_|upload|publish|make_archive|tarfile|zipfile"
_TRAINING = r"\.fit\(|save|\.ckpt|\.pth?\b|checkpoint|def train\b|\.train\(|download"
_TRAINERS = r"train|fit|tune|fetch|average|download|convert|distil|prune|quanti"
"""What stands in code that makes a bundle, or a trained model; and in the names of stages that do."""

_MAKING = {
    "train_tokenizer": r"token|save_path|spm|sentencepiece",
    "infer": r"inference|\.scp|infer",
    "collect_stats": r"stats",
    "measure": r"metric|score|json",
}
"""What stands in code that makes what one of ESPnet3's stages makes."""


@explained("ESP0902", "nothing makes what is published")
@needs_whole_file
def nothing_packed(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage publishes a bundle, and no stage of the recipe makes it.

        stages { train  upload_model }

    `upload_model` sends what `pack_model` wrote, `upload_demo` what `pack_demo` wrote, and a demo goes with a model's
    bundle. Put the stage before it.
    """
    if stages_may(recipe, world, _PACKING):
        return
    there = {built_in(stage) for stage in recipe.stages}
    for stage in recipe.stages:
        name = built_in(stage) or ""
        wanted = _MAKES.get(name)
        if wanted is None or wanted in there or (name == "pack_demo" and _has_model(recipe)):
            continue
        yield Diagnostic(
            code_of(nothing_packed),
            f"`{name}` takes what `{wanted}` makes, and the recipe has no such stage",
            Label(stage.name_span, f"put `{wanted}` before it"),
        )


def _has_model(recipe: Recipe) -> bool:
    """Whether the demo says itself which model it shows."""
    demo = recipe.configs.get("demo")
    return demo is not None and config_value(demo, "model.dir_or_tag") is not None


_WRITES = {"exp_dir": "train", "inference_dir": "infer", "stats_dir": "collect_stats"}
"""ESPnet3's folders, and the stages that fill them."""


@explained("ESP0903", "what is packed is not made before", Severity.WARNING)
@needs_whole_file
def not_made_before(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`pack_model` takes files that no stage before it makes.

        publication { pack_model { files { scores = "${inference_dir}/metrics.json" } } }
        stages { train  pack_model  infer  measure }

    The bundle would lack them, or hold those of an earlier run. Without `train`, there is no model to pack, unless
    `exp_dir` is set to a training that is there.
    """
    order = [built_in(stage) for stage in recipe.stages]
    if "pack_model" not in order:
        return
    before = order[: order.index("pack_model")]
    stage = recipe.stages[order.index("pack_model")]
    config = recipe.configs.get("publication")
    packed = followed(config.root, config.root.get("pack_model")) if config is not None else None
    if not stock(flow_of(recipe, world), "pack_model"):
        # Nobody knows what a method of one's own packs.
        return
    if "train" not in order and not _elsewhere(recipe) and not stages_may(recipe, world, _TRAINING, _TRAINERS):
        label = Label(stage.name_span, "put `train` before it, or set `exp_dir` to a training that is there")
        yield Diagnostic(code_of(not_made_before), "`pack_model` has no trained model to pack", label)
    if config is None or not isinstance(packed, MapNode):
        return
    for node in _files(config.root, packed):
        wanted = _made_by(node) or ("train_tokenizer" if _tokenizer_file(recipe, config, node) else None)
        # That `pack_model` stands before `train` is said where the stages stand.
        if wanted is None or wanted in before or wanted == "train" or stages_may(recipe, world, _MAKING[wanted]):
            continue
        yield Diagnostic(
            code_of(not_made_before),
            f"`{wanted}` makes this, and does not run before `pack_model`",
            Label(node.span, f"made by `{wanted}`"),
            secondary=(Label(stage.name_span, f"put `{wanted}` before this stage"),),
        )


_MADE = frozenset({"conf", "run.py", "system.py", "recipe_data", "data", "exp", ".esp3c"})
"""What a build or a stage writes into the recipe's folder."""


def _elsewhere(recipe: Recipe) -> bool:
    roots = [recipe.settings, *(config.root for config in recipe.configs.values())]
    return any(root.get(key) is not None for root in roots for key in ("exp_dir", "recipe_dir"))


def _files(root: MapNode, packed: MapNode) -> Iterator[Node]:
    """The files that the bundle takes, as they are written."""
    for key in ("include", "files", "yaml_files", "inference_dir", "readme"):
        node = packed.get(key)
        value = followed(root, node) if node is not None else None
        if isinstance(value, ListNode):
            yield from value.items
        elif isinstance(value, MapNode):
            yield from (entry.value for entry in value.entries)
        elif node is not None:
            yield node


def _made_by(node: Node) -> str | None:
    """The stage that makes a file, by the folder with which its text begins."""
    value = strip(node)
    first = value.parts[0] if isinstance(value, Text) and value.parts else value
    if not isinstance(first, LinkNode) or not first.scaffold:
        return None
    last = value.parts[-1] if isinstance(value, Text) else ""
    if isinstance(last, str) and last.endswith("metrics.json"):
        return "measure"
    return _WRITES.get(str(first.place[0]))


def _tokenizer_file(recipe: Recipe, config: Config, node: Node) -> str | None:
    """The name of a file in the folder that `train_tokenizer` fills; None for any other."""
    training = recipe.configs.get("training")
    saved = config_value(training, "tokenizer.save_path") if training is not None else None
    folder = written_out(recipe, training.root, saved) if training is not None else None
    path = written_out(recipe, config.root, node)
    if folder is None or path is None or not path.startswith(folder.rstrip("/") + "/"):
        return None
    return path[len(folder.rstrip("/")) + 1 :]


@explained("ESP0904", "the bundle has no folder of its own")
def bundle_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`out_dir` of `pack_model` or `pack_demo` is a folder that holds something else.

        publication { pack_model { out_dir = "${exp_dir}"  allow_overwrite = true } }

    The stage replaces nothing but what it wrote itself, so it would find its folder taken. Write a folder of its own,
    `"${exp_dir}/model_pack"` for the bundle and `"${exp_dir}/demo"` for the page.
    """
    places: dict[str, str] = {}
    for kind, stage, what, usual in _FOLDERS:
        config = recipe.configs.get(kind)
        written = config_value(config, f"{stage}.out_dir") if config is not None else None
        if config is None or written is None:
            continue
        path = written_out(recipe, config.root, written)
        there = places.get(path) if path is not None else None
        taken = _taken(recipe, config, written) or _python_folder(recipe, world, written) or there
        if taken is not None:
            message = f"the {what} would be written over `{taken}`"
            label = Label(written.span, f'a folder of its own, such as "${{exp_dir}}/{usual}"')
            yield Diagnostic(code_of(bundle_folder), message, label)
        if path is not None:
            places[path] = f"{kind}.{stage}.out_dir"


_FOLDERS = (("publication", "pack_model", "bundle", "model_pack"), ("demo", "pack_demo", "page", "demo"))
"""The folders that stages of publication write: config, stage, what it is, and its usual name."""


def _taken(recipe: Recipe, config: Config, node: Node) -> str | None:
    value = strip(node)
    if isinstance(value, LinkNode):
        return str(value.place[0]) if value.scaffold and str(value.place[0]).endswith("_dir") else None
    text = written_out(recipe, config.root, node)
    if text is None:
        return None
    only = value.parts[0] if isinstance(value, Text) else None
    if isinstance(only, LinkNode) and only.scaffold and isinstance(value, Text):
        rest = "".join(part for part in value.parts[1:] if isinstance(part, str))
        return str(only.place[0]) if not rest.strip("/.") and len(value.parts) <= 2 else None
    return "recipe_dir" if not text.strip("/.") and not text.startswith("/") and ".." not in text else None


def _python_folder(recipe: Recipe, world: World, node: Node) -> str | None:
    """The folder of the recipe's own Python that a path is."""
    value = strip(node)
    text = value.value if isinstance(value, Scalar) else None
    path = "/".join(part for part in text.split("/") if part not in {"", "."}) if isinstance(text, str) else ""
    if path in {"conf", "recipe_data"}:
        return path
    for target, _, _ in objects_of(recipe):
        module = target.module
        if path and module is not None and module.local and f"{target.path}.".startswith(path.replace("/", ".") + "."):
            return path
    return None


@explained("ESP0905", "a bundle that contradicts itself")
def bundle_lists(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The same files are put into the bundle and left out of it.

        publication { pack_model { include = ["data/lm"]  exclude = ["data/lm"] } }

    Take them out of one of the two lists.
    """
    config = recipe.configs.get("publication")
    packed = followed(config.root, config.root.get("pack_model")) if config is not None else None
    if config is None or not isinstance(packed, MapNode):
        return
    include, exclude = (followed(config.root, packed.get(key)) for key in ("include", "exclude"))
    if not isinstance(include, ListNode) or not isinstance(exclude, ListNode):
        return
    wanted = {each.value: each for each in map(strip, include.items) if isinstance(each, Scalar)}
    for each in map(strip, exclude.items):
        if isinstance(each, Scalar) and each.value in wanted:
            message = f"`{each.value}` is put into the bundle and left out of it"
            because = (Label(wanted[each.value].span, "put in here"),)
            yield Diagnostic(code_of(bundle_lists), message, Label(each.span, "left out here"), because)


@explained("ESP0906", "a file to pack that will not be there", Severity.WARNING)
def file_not_there(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`pack_model` takes a file of the recipe's folder that is not there, or a tokenizer of another kind than is trained.

        training { tokenizer { model_type = "bpe"  save_path = "${data_dir}/tokenizer" } }
        publication { pack_model { include = ["src/modle.py"]  files { t = "${data_dir}/tokenizer/unigram.model" } } }

    `train_tokenizer` names the model's file after `model_type`. Only plain paths are looked for, outside of what a build
    or a stage writes.
    """
    config = recipe.configs.get("publication")
    packed = followed(config.root, config.root.get("pack_model")) if config is not None else None
    if config is None or not isinstance(packed, MapNode):
        return
    for node in _files(config.root, packed):
        path = _plain_file(recipe, config, node)
        if path is not None and world.has(path) is False and not _may_be_made(recipe, world, path):
            near = nearest(path.rpartition("/")[2], world.beside(path))
            label = f"did you mean `{near[0]}`?" if near else "no such file in the recipe's folder"
            yield Diagnostic(code_of(file_not_there), f"there is no `{path}`", Label(node.span, label))
        beside = _tokens_elsewhere(recipe, config, node)
        if beside is not None and not code_may(recipe, world, rf"{re.escape(beside[0])}"):
            message = f"`train_tokenizer` does not write `{beside[0]}` into `{beside[1]}`"
            place = Label(node.span, f"it writes into `{beside[2]}`")
            yield Diagnostic(code_of(file_not_there), message, place)
        written = _tokenizer_file(recipe, config, node)
        kind = _tokenizer_kind(recipe)
        if written is not None and kind is not None and written in {f"{each}.model" for each in _KINDS - {kind}}:
            message = f"`train_tokenizer` writes `{kind}.model`, not `{written}`"
            yield Diagnostic(code_of(file_not_there), message, Label(node.span, f"`{kind}.model` is there"))


_KINDS = frozenset({"bpe", "unigram", "char", "word"})


def _plain_file(recipe: Recipe, config: Config, node: Node) -> str | None:
    """A path inside the recipe's folder that is written out, and that no build and no stage of ESPnet3 writes."""
    value = strip(node)
    first = value.parts[0] if isinstance(value, Text) and value.parts else None
    inside = isinstance(first, LinkNode) and first.scaffold and first.place == ("recipe_dir",)
    text = written_out(recipe, config.root, node) if inside else value.value if isinstance(value, Scalar) else None
    if not isinstance(text, str) or text.startswith(("/", "~")) or set(text) & set("*?["):
        return None
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if not parts or ".." in parts or parts[0] in _MADE:
        return None
    return "/".join(parts)


def _may_be_made(recipe: Recipe, world: World, path: str) -> bool:
    """Whether a stage of one's own might write a file: Python is written by people."""
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    if ending == "py" or not dot:
        return False
    # `f"{name}.md"` may be any name, `"CARD.md"` is none but itself.
    return stages_may(recipe, world, rf"\b{re.escape(stem)}\b|[\"'}}]\.{re.escape(ending)}\b")


def _tokens_elsewhere(recipe: Recipe, config: Config, node: Node) -> tuple[str, str, str] | None:
    """A file of the tokenizer's that is looked for elsewhere: its name, that folder, and the one in which it is."""
    if not any(built_in(stage) == "train_tokenizer" for stage in recipe.stages):
        return None
    training = recipe.configs.get("training")
    saved = config_value(training, "tokenizer.save_path") if training is not None else None
    folder = written_out(recipe, training.root, saved) if training is not None else None
    path = written_out(recipe, config.root, node)
    if folder is None or path is None or "/" not in path:
        return None
    above, _, name = path.rpartition("/")
    if name not in {"tokens.txt", *(f"{each}.model" for each in _KINDS)} or above == folder.rstrip("/"):
        return None
    return name, above.rpartition("/")[2], folder.rstrip("/").rpartition("/")[2]


def _tokenizer_kind(recipe: Recipe) -> str | None:
    training = recipe.configs.get("training")
    written = config_value(training, "tokenizer.model_type") if training is not None else None
    value = followed(training.root, written) if training is not None else None
    if training is None or (written is not None and not isinstance(value, Scalar)):
        return None
    return str(value.value) if isinstance(value, Scalar) else "bpe"


@explained("ESP0907", "a checkpoint that no training leaves", Severity.WARNING)
@needs_whole_file
def checkpoint_not_written(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A value names a checkpoint in `exp_dir` that neither ESPnet3 nor anything in the recipe writes.

        model = src.inference.Recognizer(checkpoint = "${exp_dir}/final.ckpt")
        publication { pack_model { files { weights = "${exp_dir}/valid.loss.ave_5best.pth" } } }

    `train` leaves `last.ckpt`, the best checkpoints (`epoch…_step….ckpt`) and, for each entry of `best_model_criterion`,
    their average: `valid.loss.ave_3best.pth` for `["valid/loss", 3, "min"]`.
    """
    for finding in not_written(recipe, world):
        yield finding.said(code_of(checkpoint_not_written))
