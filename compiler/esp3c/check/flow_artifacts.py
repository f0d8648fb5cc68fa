"""`output_artifacts` of an inference: the fields that it names, and the types that it gives them."""

from __future__ import annotations

from esp3c.check.flow_base import Flow, Items, follow, hint, listed, text_of
from esp3c.check.flow_functions import Target
from esp3c.diagnostics import Label
from esp3c.ir import Config, MapNode
from esp3c.schema.contracts import ARTIFACTS
from esp3c.suggest import did_you_mean


def artifact_types(flow: Flow, config: Config) -> None:
    """The types of `output_artifacts`, which need nothing but themselves."""
    node = follow(config, config.root.get("output_artifacts"))
    for entry in node.entries if isinstance(node, MapNode) else ():
        settings = follow(config, entry.value)
        if not isinstance(settings, MapNode) or settings.get("writer") is not None:
            continue
        written = settings.get("type")
        kind = text_of(follow(config, written))
        if kind is None or written is None:
            continue
        if kind not in ARTIFACTS:
            flow.say(
                "artifact_type",
                f"`{entry.name}` has the type `{kind}`, which cannot be written; there are {listed(ARTIFACTS)}",
                Label(written.span, did_you_mean(kind, ARTIFACTS) or "or give it a `writer`"),
            )
        elif kind == "wav" and settings.get("sample_rate") is None:
            flow.say(
                "artifact_type",
                f"`{entry.name}` is written as a `wav`, which needs its `sample_rate`",
                Label(written.span, "add `sample_rate = 16kHz`, or what it is"),
            )


def artifacts(flow: Flow, config: Config, target: Target, returned: Items) -> None:
    """The fields that `output_artifacts` names against those that are returned."""
    node = follow(config, config.root.get("output_artifacts"))
    for entry in node.entries if isinstance(node, MapNode) else ():
        if returned.lacks(entry.name):
            flow.say(
                "output_artifacts",
                f"`output_artifacts` says how `{entry.name}` is written, but `{target.name}` returns "
                + listed(returned.names)
                + hint(entry.name, returned.names),
                Label(entry.key_span, "no output holds this"),
                returned.labels,
            )
