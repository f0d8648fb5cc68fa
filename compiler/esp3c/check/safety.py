"""Safety: values that execute, loads that execute, and paths that lead out of the recipe's folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values, walk_blocks
from esp3c.check.paths import leads_out
from esp3c.check.targets_used import literal, objects_of, paths_of, values_of
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import CallNode, Entry, MapNode, Node, Recipe, Scalar, strip
from esp3c.schema.blocks import INFERENCE_DATASET, TRAINING_DATASET
from esp3c.schema.safety import FINDERS, OPENERS, OUTPUTS, PICKLED, REFUSED_BY_HYDRA, WRITTEN_BY_CALLS, harm
from esp3c.source import Span
from esp3c.world import World


@explained("ESP1001", "a target that executes what it is given")
def executes(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A recipe names a callable that runs commands, text or compiled code, or deletes files.

        training { model = os.system(command = "rm -rf exp") }
        inference { output_fn = builtins.eval }

    A recipe is data that people hand to each other. What it names is called when it runs, with arguments from the
    recipe or from data. The names that one's own modules hand on (`from os import system`) count as well. Write a
    function of your own that does the one thing that is meant.
    """
    for target, span, call in objects_of(recipe):
        for path in paths_of(world, target):
            what = harm(path)
            if what is None and call is not None and path in OPENERS and _writes(call):
                what = "overwrites or creates a file"
            if what is not None:
                yield _executes(path, what, span, target.path)
                break
    for path, span in _named_by_text(recipe):
        what = harm(path)
        if what is not None:
            yield _executes(path, what, span, path)


def _executes(path: str, what: str, span: Span, written: str) -> Diagnostic:
    return Diagnostic(
        code_of(executes),
        f"`{path}` {what}",
        Label(span, "not as a value of a recipe" if path == written else f"this is `{path}`"),
        help=("a function of the recipe's own that does the one thing that is meant can stand here",),
    )


def _writes(call: CallNode) -> bool:
    mode = literal(strip(call.arguments.get("mode") or call.arguments))
    return mode is not None and any(letter in mode for letter in "wax+")


def _named_by_text(recipe: Recipe) -> Iterator[tuple[str, Span]]:
    """Paths that stand as text where something looks them up."""
    for node in values_of(recipe):
        if isinstance(node, CallNode) and node.target.path in FINDERS:
            path = node.arguments.get("path")
            text = literal(strip(path)) if path is not None else None
            if path is not None and text is not None:
                yield text, path.span
    for config in recipe.configs.values():
        written = config.root.get("output_fn")
        text = literal(strip(written)) if written is not None else None
        if written is not None and text is not None:
            yield text, written.span


@explained("ESP1002", "a load that may execute what it loads")
def unsafe_load(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call switches off the protection with which files are loaded.

        model = src.inference.Recognizer(checkpoint = "best.ckpt", weights_only = false)
        transform = numpy.load(file = "stats.npy", allow_pickle = true)

    A pickle runs code when it is read, and a checkpoint is a pickle. With `weights_only = true` torch reads tensors and
    plain values only, which is all that a model needs.
    """
    for node in values_of(recipe):
        for entry in node.entries if isinstance(node, MapNode) else ():
            value = strip(entry.value)
            if entry.name == "weights_only" and isinstance(value, Scalar) and value.value is False:
                label = Label(entry.value.span, "`true` reads tensors only")
                yield Diagnostic(code_of(unsafe_load), "with `weights_only = false` a checkpoint can run code", label)
    for call, entry, given in _arguments(recipe):
        if entry.name == "allow_pickle" and given is True and call.target.path in PICKLED:
            label = Label(entry.value.span, "leave it out: arrays of numbers need no pickle")
            yield Diagnostic(code_of(unsafe_load), "with `allow_pickle = true` a file of arrays can run code", label)


@explained("ESP1003", "Python that comes with a model is trusted", Severity.WARNING)
def remote_code(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call lets code from a model hub run.

        model = transformers.AutoModel.from_pretrained(pretrained_model_name_or_path = "a/b", trust_remote_code = true)

    Whoever can change that repository runs code on your machines. Where the model needs it, read the code and fix its
    `revision` to the commit that you have read; then this is silent.
    """
    for call, entry, value in _arguments(recipe):
        if entry.name in {"trust_remote_code", "trust_user_code"} and value is True and not _fixed(call):
            yield Diagnostic(
                code_of(remote_code),
                f"`{entry.name} = true` runs Python that comes with the model",
                Label(entry.value.span, "add a `revision` that you have read, or leave it out"),
            )


def _fixed(call: CallNode) -> bool:
    for name in ("revision", "code_revision"):
        text = literal(strip(call.arguments.get(name) or call.arguments))
        if text is not None and len(text) >= 7 and all(letter in "0123456789abcdef" for letter in text):
            return True
    return False


def _arguments(recipe: Recipe) -> Iterator[tuple[CallNode, Entry, object]]:
    """Every argument of every call that is a plain value."""
    for node in values_of(recipe):
        if isinstance(node, CallNode):
            for entry in node.arguments.entries:
                value = strip(entry.value)
                if isinstance(value, Scalar):
                    yield node, entry, value.value


@explained("ESP1004", "stages would write outside of the recipe's folder", Severity.WARNING)
def leaves_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A folder into which stages write lies outside of the recipe's folder, by `..` or in the operating system's.

        recipe digits { exp_tag = "../../other/exp/ctc" }
        training { stats_dir = "/usr/share/stats" }

    What is there may belong to something else. An absolute path to a disk for data or experiments is fine, and so is
    reading from anywhere.
    """
    for node, root, key in _outputs(recipe):
        how = leads_out(recipe, root, node)
        if how is not None:
            yield Diagnostic(code_of(leaves_folder), f"`{key}` leads out of the recipe's folder", Label(node.span, how))
    for span, name, what in _names_of_folders(recipe):
        if "/" in name or name in {"", ".", ".."}:
            label = Label(span, "it is the name of a folder or file, without `/`")
            yield Diagnostic(code_of(leaves_folder), f"`{name}` is not a name for {what}", label)


def _outputs(recipe: Recipe) -> Iterator[tuple[Node, MapNode, str]]:
    """Every folder into which something writes, with the config whose names its text uses."""
    for entry in recipe.settings.entries:
        if entry.name in OUTPUTS:
            yield entry.value, MapNode((), recipe.span), entry.name
    for config in recipe.configs.values():
        if not config.well_known and not config.kind:
            continue
        for inner in (config.root, *_sections(config.root)):
            for entry in inner.entries:
                if entry.name in OUTPUTS:
                    yield entry.value, config.root, entry.name
        trainer = config.root.get("trainer")
        for written in (trainer, config.root.get("runner")):
            yield from _by_calls(written, config.root)
    for stage in recipe.stages:
        yield from _by_calls(stage.workload.get("runner") if stage.workload is not None else None, recipe.settings)


def _by_calls(node: Node | None, root: MapNode) -> Iterator[tuple[Node, MapNode, str]]:
    """Folders into which runners, callbacks and loggers write."""
    for each in all_values(node) if node is not None else ():
        for entry in each.arguments.entries if isinstance(each, CallNode) else ():
            if entry.name in WRITTEN_BY_CALLS:
                yield entry.value, root, entry.name


def _sections(root: MapNode) -> Iterator[MapNode]:
    for name in ("tokenizer", "trainer", "pack_model"):
        node = root.get(name)
        value = strip(node) if node is not None else None
        if isinstance(value, MapNode):
            yield value


def _names_of_folders(recipe: Recipe) -> Iterator[tuple[Span, str, str]]:
    """Names of test sets, which are folders of the output."""
    for node, block in walk_blocks(recipe):
        if block in (TRAINING_DATASET, INFERENCE_DATASET):
            tests = node.get("test")
            sets = strip(tests) if tests is not None else None
            for entry in sets.entries if isinstance(sets, MapNode) else ():
                yield entry.key_span, entry.name, "a test set"


@explained("ESP1005", "a target that Hydra refuses")
def refused_by_hydra(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call names a function that Hydra does not call from a config, since a config could do harm with it.

        preprocessor = operator.itemgetter(_args_ = ["speech"])

    Write a small function in the recipe's own Python, and name that.
    """
    for node in values_of(recipe):
        if isinstance(node, CallNode) and node.target.path in REFUSED_BY_HYDRA and harm(node.target.path) is None:
            yield Diagnostic(
                code_of(refused_by_hydra),
                f"Hydra does not call `{node.target.path}` from a config",
                Label(node.head, "write a function of the recipe's own, and name that"),
            )
