"""Names: undefined, declared twice, unused, cyclic, shadowing."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from esp3c.check.blocks import walk_blocks
from esp3c.check.echoes import is_echo
from esp3c.check.rings import scaffold_rings
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, Severity, code_of, explained
from esp3c.ir import BadOverride, BrokenNode, Cycle, NotText, Recipe, Repeated, Shadowed, Undefined
from esp3c.python.find import Lookup
from esp3c.python.model import Class, Function
from esp3c.python.reader import reader
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import SYSTEMS
from esp3c.source import Span
from esp3c.suggest import certain, one_of
from esp3c.world import ModuleKind, World


def _near(near: tuple[str, ...], otherwise: str) -> str:
    return f"did you mean {one_of(near[:3])}?" if near else otherwise


def _fix(span: Span, name: str, near: tuple[str, ...]) -> Fix | None:
    """The fix of a name inside `span`, which may hold more than the name: `${exp_dri}`."""
    meant = certain(name, near)
    if meant is None or span.text.count(name) != 1:
        return None
    start = span.start + span.text.index(name)
    return Fix(f"write `{meant}`", (Edit(Span(span.source, start, start + len(name)), meant),))


def _quoted(span: Span, name: str) -> Fix | None:
    """The fix of a word that lacks its quotes."""
    return Fix("put it in quotes", (Edit(span, f'"{name}"'),)) if span.text == name else None


def _words_wanted(recipe: Recipe) -> dict[Span, tuple[str, ...]]:
    """The words that a key takes, by the place of its value, where that value is no value."""
    wanted: dict[Span, tuple[str, ...]] = {}
    for node, block in walk_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            if key is not None and isinstance(entry.value, BrokenNode):
                options = key.type.options if isinstance(key.type, t.Either) else (key.type,)
                words = [word for option in options if isinstance(option, t.OneOf) for word in option.words]
                wanted[entry.value.span] = tuple(words)
    return wanted


_HABITS = {
    "True": "true", "False": "false", "None": "null", "yes": "true", "no": "false", "Yes": "true", "No": "false",
    "TRUE": "true", "FALSE": "false", "NULL": "null", "nil": "null", "none": "null", "off": "false",
}  # fmt: skip
"""What Python and YAML write for the constants of the language."""


@explained("ESP0201", "undefined name")
@needs_whole_file
def undefined_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A name is neither in the recipe nor the path of a Python object.

        scheduler = torch.optim.lr_scheduler.OneCycleLR(max_lr = optimiser.lr, total_steps = 800)

    A bare name is looked up in its block, the blocks around it, and among the file's declarations; then, with a dot in
    it, as a Python path. Text is written with quotes: `accelerator = "auto"`.
    """
    wanted = _words_wanted(recipe)
    for fact in recipe.of(Undefined):
        if fact.what not in {"name", "interpolation", "override"} or is_echo(recipe, world, fact):
            continue
        help: tuple[str, ...] = ()
        if fact.name in wanted.get(fact.span, ()):
            yield Diagnostic(
                code_of(undefined_name),
                f"`{fact.name}` is not defined",
                Label(fact.span, f'text is written with quotes: `"{fact.name}"`'),
                fix=_quoted(fact.span, fact.name),
            )
            continue
        meant = _HABITS.get(fact.name) if fact.what == "name" else None
        if meant is not None:
            yield Diagnostic(
                code_of(undefined_name),
                f"`{fact.name}` is not defined",
                Label(fact.span, f"it is written `{meant}`"),
                fix=Fix(f"write `{meant}`", (Edit(fact.span, meant),)),
            )
            continue
        if fact.what == "name" and "." not in fact.name:
            help = (f'text is written with quotes: `"{fact.name}"`',)
        if fact.what == "interpolation":
            help = (*help, "`$${` is written for the two characters `${` themselves")
        yield Diagnostic(
            code_of(undefined_name),
            f"`{fact.name}` is not defined",
            Label(fact.span, _near(fact.near, _reading(fact.lookup, recipe.configs) or "no such name in sight")),
            help=help,
            fix=_fix(fact.span, fact.name, fact.near),
        )


def _reading(lookup: Lookup | None, configs: Container[str] = ()) -> str | None:
    """Why the Python reading of a name failed, in words."""
    if lookup is None:
        return None
    if lookup.is_module:
        return "a class or a function in it is wanted here"
    if lookup.module is None and lookup.missing in configs:
        return f"`{lookup.missing}` has no such value"
    if lookup.module is None:
        return f"no module `{lookup.missing}` in the recipe's folder or this environment"
    if lookup.module.kind is ModuleKind.NAMESPACE:
        return f"`{lookup.module.name}` has no module `{lookup.missing}`"
    return f"`{lookup.module.name}` has no `{lookup.missing}`"


@explained("ESP0202", "no such Python object")
def undefined_python(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call, a class or a function is not where its dotted path says.

        optimizer = torch.optim.AdmaW(lr = 1e-3)

    The path is looked up in the recipe's folder first and then in the environment of `esp3c`, without importing
    anything. Correct it, or install the package that has it.
    """
    for fact in recipe.of(Undefined):
        if fact.what != "call":
            continue
        help: tuple[str, ...] = ()
        if "." not in fact.name and (fact.lookup is None or fact.lookup.module is None):
            declared = one_of([*recipe.datasets, *BACKENDS])
            yield Diagnostic(
                code_of(undefined_python),
                f"there is no dataset and no machine backend `{fact.name}`",
                Label(
                    fact.span, _near(fact.near, f"declared are {declared}" if recipe.datasets else "none is declared")
                ),
                help=("a Python class or function is called by its whole path, such as `torch.optim.AdamW`",),
                fix=_fix(fact.span, fact.name, fact.near),
            )
            continue
        reading = _reading(fact.lookup) or "not found"
        if fact.lookup is not None and fact.lookup.module is None and not fact.near:
            help = (f"if `{fact.lookup.missing}` is a package, install it into the environment of `esp3c`",)
        secondary: tuple[Label, ...] = ()
        module = fact.lookup is not None and fact.lookup.is_module
        yield Diagnostic(
            code_of(undefined_python),
            f"`{fact.name}` is a module" if module else f"there is no `{fact.name}`",
            Label(fact.span, f"{reading}; {_near(fact.near, '')}" if fact.near else reading),
            secondary,
            help,
            _fix(fact.span, fact.name, fact.near),
        )


@explained("ESP0203", "no such declaration")
@needs_whole_file
def undeclared(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A config, a `parallel`, a stage of the system, or a resolver is asked for by a name that nothing has.

        stages { train on gpus }

    Declare it (`parallel gpus = slurm(…)`), or write the name that is declared.
    """
    nouns = {
        "config": ("config", "declare it: `config {0} {{ … }}`"),
        "parallel": ("parallel", "declare it: `parallel {0} = local(n_workers = 2)`"),
        "stage": ("stage of the system", "a function is run by its dotted path: `runs src.stages.{0}`"),
        "resolver": (
            "resolver of OmegaConf",
            "the resolvers are `oc.env`, `oc.select`, `oc.decode`, `self_name`, …",
        ),
    }
    for fact in recipe.of(Undefined):
        if fact.what not in nouns:
            continue
        noun, otherwise = nouns[fact.what]
        yield Diagnostic(
            code_of(undeclared),
            f"there is no {noun} `{fact.name}`",
            Label(fact.span, _near(fact.near, otherwise.format(fact.name))),
            fix=_fix(fact.span, fact.name, fact.near),
        )


@explained("ESP0204", "declared twice")
def declared_twice(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The same name is given twice: two declarations, two stages, two keys of a block, or two arguments of a call.

        trainer { max_epochs = 12  max_epochs = 20 }

    Both places are shown; one of them has to go. All declarations of a file share one set of names.
    """
    words = {
        "declaration": "`{0}` is declared twice",
        "key": "`{0}` is set twice",
        "argument": "the argument `{0}` is given twice",
        "stage": "the stage `{0}` stands twice",
        "block": "there is more than one `{0}` block",
    }
    for fact in recipe.of(Repeated):
        yield Diagnostic(
            code_of(declared_twice),
            words[fact.what].format(fact.name),
            Label(fact.again, "again here"),
            secondary=(Label(fact.first, "first here"),),
        )


@explained("ESP0205", "nothing uses this", Severity.WARNING)
@needs_whole_file
def unused(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A `let`, a dataset, a `parallel` or a config is declared and nothing refers to it.

        let sample_rate = 16kHz          # and no other line says `sample_rate`

    It has no effect. Often the place that should use it holds a copy of the value instead.
    """
    for name, (span, _) in recipe.lets.items():
        if ("let", name) not in recipe.used:
            yield _unused(name, span, "the value is never asked for")
    for name, dataset in recipe.datasets.items():
        if ("dataset", name) not in recipe.used:
            yield _unused(name, dataset.name_span, "no config takes items from it")
    for name, parallel in recipe.parallels.items():
        if ("parallel", name) not in recipe.used:
            yield _unused(name, parallel.name_span, f"no stage says `on {name}`")
    needed = {each for stage in recipe.stages for each in stage.needs}
    for name, config in recipe.configs.items():
        if not config.well_known and name not in needed and ("config", name) not in recipe.used:
            yield _unused(name, config.name_span, f"no stage says `requires {name}`")


def _unused(name: str, span: Span, label: str) -> Diagnostic:
    return Diagnostic(code_of(unused), f"nothing uses `{name}`", Label(span, label))


@explained("ESP0206", "values or configs need each other")
def cyclic(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Names refer to each other in a ring, so none of them has a value.

        let a = b
        let b = a

    Every place of the ring is shown. Give one of them a value of its own.
    """
    for ring, span in scaffold_rings(recipe):
        shown = " → ".join(f"`{name}`" for name in (*ring, ring[0]))
        yield Diagnostic(
            code_of(cyclic),
            f"`{ring[0]}` needs itself: {shown}",
            Label(span, "this can never be worked out"),
            help=("keys that are not written have values that ESPnet3 makes of one another",),
        )
    for fact in recipe.of(Cycle):
        names = " → ".join(f"`{name}`" for name in dict.fromkeys(fact.names))
        message = (
            f"{names} extend each other" if fact.what == "config" and len(set(fact.names)) > 1
            else f"{names} extends itself" if fact.what == "config"
            else f"{names} need each other" if len(set(fact.names)) > 1
            else f"{names} needs itself"
        )  # fmt: skip
        if not fact.spans:
            continue
        others = tuple(Label(span, "and this asks for the next") for span in dict.fromkeys(fact.spans[1:]))
        yield Diagnostic(
            code_of(cyclic), message, Label(fact.spans[0], "this can never be worked out"), secondary=others
        )


@explained("ESP0207", "a nearer name hides a declaration", Severity.WARNING)
def shadowing(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A name means a key of a block around it, although a `let` has the same name.

        let hidden_size = 192
        training { model = src.model.Model(width = hidden_size)  hidden_size = 256 }

    The nearer one is taken. Give one of them another name, so that nobody has to know.
    """
    for fact in recipe.of(Shadowed):
        yield Diagnostic(
            code_of(shadowing),
            f"`{fact.name}` means the key of this block, not the `let` of that name",
            Label(fact.use, "used here"),
            secondary=(Label(fact.near, "this is taken"), Label(fact.far, "this is hidden")),
        )


@explained("ESP0208", "no text in a string")
def not_text(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An interpolation inside a string asks for a value that has no text: a list, a block, a call.

        checkpoint = "${trainer}/last.ckpt"

    Only text, numbers, `true`, `false` and `null` can stand inside a string.
    """
    for fact in recipe.of(NotText):
        yield Diagnostic(
            code_of(not_text),
            f"`{fact.name}` cannot stand inside text",
            Label(fact.span, "this is not text, a number, true, false or null"),
            secondary=(Label(fact.value, "its value"),),
        )


@explained("ESP0209", "an override that fits no key")
def bad_override(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A config that extends another, or `--set`, names a key that is not there; or adds one that is.

        config training_easy extends training { trainer.max_epoch = 2 }

    An override changes what is there, so that a typo cannot pass for a new setting. A key that is really new says so:

        config training_easy extends training { new trainer.limit_train_batches = 10 }
    """
    for fact in recipe.of(BadOverride):
        if fact.new:
            yield Diagnostic(
                code_of(bad_override),
                f"`{fact.key}` is there already in `{fact.base}`",
                Label(fact.span, "take `new` out to change it"),
                fix=_without_new(fact.span),
            )
            continue
        yield Diagnostic(
            code_of(bad_override),
            f"`{fact.base}` has no `{fact.key}` to override",
            Label(fact.span, _near(fact.near, "not there")),
            help=() if fact.near else (f"a key that is meant to be new is written `new {fact.key} = …`",),
            fix=_fix(fact.span, fact.key, fact.near) if fact.near else _with_new(recipe, fact),
        )


_BEFORE_KEY = re.compile(r"(?P<new>\bnew\s+)?(?P<way>(?:\w+\s*\.\s*)*)$")


def _without_new(span: Span) -> Fix | None:
    found = _BEFORE_KEY.search(span.source.text, span.source.line_start(span.source.line_of(span.start)), span.start)
    if found is None or found["new"] is None:
        return None
    return Fix("take `new` out", (Edit(Span(span.source, *found.span("new")), ""),))


def _with_new(recipe: Recipe, fact: BadOverride) -> Fix | None:
    """A key that is not set, and that ESPnet3 or Lightning has under this very name, is an addition."""
    head, *way = fact.base.split(".")
    config = recipe.configs.get(head)
    block = CONFIGS.get(config.kind) if config is not None else None
    for step in way:
        key = block.key(step) if block is not None else None
        options = () if key is None else key.type.options if isinstance(key.type, t.Either) else (key.type,)
        block = next((each.block for each in options if isinstance(each, t.Inside)), None)
    text, span = fact.span.source.text, fact.span
    if block is None or block.key(fact.key) is None or text[span.end :].lstrip().startswith("."):
        return None
    found = _BEFORE_KEY.search(text, span.source.line_start(span.source.line_of(span.start)), span.start)
    if found is None or found["new"] is not None:
        return None
    start = found.start("way")
    return Fix(f"write `new` before `{fact.key}`", (Edit(Span(span.source, start, start), "new "),))


def _surely_none(recipe: Recipe, world: World) -> bool:
    """Whether the system is a class or function that can be read to its last base, and is no System."""
    reading = reader(world)
    found = reading.find(recipe.system.path) if recipe.system is not None else None
    if found is None or isinstance(found.definition, Function):
        return found is not None
    return isinstance(found.definition, Class) and reading.bases(found.path, frozenset(SYSTEMS)).complete


@explained("ESP0219", "the system is no System")
def no_system_class(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The `system` of the recipe is a class that does not extend ESPnet3's System, or a function.

        recipe digits { system = src.model.CTCRecognizer }

    A system extends `espnet3.systems.base.system.BaseSystem` or one of its subclasses.
    """
    system = recipe.system
    if system is None or system.root is not None or not _surely_none(recipe, world):
        return
    yield Diagnostic(
        code_of(no_system_class),
        f"`{system.path}` is no ESPnet3 system",
        Label(system.span, "a class that extends a System is wanted here"),
        help=("a system extends " + one_of(SYSTEMS),),
    )


@explained("ESP0210", "the system class is unknown", Severity.WARNING)
def unknown_system(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The system is found, but not that it is an ESPnet3 system: which stages it has cannot be told.

        recipe digits { system = src.system.DigitsSystem }

    A system extends `espnet3.systems.base.system.BaseSystem` or one of its subclasses.
    """
    system = recipe.system
    if system is None or system.root is not None:
        return
    if any(isinstance(fact, Undefined) and fact.span == system.span for fact in recipe.facts):
        return
    if _surely_none(recipe, world):
        return
    yield Diagnostic(
        code_of(unknown_system),
        f"`{system.path}` is not seen to be an ESPnet3 system",
        Label(system.span, "its stages are not checked"),
        help=("a system extends " + one_of(SYSTEMS),),
    )
