"""`esp3c graph`: draws a recipe: its stages with what they need, where they run, and what flows between them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, add_recipe, add_set, fail, load, show
from esp3c.cli.replacing import put

if TYPE_CHECKING:
    from esp3c.graph.model import Graph

EPILOG = """\
examples:
  esp3c graph recipe.esp -o recipe.svg                    a picture; the ending of the name says what kind
  esp3c graph recipe.esp -o recipe.svg --stages infer measure
  esp3c graph recipe.esp --format mermaid                 for a Markdown file
  esp3c graph recipe.esp --format dot | dot -Tpdf -o recipe.pdf

Endings: .svg; .dot or .gv; .mmd or .mermaid. Without -o the picture goes to standard output, as SVG if no --format is given.

Drawn are datasets, configs, stages in their order, machines, and the files that one stage leaves and a later one reads:
those that ESPnet3's stages read, and those that a config names (checkpoint = "${exp_dir}/last.ckpt"). What a function of the
recipe reads and writes on its own account is not known. A recipe with errors is not drawn.
"""

_ENDINGS = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid"}


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "graph",
        description="Draws a recipe: stages, configs, datasets, machines, and what flows between the stages.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    parser.add_argument("--format", choices=("svg", "dot", "mermaid"), help="what to write (default: by -o, or svg)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="STAGE",
        default=["all"],
        help="draw these stages only, with what they need, read and leave",
    )
    add_set(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.cli.run import chosen
    from esp3c.graph.model import graph_of

    try:
        form = _format(args.format, args.output)
        result = load(args.recipe, args.overrides)
        show(result.diagnostics, sys.stderr)
        if not result.ok:
            return 1
        everything = args.stages == ["all"]
        graph = graph_of(result.recipe, None if everything else chosen(result.recipe, args.stages))
        data = _rendered(graph, form).encode("utf-8")
        if args.output is not None:
            _write(args.output, data)
            return 0
    except Failure as failure:
        return fail(failure)
    # As bytes: the encoding of the terminal is none of the picture's business.
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    return 0


def _format(asked: str | None, output: Path | None) -> str:
    """The form to write.

    Raises:
        Failure: nothing says which, or the picture would be poured over a terminal.
    """
    if asked is not None:
        return asked
    if output is None:
        if sys.stdout.isatty():
            raise Failure("name a file for the picture (-o recipe.svg), or a form to print (--format mermaid)", 2)
        return "svg"
    form = _ENDINGS.get(output.suffix.lower())
    if form is None:
        known = ", ".join(_ENDINGS)
        raise Failure(f"-o {output}: the ending does not say what to write; use one of {known}, or --format", 2)
    return form


def _rendered(graph: Graph, form: str) -> str:
    if form == "svg":
        from esp3c.graph.svg import render_svg

        return render_svg(graph)
    if form == "dot":
        from esp3c.graph.dot import render_dot

        return render_dot(graph)
    from esp3c.graph.mermaid import render_mermaid

    return render_mermaid(graph)


def _write(path: Path, data: bytes) -> None:
    """Puts the file in its place whole.

    Raises:
        Failure: the disk refused.
    """
    try:
        put(path, data)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error
