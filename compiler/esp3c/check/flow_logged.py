"""Names of numbers that a training logs, where a config asks for one: criteria, monitors of schedulers and callbacks."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.flow_base import Flow, block_in, configs_of, follow, hint, is_null, listed, runs_in, stock, text_of
from esp3c.check.flow_callbacks import logged_by
from esp3c.check.flow_functions import label_at, place_of
from esp3c.check.flow_gan import logged_in_turns, takes_turns
from esp3c.check.flow_given import trained
from esp3c.check.flow_training import forward_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, ListNode, MapNode, Node
from esp3c.python.body_values import Dict, Several, Value
from esp3c.record import record
from esp3c.schema.contracts import LOGGED
from esp3c.source import Span

_COUNTED = {"ModelCheckpoint": frozenset({"step", "epoch"})}
"""What callbacks count themselves, beside what is logged."""


@record
class _Logged:
    """What the model logs beside `loss`; `closed`: nothing else."""

    stats: tuple[str, ...]
    closed: bool
    labels: tuple[Label, ...] = ()


def logged_flow(flow: Flow) -> None:
    """Says where a config asks for a number that its training does not log."""
    for config in configs_of(flow.recipe, "training"):
        if not runs_in(flow.recipe, config, "train") or not stock(flow, "train"):
            continue
        others = [logged_by(flow.reader, each.target.path) for each in _callbacks(config)]
        if None in others or _unread_callbacks(config):
            continue
        beside = {name for each in others for name in each or ()}
        logged = _logged(flow, config)
        for what, node in _asked(config):
            name = text_of(follow(config, node))
            if name is not None and name not in beside:
                _compare(flow, what, name, node.span, logged)


def logged_names(flow: Flow, config: Config) -> list[str]:
    """The numbers that a training surely logs, those of the validation first."""
    return _names(_logged(flow, config))


def _names(logged: _Logged) -> list[str]:
    return [f"{start}{each}" for start in LOGGED[1::-1] for each in dict.fromkeys(("loss", *logged.stats))]


def _compare(flow: Flow, what: str, name: str, span: Span, logged: _Logged) -> None:
    prefix = next((each for each in LOGGED if name.startswith(each)), None)
    stat = name.removeprefix(prefix or "")
    if prefix is not None and (not logged.closed or stat in {"loss", *logged.stats}):
        flow.proved += logged.closed
        return
    if prefix is None and "${" in name:
        return
    known = _names(logged)
    near = _meant(name, known) or hint(name, known)
    says = f"; there are {listed(known)}" if logged.closed else "; names begin with `valid/` or `train/`"
    flow.say(
        "logged_metric",
        f"{what} asks for `{name}`, which a training does not log{near or says}",
        Label(span, "nothing of this name is logged"),
        logged.labels if prefix is not None else (),
    )


def _meant(name: str, known: list[str]) -> str:
    """`valid/loss` for what Lightning's own examples call `val_loss`."""
    split, _, stat = name.replace("/", "_").partition("_")
    split = {"val": "valid", "dev": "valid", "eval": "valid", "validation": "valid", "training": "train"}.get(
        split, split
    )
    for each in (f"{split}/{stat}", f"valid/{name}"):
        if each in known and each != name:
            return f"; did you mean `{each}`?"
    return ""


def _asked(config: Config) -> Iterator[tuple[str, Node]]:
    root = config.root
    criteria = follow(config, root.get("best_model_criterion"))
    for item in criteria.items if isinstance(criteria, ListNode) else ():
        entry = follow(config, item)
        if isinstance(entry, ListNode) and entry.items:
            yield "`best_model_criterion`", entry.items[0]
    monitor = root.get("scheduler_monitor")
    if monitor is not None:
        yield "`scheduler_monitor`", monitor
    schedulers = follow(config, root.get("schedulers"))
    for each in schedulers.entries if isinstance(schedulers, MapNode) else ():
        settings = follow(config, each.value)
        inner = settings.get("monitor") if isinstance(settings, MapNode) else None
        if inner is not None:
            yield f"the scheduler `{each.name}`", inner
    for call in _callbacks(config):
        monitor = call.arguments.get("monitor")
        own = _COUNTED.get(call.target.path.rpartition(".")[2], frozenset())
        if monitor is not None and text_of(follow(config, monitor)) in own:
            continue
        if monitor is not None and call.target.path.startswith(("lightning.", "pytorch_lightning.")):
            yield f"`{call.target.path.rpartition('.')[2]}`", monitor


def _callbacks(config: Config) -> list[CallNode]:
    trainer = block_in(config, "trainer")
    node = follow(config, trainer.get("callbacks")) if trainer is not None else None
    items = [follow(config, each) for each in node.items] if isinstance(node, ListNode) else [node]
    return [each for each in items if isinstance(each, CallNode)]


def _unread_callbacks(config: Config) -> bool:
    """Whether there are callbacks that are no calls, which may be anything."""
    trainer = block_in(config, "trainer")
    node = follow(config, trainer.get("callbacks")) if trainer is not None else None
    items = [follow(config, each) for each in node.items] if isinstance(node, ListNode) else [node]
    return any(each is not None and not is_null(each) and not isinstance(each, CallNode) for each in items)


def _logged(flow: Flow, config: Config) -> _Logged:
    model = follow(config, config.root.get("model"))
    target = forward_of(flow, trained(flow.reader, config, model)) if isinstance(model, CallNode) else None
    in_turns = isinstance(model, CallNode) and takes_turns(flow, trained(flow.reader, config, model))
    if target is None or (config.root.get("optimizers") is not None and not in_turns):
        return _Logged((), False)
    outcome = flow.outcome(target)
    if outcome.why or not outcome.returned:
        return _Logged((), False)
    found = [_stats(each.value) for each in outcome.returned]
    if any(each is None for each in found):
        return _Logged((), False)
    names = dict.fromkeys(name for each in found if each is not None for name in each)
    if in_turns:
        names = dict.fromkeys(logged_in_turns(list(names)))
    return _Logged(tuple(names), True, label_at(place_of(flow.reader, target), "this logs them"))


def _stats(value: Value) -> list[str] | None:
    """The names of the numbers in a result of `forward`; None where they are not known."""
    match value:
        case Several((_, Dict() as stats, _)) if stats.closed:
            return list(stats.fields)
        case Dict() if value.closed and "loss" in value.fields:
            nested = value.fields.get("stats")
            inner = _keys(nested.value) if nested is not None else []
            outer = [name for name in value.fields if name not in {"loss", "weight", "stats"}]
            return None if inner is None else [*inner, *outer]
        case _:
            return None


def _keys(value: Value) -> list[str] | None:
    return list(value.fields) if isinstance(value, Dict) and value.closed else None
