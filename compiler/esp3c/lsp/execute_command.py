"""Commands of the server, for clients that have none of their own: `workspace/executeCommand`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from esp3c.lsp.documents import Document, path_of

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

PATIENCE = 60.0
"""Seconds that a plan may take: it asks the site's SLURM, where there is one."""


async def plan(server: EspServer, uri: object = None, stage: object = None) -> str:
    """What `esp3c plan` says of a stage, or of all where none is named. It reads the file as it was saved."""
    if not isinstance(uri, str) or not isinstance(stage, str | None):
        return "esp3c.server.plan takes the URI of a recipe, and the name of a stage or null"
    path = path_of(uri)
    # `-P`: a folder called esp3c beside the recipe is not taken for this program.
    command = [sys.executable, "-P", "-m", "esp3c", "plan", str(path)]
    if stage is not None:
        if stage.startswith("-"):
            return f"there is no stage `{stage}`"
        command += ["--stages", stage]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=path.parent,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return f"cannot plan {path}: {error.strerror or error}"
    try:
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        return f"esp3c plan took more than {PATIENCE:.0f} s and was ended; run it in a terminal: esp3c plan {path}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode("utf-8", "replace")


async def stages(server: EspServer, uri: object = None) -> dict[str, Any] | None:
    """What there is to choose from in a recipe: the names of its stages, with where each runs, configs and machine settings."""
    document = _recipe(server, uri)
    if document is None:
        return None
    recipe = document.view().recipe
    return {
        "recipe": recipe.name,
        "stages": [{"name": each.name, "on": each.on.name if each.on is not None else None} for each in recipe.stages],
        "configs": list(recipe.configs),
        "parallels": list(recipe.parallels),
    }


async def graph(server: EspServer, uri: object = None) -> str | None:
    """The stages of a recipe with what they need and leave, drawn as SVG."""
    from esp3c.graph.model import graph_of
    from esp3c.graph.svg import render_svg

    document = _recipe(server, uri)
    return render_svg(graph_of(document.view().recipe)) if document is not None else None


def _recipe(server: EspServer, uri: object) -> Document | None:
    return server.recipe(uri) if isinstance(uri, str) else None


Command = Callable[..., Awaitable[Any]]

COMMANDS: dict[str, Command] = {
    "esp3c.server.plan": plan,
    "esp3c.server.stages": stages,
    "esp3c.server.graph": graph,
}
"""By name. Each takes the URI of a recipe first."""
