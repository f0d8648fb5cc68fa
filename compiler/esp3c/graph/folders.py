"""Where the configs of a recipe keep their files: paths as seen from the recipe's folder, worked out from its text.

A value that only a run knows (`${oc.env:HOME}`) stays in the path as it is written, so that two configs which say the same
have the same path. What a run carries from the training config into the others is carried here too.
"""

from __future__ import annotations

import re

from esp3c.ir import CarriedNode, LinkNode, Node, Place, Recipe, Resolver, Scalar, Text, at, strip
from esp3c.schema.blocks import SCAFFOLD

_DEFAULTS = {key.name: key.default.strip('"') for key in SCAFFOLD if key.default and "${" in key.default}
_DEFAULTS["recipe_dir"] = "."
_REFERENCE = re.compile(r"\$\{(\w+)\}")
# Each config refers to a few others at most; what goes further is a circle, which is reported elsewhere.
_DEEPEST = 20


def folder(recipe: Recipe, config: str, key: str) -> str:
    """The path that a key of a config holds; `${config.key}` where the recipe does not say it."""
    text = _value(recipe, config, tuple(key.split(".")), 0)
    return f"${{{config}.{key}}}" if text is None else tidy(text)


def path_of(recipe: Recipe, config: str, node: Node) -> str | None:
    """The path that a value of a config spells, or None where it is no text."""
    value = strip(node)
    if isinstance(value, Text) or (isinstance(value, Scalar) and isinstance(value.value, str)):
        text = _text(recipe, config, value, 0)
        return None if text is None else tidy(text)
    return None


def is_known(path: str) -> bool:
    """Whether the path is there to be looked at, with nothing left open in it."""
    return "${" not in path


def tidy(path: str) -> str:
    """The path without `.` and doubled slashes; `.` where nothing is left."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return ("/" if path.startswith("/") else "") + "/".join(parts) or "."


def _value(recipe: Recipe, config: str, place: Place, depth: int) -> str | None:
    source = _source(recipe, config, place)
    if source != config:
        return _value(recipe, source, place, depth)
    found = recipe.configs.get(config)
    node = at(found.root, place) if found is not None else None
    if node is None and len(place) == 1:
        node = recipe.settings.get(str(place[0]))
    if node is not None:
        return _text(recipe, config, node, depth + 1)
    return _default(recipe, config, str(place[0]), depth + 1) if len(place) == 1 else None


def _source(recipe: Recipe, config: str, place: Place) -> str:
    """The config whose value a run uses: all experiments are named by the training config."""
    kind = recipe.configs[config].kind if config in recipe.configs else config
    if place in (("exp_tag",), ("exp_dir",)) and kind != "training" and "training" in recipe.configs:
        return "training"
    if place == ("inference_dir",) and config == "metrics" and "inference" in recipe.configs:
        return "inference"
    return config


def _default(recipe: Recipe, config: str, key: str, depth: int) -> str | None:
    kind = recipe.configs[config].kind if config in recipe.configs else config
    if key == "exp_tag":
        return config if kind == "training" else None
    template = "${exp_dir}/" + config if key == "inference_dir" and kind == "inference" else _DEFAULTS.get(key)
    if template is None or depth > _DEEPEST:
        return None
    values = {name: _value(recipe, config, (name,), depth) for name in _REFERENCE.findall(template)}
    if any(value is None for value in values.values()):
        return None
    return _REFERENCE.sub(lambda match: str(values[match.group(1)]), template)


def _text(recipe: Recipe, config: str, node: Node, depth: int) -> str | None:
    """The text of a value, or None where a part of it has none."""
    if depth > _DEEPEST:
        return None
    match node:
        case CarriedNode(value=value):
            return _text(recipe, config, value, depth + 1)
        case Scalar(value=value):
            return None if value is None else str(value)
        case LinkNode(place=place):
            return _value(recipe, config, place, depth + 1)
        case Text(parts=parts):
            pieces = [_part(recipe, config, part, depth) for part in parts]
            return None if None in pieces else "".join(piece or "" for piece in pieces)
        case _:
            return None


def _part(recipe: Recipe, config: str, part: object, depth: int) -> str | None:
    match part:
        case str():
            return part
        case Resolver(expression=expression):
            return "${" + expression + "}"
        case LinkNode() | CarriedNode():
            return _text(recipe, config, part, depth + 1)
        case _:
            return None
