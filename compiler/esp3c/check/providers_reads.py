"""What a runner's functions ask for by key: of their environment, of an item, of what another hook made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import hint, is_null, listed
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, place_of
from esp3c.check.flow_made import made_by
from esp3c.check.providers_pairs import Env, Pair, Part, environment, own_method, runners
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Recipe, Scalar, strip
from esp3c.python.body_values import UNKNOWN, Dict, Entry, Listing, Made, Value, fork, leaf
from esp3c.python.reader import Reader, reader
from esp3c.record import record
from esp3c.schema.contracts import HOOKS, RUNNER_ENV, STATE_HOOKS
from esp3c.world import World


@record
class _Source:
    """Where a value comes from, in words, and the place that shows it."""

    words: str
    labels: tuple[Label, ...]


@needs_whole_file
@explained("ESP0719", "a runner reads what it is not given")
def hook_reads(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`forward` or a hook of a runner asks for a key that is not there: in `**env`, in an item of the provider's dataset, in
    the `writers` that `open_writers` made, in the result of `forward`, or in the state of `init_state`.

        def open_writers(shard_dir, **env):
            return {"text": (shard_dir / "text").open("w")}

        def write_record(writers, result, state, **env):
            writers["texts"].write(…)

    The first item ends in a KeyError.
    """
    reading = reader(world)
    for pair, runner in runners(recipe, reading):
        env = environment(reading, pair)
        results = _results(reading, pair, runner)
        for name, given in {"forward": ("idx",), **HOOKS}.items():
            target = own_method(reading, runner.path, name)
            if target is None or not (target.function.static or "classmethod" in target.function.decorators):
                continue
            found = _first(reading, pair, runner, target, name, given, env, results)
            if found is not None:
                message, place = found[0], found[1]
                yield Diagnostic(code_of(hook_reads), message, Label(runner.span, "this runner"), place)
                break


def _results(reading: Reader, pair: Pair, runner: Part) -> dict[str, tuple[Value, _Source]]:
    """What hooks are given that other functions of the runner make, by the name of the parameter in `HOOKS`."""
    made: dict[str, tuple[Value, _Source]] = {}
    opens = own_method(reading, runner.path, "open_writers")
    init = own_method(reading, runner.path, "init_state")
    forward = own_method(reading, runner.path, "forward")
    for name, target in (("writers", opens if init is None else None), ("state", init), ("result", forward)):
        if target is None or (name == "result" and not target.function.static):
            continue
        outcome = outcome_of(reading, target, _index(target, runner) if name == "result" and not pair.inference else {})
        if not outcome.why:
            made[name] = (
                outcome.value,
                _Source(f"`{target.name}` makes", label_at(place_of(reading, target), "made here")),
            )
    return made


def _first(
    reading: Reader,
    pair: Pair,
    runner: Part,
    target: Target,
    name: str,
    given: tuple[str, ...],
    env: Env | None,
    results: dict[str, tuple[Value, _Source]],
) -> tuple[str, tuple[Label, ...]] | None:
    """The first key that a function surely asks for in vain: what to say, and where it stands."""
    values: dict[str, Value] = _index(target, runner) if name == "forward" and not pair.inference else {}
    sources: dict[str, _Source] = {}
    if name == "write_record" and own_method(reading, runner.path, "reduce_state") is not None:
        # That one calls it, with whatever it has.
        given = ()
    for number, role in enumerate(given):
        if role in results and number < len(target.positional):
            # The state changes from item to item: only its first form is known, which later hooks do not see.
            if role == "state" and name == "finalize_state":
                continue
            values[target.positional[number].name] = _marked(results[role][0], role)
            sources[role] = results[role][1]
    if env is not None and env.closed:
        known = {*env.names, *(RUNNER_ENV if name in STATE_HOOKS else ())}
        rest = [each for each in sorted(known) if each not in target.named]
        keywords = next((each.name for each in target.parameters if each.kind == "kwargs"), None)
        if keywords is not None:
            values[keywords] = Dict({each: Entry(UNKNOWN) for each in rest}, origin=frozenset({"env"}))
            shown = (Label(pair.provider.span, "its provider"),) if pair.provider is not None else ()
            sources["env"] = _Source(f"`**{keywords}` holds", (*shown, *env.labels))
    item = _item(reading, pair)
    if item is not None and "dataset" in target.named and name == "forward":
        values["dataset"] = Listing([_marked(item[0], "item")], filled=True)
        sources["item"] = item[1]
    if not values:
        return None
    outcome = outcome_of(reading, target, values)
    for each in outcome.readings:
        role = next((role for role in sources if role in each.origin), "")
        module = getattr(each.scope, "module", None)
        if not role or module is None:
            continue
        what = {"env": "of its environment", "item": "of an item"}.get(role, f"of its `{role}`")
        message = f"`{target.name}` reads `{each.key}` {what}, but {sources[role].words} {listed(each.known)}" + hint(
            each.key, each.known
        )
        return message, (*label_at(node_place(reading, module, each.node), "read here"), *sources[role].labels)
    return None


def _index(target: Target, runner: Part) -> dict[str, Value]:
    """What `forward` is given first: a number, or with a `batch_size` a list of them."""
    size = runner.settings.get("batch_size")
    size = strip(size) if size is not None else None
    if not target.positional or not (size is None or isinstance(size, Scalar)):
        return {}
    batched = size is not None and not is_null(size)
    return {target.positional[0].name: Listing([UNKNOWN], filled=True) if batched else leaf(0)}


def _marked(value: Value, role: str) -> Value:
    """A value of one's own to change, with its keys marked as those of a role."""
    copied = fork({"": value})[""]
    for each in _dicts(copied):
        each.origin = frozenset({role})
    return copied


def _dicts(value: Value) -> Iterator[Dict]:
    if isinstance(value, Dict):
        yield value
    elif isinstance(value, Listing):
        for part in value.parts:
            yield from _dicts(part)


def _item(reading: Reader, pair: Pair) -> tuple[Dict, _Source] | None:
    """What an item of the dataset holds that a provider builds itself."""
    provider = pair.provider
    if provider is None or not provider.path:
        return None
    path = ""
    builds = own_method(reading, provider.path, "build_dataset")
    env = environment(reading, pair)
    held = env.values.get("dataset") if env is not None else None
    if isinstance(held, Made):
        path = held.path
    elif builds is not None and builds.function.static and env is not None and "dataset" not in env.values:
        path = made_by(reading, f"{builds.owner}.build_dataset")
    target = method_of(reading, path, "__getitem__") if path else None
    outcome = outcome_of(reading, target, {}) if target is not None else None
    if target is None or outcome is None or not isinstance(outcome.value, Dict):
        return None
    return outcome.value, _Source(f"`{target.name}` gives", label_at(place_of(reading, target), "an item is made here"))


READ_RULES = (hook_reads,)
