"""What the comprehensions of a body give: lists of what their element is, dicts with the keys that they walk over."""

from __future__ import annotations

import ast

from esp3c.python.body_expressions import Expressions, looped
from esp3c.python.body_values import UNKNOWN, Dict, Entry, Env, Listing


class Comprehensions(Expressions):
    def enter(self, loops: list[ast.comprehension]) -> bool:
        """Binds the names of a comprehension; whether its element is surely evaluated."""
        sure = True
        for loop in loops:
            item, filled = looped(self.value(loop.iter))
            self.unpack(loop.target, item)
            sure = sure and filled and not loop.ifs
            for test in loop.ifs:
                self.perhaps(test)
        return sure

    def comprehension(self, elt: ast.expr, loops: list[ast.comprehension]) -> Listing:
        before = dict(self.names())
        sure = self.enter(loops)
        value = self.value(elt) if sure else self.perhaps(elt)
        self.restore(before, loops)
        return Listing([value], sure)

    def dict_comprehension(self, node: ast.DictComp) -> Dict:
        before = dict(self.names())
        keys = self.keys_of(node.generators)
        sure = self.enter(node.generators)
        value = self.value(node.value) if sure else self.perhaps(node.value)
        self.restore(before, node.generators)
        out = Dict({}, closed=False)
        if keys is not None and isinstance(node.key, ast.Name):
            target = node.generators[0].target
            first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
            if isinstance(first, ast.Name) and first.id == node.key.id:
                filtered = bool(node.generators[0].ifs)
                fields = {key: Entry(UNKNOWN, entry.sure and not filtered) for key, entry in keys.fields.items()}
                return Dict(fields, keys.closed, keys.origin)
        self.share(value)
        return out

    def keys_of(self, loops: list[ast.comprehension]) -> Dict | None:
        """The keys that a comprehension walks over: `x`, `x.items()`, `x.keys()`, or constants."""
        if len(loops) != 1:
            return None
        iterated: ast.expr = loops[0].iter
        match iterated:
            case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr="items" | "keys"), args=[]):
                iterated = owner
            case ast.Tuple(elts=items) | ast.List(elts=items):
                names = [each.value for each in items if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                return Dict({name: Entry(UNKNOWN) for name in names}) if len(names) == len(items) else None
            case _:
                pass
        held = self.names().get(iterated.id) if isinstance(iterated, ast.Name) else None
        return held if isinstance(held, Dict) else None

    def restore(self, before: Env, loops: list[ast.comprehension]) -> None:
        """A comprehension's own names end with it."""
        env = self.names()
        for loop in loops:
            for each in ast.walk(loop.target):
                if isinstance(each, ast.Name):
                    env.pop(each.id, None)
                    if each.id in before:
                        env[each.id] = before[each.id]
