"""What every verb shares: help, language, usage errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import click
import pytest

from tests.cli.conftest import Zscrape, clean_environ
from zscrape import __version__
from zscrape.cli import VERBS, manner, verbs
from zscrape.cli.verbs import Family, exit_code, verb
from zscrape.client import ClientError
from zscrape.errors import ConfigError, ZscrapeError
from zscrape.errors.refusals import QueueFull
from zscrape.errors.requests import Unauthorized


def test_help_lists_every_verb(zscrape: Zscrape) -> None:
    """`--help` names each verb with its first sentence."""
    result = zscrape("--help")

    assert result.exit_code == 0
    for name in VERBS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize("name", [*VERBS, "tasks list", "scripts new", "workers drain"])
def test_help_of_each_verb_is_korean_when_asked(zscrape: Zscrape, name: str) -> None:
    """`--lang ko` reaches help, although help is told before options are read."""
    result = zscrape(*name.split(), "--help", "--lang", "ko")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"사용법: zscrape {name}")
    assert "옵션:" in result.stdout


@pytest.mark.parametrize(
    ("environ", "arguments", "lang"),
    [
        ({}, [], "en"),
        ({"LANG": "ko_KR.UTF-8"}, [], "ko"),
        ({"LC_ALL": "en_US", "LANG": "ko_KR.UTF-8"}, [], "en"),
        ({"ZSCRAPE_LANG": "ko"}, [], "ko"),
        ({"ZSCRAPE_LANG": "ko"}, ["--lang=en"], "en"),
        ({"LANG": "ko"}, ["--lang", "xx"], "ko"),
        ({}, ["--lang"], "en"),
    ],
)
def test_language_is_found_before_options_are_read(
    environ: dict[str, str], arguments: list[str], lang: str
) -> None:
    """An option beats the environment, which beats the locale."""
    manner.foresee(arguments, environ)

    assert manner.current().lang == lang


def test_version_is_told_at_once(zscrape: Zscrape) -> None:
    """`--version` is one line."""
    assert zscrape("--version").stdout == f"zscrape {__version__}\n"


def test_version_needs_none_of_the_heavy_libraries() -> None:
    """`--version` stays quick: nothing heavy is imported for it."""
    heavy = ["httpx", "rich", "zmq", "msgspec", "starlette", "uvicorn", "structlog", "asyncio"]
    source = (
        "import sys\nfrom zscrape.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )

    started = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )

    assert told.stdout.splitlines() == [f"zscrape {__version__}", "[]"]
    assert time.perf_counter() - started < 5  # 0.08 s; a wide margin for a loaded machine


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rum"], "There is no verb rum. Did you mean run?"),
        (["xyzzy"], "There is no verb xyzzy."),
        (["tasks", "lst"], "There is no verb lst. Did you mean list?"),
        (["run"], "TARGET is missing."),
        (["run", "x", "--detahc"], "Did you mean --detach?"),
        (["tasks", "list", "--limit", "many"], "--limit:"),
        (["tasks", "list", "--limit", "0"], "--limit:"),
        (["run", "x", "--timeout", "-1"], "--timeout:"),
        (["run", "x", "--timeout", "nan"], "--timeout:"),
        (["run", "x", "--detach", "--follow"], "--detach does not wait"),
        (["run", "./x", "--detach"], "A path runs here"),
        (["run", "x", "-p", "novalue"], "expected key=value"),
        (["tasks", "list", "--since", "soon"], "--since soon"),
        (["--lang", "fr"], "--lang:"),
    ],
)
def test_usage_error_is_3_with_the_next_step(
    zscrape: Zscrape, arguments: list[str], told: str
) -> None:
    """A wrong command line says what is wrong on standard error and ends with 3."""
    zscrape.environ["ZSCRAPE_URL"] = "http://127.0.0.1:1"

    result = zscrape(*arguments)

    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("error:")
    assert told in result.stderr


def test_usage_error_in_json_is_one_document(zscrape: Zscrape) -> None:
    """A machine gets its usage errors as JSON on standard output."""
    result = zscrape("rum", "--json", "--lang", "ko")

    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "usage"
    assert "혹시 run입니까?" in error["message"]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthorized(), 3),
        (ConfigError(source="x", reason="y"), 3),
        (QueueFull(limit_count=1), 1),
        (ClientError("lock_held", "", status=409), 3),
        (ClientError("queue_full", "", status=503), 1),
        (ClientError("gateway_unreachable", ""), 1),
        (ClientError("gateway_unknown", ""), 3),
    ],
)
def test_exit_code_tells_who_can_mend_it(error: ZscrapeError, code: int) -> None:
    """3 is for input and environment, 1 for everything that failed."""
    assert exit_code(error) == code


class Raising(Family):
    """A family with one verb that ends in a given way."""

    def __init__(self, end: BaseException | int) -> None:
        super().__init__("zscrape", help="cli.zscrape", lazy={"it": ""})
        self._end = end

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return the verb."""

        @verb("it", help_key="cli.run")
        def it(_: object) -> int:
            if isinstance(self._end, BaseException):
                raise self._end
            return self._end

        return it


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (0, 0),
        (2, 2),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.ClickException("x"), 1),
        (click.UsageError("x"), 3),
        (QueueFull(limit_count=1), 1),
        (ExceptionGroup("g", [Unauthorized()]), 3),
        (ExceptionGroup("g", [ValueError("x")]), 1),
        (ValueError("x"), 1),
    ],
)
def test_every_end_has_its_exit_code(end: BaseException | int, code: int) -> None:
    """However a verb ends, the shell gets a code of the contract."""
    with pytest.raises(SystemExit) as caught:
        Raising(end).main(["it"])

    assert caught.value.code == code


def test_fault_of_ours_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault in zscrape says so, and brings what a report of it needs."""
    with pytest.raises(SystemExit):
        Raising(ValueError("odd")).main(["it"])

    err = capsys.readouterr().err
    assert "zscrape itself failed: ValueError: odd" in err
    assert "Traceback" in err


def test_reader_that_leaves_is_no_error() -> None:
    """`zscrape ... | head -1` prints no traceback."""
    script = f"{sys.executable} -m zscrape doctor --config --home /tmp | head -1"

    told = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=clean_environ(), check=True
    )

    assert told.stderr == ""
    assert told.stdout.startswith("setting")


def test_exit_codes_are_the_contract_s() -> None:
    """The table of section 5."""
    codes = (verbs.OK, verbs.FAILED, verbs.SOME_FAILED, verbs.INVALID, verbs.INTERRUPTED)

    assert codes == (0, 1, 2, 3, 130)
