"""Providers: methods that cannot be called as espnet3 calls them, and an `__init__` that the config does not reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import listed
from esp3c.check.flow_functions import Target, label_at, method_of, parameter_place, place_of
from esp3c.check.providers_pairs import OWN_PROVIDERS, Part, own_method, pairs
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Recipe
from esp3c.python.reader import Reader, reader
from esp3c.schema.contracts import ENVIRONMENT_PROVIDER, PROVIDER_METHODS
from esp3c.world import World


@explained("ESP0717", "a provider's method that cannot be called")
def provider_method(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A method of a provider is not what espnet3 calls: `build_dataset` and `build_model` are static and take the config,
    `build_env_local` and `build_worker_setup_fn` take nothing but `self`.

        class Provider(InferenceProvider):
            def build_model(self, config): …

    A worker calls `build_model` on the class, where `self` does not exist. Write `@staticmethod` above it, and take all
    that it needs from `config`.
    """
    reading = reader(world)
    for provider in _providers(recipe, reading):
        for name, given in PROVIDER_METHODS.items():
            target = own_method(reading, provider.path, name)
            fault = (
                _fault(target, given, building=_is_building(reading, provider, name)) if target is not None else None
            )
            if target is not None and fault is not None:
                yield Diagnostic(
                    code_of(provider_method),
                    f"`{target.name}` {fault[0]}",
                    Label(provider.span, "this provider"),
                    label_at(place_of(reading, target), fault[1]),
                )


def _is_building(reading: Reader, provider: Part, name: str) -> bool | None:
    """Whether a method is one that espnet3's own provider calls on the class; None where it calls nothing of the kind."""
    if not PROVIDER_METHODS[name]:
        return False
    # A provider that builds its environment itself may have methods of these names for itself.
    setup = method_of(reading, provider.path, "build_worker_setup_fn")
    return True if setup is not None and setup.owner in OWN_PROVIDERS else None


def _fault(target: Target, given: tuple[str, ...], *, building: bool | None) -> tuple[str, str] | None:
    """What is wrong with a method, and what to do."""
    if building is None or target.has("args"):
        return None
    classed = "classmethod" in target.function.decorators
    wanted = f"{'' if building else 'self'}{', '.join(given)}"
    if building and not target.function.static and not classed:
        return (
            "must be a `@staticmethod`: it is called on the class, with the config",
            f"write `@staticmethod` above, `({wanted})`",
        )
    if not target.function.static and not target.function.parameters:
        return "has no `self`, and is called on the provider", "write `self` first"
    needed = [each.name for each in target.required]
    keyword = any(each.kind == "keyword" for each in target.required)
    if len(needed) <= len(given) <= len(target.positional) and not keyword:
        return None
    with_what = listed(given) if given else "no arguments"
    return (
        f"is called with {with_what}, but it takes {listed(each.name for each in target.parameters)}",
        f"write `{target.function.name}({wanted})`",
    )


@explained("ESP0718", "a provider that the config does not reach")
def provider_config(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A provider's own `__init__` has no place for the config, which is given to it first.

        class Provider(InferenceProvider):
            def __init__(self, params = None): …

    espnet3 calls it as `Provider(config, …)`, with the arguments of the recipe by name. Begin with `config`, and hand it on:
    `super().__init__(config, params)`.
    """
    reading = reader(world)
    for pair in pairs(recipe, reading):
        provider = pair.provider
        if provider is None or not provider.path or not reading.is_a(provider.path, (ENVIRONMENT_PROVIDER,)):
            continue
        target = own_method(reading, provider.path, "__init__")
        if target is None or target.has("args") or target.owner == ENVIRONMENT_PROVIDER:
            continue
        given = ("config", "params") if pair.inference else ("config",)
        taken = target.positional[: len(given)]
        named = next((each for each in taken if provider.settings.get(each.name) is not None), None)
        first = taken[0] if taken else None
        if named is None and first is not None and first.name == "params" and first.default is not None:
            named = first
        if len(taken) == len(given) and named is None:
            continue
        yield Diagnostic(
            code_of(provider_config),
            f"`{target.name}` takes {listed(each.name for each in target.parameters)}, but a provider is given "
            f"{'its config and `params`' if pair.inference else 'its config'} first",
            Label(provider.span, f"called as `({', '.join(given)}, …)`"),
            label_at(
                parameter_place(reading, target, named) if named is not None else place_of(reading, target),
                "this is where the config would come"
                if named is not None and named is first
                else f"write `(self, {', '.join(given)}, …)`",
            ),
        )


def _providers(recipe: Recipe, reading: Reader) -> Iterator[Part]:
    for pair in pairs(recipe, reading):
        if (
            pair.provider is not None
            and pair.provider.path
            and reading.is_a(pair.provider.path, (ENVIRONMENT_PROVIDER,))
        ):
            yield pair.provider


CALL_RULES = (provider_method, provider_config)
