"""Handing an environment to a function by the names of its parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from espnet3.utils.errors import RunnerError, did_you_mean, listed

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def injected(function: Callable[..., Any], n_given: int, env: Mapping[str, Any], label: str) -> dict[str, Any]:
    """The keyword arguments that `function` takes from `env`.

    With `**kwargs` in its signature it takes all of them, otherwise those that it names.

    Args:
        function: The function that will be called.
        n_given: How many of its first parameters the caller gives itself.
        env: Names and objects.
        label: What to call the function in an error.

    Raises:
        RunnerError: A parameter without a default has no entry in `env`, or `env` has an entry with the
            name of a parameter that the caller gives.
    """
    parameters = list(inspect.signature(function).parameters.values())
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    given = {parameter.name for parameter in parameters[:n_given] if parameter.kind in _NAMED}
    taken = [parameter for parameter in parameters[n_given:] if parameter.kind in _NAMED]
    for parameter in taken:
        if parameter.default is inspect.Parameter.empty and parameter.name not in env:
            near = did_you_mean(parameter.name, env)
            raise RunnerError(
                f"{label} has a parameter {parameter.name!r}, but the provider's environment has no such key "
                f"(it has {listed(env)}){near}"
            )
    clash = given & set(env)
    if takes_all and clash:
        raise RunnerError(
            f"the provider's environment has the key {listed(sorted(clash))}, which {label} is given by the "
            "runner itself; give it another name"
        )
    if takes_all:
        return dict(env)
    return {parameter.name: env[parameter.name] for parameter in taken if parameter.name in env}
