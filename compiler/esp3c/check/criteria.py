"""What is wrong with an entry of `best_model_criterion`."""

from __future__ import annotations

from esp3c.ir import Node, Scalar
from esp3c.source import Span
from esp3c.suggest import did_you_mean


def wrong_part(entry: Node, parts: list[Node | None], metrics: dict[object, Span]) -> tuple[Span, str]:
    """The first part of an entry that is certainly wrong, and why; empty where none is."""
    metric, count, mode = parts
    if isinstance(metric, Scalar) and (not isinstance(metric.value, str) or not metric.value):
        return metric.span, "not the name of a metric"
    if isinstance(count, Scalar) and (type(count.value) is not int or count.value < 1):
        return count.span, "a whole number of at least 1"
    if isinstance(mode, Scalar) and mode.value not in ("min", "max"):
        return mode.span, did_you_mean(str(mode.value), ("min", "max")) or 'it is "min" or "max"'
    if isinstance(metric, Scalar) and metric.value in metrics:
        return metric.span, "this metric has an entry before"
    if isinstance(metric, Scalar):
        metrics[metric.value] = metric.span
    return entry.span, ""
