"""Python objects by their dotted paths: one segment after the other, or whole where a place wants an object of some kind."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.flow_made import is_package, made_by
from esp3c.python.contents import comes_with_python
from esp3c.python.model import Class, Contents, Definition, Function, Imported, Value
from esp3c.python.stored import named
from esp3c.query.complete_model import Proposal, Sort, fits
from esp3c.query.complete_place import Here, Wanted
from esp3c.query.complete_targets import TARGETS, WELL_KNOWN
from esp3c.query.signatures import called_path
from esp3c.schema.contracts import BASE_RUNNER, ENVIRONMENT_PROVIDER, OUTPUT_FN
from esp3c.schema.roles import BUILDER, LIFECYCLE, MODULE, ROLES
from esp3c.schema.stages import SYSTEMS
from esp3c.world import Module, ModuleKind

NOT_LOOKED_INTO = frozenset({"data", "exp", "conf", "recipe_data", "run", "system", "tests", "downloads"})
"""Top-level folders and modules of a recipe that hold what is made, not what is named."""

MOST_AS_WRITTEN = 40
"""Of how many names the order of the text is kept; more are found by the alphabet."""

MOST_LOOKED_AT = 150
"""Of how many names it is asked what each is; of more, only what their module says of them."""

MOST_MODULES = 100
DEEPEST = 4

FIRST, FITTING, POSSIBLE, UNFIT, LATE = 1, 2, 4, 6, 8
"""Ranks: what surely fits, what fits, what may, what hardly does, and what is offered for the sake of completeness."""

_BASES_OF = {
    "a torch.utils.data.Dataset": ("torch.utils.data.Dataset",),
    "a DatasetBuilder": (BUILDER,),
    "a System class": tuple(SYSTEMS),
    "a runner": (BASE_RUNNER,),
    "a provider": (ENVIRONMENT_PROVIDER,),
    "a provider of a workload": (ENVIRONMENT_PROVIDER,),
}
"""Classes that a place is about without asking for them, by the words of the schema."""


# -- segment by segment -----------------------------------------------------------------------------------------------------


def heads(here: Here) -> Iterator[Proposal]:
    """The first segments: the recipe's own modules, then those of the environment; all of those once a letter is typed."""
    own = own_modules(here)
    for name in own:
        yield Proposal(name, Sort.MODULE, 5, "of this recipe", leads=True)
    for name in WELL_KNOWN:
        if name not in own and here.world.module(name) is not None:
            yield Proposal(name, Sort.MODULE, LATE, "installed here", leads=True)
    if here.context.word:
        private = here.context.word.startswith("_")
        for name in here.world.submodules(""):
            if name not in own and name not in WELL_KNOWN and (private or not name.startswith("_")):
                yield Proposal(name, Sort.MODULE, LATE + 1, leads=True)


def own_modules(here: Here) -> list[str]:
    """The top-level modules and packages in the recipe's folder."""
    near = {each.removesuffix(".py") for each in here.world.beside("recipe.esp")}
    names = [each for each in here.world.submodules("") if each in near and not each.startswith("_")]
    return [each for each in names if (module := here.world.module(each)) is not None and module.local]


def members(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    """What may stand behind the segments that are there."""
    path = ".".join(here.context.path)
    found = here.reader.find(path)
    if isinstance(found.definition, Class):
        yield from _of_class(here, found.path, wanted)
        return
    module = here.world.module(path)
    if module is None and found.module is not None and found.module.name == found.path:
        module = found.module
    if module is None:
        return
    private = here.context.word.startswith("_")
    contents = here.reader.contents(module)
    exported = frozenset(contents.exported or ()) if contents is not None else frozenset[str]()
    modules = set(here.world.submodules(module.name))
    names = list(dict.fromkeys(here.reader.names(module) if contents is not None else modules))
    names = [each for each in names if fits(here.context.word, each) and (private or not each.startswith("_"))]
    if len(names) > MOST_AS_WRITTEN:
        names.sort(key=str.casefold)
    used = {each: number for number, each in enumerate(TARGETS.get(wanted.makes(), ()))}
    names.sort(key=lambda each: used.get(f"{module.name}.{each}", len(used)))
    closely = len(names) <= MOST_LOOKED_AT
    # What a module does not hand on, and what one that is no package imports, is its own business.
    closed, package = contents is not None and contents.exported is not None, is_package(module)
    for name in names:
        definition = _definition(here, module, contents, name)
        if _borrowed(definition) and name not in exported and name not in modules:
            continue
        said = name in exported if closed else package or not isinstance(definition, Imported)
        path = f"{module.name}.{name}"
        if closely:
            yield _member(here, path, name, definition, wanted, name in modules, said)
        elif name in modules:
            yield Proposal(name, Sort.MODULE, POSSIBLE - 1, leads=True)
        else:
            sort = _sort(definition, name)
            rank = POSSIBLE if said and sort in {Sort.CLASS, Sort.FUNCTION} else UNFIT
            yield _object(here, path, name, sort, wanted, rank, closely=False)


def _definition(here: Here, module: Module, contents: Contents | None, name: str) -> Definition | None:
    """What a module binds a name to, also by `from x import *`; nothing is followed any further."""
    seen = {module.name}
    queue = [contents] if contents is not None else []
    while queue and len(seen) < 40:
        current = queue.pop(0)
        bound = named(current, name)
        if bound:
            return bound[-1]
        for star in current.stars:
            other = here.world.module(star) if star not in seen else None
            seen.add(star)
            inner = here.reader.contents(other) if other is not None else None
            if inner is not None:
                queue.append(inner)
    return None


def _borrowed(definition: Definition | None) -> bool:
    """Whether a module has a name from Python's own library, for its own use."""
    return isinstance(definition, Imported) and comes_with_python(definition.path)


def _member(
    here: Here, path: str, name: str, definition: Definition | None, wanted: Wanted, module: bool, exported: bool
) -> Proposal:
    followed = definition
    if isinstance(definition, Imported) and here.patient:
        found = here.reader.find(path)
        followed = found.definition if isinstance(found.definition, Class | Function | Value) else definition
        module = module or (found.module is not None and found.module.name == found.path)
    if module and not isinstance(followed, Class | Function):
        return Proposal(name, Sort.MODULE, POSSIBLE - 1, leads=True)
    sort = _sort(followed, name) if path not in TARGETS.get(wanted.makes(), ()) else Sort.CLASS
    return _object(here, path, name, sort, wanted, _rank(here, path, sort, wanted, exported))


def _sort(definition: Definition | None, name: str) -> Sort:
    match definition:
        case Class():
            return Sort.CLASS
        case Function():
            return Sort.FUNCTION
        case Value():
            return Sort.VARIABLE
    # By its letters, as names are given in Python.
    if name.isupper():
        return Sort.VARIABLE
    return Sort.CLASS if name[:1].isupper() else Sort.FUNCTION


def _rank(here: Here, path: str, sort: Sort, wanted: Wanted, exported: bool) -> int:
    if path in TARGETS.get(wanted.makes(), ()):
        return FITTING - 1
    if here.patient and sort in {Sort.CLASS, Sort.FUNCTION}:
        fit = suits(here, path, sort, wanted)
        if fit is not None and (exported or not fit):
            return FITTING if fit else UNFIT
    if sort is Sort.VARIABLE or not exported:
        return UNFIT + 1
    # Where a kind is wanted, the way to it is more likely than what nothing is known of.
    usual = sort is (Sort.FUNCTION if wanted.names() == "a function" else Sort.CLASS)
    return POSSIBLE - (usual and not wanted.kinds())


def _of_class(here: Here, path: str, wanted: Wanted) -> Iterator[Proposal]:
    """What is called of a class itself: its class methods and static ones; and its values."""
    private = here.context.word.startswith("_")
    for owner in here.reader.bases(path).paths:
        found = here.reader.find(owner)
        if not isinstance(found.definition, Class):
            continue
        for method in found.definition.methods:
            if (private or not method.name.startswith("_")) and (method.static or "classmethod" in method.decorators):
                yield _object(here, f"{path}.{method.name}", method.name, Sort.FUNCTION, wanted, FITTING)
        for each in found.definition.attributes:
            if private or not each.name.startswith("_"):
                yield Proposal(each.name, Sort.VARIABLE, UNFIT, each.value or "")


def _object(
    here: Here, path: str, name: str, sort: Sort, wanted: Wanted, rank: int, *, closely: bool = True
) -> Proposal:
    """A Python object as it is written at the place: called where an object is to be made of it."""
    snippet = ""
    if calls(wanted, sort, partial=here.context.partial) and here.following != "(":
        snippet = (
            call_snippet(here, path, name, wanted) if (closely and here.patient) or here.own(path) else f"{name}($1)"
        )
    return Proposal(name, sort, rank, snippet=snippet, more=(path, ""), leads=sort is Sort.CLASS and not snippet)


def calls(wanted: Wanted, sort: Sort, *, partial: bool) -> bool:
    """Whether a class or function is called where this is wanted."""
    if partial:
        return sort in {Sort.CLASS, Sort.FUNCTION}
    if wanted.makes():
        # `transform = src.transforms.normalise` hands the function itself on.
        return sort is Sort.CLASS or (sort is Sort.FUNCTION and not wanted.names())
    return sort is Sort.CLASS and not wanted.names()


def call_snippet(here: Here, path: str, name: str, wanted: Wanted) -> str:
    """A call with a place for each argument that it needs."""
    made = called_path(here.view, path, ROLES.get(wanted.makes()))
    required = [each.name for each in made.parameters if each.required]
    if not required:
        return f"{name}()" if not made.parameters and not made.open else f"{name}($1)"
    return f"{name}({', '.join(f'{each} = ${number}' for number, each in enumerate(required, 1))})"


# -- what fits --------------------------------------------------------------------------------------------------------------


def suits(here: Here, path: str, sort: Sort, wanted: Wanted) -> bool | None:
    """Whether an object of this class, or of what this function makes, is what is wanted; None where that is not known."""
    makes, names = wanted.makes(), wanted.names()
    if here.key[-1:] == ("output_fn",):
        return _takes_output(here, path, sort)
    if names == "a function" and not makes:
        return sort is Sort.FUNCTION
    kinds = wanted.kinds() or _BASES_OF.get(names or makes, ())
    if kinds:
        made = path if sort is Sort.CLASS else made_by(here.reader, path)
        return here.reader.is_a(made, kinds) if made else None
    role = ROLES.get(makes)
    if role is None or not role.called:
        return None
    if sort is Sort.FUNCTION:
        return None
    if here.reader.is_a(path, (MODULE,)):
        return makes == "a model for inference"
    return here.reader.method(path, "__call__") is not None


def _takes_output(here: Here, path: str, sort: Sort) -> bool:
    """Whether something is called as an `output_fn` is."""
    method = here.reader.method(path, "__call__") if sort is Sort.CLASS else None
    function = method.function if method is not None else here.reader.find(path).definition
    return isinstance(function, Function) and set(OUTPUT_FN) <= {each.name for each in function.parameters}


# -- whole targets ------------------------------------------------------------------------------------------------------------


def whole(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    """Whole paths of what is wanted: the recipe's own objects, then those that are frequently used."""
    yield from _own(here, wanted)
    for path in TARGETS.get(wanted.makes() or wanted.names(), ()):
        if here.world.module(path.partition(".")[0]) is None:
            continue
        found = here.reader.find(path) if here.patient else None
        if found is not None and found.definition is None:
            continue
        sort = Sort.FUNCTION if path.rpartition(".")[2].islower() else Sort.CLASS
        yield _entire(here, path, sort, wanted, FITTING)


def _own(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    """The classes and functions of the recipe's own modules that fit."""
    if not (wanted.makes() or wanted.names() or wanted.kinds()):
        return
    if wanted.names() == "a dataset module":
        yield from (
            Proposal(module.name, Sort.MODULE, FITTING)
            for module in _own_sources(here)
            if here.reader.find(f"{module.name}.Dataset").definition is not None
        )
        return
    for module in _own_sources(here):
        contents = here.reader.contents(module)
        for each in contents.definitions if contents is not None else ():
            if not isinstance(each, Class | Function) or each.name.startswith("_"):
                continue
            sort = Sort.CLASS if isinstance(each, Class) else Sort.FUNCTION
            path = f"{module.name}.{each.name}"
            fit = suits(here, path, sort, wanted) if _may_be(each, wanted) else False
            if fit or (fit is None and (sort is Sort.CLASS or _waits(each, wanted))):
                yield _entire(here, path, sort, wanted, _own_rank(here, wanted, fit))


def _may_be(each: Class | Function, wanted: Wanted) -> bool:
    if wanted.makes() != "a DatasetBuilder" and isinstance(each, Class):
        # A builder is called by ESPnet3 alone.
        return not set(LIFECYCLE) <= {method.name for method in each.methods}
    return True


def _own_rank(here: Here, wanted: Wanted, fit: bool | None) -> int:
    """That something can be called says less than that it is of a class."""
    if not fit:
        return POSSIBLE
    makes, names = wanted.makes(), wanted.names()
    sure = wanted.kinds() or here.key[-1:] == ("output_fn",) or names in _BASES_OF or makes in _BASES_OF
    sure = sure or (names == "a function" and not makes)
    return FIRST if sure else POSSIBLE - 1


def _waits(each: Class | Function, wanted: Wanted) -> bool:
    """Whether a function may be one that is called with an item."""
    role = ROLES.get(wanted.makes())
    return isinstance(each, Function) and role is not None and role.waits and bool(each.parameters)


def _entire(here: Here, path: str, sort: Sort, wanted: Wanted, rank: int) -> Proposal:
    made = _object(here, path, path.rpartition(".")[2], sort, wanted, rank)
    before = path.removesuffix(made.label)
    snippet = before + made.snippet if made.snippet else ""
    # The word that is typed is the name more often than its module.
    return Proposal(path, sort, rank, snippet=snippet, match=f"{made.label} {path}", more=(path, ""))


def _own_sources(here: Here) -> Iterator[Module]:
    """The recipe's own modules that have a text."""
    tops = [each for each in own_modules(here) if each not in NOT_LOOKED_INTO and each not in WELL_KNOWN]
    queue, count = [(each, 1) for each in tops], 0
    while queue and count < MOST_MODULES:
        name, depth = queue.pop(0)
        module = here.world.module(name)
        count += 1
        if module is None or not module.local:
            continue
        if module.kind is ModuleKind.SOURCE:
            yield module
        if depth < DEEPEST:
            inner = [each for each in here.world.submodules(name) if not each.startswith("_")]
            queue.extend((f"{name}.{each}", depth + 1) for each in inner)
