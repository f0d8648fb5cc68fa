"""Keys: unknown, misplaced, of the wrong type; the blocks that a recipe must have."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values, homes, rooted_blocks, set_entry, walk_blocks
from esp3c.check.criteria import wrong_part
from esp3c.check.fits import as_wanted, fits, instead, misfit
from esp3c.check.linked import linked, name_of, stands_at
from esp3c.check.machines import followed
from esp3c.check.misplaced import MISPLACED
from esp3c.check.rule import needs_whole_file
from esp3c.check.sbatch import misspelt_flags
from esp3c.diagnostics import Code, Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import (
    Entry,
    ListNode,
    MapNode,
    Misplaced,
    Node,
    Recipe,
    Scalar,
    Undefined,
    strip,
)  # fmt: skip
from esp3c.schema import types as t
from esp3c.schema.aliases import OF_THE_OPTIMIZER, SAME, meant_by
from esp3c.schema.backends import BACKENDS, SLURM
from esp3c.schema.blocks import PARALLEL, SAMPLE_TYPES, SCAFFOLD_NAMES
from esp3c.source import Span
from esp3c.suggest import certain, nearest, one_of
from esp3c.world import World


@explained("ESP0301", "unknown key")
def unknown_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A block with known keys holds one that it does not have.

        trainer { max_epoch = 12 }

    ESPnet3 and Lightning would find out when the stage runs, or never. The message names the nearest key, or the block
    in which the key would be right; the words of other libraries (`epochs`, `gpus`, `val`) are known too. Keys of one's own
    have their place in a `config NAME` block.
    """
    own_stages = {stage.name for stage in recipe.stages}
    configs = {id(config.root) for config in recipe.configs.values()}
    for node, block in walk_blocks(recipe):
        if block.open:
            continue
        for entry in node.entries:
            # A stage of one's own has its settings under its name in the config that it works with.
            if block.key(entry.name) is None and not (id(node) in configs and entry.name in own_stages):
                yield _unknown(entry, node, block)
        if block is PARALLEL:
            yield from _misspelt_options(node)
        if block is SLURM:
            for finding in misspelt_flags(node):
                yield finding.said(code_of(unknown_key))


def _misspelt_options(setting: MapNode) -> Iterator[Diagnostic]:
    """Options of a cluster, in the form of YAML, that are a slip away from those that it has; others may be of its library."""
    env, options = (strip(each) if each is not None else None for each in map(setting.get, ("env", "options")))
    backend = BACKENDS.get(str(env.value)) if isinstance(env, Scalar) else None
    if backend is None or not isinstance(options, MapNode):
        return
    for entry in options.entries:
        near = nearest(entry.name, backend.names)
        if backend.key(entry.name) is None and certain(entry.name, near) is not None:
            yield _unknown(entry, options, backend)


def _unknown(entry: Entry, node: MapNode, block: t.Block) -> Diagnostic:
    free = [name for name in block.names if node.get(name) is None]
    other = meant_by(entry.name, free)
    near = [other] if other else nearest(entry.name, block.names)
    elsewhere = homes().get(entry.name, ())
    word = meant_by(entry.name, homes())
    inside = strip(entry.value)
    inner = [each.name for each in inside.entries] if isinstance(inside, MapNode) else []
    if near:
        label = f"did you mean {one_of(near)}?"
    elif inner and all(block.key(name) is not None for name in inner):
        label = f"write what is in it here itself: `{inner[0]} = …`"
    elif elsewhere:
        label = f"it belongs into {one_of(elsewhere)}"
    elif {entry.name, meant_by(entry.name, OF_THE_OPTIMIZER)} & OF_THE_OPTIMIZER:
        name = meant_by(entry.name, OF_THE_OPTIMIZER) or entry.name
        label = f"it is an argument of the optimizer: `optimizer = torch.optim.AdamW({name} = …)`"
    elif word:
        label = f"did you mean `{word}`, in {one_of(homes()[word])}?"
    else:
        label = "not a key of this block"
    help = (_keys_of(block),) if label == "not a key of this block" else ()
    return Diagnostic(
        code_of(unknown_key),
        f"unknown key `{entry.name}` in `{block.name}`",
        Label(entry.key_span, label),
        help=help,
        fix=_as_meant(entry, near, block),
    )


def _as_meant(entry: Entry, near: list[str], block: t.Block) -> Fix | None:
    same = block.key(near[0]) if near and (entry.name, near[0]) in SAME else None
    if same is None:
        return _write(entry.key_span, entry.name, near)
    fine = entry.key_span.text == entry.name and fits(strip(entry.value), same.type)
    return Fix(f"write `{same.name}`", (Edit(entry.key_span, same.name),)) if fine else None


def _write(span: Span, name: str, near: list[str]) -> Fix | None:
    meant = certain(name, near, closed=True)
    return Fix(f"write `{meant}`", (Edit(span, meant),)) if meant is not None and span.text == name else None


def _keys_of(block: t.Block) -> str:
    names = [name for name in block.names if name not in SCAFFOLD_NAMES] or block.names
    return f"`{block.name}` has " + ", ".join(names[:_MOST]) + (", …" if len(names) > _MOST else "")


_MOST = 30


@explained("ESP0302", "the value does not fit the key")
def wrong_value(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A key of ESPnet3, Lightning or a machine backend has a value of another type than it takes.

        scheduler_interval = "steps"
        parallel gpu = slurm(time = 32GB)

    The message says what the key takes. A quantity has a dimension: `90min` fits where a time is wanted, `32GB` does not.
    A reference to another key is compared by the value that it leads to; the message shows both places.
    """
    for root, node, block in rooted_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            if key is None:
                continue
            value = linked(recipe, root, entry.value)
            whole = strip(value)
            if fits(whole, key.type):
                continue
            where, expected = misfit(whole, key.type)
            used = name_of(value, where)
            yield Diagnostic(
                code_of(wrong_value),
                f"`{entry.name}` takes {t.words(expected)}"
                if where is whole
                else f"inside `{entry.name}` stands {t.words(expected)}",
                Label(where.span if used is None else used.span, instead(where, expected)),
                secondary=stands_at(used, where),
                help=(f"{entry.name}: {key.doc}",),
                fix=as_wanted(where, expected) if used is None else None,
            )


@explained("ESP0303", "something stands where it has no meaning")
def misplaced(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The words are right, the place is not.

        training { speech: float32[time] }        # a field, outside of `sample`
        training { trainer.max_epochs = 12 }      # a dotted key, in a config that extends nothing

    Fields stand in the `sample` block of a dataset; a dotted key and `new` stand in a config that extends another; a
    block stands behind a dataset only; `requires`, `runs` and `on` stand once on a stage line.
    """
    for fact in recipe.of(Misplaced):
        if fact.kind == "positional" or (fact.kind == "parallel" and _is_undefined(recipe, fact)):
            continue
        message, label = MISPLACED[fact.kind]
        yield Diagnostic(
            code_of(misplaced),
            message.format(fact.detail),
            Label(fact.span, label.format(fact.detail)),
            fix=_superfluous(fact),
        )


def _is_undefined(recipe: Recipe, fact: Misplaced) -> bool:
    """Whether something stands there under a name that is not defined, which is said by that name."""
    spans = [each.span for each in recipe.of(Undefined) if each.span.source is fact.span.source]
    return any(fact.span.start <= each.start and each.end <= fact.span.end for each in spans)


def _superfluous(fact: Misplaced) -> Fix | None:
    """Takes out a word that has no place, where all else is as it should be."""
    text, start, end = fact.span.source.text, fact.span.start, fact.span.end
    if fact.kind == "new" and fact.span.text == "new":
        end += len(text[end:]) - len(text[end:].lstrip())
        return Fix("take `new` out", (Edit(Span(fact.span.source, start, end), ""),))
    return None


@explained("ESP0304", "no `recipe` block")
@needs_whole_file
def no_recipe(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A file has no `recipe` block, or it does not name a system.

        recipe digits {
          system = espnet3.systems.asr.system.ASRSystem
        }

    The block gives the recipe its name and says which System has its stages.
    """
    if not recipe.headers:
        source = recipe.span.source
        first = type(recipe.span)(source, 0, len(source.line_text(1)))
        yield Diagnostic(
            code_of(no_recipe),
            "this file has no `recipe` block",
            Label(first, "a recipe begins with `recipe NAME { system = … }`"),
        )
    elif recipe.system is None and not any(
        isinstance(fact, Misplaced) and fact.kind == "system" for fact in recipe.facts
    ):
        yield Diagnostic(
            code_of(no_recipe),
            f"the recipe `{recipe.name}` names no system",
            Label(recipe.span, "`system = …` is missing in this block"),
            help=("for speech recognition: `system = espnet3.systems.asr.system.ASRSystem`",),
        )


@explained("ESP0305", "a dataset without a class or a source")
@needs_whole_file
def incomplete_dataset(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A `dataset` block says neither which class it is nor where it comes from, or says both.

        dataset digits { builder = dataset.builder.SpokenDigitsBuilder() }

    `class` is this recipe's Python; `source` is a `recipe/task` tag or a dataset module instead. A source brings its
    builder, which gets its arguments in `create_dataset { … }`; those of a `builder` stand in its own call.
    """
    for dataset in recipe.datasets.values():
        has_class, source = dataset.settings.get("class"), dataset.settings.get("source")
        if has_class is None and source is None:
            yield Diagnostic(
                code_of(incomplete_dataset),
                f"the dataset `{dataset.name}` has neither `class` nor `source`",
                Label(dataset.name_span, "one of them is needed"),
            )
        for other in ("class", "builder"):
            both = dataset.settings.get(other)
            if source is not None and both is not None:
                yield Diagnostic(
                    code_of(incomplete_dataset),
                    f"`{other}` and `source` cannot both be given",
                    Label(both.span, "the source brings its own"),
                    secondary=(Label(source.span, "this says where it comes from"),),
                )
        settings = next((each for each in dataset.settings.entries if each.name == "create_dataset"), None)
        if settings is not None and source is None:
            yield Diagnostic(
                code_of(incomplete_dataset),
                f"`create_dataset` of `{dataset.name}` is for the builder of a `source`, and there is none",
                Label(settings.key_span, "arguments of a `builder` stand in its call: `builder = path.Class(…)`"),
            )


@explained("ESP0306", "a sample field has no such type")
def sample_type(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The type of a field in a `sample` block is not one of the language's.

        sample { speech: floot32[time] }

    The types are `str`, `int`, `float`, `bool`, and numpy's and torch's number types with their dimensions in brackets.
    """
    for dataset in recipe.datasets.values():
        for field in dataset.sample or ():
            name = field.type.name
            if name.text not in SAMPLE_TYPES:
                near = nearest(name.text, SAMPLE_TYPES)
                yield Diagnostic(
                    code_of(sample_type),
                    f"`{name.text}` is not a type",
                    Label(
                        name.span,
                        f"did you mean {one_of(near)}?" if near else "expected " + one_of(SAMPLE_TYPES),
                    ),
                    fix=_write(name.span, name.text, near),
                )
            elif field.type.dims and name.text in {"str", "bool", "int", "float"}:
                width = {"int": "int64", "float": "float32"}.get(name.text, "float32")
                yield Diagnostic(
                    code_of(sample_type),
                    f"`{name.text}` has no dimensions",
                    Label(field.type.span, f"dimensions belong to number types with a width, such as `{width}[time]`"),
                )


@explained("ESP0307", "text that OmegaConf takes for something else")
def omegaconf_missing(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The text `???` means a missing value to OmegaConf, which refuses to read it.

        exp_tag = "???"

    Write any other text.
    """
    roots: list[Node] = [config.root for config in recipe.configs.values()]
    roots += [recipe.settings, *(dataset.settings for dataset in recipe.datasets.values())]
    for root in roots:
        for node in all_values(root):
            if isinstance(node, Scalar) and node.value == "???":
                yield Diagnostic(
                    code_of(omegaconf_missing),
                    "`???` means a missing value",
                    Label(node.span, "OmegaConf would refuse to read this"),
                )


@explained("ESP0308", "a key has no name")
def odd_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A key in quotes is empty, or holds what OmegaConf reads as an interpolation.

        config export { "${a}" = 1 }

    Keys are names; a key in quotes may hold any other text.
    """
    for config in recipe.configs.values():
        for node in all_values(config.root):
            if isinstance(node, MapNode):
                for entry in node.entries:
                    if not entry.name or "${" in entry.name:
                        yield Diagnostic(
                            code_of(odd_key),
                            f"`{entry.name}` cannot be a key",
                            Label(entry.key_span, "choose a name"),
                        )


@explained("ESP0309", "not a name for a declaration")
def declaration_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The name of a recipe, dataset, config or `parallel` becomes a file, a flag or a class in what is written.

        config größer { … }

    It is made of the letters a to z, digits and `_`, and is no word of Python such as `import`.
    """
    named = [(recipe.name, recipe.span)] if recipe.headers else []
    named += [(each.name, each.name_span) for each in recipe.datasets.values()]
    named += [(each.name, each.name_span) for each in recipe.configs.values()]
    named += [(each.name, each.name_span) for each in recipe.parallels.values()]
    for name, span in named:
        why = refused_name(name)
        if why:
            message = f"`{name}` cannot be the name of a declaration"
            yield Diagnostic(code_of(declaration_name), message, Label(span, why))


def refused_name(name: str) -> str:
    """Why a declaration cannot have this name, in words; empty where it can."""
    if keyword.iskeyword(name):
        return "a word of Python"
    return "" if name.isascii() and name.isidentifier() else "only a to z, digits and `_`"


@explained("ESP0311", "a number that the key does not take")
def out_of_range(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A number is of the right type, and too small, too large, or between what there is.

        trainer { max_epochs = -5  limit_train_batches = 1.5 }

    Lightning, torch or SLURM would refuse it when the stage runs. The message says which numbers the key takes, and
    which of them have a meaning of their own.
    """
    for root, node, block in rooted_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            if key is None or key.numbers is None:
                continue
            used = linked(recipe, root, entry.value)
            value = strip(used)
            if not isinstance(value, Scalar) or not fits(value, key.type):
                continue
            number = value.value
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            # A quantity is no count: of it only the sign is known to be wrong.
            takes = t.POSITIVE if value.dimension is not None and key.numbers.parts else key.numbers
            if not takes.holds(number):
                message = f"`{entry.name}` takes {takes.words}"
                yield _at_value(entry, used, code_of(out_of_range), message, "not this", key.doc)


@explained("ESP0312", "text of another form than the key takes")
def text_form(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A text is written in another way than the key reads it.

        trainer { max_time = "12:00"  devices = "two" }

    The message shows the form. A time is better written with its unit: `max_time = 12h`.
    """
    for root, node, block in rooted_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            if key is None or key.text is None:
                continue
            used = linked(recipe, root, entry.value)
            value = strip(used)
            if not isinstance(value, Scalar) or not isinstance(value.value, str):
                continue
            if not re.fullmatch(key.text.pattern, value.value):
                message = f"`{entry.name}` takes {key.text.words}"
                yield _at_value(entry, used, code_of(text_form), message, "not of this form", key.doc)


def _at_value(entry: Entry, used: Node, code: Code, message: str, label: str, doc: str) -> Diagnostic:
    """A diagnostic at the value of a key; also at the place where it stands, if only its name does."""
    value = strip(used)
    secondary = stands_at(name_of(used, value), value)
    return Diagnostic(code, message, Label(used.span, label), secondary, (f"{entry.name}: {doc}",))


@explained("ESP0313", "an entry of best_model_criterion")
def criterion(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An entry of `best_model_criterion` is not `[metric, how many to keep, "min" or "max"]`.

        best_model_criterion = [["valid/loss", "min"]]

    Each entry names a metric once, the number of checkpoints to keep, and which scores are the better ones.
    """
    for config in recipe.configs.values():
        criteria = followed(config.root, config.root.get("best_model_criterion"))
        if config.kind != "training" or not isinstance(criteria, ListNode):
            continue
        metrics: dict[object, Span] = {}
        for item in criteria.items:
            entry = followed(config.root, item)
            if not isinstance(entry, ListNode):
                continue
            parts = [followed(config.root, each) for each in entry.items]
            if len(parts) != 3:
                where, label = entry.span, f"this has {len(parts)} of the three"
            else:
                where, label = wrong_part(entry, parts, metrics)
            if label:
                message = 'an entry of `best_model_criterion` is `[metric, how many to keep, "min" or "max"]`'
                yield Diagnostic(code_of(criterion), message, Label(where, label))


@explained("ESP0314", "keys that exclude each other")
def conflicting_keys(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Two keys of a block are set, and only one of them can be.

        dataloader { train { batch_size = 8  batch_bins = 4_000_000 } }

    The stage would refuse them when it begins. Take one out. With several optimizers by name, schedulers and gradient
    clipping are written by those names too.
    """
    for node, block in walk_blocks(recipe):
        for conflict in block.conflicts:
            one, other = set_entry(node, conflict.one), set_entry(node, conflict.other)
            if one is not None and other is not None:
                first, second = sorted((one, other), key=lambda entry: entry.key_span.start)
                yield Diagnostic(
                    code_of(conflicting_keys),
                    f"`{first.name}` and `{second.name}` exclude each other",
                    Label(second.key_span, conflict.why),
                    secondary=(Label(first.key_span, "this is set too"),),
                )
