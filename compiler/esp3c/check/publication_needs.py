"""Publication: what a bundle needs so that somebody else can use it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from esp3c.check.blocks import all_values, config_value
from esp3c.check.checkpoints import experiment_of, experiments, folders_of, in_experiment, in_folder, is_checkpoint
from esp3c.check.flow import flow_of
from esp3c.check.flow_base import stock
from esp3c.check.machines import built_in, followed
from esp3c.check.own_code import modules_behind
from esp3c.check.paths import written_out
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import CallNode, Config, ListNode, Node, PythonNode, Recipe, Scalar, Stage, Text
from esp3c.schema.stages import PACK_MODEL
from esp3c.source import Span
from esp3c.world import World


@explained("ESP0908", "a bundle that nobody can call", Severity.WARNING)
@needs_whole_file
def bundle_without_inference(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`pack_model` packs a model, and the recipe has no `inference`.

        publication { pack_model { out_dir = "${exp_dir}/model_pack" } }
        stages { train  pack_model }

    The config of inference says how a trained model is made and called. Without it the bundle holds a checkpoint, but
    `InferenceModel` cannot load it, and no page can show it. Give the recipe an `inference` block.
    """
    packing = [stage for stage in recipe.stages if built_in(stage) == "pack_model"]
    if not packing or _inference(recipe, packing[0]) is not None:
        return
    label = Label(packing[0].name_span, "the recipe has no `inference`, so nothing says how the model is called")
    yield Diagnostic(code_of(bundle_without_inference), "nobody can call the model of this bundle", label)


@explained("ESP0909", "the bundle leaves out what it needs")
def needed_and_left_out(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`exclude` of `pack_model` takes a file without which the model of the bundle cannot be made.

        inference { model = src.inference.Recognizer(checkpoint = "${exp_dir}/last.ckpt") }
        publication { pack_model { exclude = ["*.ckpt", "src/inference.py"] } }

    The checkpoint that the inference config names is needed, and the recipe's Python that its model is made with. A pattern
    stands for the path of a file in the recipe's folder, for a folder above it, or for the file's name. Only what the
    configs name is packed, so other checkpoints need not be excluded.
    """
    config = recipe.configs.get("publication")
    excluded = config_value(config, "pack_model.exclude") if config is not None else None
    patterns = followed(config.root, excluded) if config is not None and excluded is not None else None
    if config is None or not isinstance(patterns, ListNode) or not stock(flow_of(recipe, world), "pack_model"):
        return
    needed = dict(_needed(recipe, world))
    folders = folders_of(recipe)
    for each in patterns.items:
        pattern = _clean(written_out(recipe, config.root, each, folders=folders))
        for path, span in needed.items() if pattern is not None else ():
            if _left_out(path, str(pattern)):
                shown = path.rpartition("/")[2] if is_checkpoint(path) else path
                value = followed(config.root, each)
                written = value.value if isinstance(value, Scalar) else pattern
                message = f"`{written}` leaves `{shown}` out of the bundle, which inference needs"
                because = (Label(span, "needed here"),)
                yield Diagnostic(code_of(needed_and_left_out), message, Label(each.span, "left out here"), because)
                break


def _left_out(path: str, pattern: str) -> bool:
    """As a bundle is packed: a pattern is compared with the path, each folder above it, and the file's name."""
    parts = path.split("/")
    above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(fnmatchcase(each, pattern) for each in (*above, parts[-1]))


def _clean(path: str | None) -> str | None:
    """A path from the recipe's folder; None where it is not known, or leads elsewhere."""
    text = posixpath.normpath(path) if path else ""
    return text if text and text != "." and not text.startswith(("/", "..", "~")) else None


def _needed(recipe: Recipe, world: World) -> Iterator[tuple[str, Span]]:
    """The files without which the models of bundles cannot be made, and where they are asked for."""
    for stage in recipe.stages:
        inference = _inference(recipe, stage)
        model = config_value(inference, "model") if inference is not None else None
        if inference is None or model is None:
            continue
        for node in all_values(model):
            if isinstance(node, Text | Scalar):
                path = _clean(written_out(recipe, inference.root, node, folders=folders_of(recipe)))
                known = in_folder(node)[1] if isinstance(node, Text) else ""
                if path is not None and is_checkpoint(path):
                    yield path, node.span
                elif known:
                    # Its folder is not known, its name is.
                    yield known, node.span
            elif isinstance(node, CallNode | PythonNode):
                for module in modules_behind(world, [node.target.path]):
                    package = module.place.replace("\\", "/").endswith("/__init__.py")
                    yield module.name.replace(".", "/") + ("/__init__.py" if package else ".py"), _place(node)


def _place(node: CallNode | PythonNode) -> Span:
    return node.head if isinstance(node, CallNode) else node.span


def _inference(recipe: Recipe, stage: Stage) -> Config | None:
    """The inference config of what a stage packs."""
    if built_in(stage) != "pack_model":
        return None
    return recipe.configs.get(recipe.stands_for(stage, PACK_MODEL).get("inference", "inference"))


@explained("ESP0910", "a bundle with the model of another training", Severity.WARNING)
@needs_whole_file
def other_model(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage packs one training, and its inference config names the checkpoint of another.

        inference { model = src.inference.Recognizer(checkpoint = "${recipe_dir}/exp/whole/last.ckpt") }
        stages { pack_lora  requires lora, publication  runs pack_model }

    What the inference config names is what is packed. A stage that packs a variant is given the variant's own:
    `requires lora, inference_lora, publication`, with `metrics_lora` where the scores are to be its own, too.
    """
    tags = experiments(recipe) if stock(flow_of(recipe, world), "pack_model") else set()
    for stage in recipe.stages:
        inference = _inference(recipe, stage)
        training = recipe.configs.get(recipe.stands_for(stage, PACK_MODEL).get("training", "training"))
        model = config_value(inference, "model") if inference is not None else None
        own = experiment_of(recipe, training) if training is not None else None
        if inference is None or training is None or model is None or own not in tags:
            continue
        named = dict(_experiments_in(recipe, inference, model))
        if named and own not in named and set(named) <= tags:
            tag, span = next(iter(named.items()))
            fitting = [
                each.name
                for each in recipe.configs.values()
                if each.kind == "inference" and own in dict(_experiments_in(recipe, each, each.root))
            ]
            better = f"add `{fitting[0]}` to `requires`" if len(fitting) == 1 else "name its own inference config"
            yield Diagnostic(
                code_of(other_model),
                f"the bundle of `{training.name}` would hold the model of `{tag}`, which `{inference.name}` names",
                Label(stage.name_span, better),
                secondary=(Label(span, f"the checkpoint of `{tag}`"),),
            )


def _experiments_in(recipe: Recipe, config: Config, node: Node) -> Iterator[tuple[str, Span]]:
    """The experiments whose checkpoints a value names."""
    for each in all_values(node):
        tag = in_experiment(recipe, config.root, each, folders_of(recipe))[0]
        if tag:
            yield tag, each.span
