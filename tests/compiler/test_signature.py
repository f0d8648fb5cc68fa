"""Signatures read from source text: every form in which Python says what a call may be given."""

from __future__ import annotations

import pytest

from esp3c.python.reader import reader
from esp3c.python.signature import signature
from esp3c.world import MemoryWorld

OTHERS = {
    "torch.nn": "from torch.nn.modules.module import Module\n",
    "torch.nn.modules.module": "class Module: ...\n",
    "pydantic.main": "class Meta(type): ...\nclass BaseModel(metaclass=Meta): ...\n",
    "pydantic": "from pydantic.main import BaseModel\n",
    "dataclasses": "def dataclass(cls=None, /, **kw): ...\ndef field(**kw): ...\nKW_ONLY = 1\n",
    "attr": "def s(**kw): ...\ndef ib(**kw): ...\n",
    "attrs": "def define(**kw): ...\ndef field(**kw): ...\n",
    "functools": "def wraps(f): ...\ndef partial(f, *a, **k): ...\n",
    "far.away": "class Base:\n    def __init__(self, size, rate=1, **kwargs):\n        pass\n",
    "far": "from far.away import Base\n",
}


def shown(text: str, name: str = "it") -> str:
    """The signature of `src.here.NAME`: `!` marks what is required, `…` that more is taken."""
    world = MemoryWorld({**OTHERS, "src.here": text})
    made = signature(reader(world), f"src.here.{name}")
    if made.why:
        return "? " + made.why
    names = [each.name + ("!" if each.required else "") for each in made.parameters if each.parameter.kind != "args"]
    return " ".join([*names, *(["…"] if made.open else [])])


CASES = {
    "a function": ("def it(a, b=1, *, c, d=2): ...", "a! b c! d"),
    "positional only": ("def it(a, /, b): ...", "a! b!"),
    "everything is taken": ("def it(a, **kwargs): ...", "a! …"),
    "a class": ("class it:\n    def __init__(self, a, b=1): ...", "a! b"),
    "a class without __init__": ("class it: ...", ""),
    "__new__": ("class it:\n    def __new__(cls, a): ...", "a!"),
    "inherited": ("class B:\n    def __init__(self, a): ...\nclass it(B): ...", "a!"),
    "from another module": ("from far import Base\nclass it(Base): ...", "size! rate …"),
    "under another name": ("from far.away import Base as it", "size! rate …"),
    "an alias": ("def f(a): ...\nit = f", "a!"),
    "a torch module": ("import torch.nn as nn\nclass it(nn.Module): ...", ""),
    "handed to super": (
        "class B:\n    def __init__(self, a, b=1): ...\n"
        "class it(B):\n    def __init__(self, c, **kwargs):\n        super().__init__(**kwargs)",
        "c! a! b",
    ),
    "handed to super with a name given": (
        "class B:\n    def __init__(self, a, b=1): ...\n"
        "class it(B):\n    def __init__(self, c, **kwargs):\n        super().__init__(a=c, **kwargs)",
        "c! b",
    ),
    "handed to super with values before": (
        "class B:\n    def __init__(self, a, b, c=1): ...\n"
        "class it(B):\n    def __init__(self, **kwargs):\n        super().__init__(1, 2, **kwargs)",
        "c",
    ),
    "handed to super under a condition": (
        "class B:\n    def __init__(self, a): ...\n"
        "class it(B):\n    def __init__(self, c=1, **kwargs):\n        if c:\n            super().__init__(**kwargs)",
        "c a",
    ),
    "handed to a named base": (
        "class B:\n    def __init__(self, a): ...\n"
        "class it(B):\n    def __init__(self, **kwargs):\n        B.__init__(self, **kwargs)",
        "a!",
    ),
    "handed to a function": ("def f(a, b=1): ...\ndef it(**kwargs):\n    return f(**kwargs)", "a! b"),
    "handed to partial": (
        "import functools\ndef f(a, b=1): ...\ndef it(**kwargs):\n    return functools.partial(f, 1, **kwargs)",
        "b",
    ),
    "handed to a method": (
        "class it:\n    def __init__(self, **kwargs):\n        self.set_up(**kwargs)\n    def set_up(self, a): ...",
        "a!",
    ),
    "handed to two": (
        "def f(a): ...\ndef g(b): ...\ndef it(which, **kwargs):\n    return f(**kwargs) if which else g(**kwargs)",
        "which! a b",
    ),
    "handed to what is not there": ("def it(a, **kwargs):\n    return nowhere(**kwargs)", "a! …"),
    "kept for later": ("class it:\n    def __init__(self, **kwargs):\n        self.kwargs = kwargs", "…"),
    "taken out by name, the rest refused": (
        "def it(**kwargs):\n    a = kwargs.pop('a', 1)\n    if kwargs:\n        raise TypeError(list(kwargs))",
        "a",
    ),
    "taken out by name, the rest ignored": ("def it(**kwargs):\n    a = kwargs.get('a')", "a …"),
    "a chain of classes": (
        "class A:\n    def __init__(self, a): ...\n"
        "class B(A):\n    def __init__(self, b, **kw):\n        super().__init__(**kw)\n"
        "class it(B):\n    def __init__(self, c, **kw):\n        super().__init__(**kw)",
        "c! b! a!",
    ),
    "a diamond": (
        "class A:\n    def __init__(self, a): ...\n"
        "class B(A):\n    def __init__(self, b, **kw):\n        super().__init__(**kw)\n"
        "class C(A):\n    def __init__(self, c, **kw):\n        super().__init__(**kw)\n"
        "class it(B, C): ...",
        "b! c! a!",
    ),
    "overloads, one takes all": (
        "from typing import overload\nclass it:\n"
        "    @overload\n    def __init__(self, a: int, b: int = 1): ...\n"
        "    @overload\n    def __init__(self, *args, **kwargs): ...\n"
        "    def __init__(self, *args, **kwargs): ...",
        "a! b",
    ),
    "overloads that differ": (
        "from typing import overload\n"
        "@overload\ndef it(a: int, c: int): ...\n@overload\ndef it(a: str, b: int): ...\ndef it(a, b=None, c=None): ...",
        "a! c b",
    ),
    "a classmethod": ("class C:\n    @classmethod\n    def make(cls, a): ...\nit = C.make", "a!"),
    "a classmethod that hands on": (
        "class C:\n    def __init__(self, a, b=1): ...\n"
        "    @classmethod\n    def make(cls, c, **kw):\n        return cls(c, **kw)\nit = C.make",
        "c! b",
    ),
    "a staticmethod": ("class C:\n    @staticmethod\n    def make(a): ...\nit = C.make", "a!"),
    "a property": ("class C:\n    @property\n    def make(self): ...\nit = C.make", "? `make` is a property"),
    "wrapped": (
        "from functools import wraps\ndef keep(f):\n    @wraps(f)\n    def inner(*a, **k): ...\n    return inner\n"
        "@keep\ndef it(a): ...",
        "a!",
    ),
    "decorated with who knows what": (
        "import nowhere\n@nowhere.change\ndef it(a): ...",
        "? it is decorated with `nowhere.change`",
    ),
    "a dataclass": (
        "from dataclasses import dataclass, field\nfrom typing import ClassVar\n@dataclass\nclass it:\n"
        "    a: int\n    b: int = 1\n    c: list = field(default_factory=list)\n    d: int = field(init=False, default=2)\n"
        "    E: ClassVar[int] = 3",
        "a! b c",
    ),
    "a dataclass of a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass B:\n    a: int\n    b: int = 1\n"
        "@dataclass\nclass it(B):\n    b: int = 2\n    c: int = 3",
        "a! b c",
    ),
    "a dataclass by name only": (
        "from dataclasses import KW_ONLY, dataclass\n@dataclass\nclass it:\n    a: int\n    _: KW_ONLY\n    b: int",
        "a! b!",
    ),
    "attrs": ("import attrs\n@attrs.define\nclass it:\n    a: int\n    _b: int = attrs.field(default=1)", "a! b"),
    "attr.s": ("import attr\n@attr.s\nclass it:\n    a = attr.ib()\n    b = attr.ib(default=1)\n    c = 3", "a! b"),
    "a NamedTuple": ("from typing import NamedTuple\nclass it(NamedTuple):\n    a: int\n    b: int = 1", "a! b"),
    "a pydantic model": (
        "from pydantic import BaseModel\nclass it(BaseModel):\n    a: int\n    b: int = 1",
        "a! b …",
    ),
    "a value": ("it = 3", "? `src.here.it` is a value"),
    "made by a call": ("it = make()", "? `src.here.it` is made by a call"),
    "defined twice": ("def it(a): ...\ndef it(b): ...", "b!"),
    "a class defined twice": (
        "class it:\n    def __init__(self, a): ...\nclass it:\n    def __init__(self, b): ...",
        "b!",
    ),
    "extends what it is named after": (
        "from far import Base\nclass Base(Base):\n    def __init__(self, a): ...\nit = Base",
        "a!",
    ),
    "an import behind a definition": ("def it(a): ...\nfrom far import Base as it", "size! rate …"),
    "defined again under a condition": (
        "import sys\ndef it(a): ...\nif sys.platform == 'x':\n    def it(b): ...",
        "? what `src.here.it` is, is decided when it runs",
    ),
    "imported, if it is there": (
        "def it(a): ...\ntry:\n    from far import Base as it\nexcept ImportError:\n    pass",
        "? what `src.here.it` is, is decided when it runs",
    ),
    "handed to a parameter": ("def made(b): ...\ndef it(made, **kwargs):\n    return made(**kwargs)", "made! …"),
    "handed to a local name": (
        "def made(b): ...\ndef it(a, **kwargs):\n    made = MADE[a]\n    return made(**kwargs)",
        "a! …",
    ),
    "an inner function's own keywords": (
        "def made(b): ...\ndef it(a, **kwargs):\n    def inner(**kwargs):\n        return made(**kwargs)",
        "a! …",
    ),
    "handed on with more of it": (
        "def made(b, c): ...\ndef it(a, **kwargs):\n    return made(**MORE, **kwargs)",
        "a! b c",
    ),
    "handed on, if it comes to that": (
        "def made(b): ...\ndef it(a, **kwargs):\n    if a:\n        return None\n    return made(**kwargs)",
        "a! b",
    ),
    "a wrapper that renames": (
        "from functools import wraps\ndef renamed(f):\n    @wraps(f)\n    def g(**kwargs):\n"
        "        kwargs['a'] = kwargs.pop('b')\n        return f(**kwargs)\n    return g\n@renamed\ndef it(a): ...",
        "? it is decorated with `renamed`",
    ),
    "a class behind a decorator that is not read": (
        "@registry.add\nclass it:\n    def __init__(self, a): ...",
        "? it is decorated with `registry.add`",
    ),
    "a class that its decorator gives back": (
        "def add(name):\n    def inner(cls):\n        KNOWN[name] = cls\n        return cls\n    return inner\n"
        "@add('x')\nclass it:\n    def __init__(self, a): ...",
        "a!",
    ),
    "a class that its decorator fits out": (
        "def fields(cls):\n    cls.__init__ = made(cls)\n    return cls\n@fields\nclass it:\n    a: int",
        "? it is decorated with `fields`",
    ),
    "__init__ is assigned": (
        "class it:\n    __init__ = made()",
        "? what `src.here.it.__init__` is, is decided when it runs",
    ),
    "__init__ under a condition": (
        "class it:\n    if x:\n        def __init__(self, a): ...\n    else:\n        def __init__(self, b): ...",
        "? what `src.here.it.__init__` is, is decided when it runs",
    ),
    "a base that is made by a call": (
        "from collections import namedtuple\nclass it(namedtuple('it', 'a b')): ...",
        "? `src.here.it` has a base that is made by a call",
    ),
    "a base with a metaclass": (
        "class M(type):\n    def __call__(cls, **k): ...\nclass B(metaclass=M): ...\n"
        "class it(B):\n    def __init__(self, a): ...",
        "? `src.here.B` has a metaclass of its own",
    ),
    "a base that changes its heirs": (
        "class B:\n    def __init_subclass__(cls): ...\nclass it(B):\n    a: int",
        "? `src.here.B` may change the classes that extend it",
    ),
    "a branch that depends on the machine": (
        "import sys\nif sys.platform == 'x':\n    def it(a): ...\nelse:\n    def it(b): ...",
        "? what `src.here.it` is, is decided when it runs",
    ),
    "a branch for type checkers": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from far.away import Base as it\nelse:\n    it = lazy()",
        "size! rate …",
    ),
    "an optional import": ("try:\n    from nowhere import it\nexcept ImportError:\n    def it(a): ...", "a!"),
    "handed on in a ring": ("def f(**k):\n    return it(**k)\ndef it(**k):\n    return f(**k)", "…"),
    "a base that is not there": ("from nowhere import B\nclass it(B): ...", "? its base `nowhere.B` is not readable"),
}


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES.keys())
def test_what_a_call_may_be_given(text: str, expected: str) -> None:
    assert shown(text) == expected
