"""What the schema knows of the place where one is writing: the block with its keys, the type of the value."""

from __future__ import annotations

from esp3c.ir import Recipe
from esp3c.query.context_reading import CALLED, LISTED, USED, Frame
from esp3c.record import record
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, DATASET, ENTRY, OWN, RECIPE, WORKLOAD
from esp3c.schema.contracts import ARTIFACTS

ARTIFACT = t.Block(
    "artifact",
    (
        t.Key("type", t.OneOf(ARTIFACTS), "the type of the file"),
        t.Key("sample_rate", t.FREQUENCY, "the sample rate of a `wav`, which needs one", numbers=t.POSITIVE),
        t.Key("writer", t.Target("a writer"), "writes the file instead"),
    ),
    open=True,
)

TEXT_BUILDER = t.Block("text_builder", (t.Key("func", t.PythonName("a function"), "gives the text"),), open=True)

_HELD: dict[str, t.Type] = {
    "output_artifacts": t.MapOf(t.Inside(ARTIFACT)),
    "text_builder": t.Inside(TEXT_BUILDER),
}
"""Keys that take anything to the checks of keys, because other checks look at what they hold."""


@record
class Known:
    """The block in which a place is (None: its keys are not known, or it is in none) and the type of what is written there.

    `call` is the call around the place: the parts of its path. `use` says that it makes no Python object: a `dataset` or a
    `parallel`.
    """

    block: t.Block | None = None
    type: t.Type | None = None
    call: tuple[str, ...] = ()
    use: str = ""


def known(recipe: Recipe, frames: tuple[Frame, ...], path: tuple[str, ...] = ()) -> Known:
    """What is known of the place inside these brackets; behind the parts `path` of a dotted key, where there are any."""
    here = Known()
    for frame, inner in zip(frames, (*frames[1:], None), strict=True):
        here = _opened(recipe, here, frame)
        if inner is not None or frame.key or frame.role == LISTED:
            here = _at_key(recipe, here, frame, inner)
    for part in path:
        type = _type_of(here.block, here.type, part)
        here = Known(_block_of(type), type, here.call, here.use)
    return here


def _opened(recipe: Recipe, outside: Known, frame: Frame) -> Known:
    """Inside a bracket, before any key of it."""
    match frame.role:
        case "declaration":
            return Known(declared_block(recipe, frame.words))
        case "" if frame.words[:1] == ("parallel",):
            return Known(None, t.ParallelUse())
        case "key" | "list":
            return Known(_block_of(outside.type), outside.type)
        case "call":
            head = frame.words[0] if len(frame.words) == 1 else ""
            if head in BACKENDS:
                return Known(BACKENDS[head], None, frame.words, "parallel")
            written_out = _block_of(outside.type)
            if written_out is not None and written_out.target == ".".join(frame.words):
                return Known(written_out, None, frame.words)
            return Known(None, None, frame.words, "dataset" if head in recipe.datasets else "")
        case "use":
            return Known(ENTRY) if frame.words[:1] and frame.words[0] in recipe.datasets else Known()
        case "stage":
            return Known(WORKLOAD)
        case _:
            return Known()


def _at_key(recipe: Recipe, inside: Known, frame: Frame, inner: Frame | None) -> Known:
    """At the value of the key that is being read in a bracket."""
    if not frame.opener:
        return inside
    if frame.role == LISTED:
        item = _item(inside.type)
        return Known(inside.block, item, inside.call, inside.use)
    if inner is not None and inner.role in {CALLED, USED} and not frame.key:
        return Known(inside.block, None, inside.call, inside.use)
    block, type = inside.block, inside.type
    for part in frame.key:
        type = _type_of(block, type, part)
        block = _block_of(type)
    return Known(inside.block, type if frame.key else None, inside.call, inside.use)


def declared_block(recipe: Recipe, words: tuple[str, ...]) -> t.Block | None:
    """The block of a declaration, by its words."""
    match words:
        case ("recipe", *_):
            return RECIPE
        case ("dataset", *_):
            return DATASET
        case ("config", name, *base):
            # A config that cannot be read just now still says what it extends.
            config = recipe.configs.get(name) or (recipe.configs.get(base[-1]) if base else None)
            return CONFIGS.get(config.kind, OWN) if config is not None else OWN
        case (kind,) if kind in CONFIGS:
            return CONFIGS[kind]
        case _:
            return None


def _type_of(block: t.Block | None, type: t.Type | None, name: str) -> t.Type | None:
    """The type of a key of a block, or of an entry of one's own name."""
    key = block.key(name) if block is not None else None
    return _HELD.get(name, key.type) if key is not None else _value_of(type)


def _options(type: t.Type | None) -> tuple[t.Type, ...]:
    return type.options if isinstance(type, t.Either) else (type,) if type is not None else ()


def _block_of(type: t.Type | None) -> t.Block | None:
    return next((each.block for each in _options(type) if isinstance(each, t.Inside)), None)


def _item(type: t.Type | None) -> t.Type | None:
    return next((each.item for each in _options(type) if isinstance(each, t.ListOf)), None)


def _value_of(type: t.Type | None) -> t.Type | None:
    """Of a block of named entries, what each is."""
    return next((each.value for each in _options(type) if isinstance(each, t.MapOf)), None)
