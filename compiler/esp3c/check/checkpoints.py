"""Which checkpoints a training leaves in its `exp_dir`, and which names in a recipe are none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from esp3c.check.blocks import all_values
from esp3c.check.finding import Finding
from esp3c.check.machines import built_in, followed
from esp3c.check.own_code import code_may, only_known_stages
from esp3c.check.paths import NO_FOLDERS, written_out
from esp3c.diagnostics import Label
from esp3c.ir import CarriedNode, Config, LinkNode, ListNode, MapNode, Node, Recipe, Scalar, Text
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.suggest import did_you_mean
from esp3c.world import World

_ENDING = r"\.(?:ckpt|pth|pt|safetensors)"
_NAME = re.compile(rf"/+([^/]+{_ENDING})")
_EXPERIMENT = re.compile(rf"(?:\./+)?/*exp/+([^/]+)/+([^/]+{_ENDING})")
_BEST = re.compile(r"epoch.*\.ckpt|last(-v\d+)?\.ckpt")
_SAVING = (
    r"torch\.save|save_checkpoint|save_file|save_pretrained|save_model|(?<![.\w])save\("
    r"|shutil\.(?:copy(?:file|2)?|move)\b|from shutil import|symlink|hardlink|urlretrieve|hf_hub_download|snapshot_download"
)
"""Python that writes weights, or puts files somewhere under the names that they have."""
_FOLDERS = frozenset({"exp_dir", "stats_dir", "inference_dir"})
_AVERAGE = re.compile(r".*\.ave_\d+best\.pth")


def not_written(recipe: Recipe, world: World) -> Iterator[Finding]:
    """Texts that name a checkpoint in `exp_dir` under a name that nothing gives."""
    if not any(built_in(stage) == "train" for stage in recipe.stages):
        return
    of_all, own = _averages(recipe), _in_own_settings(recipe)
    tags = experiments(recipe)
    for root, node in placed(recipe):
        folder, name = in_folder(node) if isinstance(node, Text) else ("", "")
        tag, left = in_experiment(recipe, root, node)
        if tag and tags and name != left:
            yield from _no_training(recipe, world, tags, tag, left, node)
        averages = of_all
        if tag in tags:
            # The folder of a training is its `exp_dir`, whoever names it.
            folder, name = "exp_dir", left
            averages = _averages(recipe, tag)
        if not name or name in own or (folder == "exp_dir" and _BEST.fullmatch(name)):
            continue
        average = _AVERAGE.fullmatch(name) is not None
        if average and folder == "exp_dir" and (averages is None or name in averages):
            continue
        stem = name.rpartition(".")[0] if average else name.split(".")[0]
        if _named_elsewhere(recipe, name, stem) or may_save(recipe, world, name):
            continue
        names = ["last.ckpt", *(averages or ())]
        label = did_you_mean(name, names) or "it leaves " + ", ".join(f"`{each}`" for each in names[:4])
        label = "checkpoints are in `exp_dir`" if folder != "exp_dir" else label
        yield Finding(f"no training leaves `{name}` in `{folder}`", Label(node.span, label))


def _no_training(recipe: Recipe, world: World, tags: set[str], tag: str, name: str, node: Node) -> Iterator[Finding]:
    """A checkpoint in a folder `exp/TAG` that no stage of the recipe fills, and that is not there either."""
    trained = [config for config in recipe.configs.values() if config.kind == "training"]
    run = {each for stage in recipe.stages if built_in(stage) == "train" for each in stage.needs}
    filled = [config for config in trained if config.name in run]
    if tag in {experiment_of(recipe, each) for each in filled} or world.has(f"exp/{tag}/{name}") is not False:
        return
    if only_known_stages(recipe) is False and code_may(recipe, world, rf"\b{re.escape(tag)}\b|{_SAVING}"):
        return
    here = f"no stage trains into `exp/{tag}`"
    if tag in tags and not any(
        ("config", each.name) in recipe.used for each in trained if experiment_of(recipe, each) == tag
    ):
        # That nothing uses the config is said where it stands.
        return
    if tag in tags:
        idle = next(config for config in trained if experiment_of(recipe, config) == tag)
        because = (Label(idle.name_span, "no stage trains this"),)
        yield Finding(here, Label(node.span, f"a stage `requires {idle.name} runs train` would"), because)
        return
    named = recipe.configs.get(tag)
    own = experiment_of(recipe, named) if named is not None and named.kind == "training" else None
    text = f"`exp_tag` of `{tag}` is `{own}`" if own in tags else did_you_mean(tag, _like(tag, tags))
    if text:
        yield Finding(here, Label(node.span, text))


def _like(tag: str, tags: set[str]) -> list[str]:
    """Tags of which another one may be a slip: those of another number or with more words are other experiments."""
    bare = re.sub(r"\d+", "", tag)
    return [
        each
        for each in sorted(tags)
        if re.sub(r"\d+", "", each) != bare and not each.startswith(tag) and not tag.startswith(each)
    ]


def may_save(recipe: Recipe, world: World, name: str) -> bool:
    """Whether Python of the recipe may write a checkpoint of this name: it says the name, puts one together, or saves."""
    stem, _, ending = name.rpartition(".")
    parts = {re.escape(stem), re.escape(name.split(".")[0])}
    spelt = "|".join(rf"(?<![\w.-]){each}\.{ending}\b|[\"'/]{each}[\"']" for each in sorted(parts))
    words = "|".join(rf"(?<![a-z0-9]){each}(?![a-z0-9])" for each in sorted(parts))
    made = rf"[\"'}}\]]\.{ending}[\"']"
    return code_may(recipe, world, f"{spelt}|{made}|{_SAVING}", f"{words}|{_SAVING}")


def placed(recipe: Recipe) -> Iterator[tuple[MapNode, Node]]:
    """Every value that the recipe uses, once, with the config's root in which it stands first."""
    roots: list[tuple[MapNode, Node]] = [(config.root, config.root) for config in recipe.configs.values()]
    roots.append((recipe.settings, recipe.settings))
    roots += [(recipe.settings, each.settings) for each in recipe.datasets.values()]
    roots += [(recipe.settings, stage.workload) for stage in recipe.stages if stage.workload is not None]
    roots += [(recipe.settings, value) for _, value in recipe.lets.values()]
    seen: set[int] = set()
    for root, top in roots:
        for node in all_values(top):
            if isinstance(node, Text | Scalar) and id(node) not in seen:
                seen.add(id(node))
                yield root, node


def read_elsewhere(recipe: Recipe, config: Config, model: Node) -> bool:
    """Whether a model names the checkpoints that it reads, and no training of the stages has its folder around one."""
    texts = [each for each in all_values(model) if isinstance(each, Text | Scalar)]
    paths = [written_out(recipe, config.root, each, folders=folders_of(recipe)) for each in texts]
    named = [each for each in zip(texts, paths, strict=True) if each[1] is not None and is_checkpoint(each[1])]
    run = {name for stage in recipe.stages if built_in(stage) == "train" for name in stage.needs}
    tags = {experiment_of(recipe, each) for each in recipe.configs.values() if each.name in run}
    return bool(named) and all(
        not (isinstance(each, Text) and in_folder(each)[1]) and in_experiment(recipe, config.root, each)[0] not in tags
        for each, _ in named
    )


def is_checkpoint(path: str) -> bool:
    """Whether a path ends as those of checkpoints do."""
    return re.search(rf"{_ENDING}$", path) is not None


def is_trained(name: str) -> bool:
    """Whether a training leaves checkpoints of this name."""
    return (_BEST.fullmatch(name) or _AVERAGE.fullmatch(name)) is not None


def folders_of(recipe: Recipe) -> dict[str, str]:
    """ESPnet3's folders as they are in a run, from the recipe's own: the training config names the experiment."""
    training = recipe.configs.get("training")
    if training is None:
        return {}
    tag = experiment_of(recipe, training)
    written = training.root.get("exp_dir") or recipe.settings.get("exp_dir")
    folder = written_out(recipe, training.root, written) if written is not None else f"exp/{tag}" if tag else None
    return {**({"exp_tag": tag} if tag else {}), **({"exp_dir": folder} if folder else {})}


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
    tags = {experiment_of(recipe, config) for config in recipe.configs.values() if config.kind == "training"}
    return {each for each in tags if each}


def experiment_of(recipe: Recipe, config: Config) -> str | None:
    """The name of a training's experiment: its tag, or else the name of its file."""
    written = config.root.get("exp_tag") or recipe.settings.get("exp_tag")
    return tag_of(recipe, config) if written is not None else config.name


def tag_of(recipe: Recipe, config: Config) -> str | None:
    """The name of a config's experiment, where it is plain text."""
    written = config.root.get("exp_tag") or recipe.settings.get("exp_tag")
    value = followed(config.root, written)
    return value.value if isinstance(value, Scalar) and isinstance(value.value, str) else None


def in_experiment(
    recipe: Recipe, root: MapNode, node: Node, folders: Mapping[str, str] = NO_FOLDERS
) -> tuple[str, str]:
    """The tag and the name of a checkpoint in `"${recipe_dir}/exp/TAG/name.ckpt"`; empty for any other value."""
    text = written_out(recipe, root, node, folders=folders) if isinstance(node, Text | Scalar) else None
    match = _EXPERIMENT.fullmatch(text) if text is not None else None
    return (match.group(1), match.group(2)) if match is not None else ("", "")


def _in_own_settings(recipe: Recipe) -> set[str]:
    """Checkpoints that the settings of stages of one's own name: such a stage may write them."""
    own = [config.root for config in recipe.configs.values() if CONFIGS.get(config.kind, OWN) is OWN]
    for config in recipe.configs.values():
        block = CONFIGS.get(config.kind, OWN)
        own += [MapNode((entry,), entry.key_span) for entry in config.root.entries if block.key(entry.name) is None]
    texts = [each for root in own for each in all_values(root) if isinstance(each, Text)]
    return {in_folder(each)[1] for each in texts}


def _averages(recipe: Recipe, tag: str = "") -> list[str] | None:
    """The averages of best checkpoints that trainings write (of this experiment); None where the criteria are not known."""
    names: list[str] = []
    for config in recipe.configs.values():
        if config.kind != "training" or (tag and experiment_of(recipe, config) != tag):
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
    return list(dict.fromkeys(names))


def _is_word(stem: str, text: str) -> bool:
    """Whether a text has the whole stem, and not only as the split of a metric's name: `valid/loss`."""
    return re.search(rf"(?<![\w.-]){re.escape(stem)}(?![\w/-])", text) is not None


def _named_elsewhere(recipe: Recipe, name: str, stem: str) -> bool:
    """Whether another text of the recipe has the word, or names files by a pattern."""
    for root, each in placed(recipe):
        if (isinstance(each, Text) and in_folder(each)[1] == name) or in_experiment(recipe, root, each)[1] == name:
            continue
        parts = each.parts if isinstance(each, Text) else [each.value] if isinstance(each, Scalar) else []
        for text in parts:
            if isinstance(text, str) and (_is_word(stem, text) or ("{" in text and "}" in text)):
                return True
    return False
