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
from esp3c.ir import CarriedNode, Config, LinkNode, ListNode, MapNode, Node, Recipe, Scalar, Text
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.suggest import did_you_mean
from esp3c.world import World

_NAME = re.compile(r"/+([^/]+\.(?:ckpt|pth|pt|safetensors))")
_EXPERIMENT = re.compile(r"(?:\./+)?/*exp/+([^/]+)/+([^/]+\.(?:ckpt|pth|pt|safetensors))")
_BEST = re.compile(r"epoch.*\.ckpt|last(-v\d+)?\.ckpt")
_SAVING = r"torch\.save|save_checkpoint|save_file|save_pretrained|save_model|(?<![.\w])save\("
_FOLDERS = frozenset({"exp_dir", "stats_dir", "inference_dir"})
_AVERAGE = re.compile(r".*\.ave_\d+best\.pth")


def not_written(recipe: Recipe, world: World) -> Iterator[Finding]:
    """Texts that name a checkpoint in `exp_dir` under a name that nothing gives."""
    if not any(built_in(stage) == "train" for stage in recipe.stages):
        return
    texts = [each for each in values_of(recipe) if isinstance(each, Text) or in_experiment(each)[1]]
    averages, own = _averages(recipe), _in_own_settings(recipe)
    tags = experiments(recipe)
    for node in texts:
        folder, name = in_folder(node) if isinstance(node, Text) else ("", "")
        tag, left = in_experiment(node)
        if tag in tags:
            # The folder of a training is its `exp_dir`, whoever names it.
            folder, name = "exp_dir", left
        if not name or name in own or (folder == "exp_dir" and _BEST.fullmatch(name)):
            continue
        average = _AVERAGE.fullmatch(name) is not None
        if average and folder == "exp_dir" and (averages is None or name in averages):
            continue
        stem = name.rpartition(".")[0] if average else name.split(".")[0]
        if _named_elsewhere(recipe, name, stem) or code_may(recipe, world, rf"{re.escape(stem)}|{_SAVING}"):
            continue
        names = ["last.ckpt", *(averages or ())]
        label = did_you_mean(name, names) or "it leaves " + ", ".join(f"`{each}`" for each in names[:4])
        label = "checkpoints are in `exp_dir`" if folder != "exp_dir" else label
        yield Finding(f"no training leaves `{name}` in `{folder}`", Label(node.span, label))


def in_folder(node: Text) -> tuple[str, str]:
    """The folder and the name of a checkpoint in `"${exp_dir}/name.ckpt"`; empty for any other text."""
    folder, rest = node.parts if len(node.parts) == 2 else ("", "")
    named = str(folder.place[0]) if isinstance(folder, LinkNode) and len(folder.place) == 1 else ""
    named = folder.name if isinstance(folder, CarriedNode) else named
    match = _NAME.fullmatch(rest) if isinstance(rest, str) and named in _FOLDERS else None
    return (named, match.group(1)) if match is not None else ("", "")


def experiments(recipe: Recipe) -> set[str]:
    """The tags of the recipe's trainings, where their folders are the usual ones."""
    roots = [recipe.settings, *(config.root for config in recipe.configs.values())]
    if any(root.get(key) is not None for root in roots for key in ("exp_dir", "recipe_dir")):
        return set()
    tags = {tag_of(recipe, config) for config in recipe.configs.values() if config.kind == "training"}
    return {each for each in tags if each}


def tag_of(recipe: Recipe, config: Config) -> str | None:
    """The name of a config's experiment, where it is plain text."""
    written = config.root.get("exp_tag") or recipe.settings.get("exp_tag")
    value = followed(config.root, written)
    return value.value if isinstance(value, Scalar) and isinstance(value.value, str) else None


def in_experiment(node: Node) -> tuple[str, str]:
    """The tag and the name of a checkpoint in `"${recipe_dir}/exp/TAG/name.ckpt"`; empty for any other value."""
    rest: object = node.value if isinstance(node, Scalar) else None
    if isinstance(node, Text) and len(node.parts) == 2:
        folder, rest = node.parts
        named = str(folder.place[0]) if isinstance(folder, LinkNode) and len(folder.place) == 1 else ""
        named = folder.name if isinstance(folder, CarriedNode) else named
        rest = rest if named == "recipe_dir" else None
    match = _EXPERIMENT.fullmatch(rest) if isinstance(rest, str) else None
    return (match.group(1), match.group(2)) if match is not None else ("", "")


def _in_own_settings(recipe: Recipe) -> set[str]:
    """Checkpoints that the settings of stages of one's own name: such a stage may write them."""
    own = [config.root for config in recipe.configs.values() if CONFIGS.get(config.kind, OWN) is OWN]
    for config in recipe.configs.values():
        block = CONFIGS.get(config.kind, OWN)
        own += [MapNode((entry,), entry.key_span) for entry in config.root.entries if block.key(entry.name) is None]
    texts = [each for root in own for each in all_values(root) if isinstance(each, Text)]
    return {in_folder(each)[1] for each in texts}


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


def _is_word(stem: str, text: str) -> bool:
    """Whether a text has the whole stem, and not only as the split of a metric's name: `valid/loss`."""
    return re.search(rf"(?<![\w.-]){re.escape(stem)}(?![\w/-])", text) is not None


def _named_elsewhere(recipe: Recipe, name: str, stem: str) -> bool:
    """Whether another text of the recipe has the word, or names files by a pattern."""
    for each in values_of(recipe):
        if (isinstance(each, Text) and in_folder(each)[1] == name) or in_experiment(each)[1] == name:
            continue
        parts = each.parts if isinstance(each, Text) else [each.value] if isinstance(each, Scalar) else []
        for text in parts:
            if isinstance(text, str) and (_is_word(stem, text) or ("{" in text and "}" in text)):
                return True
    return False
