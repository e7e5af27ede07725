"""Log lines: for machines and for people, and never with a secret."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator

import pytest
import structlog

from zscrape import log

SECRET = "zs_very_secret_0123"


def words(key: str, lang: str, **fields: object) -> str:
    """Speak for one event, as the catalogue does."""
    if key != "event.worker_lost":
        return key
    told = {"en": "Worker {worker_id} is gone.", "ko": "워커 {worker_id}이(가) 사라졌습니다."}
    return told[lang].format(**fields)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what was logged as JSON; nothing may be on standard output."""
    out, err = captured.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_json_line_has_event_ids_time_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for machines has the constant event, its fields, UTC time, and words."""
    log.configure(json=True, lang="ko", words=words)

    log.get_logger(gateway_id="g-1").warning("worker_lost", worker_id="w-1", attempts=2)

    (line,) = lines(capsys)
    assert line["event"] == "worker_lost"
    assert line["level"] == "warning"
    assert line["gateway_id"] == "g-1"
    assert line["worker_id"] == "w-1"
    assert line["attempts"] == 2
    assert line["message"] == "워커 w-1이(가) 사라졌습니다."
    assert str(line["at"]).endswith("+00:00")


def test_event_without_words_has_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    """An event that the catalogue does not know is told as it is."""
    log.configure(json=True, words=words)

    log.get_logger().info("something_else")

    (line,) = lines(capsys)
    assert line["event"] == "something_else"
    assert "message" not in line


def test_text_line_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for people has the words, and only the fields that these have not said."""
    log.configure(json=False, words=words)

    log.get_logger().info("worker_lost", worker_id="w-1", reason="silent")

    err = capsys.readouterr().err
    assert "Worker w-1 is gone." in err
    assert "reason=silent" in err
    assert "worker_id=" not in err
    assert "\x1b" not in err


def test_text_line_is_coloured_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the level has a colour."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    log.configure(json=False)

    log.get_logger().error("broken")

    assert "\x1b[31merror" in capsys.readouterr().err


def test_debug_lines_need_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    """Debug lines are for whoever asks for them."""
    log.configure(json=True)
    log.get_logger().debug("detail")
    log.configure(json=True, verbose=True)
    log.get_logger().debug("detail")

    assert len(lines(capsys)) == 1


def test_context_is_bound_to_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids bound to the context are on each line logged inside it."""
    log.configure(json=True)

    with structlog.contextvars.bound_contextvars(task_id="t-1"):
        log.get_logger().info("inside")

    (line,) = lines(capsys)
    assert line["task_id"] == "t-1"


@pytest.mark.parametrize("is_json", [True, False])
def test_secret_never_appears(capsys: pytest.CaptureFixture[str], is_json: bool) -> None:
    """A hidden value, a field with a secret's name and a URL's user are masked everywhere."""
    log.configure(json=is_json)
    log.hide(SECRET)
    logger = log.get_logger()

    logger.info("a", detail=f"x {SECRET} y", api_key="one", url="https://user:two@host/")
    try:
        int(SECRET)
    except ValueError:
        logger.exception("b", join_token="three", key="a lock")
    logging.getLogger("library").warning("call with %s", SECRET)

    err = capsys.readouterr().err
    assert SECRET not in err
    assert "user:two" not in err
    assert not {"one", "three"} & set(err.replace('"', " ").replace("=", " ").split())
    assert "a lock" in err
    assert "ValueError" in err


def test_library_line_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """What a library logs through the standard library takes the same form."""
    log.configure(json=True)

    logging.getLogger("uvicorn.error").warning("trouble with %s", "it")

    (line,) = lines(capsys)
    assert line["event"] == "library"
    assert line["library"] == "uvicorn.error"
    assert line["message"] == "trouble with it"


def test_anything_can_be_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that JSON does not know is told as text instead of failing."""
    log.configure(json=True)

    log.get_logger().info("odd", value=object)

    (line,) = lines(capsys)
    assert line["value"] == "<class 'object'>"


def test_logger_in_use_obeys_a_second_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """A logger made before `configure` writes in the new form too."""
    log.configure(json=False)
    logger = log.get_logger()
    logger.info("first")
    capsys.readouterr()
    log.configure(json=True)

    logger.info("second")

    assert lines(capsys)[0]["event"] == "second"


def test_closed_pipe_does_not_end_what_is_logged_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that nobody can read any more is lost, and nothing else is."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        log.configure(json=True)

        log.get_logger().info("worker_lost", worker_id="w")
        logging.getLogger("library").error("and one more")

        monkeypatch.undo()
        with contextlib.suppress(OSError):
            pipe.close()


def test_unconfigured_process_logs_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that sets up nothing still answers on standard output alone, and masks secrets."""
    structlog.reset_defaults()

    log.get_logger().warning("repository_stale", api_token=SECRET)

    out, err = capsys.readouterr()
    assert out == ""
    assert "repository_stale" in err
    assert SECRET not in err
