"""What an attempt has found, against what its manifest expects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.worker.conftest import Stage
from zscrape.messages import CATALOGUE, outcome_key, placeholders
from zscrape.model import Expect, OutcomeCode
from zscrape.worker.yields import Yields

ON_STAGE = pytest.mark.asyncio(loop_scope="session")


def counted(expect: Expect, items: list[Any], data: Any = None) -> Any:
    """Return the fault of an attempt with these items and this answer."""
    yields = Yields(expect)
    for each in items:
        yields.take(json.dumps(each).encode())
    return yields.fault(json.dumps(data).encode())


@pytest.mark.parametrize(("count", "is_enough"), [(0, False), (2, False), (3, True), (4, True)])
def test_fewer_items_than_promised_are_a_fault(count: int, is_enough: bool) -> None:
    """The smallest number of items is enough, one less is not."""
    fault = counted(Expect(3), [1] * count)

    assert (fault is None) == is_enough
    if not is_enough:
        assert fault == {"what": "few", "item_count": count, "min_item_count": 3}


@pytest.mark.parametrize("lacking", [{}, {"price": None}, {"price": ""}, [], "text", None])
def test_a_required_field_without_a_value_is_told_with_its_count(lacking: Any) -> None:
    """No such field, null, an empty text, no object at all: each lacks the value."""
    fault = counted(Expect(0, ("name", "price")), [{"name": "a", "price": 0}, lacking])

    assert fault["what"] == "missing"
    assert "price 1/2" in fault["missing"]


def test_values_that_look_like_none_are_values() -> None:
    """Zero, false, empty lists and the text "null" are found values."""
    items = [{"a": 0}, {"a": False}, {"a": []}, {"a": "null"}, {"a": {}}]

    assert counted(Expect(1, ("a",)), items) is None


@pytest.mark.parametrize(("lacking_count", "is_enough"), [(3, True), (4, False)])
def test_a_share_of_items_may_lack_a_field(lacking_count: int, is_enough: bool) -> None:
    """Exactly the share is within it: of 30 items three may lack a field at a tenth."""
    items = [{"price": None if at < lacking_count else 5} for at in range(30)]

    assert (counted(Expect(0, ("price",), 0.1), items) is None) == is_enough


def test_a_share_without_names_holds_for_every_field() -> None:
    """With nothing required, the share is that of every field that any item has."""
    items: list[Any] = [{"a": 1, "b": 1}, {"a": 1, "b": None}, {"a": 1}]
    fault = counted(Expect(0, (), 0.5), items)

    assert fault == {"what": "missing", "item_count": 3, "missing": "b 2/3"}
    assert counted(Expect(0, (), 0.7), items) is None


def test_fields_without_end_cost_no_memory_without_end() -> None:
    """Of names beyond a number nothing is kept, and a fault names the first few."""
    yields = Yields(Expect(0, (), 0.5))
    for number in range(3_000):
        yields.take(json.dumps({f"n{number}": 1}).encode())
    fault = yields.fault(b"null")

    assert len(yields._having) == 500
    assert fault is not None
    assert str(fault["missing"]).endswith(", +490")


@pytest.mark.parametrize(
    ("data", "count"), [([], 0), (None, 0), ("", 0), ([{}, {}], 2), ({"a": 1}, 1), (5, 1)]
)
def test_without_items_the_rows_of_the_answer_count(data: Any, count: int) -> None:
    """A list's elements are its rows, anything else is one, and null is none."""
    assert counted(Expect(count), [], data) is None
    assert counted(Expect(count + 1), [], data)["item_count"] == count


def test_items_of_earlier_runs_count_as_found() -> None:
    """What was left out because an earlier run had it was still found."""
    assert Yields(Expect(2)).fault(b"null", known_count=2) is None


@pytest.mark.parametrize("what", ["few", "missing"])
def test_each_fault_has_words_of_its_own(what: str) -> None:
    """The words name the numbers, and use no field that the fault lacks."""
    expect = Expect(5) if what == "few" else Expect(0, ("a",))
    fault = counted(expect, [{}])
    words = CATALOGUE[outcome_key("empty_result", fault)]

    assert fault["what"] == what
    assert placeholders(words.en) == set(fault) - {"what"}


@ON_STAGE
async def test_an_attempt_that_finds_too_little_ends_as_empty(stage: Stage) -> None:
    """A script that ends well is not a success when its items lack what it promises."""
    source = """
        def run():
            yield {"name": "a", "price": 1}
            yield {"name": "b", "price": None}
    """
    ran = await stage.run(source, expect=Expect(1, ("price",), 0.1))
    well = await stage.run(source, expect=Expect(2, ("name",)))

    assert ran.outcome.code is OutcomeCode.EMPTY_RESULT
    assert ran.outcome.fields == {"what": "missing", "item_count": 2, "missing": "price 1/2"}
    assert (ran.outcome.item_count, ran.outcome.data) == (2, None)
    assert len(ran.bodies("item")) == 2
    assert well.outcome.is_ok


@ON_STAGE
async def test_a_failure_of_the_script_stays_its_own(stage: Stage) -> None:
    """An attempt that fails by itself is not told as one that found nothing."""
    ran = await stage.run("def run():\n    raise OSError('no')\n", expect=Expect(1))

    assert ran.outcome.code is OutcomeCode.SCRIPT_ERROR
