"""Records behave as frozen dataclasses with slots do, and cost less to make."""

from __future__ import annotations

import pytest

from esp3c.record import changed, field, fields, mutable, record


@record
class Point:
    x: int
    y: int = 0
    note: str = field(default="", compare=False)


@mutable
class Bag:
    items: list[int] = field(default_factory=list)


def test_a_record_takes_its_fields_in_order_or_by_name() -> None:
    assert Point(1, 2) == Point(y=2, x=1)
    assert Point(1).y == 0
    with pytest.raises(TypeError, match="missing 1 required"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword"):
        Point(1, z=3)  # type: ignore[call-arg]


def test_equality_and_hash_leave_out_what_does_not_compare() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert hash(Point(1, note="a")) == hash(Point(1, note="b"))
    assert Point(1) != Point(2)
    assert Point(1) != (1, 0, "")


def test_a_record_has_slots_and_matches_by_position() -> None:
    assert not hasattr(Point(1), "__dict__")
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_each_object_gets_a_default_of_its_own() -> None:
    one, other = Bag(), Bag()
    one.items.append(1)

    assert other.items == []
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_fields_repr_and_changed() -> None:
    assert fields(Point(1)) == ("x", "y", "note")
    assert fields(3) == ()
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert changed(Point(1, 2), y=5) == Point(1, 5)


@record
class Thinking:
    name: str
    found: dict[str, int] = field(default_factory=dict, compare=False)


def test_what_an_object_has_worked_out_stays_behind() -> None:
    one = Thinking("a")
    one.found["length"] = 1
    other = changed(one, name="ab")
    assert other.found == {} and one.found == {"length": 1}
    assert Thinking("a") == one
