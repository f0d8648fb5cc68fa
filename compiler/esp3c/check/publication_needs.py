"""Publication: what a bundle needs so that somebody else can use it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from esp3c.check.blocks import all_values, config_value
from esp3c.check.checkpoints import in_folder
from esp3c.check.machines import built_in, followed
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import ListNode, Recipe, Scalar, Text, strip
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
    if not packing or "inference" in recipe.configs:
        return
    label = Label(packing[0].name_span, "the recipe has no `inference`, so nothing says how the model is called")
    yield Diagnostic(code_of(bundle_without_inference), "nobody can call the model of this bundle", label)


@explained("ESP0909", "the bundle leaves out what it needs")
def needed_and_left_out(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`exclude` of `pack_model` takes a checkpoint that the inference config names.

        inference { model = src.inference.Recognizer(checkpoint = "${exp_dir}/last.ckpt") }
        publication { pack_model { exclude = ["*.ckpt"] } }

    The stage refuses to write a bundle that cannot be loaded. Only what the configs name is packed, so other checkpoints
    need not be excluded.
    """
    config = recipe.configs.get("publication")
    inference = recipe.configs.get("inference")
    excluded = config_value(config, "pack_model.exclude") if config is not None else None
    model = config_value(inference, "model") if inference is not None else None
    patterns = followed(config.root, excluded) if config is not None and excluded is not None else None
    if not isinstance(patterns, ListNode) or model is None:
        return
    needed = {
        name: node for node in all_values(model) if isinstance(node, Text) for name in [in_folder(node)[1]] if name
    }
    for each in map(strip, patterns.items):
        pattern = each.value if isinstance(each, Scalar) else None
        for name, node in needed.items() if isinstance(pattern, str) else ():
            if fnmatchcase(name, str(pattern)):
                message = f"`{pattern}` leaves `{name}` out of the bundle, which inference needs"
                because = (Label(node.span, "needed here"),)
                yield Diagnostic(code_of(needed_and_left_out), message, Label(each.span, "left out here"), because)
                break
