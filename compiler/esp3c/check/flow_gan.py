"""GAN models: who trains them, with which optimizers, and what their `forward` takes and gives in a turn."""

from __future__ import annotations

from esp3c.check.flow_base import Flow, follow, listed
from esp3c.check.flow_functions import Target, label_at, node_place, place_of
from esp3c.check.flow_made import made_by
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, Entry, MapNode
from esp3c.python.body_values import Dict, Several, Value
from esp3c.schema.contracts import GAN_FLAG, GAN_MODELS, GAN_RESULT, GAN_SYSTEM, GAN_TURNS
from esp3c.schema.stages import SYSTEMS
from esp3c.suggest import did_you_mean


def takes_turns(flow: Flow, model: CallNode) -> bool:
    """Whether a model surely is a GAN model, and trained as one."""
    return is_gan(flow, model) and _trained_in_turns(flow)


def is_gan(flow: Flow, model: CallNode) -> bool:
    """Whether the class of what a call makes surely extends that of GAN models."""
    made = made_by(flow.reader, model.target.path)
    return bool(made) and flow.reader.is_a(made, GAN_MODELS) is True


def say_wrong_system(flow: Flow, model: CallNode) -> bool:
    """Says that the recipe's system cannot train a GAN model, and whether that is so."""
    system = flow.recipe.system
    if not is_gan(flow, model) or system is None or system.root is None or _trained_in_turns(flow):
        return False
    flow.say(
        "gan_system",
        f"`{model.target.path}` is a GAN model, which `{system.path.rpartition('.')[2]}` does not train in turns",
        Label(model.head, "it has two losses, and gives one at a time"),
        (Label(system.span, f"write `{GAN_SYSTEM}`, or extend it"),),
    )
    return True


def check_turns(flow: Flow, config: Config, model: CallNode, target: Target) -> Target:
    """Looks at the optimizers and at what `forward` takes, and gives it as the trainer calls it: with the turn."""
    _optimizers(flow, config, model)
    if GAN_FLAG not in target.named and not target.has("kwargs"):
        _say(flow, model, target, f"`{target.name}` has no parameter `{GAN_FLAG}`, which tells it whose turn it is")
    given = target.given | {GAN_FLAG}
    return Target(target.name, target.function, target.module, target.cls, target.owner, target.skipped, given)


def tells_turn(flow: Flow, model: CallNode, target: Target) -> bool:
    """Whether what `forward` returns may tell whose turn it was; says where it surely does not."""
    outcome = flow.outcome(target)
    faults = [] if outcome.why else [_fault(each.value) for each in outcome.returned]
    if not faults or not all(faults):
        return True
    place = node_place(flow.reader, target.module, outcome.returned[0].node)
    message = f"`{target.name}` returns {faults[0]}; of a GAN model it is a dict with {listed(GAN_RESULT)}"
    flow.say(
        "gan_turns", message, Label(model.head, "its turns cannot be told apart"), label_at(place, "returned here")
    )
    return False


def logged_in_turns(stats: list[str]) -> list[str]:
    """The names of the numbers that are logged of both turns, beside `loss`."""
    losses = [f"{turn}_loss" for turn in GAN_TURNS]
    # A name that both turns give is logged with that of the turn before it.
    shared = [f"{GAN_TURNS[-1]}_{name}" for name in stats]
    return [*(name for name in stats if name not in GAN_RESULT), *losses, *shared]


def _trained_in_turns(flow: Flow) -> bool:
    system = flow.recipe.system
    if system is None or system.root is None:
        return False
    if flow.reader.is_a(system.path, (GAN_SYSTEM,)) is not False:
        return True
    # One that makes its own trainer may know what to do.
    method = flow.reader.method(system.path, "_build_trainer")
    return method is not None and method.owner not in SYSTEMS


def _optimizers(flow: Flow, config: Config, model: CallNode) -> None:
    root = config.root
    single = _entry(root, "optimizer")
    several = _entry(root, "optimizers")
    because = (Label(model.head, "a GAN model"),)
    names = listed(GAN_TURNS).replace(", ", " and ")
    if several is None:
        if single is not None:
            label = Label(single.key_span, "write `optimizers { generator { … }  discriminator { … } }`")
            flow.say("gan_optimizers", f"a GAN model trains with two optimizers, {names}", label, because)
        return
    block = follow(config, several.value)
    if not isinstance(block, MapNode):
        return
    written = [each.name for each in block.entries]
    strange = [each for each in block.entries if each.name not in GAN_TURNS]
    for each in strange:
        near = did_you_mean(each.name, [turn for turn in GAN_TURNS if turn not in written])
        message = f"the optimizers of a GAN model are {names}; there is no turn of `{each.name}`"
        flow.say("gan_optimizers", message, Label(each.key_span, near or f"one of {names}"), because)
    lacking = [turn for turn in GAN_TURNS if turn not in written]
    if lacking and not strange:
        label = Label(several.key_span, f"add `{lacking[0]} {{ optimizer = …  params = … }}`")
        flow.say("gan_optimizers", f"a GAN model needs an optimizer `{lacking[0]}`", label, because)
    elif not strange:
        flow.proved += 1


def _entry(root: MapNode, name: str) -> Entry | None:
    return next((each for each in root.entries if each.name == name), None)


def _fault(value: Value) -> str:
    match value:
        case Several(items):
            return f"a tuple of {len(items)}"
        case Dict() if value.closed and "loss" in value.fields and "optim_idx" not in value.fields:
            return "a dict without `optim_idx`"
        case _:
            return ""


def _say(flow: Flow, model: CallNode, target: Target, message: str) -> None:
    place = place_of(flow.reader, target)
    label = Label(model.head, "it is called once for each turn of a batch")
    flow.say("gan_turns", message, label, label_at(place, f"add `{GAN_FLAG}: bool = True`"))
