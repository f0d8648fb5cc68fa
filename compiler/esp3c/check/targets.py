"""Targets: the arguments of calls against the signature of what is called."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.calls import Argument, Verdict, of_wrong_kind, verdicts
from esp3c.check.fits import said
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, Severity, code_of, explained
from esp3c.ir import CallNode, CarriedNode, LinkNode, ListNode, Misplaced, Node, Recipe, Scalar, strip
from esp3c.python import types as p
from esp3c.python.model import Function
from esp3c.python.reader import Reader, reader
from esp3c.python.signature import Bound, Signature
from esp3c.schema.aliases import meant_by
from esp3c.schema.roles import DIMENSIONS
from esp3c.suggest import all_of, certain, nearest, one_of
from esp3c.world import World

MOST_NAMED = 12
"""How many parameters a message names."""


@explained("ESP0401", "an argument without a name")
def positional_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument of a call is given by its position.

        optimizer = torch.optim.AdamW(1e-3)

    The YAML that is written has a key for each argument, so arguments are given by name:

        optimizer = torch.optim.AdamW(lr = 1e-3)
    """
    for fact in recipe.of(Misplaced):
        if fact.kind == "positional":
            yield Diagnostic(
                code_of(positional_argument),
                f"arguments of `{fact.detail}` are given by name",
                Label(fact.span, "write `name = value`"),
            )


@explained("ESP0402", "no such argument")
def unknown_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call is given an argument that what is called does not have.

        optimizer = torch.optim.AdamW(learning_rate = 1e-3)

    The signature is read from the source file, bases and handed-on `**kwargs` followed; nothing is imported. Where it
    cannot be known which arguments there are, the argument is counted as unchecked instead.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        made = verdict.signature
        if made.why or made.open:
            continue
        names = [each.name for each in made.named]
        given = {each.name for each in verdict.arguments}
        for argument in verdict.arguments:
            if argument.bound is not None:
                continue
            free = [name for name in names if name not in given]
            near = nearest(argument.name, free)
            meant = meant_by(argument.name, free, misspelt=True)
            if meant and not near:
                near = [meant]
            yield Diagnostic(
                code_of(unknown_argument),
                f"`{short(verdict.path)}` has no argument `{argument.name}`",
                Label(argument.key_span, f"did you mean {one_of(near)}?" if near else "not in its signature"),
                secondary=signature_label(reading, made),
                help=() if near else (takes(verdict, names),),
                fix=_renamed(argument, near),
            )


def _renamed(argument: Argument, near: list[str]) -> Fix | None:
    meant = certain(argument.name, near, closed=True)
    if meant is None or argument.key_span.text != argument.name:
        return None
    return Fix(f"write `{meant}`", (Edit(argument.key_span, meant),))


@explained("ESP0403", "a missing argument")
@needs_whole_file
def missing_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call lacks an argument that has no default.

        scheduler = torch.optim.lr_scheduler.OneCycleLR(total_steps = 800)      # no max_lr

    What ESPnet3 hands over itself need not be written: the parameters of an optimizer, the optimizer of a scheduler. A
    function that is called later, with more arguments, is written with `partial`; a transform, a preprocessor or a
    collate function that lacks its item needs none:

        transform = src.transforms.gain(max_db = 6)      # def gain(sample, max_db)
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        if not verdict.missing or of_wrong_kind(reading, verdict):
            continue
        given = [each for each in verdict.arguments if each.bound is None and not verdict.signature.open]
        absent = [each for each in verdict.missing if not _misspelt(each, given)]
        if not absent:
            continue
        names = [each.name for each in absent]
        role = verdict.call.role if verdict.call is not None else None
        function = isinstance(reading.find(verdict.path).definition, Function)
        later = function and role is not None and role.called and len(verdict.missing) == 1
        first = verdict.missing[0]
        yield Diagnostic(
            code_of(missing_argument),
            f"`{short(verdict.path)}` needs {all_of(names)}",
            Label(verdict.head, "not given" if len(names) == 1 else "none of them is given"),
            secondary=parameter_label(reading, first),
            help=(f"a function that is called later is written `partial {verdict.path}(…)`",) if later else (),
        )


def _misspelt(bound: Bound, unknown: list[Argument]) -> bool:
    """Whether an argument that is reported as unknown is this one, misspelt."""
    return any(nearest(each.name, [bound.name]) or meant_by(each.name, [bound.name], misspelt=True) for each in unknown)


@explained("ESP0404", "a value of the wrong type")
def wrong_type(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument has a value that its annotation does not take.

        optimizer = torch.optim.AdamW(lr = "1e-3")

    An int is fine where a float is wanted; true and false are no numbers. A default is always taken, whatever the
    annotation says. An annotation that is not understood is counted as unchecked.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        for argument in verdict.arguments:
            misfit, bound = argument.misfit, argument.bound
            if misfit is None or bound is None or argument.by_default or argument.name in _supplied(verdict):
                continue
            wanted = p.said(misfit.wanted)
            whole = misfit.node is strip(argument.value)
            label = Label(misfit.node.span, _instead(misfit.node, misfit.wanted, wanted, whole))
            used: tuple[Label, ...] = ()
            if isinstance(argument.value, CarriedNode):
                # What a name stands for may be right where it stands: it is the use that is not.
                used, label = (Label(label.span, "the value stands here"),), Label(argument.value.span, label.text)
            yield Diagnostic(
                code_of(wrong_type),
                f"`{argument.name}` of `{short(verdict.path)}` takes {p.said(_type(reading, bound))}",
                label,
                secondary=(*used, *parameter_label(reading, bound)),
                help=(misfit.help,) if misfit.help else (),
                fix=None if used else _unquoted(misfit.node, misfit.wanted),
            )


def _supplied(verdict: Verdict) -> tuple[str, ...]:
    role = verdict.call.role if verdict.call is not None else None
    return role.supplied if role is not None else ()


def _type(reading: Reader, bound: Bound) -> p.Type:
    return p.type_of(reading, bound.module, bound.parameter.annotation)


def _instead(node: Node, type: p.Type, wanted: str, whole: bool) -> str:
    if isinstance(node, LinkNode):
        return "what this name stands for is something else"
    if isinstance(type, p.Literals) and isinstance(node, Scalar) and isinstance(node.value, str):
        near = nearest(node.value, [each for each in type.values if isinstance(each, str)])
        return f'did you mean "{near[0]}"?' if near else f"expected {wanted}"
    if isinstance(type, p.Fixed) and not isinstance(node, Scalar):
        return f"{said(node)} of another length"
    if isinstance(node, CallNode):
        return f"this is a call of `{short(node.target.path)}`" + ("" if whole else f", and {wanted} is wanted")
    return f"this is {said(node)}" if whole else f"this is {said(node)}, and {wanted} is wanted"


def _unquoted(node: Node, wanted: p.Type) -> Fix | None:
    """A number in quotes where only a number will do."""
    options = wanted.options if isinstance(wanted, p.Union) else (wanted,)
    numbers = {each.name for each in options if isinstance(each, p.Basic)} & {"int", "float"}
    if not numbers or not isinstance(node, Scalar) or not isinstance(node.value, str):
        return None
    text = node.value.strip()
    try:
        number = float(text)
    except ValueError:
        return None
    if number != number or number in {float("inf"), float("-inf")} or not text[0].isdigit() or "_" in text:
        return None
    if "float" not in numbers and not text.isdigit():
        return None
    return Fix("write the number without quotes", (Edit(node.span, text),))


@explained("ESP0405", "a value unlike the default", Severity.WARNING)
def unlike_default(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument without an annotation has a value of another kind than the default.

        model = src.model.CTCRecognizer(hidden_size = "192")      # def __init__(self, hidden_size=192)

    Nothing says that this is wrong, and it nearly always is. An annotation in the Python says what is meant.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        for argument in verdict.arguments:
            misfit, bound = argument.misfit, argument.bound
            if misfit is None or bound is None or not argument.by_default:
                continue
            yield Diagnostic(
                code_of(unlike_default),
                f"`{argument.name}` of `{short(verdict.path)}` is {bound.parameter.default} by default",
                Label(misfit.node.span, f"this is {said(misfit.node)}"),
                secondary=parameter_label(reading, bound),
                fix=_unquoted(misfit.node, misfit.wanted),
            )


@explained("ESP0416", "a quantity of another kind than the argument's name says", Severity.WARNING)
def wrong_dimension(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument whose name says what it counts is given a quantity of something else.

        builder = dataset.builder.SpokenDigitsBuilder(sample_rate = 16s)

    To Python a quantity is a plain number in seconds, bytes or hertz, so nothing would stop it.
    """
    for verdict in verdicts(recipe, world):
        for argument in verdict.arguments:
            value = strip(argument.value)
            wanted = DIMENSIONS.get(argument.name)
            if wanted is None or not isinstance(value, Scalar) or value.dimension in {None, wanted}:
                continue
            yield Diagnostic(
                code_of(wrong_dimension),
                f"`{argument.name}` is a {wanted} by its name",
                Label(value.span, f"this is a {value.dimension}"),
            )


_CONVERT = ("none", "partial", "object", "all")


@explained("ESP0417", "an option of Hydra's with a value that it does not take")
def hydra_option(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call has one of Hydra's own keys with a value that means nothing to Hydra.

        model = src.model.CTCRecognizer(_recursive_ = "no")

    `_recursive_` takes true or false, `_convert_` one of "none", "partial", "object" and "all", `_args_` a list of the
    arguments that have no name. There are no others.
    """
    for verdict in verdicts(recipe, world):
        for entry in verdict.call.node.options.entries if verdict.call is not None else ():
            value = strip(entry.value)
            if isinstance(value, LinkNode):
                continue
            wanted = ""
            if entry.name in {"_recursive_", "_partial_"}:
                fine = isinstance(value, Scalar) and isinstance(value.value, bool)
                wanted = "" if fine else "true or false"
            elif entry.name == "_convert_":
                fine = isinstance(value, Scalar) and value.value in _CONVERT
                wanted = (
                    "" if fine else " or ".join([", ".join(f'"{each}"' for each in _CONVERT[:-1]), f'"{_CONVERT[-1]}"'])
                )
            elif entry.name == "_args_":
                wanted = "" if isinstance(value, ListNode) else "a list"
            if wanted:
                yield Diagnostic(
                    code_of(hydra_option),
                    f"`{entry.name}` takes {wanted}",
                    Label(value.span, f"this is {said(value)}"),
                )


@explained("ESP0410", "an argument that ESPnet3 hands over itself")
def supplied_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call is given an argument that only exists at run time, and that ESPnet3 fills in.

        optimizer = torch.optim.AdamW(params = model.parameters, lr = 1e-3)

    The parameters of the model are handed to the optimizer, and the optimizer to the scheduler. Leave it out.
    """
    for verdict in verdicts(recipe, world):
        role = verdict.call.role if verdict.call is not None else None
        for argument in verdict.arguments:
            if role is not None and argument.name in role.supplied:
                yield Diagnostic(
                    code_of(supplied_argument),
                    f"ESPnet3 hands `{argument.name}` to `{short(verdict.path)}` itself",
                    Label(argument.key_span, "leave this out"),
                )


def short(path: str) -> str:
    """The last part of a path, by which a person knows it."""
    return path.rpartition(".")[2]


def takes(verdict: Verdict, names: list[str]) -> str:
    supplied = _supplied(verdict)
    shown = [name for name in names if name not in supplied]
    if not shown:
        return f"`{short(verdict.path)}` takes no arguments"
    more = len(shown) - MOST_NAMED
    return f"it takes {', '.join(f'`{name}`' for name in shown[:MOST_NAMED])}" + (
        f" and {more} more" if more > 0 else ""
    )


def signature_label(reading: Reader, made: Signature) -> tuple[Label, ...]:
    """The line of what is called, for a second label."""
    if made.place is None:
        return ()
    module, line, column, name = made.place
    span = reading.span(module, line, column, len(name))
    return (Label(span, "this is what is called"),) if span is not None else ()


def parameter_label(reading: Reader, bound: Bound) -> tuple[Label, ...]:
    parameter = bound.parameter
    if parameter.default == "...":
        return ()
    span = reading.span(bound.module, parameter.line, parameter.column, len(parameter.name))
    if span is None or span.text != parameter.name:
        return ()
    return (Label(span, "its parameter"),)
