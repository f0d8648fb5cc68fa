"""Which checkpoints a training leaves in its `exp_dir`, and which names in a recipe are none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.check.blocks import all_values
from esp3c.check.finding import Finding
from esp3c.check.machines import built_in, followed
from esp3c.check.own_code import code_may
from esp3c.check.targets_used import values_of
from esp3c.diagnostics import Label
from esp3c.ir import CarriedNode, LinkNode, ListNode, Recipe, Scalar, Text
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.suggest import did_you_mean
from esp3c.world import World

_NAME = re.compile(r"/+([^/]+\.(?:ckpt|pth|pt|safetensors))")
_BEST = re.compile(r"epoch.*\.ckpt|last(-v\d+)?\.ckpt")
_SAVING = r"torch\.save|save_checkpoint|save_file|save_pretrained|save_model|(?<![.\w])save\("
_AVERAGE = re.compile(r".*\.ave_\d+best\.pth")


def not_written(recipe: Recipe, world: World) -> Iterator[Finding]:
    """Texts that name a checkpoint in `exp_dir` under a name that nothing gives."""
    if not any(built_in(stage) == "train" for stage in recipe.stages):
        return
    texts = [each for each in values_of(recipe) if isinstance(each, Text)]
    averages, own = _averages(recipe), _in_own_settings(recipe)
    for node in texts:
        name = in_exp_dir(node)
        if name is None or name in own or _BEST.fullmatch(name):
            continue
        average = _AVERAGE.fullmatch(name) is not None
        if average and (averages is None or name in averages):
            continue
        stem = name.rpartition(".")[0] if average else name.split(".")[0]
        if _named_elsewhere(recipe, name, stem) or code_may(recipe, world, rf"{re.escape(stem)}|{_SAVING}"):
            continue
        names = ["last.ckpt", *(averages or ())]
        label = did_you_mean(name, names) or "it leaves " + ", ".join(f"`{each}`" for each in names[:4])
        yield Finding(f"no training leaves `{name}` in `exp_dir`", Label(node.span, label))


def _in_own_settings(recipe: Recipe) -> set[str | None]:
    """Checkpoints that the settings of a stage of one's own name: what such a stage writes, it is told there."""
    return {
        in_exp_dir(each)
        for config in recipe.configs.values()
        for entry in config.root.entries
        if CONFIGS.get(config.kind, OWN).key(entry.name) is None
        for each in all_values(entry.value)
        if isinstance(each, Text)
    }


def in_exp_dir(node: Text) -> str | None:
    """The name of a checkpoint in `"${exp_dir}/name.ckpt"`."""
    if len(node.parts) != 2:
        return None
    folder, rest = node.parts
    named = (isinstance(folder, LinkNode) and folder.place == ("exp_dir",)) or (
        isinstance(folder, CarriedNode) and folder.name == "exp_dir"
    )
    match = _NAME.fullmatch(rest) if isinstance(rest, str) and named else None
    return match.group(1) if match is not None else None


def _averages(recipe: Recipe) -> list[str] | None:
    """The averages of best checkpoints that trainings write; None where the criteria are not known."""
    names: list[str] = []
    for config in recipe.configs.values():
        if config.kind != "training":
            continue
        written = config.root.get("best_model_criterion")
        if written is None:
            names.append("valid.loss.ave_3best.pth")
            continue
        criteria = followed(config.root, written)
        if not isinstance(criteria, ListNode):
            return None
        for item in criteria.items:
            entry = followed(config.root, item)
            parts = [followed(config.root, each) for each in entry.items] if isinstance(entry, ListNode) else []
            values = [each.value if isinstance(each, Scalar) else None for each in parts]
            if len(values) < 2 or not isinstance(values[0], str) or not isinstance(values[1], int):
                return None
            names.append(f"{values[0].replace('/', '.')}.ave_{values[1]}best.pth")
    return names


def _named_elsewhere(recipe: Recipe, name: str, stem: str) -> bool:
    """Whether another text of the recipe has the word, or names files by a pattern."""
    for each in values_of(recipe):
        if isinstance(each, Text) and in_exp_dir(each) == name:
            continue
        parts = each.parts if isinstance(each, Text) else [each.value] if isinstance(each, Scalar) else []
        for text in parts:
            if isinstance(text, str) and (stem in text or ("{" in text and "}" in text)):
                return True
    return False
