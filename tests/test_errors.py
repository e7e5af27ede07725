"""The tree of errors: codes, fields and words."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from zscrape import errors
from zscrape.errors import ZscrapeError, let_go
from zscrape.errors.requests import GroupForbidden, NotFound, TokenInvalid, Unauthorized
from zscrape.errors.scripts import ScriptNotFound, VersionInvalid
from zscrape.messages import CATALOGUE

MODULES = {
    errors,
    *(import_module(f"{errors.__name__}.{each.name}") for each in iter_modules(errors.__path__)),
}


def tree(root: type[ZscrapeError]) -> list[type[ZscrapeError]]:
    """Return a class and everything below it."""
    return [root, *(each for child in root.__subclasses__() for each in tree(child))]


OWN = sorted(
    (kind for kind in tree(ZscrapeError) if kind.__module__.startswith(errors.__name__)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_every_error_says_code_status_and_words(kind: type[ZscrapeError]) -> None:
    """Each error has a stable code, an HTTP status, words, and tells its fields."""
    error = kind(**dict.fromkeys(kind.field_names, "x"))

    assert error.code == error.code.lower()
    assert 400 <= error.http_status < 600
    assert error.text_key in CATALOGUE
    assert str(error).startswith(error.code)


def test_every_error_has_a_name_of_its_own() -> None:
    """Which module a class stands in need not be known to tell it apart."""
    names = [kind.__name__ for kind in OWN]

    assert len(names) == len(set(names))
    assert {kind.__module__ for kind in OWN} == {each.__name__ for each in MODULES}


def test_fields_are_told() -> None:
    """An error carries its facts as typed fields, and shows them in logs."""
    error = NotFound(kind="task", name="t1")

    assert error.fields == {"kind": "task", "name": "t1"}
    assert str(error) == "not_found (kind='task', name='t1')"
    assert str(Unauthorized()) == "unauthorized"
    assert repr(error) == "NotFound(kind='task', name='t1')"


def test_only_fields_without_a_value_are_asked_for() -> None:
    """What a class gives a value may be left out; nothing else may, and nothing be made up."""
    assert ScriptNotFound(name="a").fields == {"name": "a", "nearest": ""}
    with pytest.raises(TypeError, match="kind"):
        NotFound(name="t1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        NotFound(kind="task", name="t1", colour="red")  # type: ignore[call-arg]


def test_words_may_differ_from_the_code() -> None:
    """A nearest name and a malformed request have words of their own under the same code."""
    assert ScriptNotFound(name="a").text_key == "script_not_found"
    assert ScriptNotFound(name="a", nearest="b").text_key == "script_not_found.nearest"
    assert VersionInvalid(requested="?").text_key == "version_invalid"
    assert GroupForbidden(scope="", name="a", allowed="b").text_key == "group_forbidden"
    assert GroupForbidden(scope="", name="", allowed="b").text_key == "group_forbidden.none"


def test_tokens_that_somebody_has_signed_are_no_guesses() -> None:
    """Only what anybody could have written counts against its address."""
    assert TokenInvalid(reason="expired").is_signed
    assert not TokenInvalid(reason="signature").is_signed


def test_an_error_that_was_told_holds_none_of_the_frames_that_it_came_by() -> None:
    """Nor does the one that it was raised from, or while handling."""
    first, second, third = NotFound(kind="a", name="a"), KeyError("b"), NotFound(kind="c", name="c")
    try:
        try:
            try:
                raise first
            except NotFound:
                raise second  # noqa: B904 - its context is what is told of
        except KeyError as error:
            raise third from error
    except NotFound:
        pass

    let_go(third)

    assert (third.__cause__, second.__context__) == (second, first)
    assert [each.__traceback__ for each in (first, second, third)] == [None, None, None]
