"""YAML that OmegaConf reads back as it was meant.

Text goes through PyYAML's safe dumper, so that no text can leave its place. Added for OmegaConf is its wider idea of a
number: `1e-3` is one, so the text `1e-3` needs quotes.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from esp3c.emit.files import Traced
from esp3c.emit.nodes import YList, YMap, YNode, YScalar

# YAML reads these as ends of lines; only between double quotes are they written as escapes.
_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


# libyaml reads the same, three times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(yaml.SafeDumper):
    """SafeDumper without anchors, with lists indented under their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data and _block_safe(data) else '"' if _LINE_ENDS.search(data) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


def _block_safe(data: str) -> bool:
    # A literal block cannot hold control characters and would lose what leads or trails its lines.
    lines = data.split("\n")
    return (
        data.isascii()
        and all(line.isprintable() and line == line.rstrip() for line in lines)
        and not lines[0].startswith(" ")
        and bool(lines[0])
    )


def _list(dumper: _Dumper, data: list[Any]) -> yaml.SequenceNode:
    # `[valid/loss, 1, min]` reads better on one line; what does not fit is wrapped by the dumper.
    short = all(not isinstance(each, dict | list) for each in data) and sum(len(str(each)) for each in data) < 80
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


def _float(dumper: _Dumper, data: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(data))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(float, _float)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
        |[-+]?\.?(?:inf|Inf|INF)|\.?(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+0123456789.inINaA"),
)


def plain(node: YNode) -> Any:
    """The node as Python's own containers."""
    match node:
        case YScalar(value):
            return value
        case YList(items):
            return [plain(item) for item in items]
        case YMap(entries):
            return {key: plain(value) for key, value in entries}


def dump(node: YMap, comment: str) -> str:
    """The text of a YAML file, with a comment of one line on top."""
    body = yaml.dump(
        plain(node), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False
    )
    return f"# {comment}\n{body if node.entries else '{}' + chr(10)}"


def trace(node: YMap, text: str) -> tuple[tuple[Traced, ...], tuple[Traced, ...]]:
    """Every scalar of the file with its line and its place in the recipe; and every map and list of it."""
    found: list[Traced] = []
    blocks: list[Traced] = []
    composed = yaml.compose(text, Loader=_Loader)
    stack: list[tuple[YNode, Any, str]] = [(node, composed, "")]
    while stack:
        mine, theirs, path = stack.pop()
        if path and not isinstance(mine, YScalar):
            blocks.append(Traced(path, theirs.start_mark.line + 1, mine.span))
        match mine:
            case YScalar(span=span):
                found.append(Traced(path, theirs.start_mark.line + 1, span))
            case YList(items):
                for number, (item, other) in enumerate(zip(items, theirs.value, strict=True)):
                    stack.append((item, other, f"{path}[{number}]"))
            case YMap(entries):
                pairs = theirs.value if theirs is not None else []
                for (key, value), (_, other) in zip(entries, pairs, strict=True):
                    stack.append((value, other, f"{path}.{key}" if path else key))
    return _in_order(found), _in_order(blocks)


def _in_order(found: list[Traced]) -> tuple[Traced, ...]:
    return tuple(sorted(found, key=lambda each: (each.line, each.at)))
