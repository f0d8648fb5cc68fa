"""Stages: which experiment a config speaks of when it runs, and where a recipe says something else."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.blocks import set_entry
from esp3c.check.checkpoints import tag_of
from esp3c.check.machines import followed
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import CarriedNode, Config, LinkNode, MapNode, Node, Recipe, Scalar, Text, all_values
from esp3c.world import World

_SOURCES = {"exp_tag": "training", "exp_dir": "training", "inference_dir": "inference"}
"""Keys that ESPnet3 carries from one config into others, and that one."""


@explained("ESP0613", "a name of the experiment that has no effect", Severity.WARNING)
def replaced_tag(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A config has an `exp_tag` of its own, and that of the training takes its place when it runs.

        training  { exp_tag = "ctc" }
        inference { exp_tag = "ctc_beam" }

    With a training config, its `exp_tag` and `exp_dir` are carried into all configs but further trainings, and the
    `inference_dir` of `inference` into `metrics`. To keep the outputs of two inferences apart, set `inference_dir`; a model of
    another experiment is named by its folder, `"${recipe_dir}/exp/ctc/last.ckpt"`.
    """
    seen: set[tuple[int, int]] = set()
    for config in recipe.configs.values():
        if config.kind == "training":
            continue
        for key, name in _SOURCES.items():
            source = recipe.configs.get(name)
            entry = set_entry(config.root, key)
            takes = source is not config and (key != "inference_dir" or _is_metrics(config))
            if source is None or entry is None or not takes:
                continue
            own, other = _text(config, entry.value), _value(recipe, source, key)
            if own is None or other is None or own == other or (entry.key_span.start, entry.key_span.end) in seen:
                continue
            seen.add((entry.key_span.start, entry.key_span.end))
            place = set_entry(source.root, key) or set_entry(recipe.settings, key)
            yield Diagnostic(
                code_of(replaced_tag),
                f"`{key}` of `{config.name}` has no effect: that of `{name}` is carried into it",
                Label(entry.value.span, "not this" if place is not None else f"there it is `{other}`"),
                secondary=(Label(place.value.span, "but this"),) if place is not None else (),
                help=("outputs of their own are kept apart by `inference_dir`",) if key != "inference_dir" else (),
            )


def _is_metrics(config: Config) -> bool:
    return config.well_known and config.kind == "metrics"


def _text(config: Config, node: Node) -> str | None:
    """A value as text, with names in it as `${name}`; None where it is not known."""
    value = followed(config.root, node)
    if isinstance(value, Scalar):
        return value.value if isinstance(value.value, str) else None
    if not isinstance(value, Text):
        return None
    parts = [each if isinstance(each, str) else _named(each) for each in value.parts]
    return None if None in parts else "".join(each for each in parts if each is not None)


def _named(part: object) -> str | None:
    # What is carried over is carried before names are looked up.
    if isinstance(part, LinkNode) and (part.scaffold or (len(part.place) == 1 and part.place[0] in _SOURCES)):
        return f"${{{part.place[0]}}}"
    return None


def _value(recipe: Recipe, source: Config, key: str) -> str | None:
    """What a config carries into others, as text."""
    written = source.root.get(key) or recipe.settings.get(key)
    if written is not None:
        return _text(source, written)
    return {"exp_tag": source.name, "exp_dir": "${recipe_dir}/exp/${exp_tag}"}.get(key)


@explained("ESP0614", "a folder that is another one here", Severity.WARNING)
def moved_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A value of another experiment's config has `${exp_dir}` in it, which means this experiment's folder here.

        training { exp_tag = "a"  tokenizer { save_path = "${exp_dir}/tokens" } }
        config training_b extends training { exp_tag = "b"  model = src.model.Model(tokens = training.tokenizer.save_path) }

    What is carried over is the text, in which `exp_dir` and `exp_tag` stay names: ESPnet3 reads them in the config that has
    them. Name the folder, `"${recipe_dir}/exp/a/tokens"`, or set `exp_dir` in the other config and begin the text with
    `${training.exp_dir}`. Where each experiment is to have its own, put the text into a `let`.
    """
    for config in recipe.configs.values():
        here = tag_of(recipe, recipe.configs.get(_experiment(config), config))
        for node in all_values(config.root):
            for part in node.parts if isinstance(node, Text) else (node,):
                other = recipe.configs.get(part.name.partition(".")[0]) if isinstance(part, CarriedNode) else None
                if not isinstance(part, CarriedNode) or other is None or _experiment(other) == _experiment(config):
                    continue
                there, link = tag_of(recipe, other), _of_experiment(part.value)
                if link is None or None in (here, there) or here == there:
                    continue
                name = str(link.place[0])
                yield Diagnostic(
                    code_of(moved_folder),
                    f"`{part.name}` has `${{{name}}}` in it, which is another one in `{config.name}`",
                    Label(part.span, f"`{name}` of this config"),
                    secondary=(Label(link.span, f"`{name}` of `{other.name}`"),),
                )


def _experiment(config: Config) -> str:
    """The config whose experiment a config speaks of when it runs."""
    return config.name if config.kind == "training" else "training"


def _of_experiment(node: Node) -> LinkNode | None:
    """What in a value is another thing in another experiment."""
    for each in all_values(node) if not isinstance(node, MapNode) else ():
        for part in each.parts if isinstance(each, Text) else (each,):
            if isinstance(part, LinkNode) and part.scaffold and part.place[0] in {"exp_dir", "exp_tag"}:
                return part
    return None
