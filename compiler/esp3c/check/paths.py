"""Where a path in a recipe leads, seen from the recipe's folder, as far as that is written."""

from __future__ import annotations

from collections.abc import Mapping

from esp3c.check.machines import followed
from esp3c.ir import CarriedNode, LinkNode, MapNode, Node, Recipe, Scalar, Text, strip
from esp3c.schema.safety import SYSTEM_FOLDERS

_DEPTHS = {"recipe_dir": 0, "data_dir": 1, "exp_dir": 2, "stats_dir": 2, "inference_dir": 3}
"""How deep ESPnet3's folders lie inside the recipe's own, where the recipe does not say otherwise."""

MOST_FOLDERS = 8

NO_FOLDERS: Mapping[str, str] = {}


def leads_out(recipe: Recipe, root: MapNode, node: Node) -> str | None:
    """How a path leaves the recipe's folder, in words; None where it does not, or where that cannot be known."""
    text = written_out(recipe, root, node)
    if text is None:
        return None
    if text == "~" or text.startswith("~/"):
        return "`~` is not the home folder here: a folder of that name would be made; write `${oc.env:HOME}`"
    if text.startswith("/"):
        clean = _clean(text)
        system = next((each for each in SYSTEM_FOLDERS if clean == each or clean.startswith(each + "/")), None)
        return f"`{system}` belongs to the operating system" if system is not None else None
    depth = 0
    for part in text.split("/"):
        if part == "..":
            depth -= 1
        elif part not in {"", "."}:
            depth += 1
        if depth < 0:
            return "`..` leads out of the recipe's folder"
    return None


def _clean(text: str) -> str:
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def written_out(
    recipe: Recipe, root: MapNode, node: Node | None, deep: int = 0, folders: Mapping[str, str] = NO_FOLDERS
) -> str | None:
    """The text of a path, with names of folders put in; an unknown part at its end is a plain name.

    `folders` is what names of folders stand for, where that is known better than by what the recipe sets.
    """
    if deep > MOST_FOLDERS or node is None:
        return None
    value = strip(node)
    if isinstance(value, LinkNode):
        return _linked(recipe, root, value, deep, folders)
    if isinstance(value, Scalar):
        # A number inside of a text is written as it stands.
        whole = isinstance(value.value, int) and not isinstance(value.value, bool) and deep > 0
        return str(value.value) if isinstance(value.value, str) or whole else None
    if not isinstance(value, Text):
        return None
    out = ""
    for part in value.parts:
        if isinstance(part, str):
            out += part
            continue
        known = None
        if isinstance(part, LinkNode | CarriedNode):
            known = written_out(recipe, root, part, deep + 1, folders)
        if known is None:
            return None
        out += known
    return out


def _linked(recipe: Recipe, root: MapNode, link: LinkNode, deep: int, folders: Mapping[str, str]) -> str | None:
    if not link.scaffold:
        value = followed(root, link)
        return written_out(recipe, root, value, deep + 1, folders) if not isinstance(value, LinkNode) else None
    key = str(link.place[0])
    if key in folders:
        return folders[key]
    own = root.get(key) or recipe.settings.get(key)
    if own is not None:
        return written_out(recipe, root, own, deep + 1, folders)
    if key in _DEPTHS:
        return "/".join([*["in"] * (_DEPTHS[key] - 1), key]) if _DEPTHS[key] else "."
    return "name" if key in {"exp_tag", "seed"} else None
