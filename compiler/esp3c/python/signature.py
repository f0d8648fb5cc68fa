"""What a call of a Python object may be given: its parameters, bases and handed-on `**kwargs` followed.

A class is called through the first `__init__` or `__new__` of its bases, or through the fields of a dataclass, an attrs
class, a NamedTuple or a pydantic model. A signature is `open` where names beyond its parameters may be accepted, and
has a reason in `why` where nothing is known at all.
"""

from __future__ import annotations

from esp3c.python.contents import overloaded
from esp3c.python.decorators import replaced, unwrapped
from esp3c.python.fields import PYDANTIC, fields_of, transforms
from esp3c.python.model import Class, Function, Handing, Parameter, Value
from esp3c.python.reader import STOPS, Reader
from esp3c.record import changed, record
from esp3c.world import Module

DEEPEST = 12
"""How many functions deep handed-on keywords are followed."""

TAKES_NOTHING = frozenset(
    each for each in STOPS if not each.startswith("enum.") and not each.endswith((".Optimizer", "Dict", "Tuple"))
)
"""Bases whose own `__init__` has no parameters."""

COMPILED = frozenset({"torch._tensor.Tensor"})
"""Classes of Python that are made as compiled code pleases."""


@record
class Bound:
    """A parameter as the caller sees it. Its texts are to be read in `module`, in which `owner` stands."""

    parameter: Parameter
    module: Module
    owner: str
    required: bool

    @property
    def name(self) -> str:
        return self.parameter.name


@record
class Signature:
    """The parameters of a call; `place` is the module, line, column and name of what is called."""

    parameters: tuple[Bound, ...] = ()
    open: str = ""
    why: str = ""
    place: tuple[Module, int, int, str] | None = None
    path: str = ""

    def get(self, name: str) -> Bound | None:
        return next((each for each in self.named if each.name == name), None)

    @property
    def named(self) -> tuple[Bound, ...]:
        """The parameters that can be given by name."""
        return tuple(each for each in self.parameters if each.parameter.kind in {"plain", "keyword"})


def signature(reader: Reader, path: str) -> Signature:
    """The signature of calling what a path names."""
    return reader.once(("signature", path), lambda: _signature(reader, path))


def _signature(reader: Reader, path: str) -> Signature:
    found = reader.find(path)
    match found.definition:
        case Class() as definition:
            made = _Following(reader).of_class(found.path)
            if made.why or found.module is None:
                return changed(made, path=found.path)
            place = made.place or (found.module, definition.line, definition.column, definition.name)
            return changed(made, place=place, path=found.path)
        case Function() as function:
            assert found.module is not None
            following = _Following(reader)
            bound = bool(found.owner) and "classmethod" in function.decorators
            # `cls` is the class that was asked, which may extend the one that has the method.
            order = reader.bases(found.path.rpartition(".")[0]).paths if bound else ()
            number = order.index(found.owner) if found.owner in order else 0
            options = found.overloads or (function,)
            made = following.of_functions(options, found.module, found.path, order, number, bound)
            return changed(made, path=found.path)
        case Value(text=text) if text is not None and _is_callable_text(text):
            return Signature(why=f"`{found.path}` is made by a call", path=found.path)
        case Value(text=None):
            return Signature(why=f"what `{found.path}` is, is decided when it runs", path=found.path)
        case Value():
            return Signature(why=f"`{found.path}` is a value", path=found.path)
    reason = found.why or (f"`{path}` is a module" if found.module is not None else f"`{path}` is not there")
    return Signature(why=reason, path=found.path)


def _is_callable_text(text: str) -> bool:
    return "(" in text or text.startswith("lambda")


class _Following:
    """Follows one call through bases and handed-on keywords."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.depth = 0

    def of_class(self, path: str) -> Signature:
        return self.construct(self.reader.bases(path).paths, 0, path)

    def construct(self, order: tuple[str, ...], start: int, path: str) -> Signature:
        """How a class is made by the first of its bases from `start` on that says so."""
        remade = self.remade_by(order) if start == 0 else ""
        if remade:
            return Signature(why=remade)
        for number in range(start, len(order)):
            owner = order[number]
            if owner in COMPILED:
                return Signature(why=f"`{owner}` is made by compiled code")
            if owner in TAKES_NOTHING:
                continue
            if owner.startswith("enum."):
                return Signature(why="it is an enum")
            found = self.reader.find(owner)
            node, module = found.definition, found.module
            if not isinstance(node, Class) or module is None:
                reason = found.why or f"its base `{owner}` is not readable"
                return Signature(why=reason)
            reason = replaced(self.reader, module, node)
            if reason:
                return Signature(why=reason)
            for maker in ("__init__", "__new__"):
                defined = node.defined(maker)
                if any(each.name == maker for each in node.attributes):
                    return Signature(why=f"what `{owner}.{maker}` is, is decided when it runs")
                if not defined:
                    continue
                made = self.of_functions(tuple(defined), module, owner, order, number, True)
                if maker == "__init__" and made.open and not made.parameters and node.defined("__new__"):
                    continue
                return made
            fields = fields_of(self.reader, order[number:], node, module)
            if fields is not None:
                if fields.why:
                    return Signature(why=fields.why)
                bound = tuple(
                    Bound(each, where, whose, each.default is None) for each, where, whose in fields.parameters
                )
                return Signature(bound, fields.open, place=(module, node.line, node.column, node.name))
            if any(self.reader.named(module, base) is None for base in node.bases):
                return Signature(why=f"`{owner}` has a base that is made by a call")
        return Signature()

    def remade_by(self, order: tuple[str, ...]) -> str:
        """Why another thing than `__init__` may decide how a class is made: a metaclass, or a base that changes its heirs."""
        inherits = True
        for number, owner in enumerate(order):
            found = self.reader.find(owner) if owner not in STOPS and owner not in PYDANTIC else None
            if found is None or not isinstance(found.definition, Class) or found.module is None:
                continue
            if self.metaclass_calls(found.module, found.definition):
                return f"`{owner}` has a metaclass of its own"
            if number == 0:
                inherits = not found.definition.defined("__init__")
            elif inherits and found.definition.defined("__init_subclass__") and not transforms(found.definition):
                return f"`{owner}` may change the classes that extend it"
        return ""

    def metaclass_calls(self, module: Module, node: Class) -> bool:
        text = dict(node.keywords).get("metaclass", "ABCMeta")
        if "ABCMeta" in text or "EnumMeta" in text:
            return False
        named = self.reader.named(module, text)
        return (
            named is None or self.reader.method(named, "__call__") is not None or not self.reader.bases(named).complete
        )

    def of_functions(
        self,
        functions: tuple[Function, ...],
        module: Module,
        owner: str,
        order: tuple[str, ...],
        number: int,
        bound: bool,
    ) -> Signature:
        """One function, or the ways to call it: what any of them takes is taken, what all require is required."""
        options = [each for each in functions if overloaded(each)]
        catch_all = [each for each in options if _takes_everything(each, bound)]
        options = [each for each in options if each not in catch_all] or options
        if not options:
            return self.of_function(functions[-1], module, owner, order, number, bound)
        made = [self.of_function(each, module, owner, order, number, bound) for each in options]
        if len(made) == 1:
            return made[0]
        merged: dict[str, Bound] = {}
        for one in made:
            for each in one.parameters:
                before = merged.get(each.name)
                if before is None:
                    everywhere = all(other.get(each.name) is not None for other in made)
                    merged[each.name] = changed(each, required=each.required and everywhere)
                elif before.parameter.annotation != each.parameter.annotation:
                    loose = changed(before.parameter, annotation=None, default="...")
                    merged[each.name] = changed(before, parameter=loose, required=before.required and each.required)
                elif not each.required:
                    merged[each.name] = changed(before, required=False)
        reason = next((each.why for each in made if each.why), "")
        return Signature(
            tuple(merged.values()), next((each.open for each in made if each.open), ""), reason, made[0].place
        )

    def of_function(
        self, function: Function, module: Module, owner: str, order: tuple[str, ...], number: int, bound: bool
    ) -> Signature:
        reason = unwrapped(self.reader, module, function)
        if reason:
            return Signature(why=reason)
        parameters = list(function.parameters)
        if bound and not function.static and parameters and parameters[0].kind in {"plain", "positional"}:
            parameters = parameters[1:]
        place = (module, function.line, function.column, function.name)
        kwargs = next((each for each in parameters if each.kind == "kwargs"), None)
        own = [Bound(each, module, owner, _required(each)) for each in parameters if each.kind != "kwargs"]
        if kwargs is None:
            return Signature(tuple(own), place=place)
        return self.with_handed_on(own, function, module, owner, order, number, place)

    def with_handed_on(
        self,
        own: list[Bound],
        function: Function,
        module: Module,
        owner: str,
        order: tuple[str, ...],
        number: int,
        place: tuple[Module, int, int, str],
    ) -> Signature:
        """The function's own parameters, and those of whatever its `**kwargs` are handed on to."""
        names = {each.name for each in own}
        for name in function.pops:
            if name not in names:
                names.add(name)
                taken = Parameter(name, "keyword", None, "...", function.line, function.column)
                own.append(Bound(taken, module, owner, False))
        if not function.handings and function.strict:
            return Signature(tuple(own), place=place)
        if not function.handings:
            return Signature(
                tuple(own), f"`{function.name}` takes any keyword and leaves out what it does not know", place=place
            )
        if self.depth >= DEEPEST:
            return Signature(tuple(own), "its keywords are handed on too often", place=place)
        opened = ""
        single = len(function.handings) == 1
        for handing in function.handings:
            self.depth += 1
            try:
                inner = self.handed_to(handing, function, module, order, number)
            finally:
                self.depth -= 1
            if inner is None or inner.why:
                opened = (
                    opened or f"its keywords go to `{handing.callee}`, which is not followed"
                    if handing.callee
                    else (opened or "what it does with its keywords is decided when it runs")
                )
                continue
            opened = opened or inner.open
            for position, each in enumerate(inner.parameters):
                if each.name in names or each.name in handing.names or each.parameter.kind in {"args", "positional"}:
                    continue
                if position < handing.positional and each.parameter.kind == "plain":
                    continue
                names.add(each.name)
                required = each.required and single and handing.always and not function.pops
                own.append(changed(each, parameter=changed(each.parameter, kind="keyword"), required=required))
        return Signature(tuple(own), opened, place=place)

    def handed_to(
        self, handing: Handing, function: Function, module: Module, order: tuple[str, ...], number: int
    ) -> Signature | None:
        """The signature of a call inside a function, seen from its class."""
        callee = handing.callee
        if callee.startswith("=self."):
            return self.kept(callee.removeprefix("=self."), order)
        if callee.startswith("super()."):
            return self.of_super(callee.removeprefix("super()."), order, number + 1)
        if callee.startswith("super(") and ")." in callee:
            return self.of_super(callee.partition(").")[2], order, number + 1)
        head, _, rest = callee.partition(".")
        if head in {"self", "cls"} and order:
            if not rest:
                return self.of_class(order[0]) if head == "cls" else None
            method = self.reader.method(order[0], rest)
            if method is None or "." in rest:
                return None
            where = order.index(method.owner) if method.owner in order else 0
            return self.of_functions(method.overloads, method.module, method.owner, order, where, True)
        if not callee or not all(part.isidentifier() for part in callee.split(".")):
            return None
        before, _, last = callee.rpartition(".")
        if last in {"__init__", "__new__"} and before:
            base = self.reader.named(module, before)
            made = self.of_class(base) if base is not None else None
            # `Base.__init__(self, …)`: the first value is the object itself.
            return self.shifted(made) if made is not None and handing.positional else made
        found = self.reader.resolve(module, callee)
        match found.definition:
            case Class():
                return self.of_class(found.path)
            case Function() as inner if found.module is not None:
                options = found.overloads or (inner,)
                return self.of_functions(options, found.module, found.path, (), 0, bool(found.owner))
        return None

    def kept(self, attribute: str, order: tuple[str, ...]) -> Signature | None:
        """What keywords may be that `__init__` keeps: those of the calls in other methods that get them."""
        parameters: dict[str, Bound] = {}
        found = False
        for number, owner in enumerate(order):
            base = self.reader.find(owner) if owner not in STOPS else None
            if base is None or not isinstance(base.definition, Class) or base.module is None:
                continue
            for method in base.definition.methods:
                for name, handing in method.spreads:
                    if name != attribute:
                        continue
                    inner = self.handed_to(handing, method, base.module, order, number)
                    if inner is None or inner.why or inner.open:
                        return None
                    found = True
                    taken = {each.name for each in inner.parameters[: handing.positional]} | set(handing.names)
                    for each in inner.named:
                        if each.name not in taken:
                            parameters.setdefault(each.name, changed(each, required=False))
        return Signature(tuple(parameters.values())) if found else None

    def of_super(self, name: str, order: tuple[str, ...], start: int) -> Signature | None:
        if name in {"__init__", "__new__"}:
            return self.construct(order, start, order[0] if order else "")
        for number in range(start, len(order)):
            found = self.reader.find(order[number])
            if isinstance(found.definition, Class) and found.module is not None:
                defined = found.definition.defined(name)
                if defined:
                    return self.of_functions(tuple(defined), found.module, order[number], order, number, True)
        return None

    @staticmethod
    def shifted(made: Signature) -> Signature:
        """A signature whose first positional value is taken by `self`."""
        first = Bound(Parameter("self", "positional", None, None, 1, 0), _NOWHERE, "", True)
        return changed(made, parameters=(first, *made.parameters))


_NOWHERE = Module("", kind=None, place="", local=False)  # type: ignore[arg-type]


def _required(parameter: Parameter) -> bool:
    return parameter.default is None and parameter.kind not in {"args", "kwargs"}


def _takes_everything(function: Function, bound: bool) -> bool:
    kinds = [each.kind for each in function.parameters]
    return sorted(kinds[1:] if bound else kinds) == ["args", "kwargs"]
