"""What scripts can be and say, run for real in limited children."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.worker.conftest import Stage
from zscrape.errors.scripts import IntegrityFailure, RepositoryUnavailable
from zscrape.model import Limits, OutcomeCode
from zscrape.wire import Tell

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_returned_value_is_the_data(stage: Stage) -> None:
    """What a function returns is the attempt's data, untouched."""
    ran = await stage.run("def run(a, b=2):\n    return {'sum': a + b, 'text': '값'}", {"a": 1})

    assert ran.data == {"sum": 3, "text": "값"}
    assert ran.outcome.item_count == 0
    assert ran.outcome.run_s > 0
    assert ran.outcome.usage.memory_peak_bytes > 1_000_000


async def test_second_attempt_starts_from_compiled_code(stage: Stage) -> None:
    """A script that has been compiled once behaves the same from then on."""
    name = stage.write("import sys\ndef run():\n    raise ValueError(__file__)")
    first = stage.begin(name)
    await first.finished.wait()
    await stage.until_quiet()
    second = stage.begin(name)
    await second.finished.wait()

    assert len(stage.slots._codes._codes) > 0
    assert second.outcome.error_message == first.outcome.error_message
    assert second.outcome.traceback == first.outcome.traceback


async def test_edited_script_is_compiled_again(stage: Stage) -> None:
    """Kept code is never used for a file that has changed, whatever its pin says."""
    name = stage.write("def run():\n    return 1")
    first = stage.begin(name)
    await first.finished.wait()
    await stage.until_quiet()
    (stage.root / name / "main.py").write_text("def run():\n    return 2")
    second = stage.begin(name)
    await second.finished.wait()

    assert (first.data, second.data) == (1, 2)


async def test_yielded_values_are_items_and_the_data(stage: Stage) -> None:
    """Each yielded value is an item; with nothing returned the items are the data."""
    ran = await stage.run("def run():\n    yield {'n': 1}\n    yield {'n': 2}")

    assert ran.bodies("item") == [{"n": 1}, {"n": 2}]
    assert ran.data == [{"n": 1}, {"n": 2}]
    assert ran.outcome.item_count == 2


async def test_generator_may_return_data_too(stage: Stage) -> None:
    """A generator's return value is the data beside its items."""
    ran = await stage.run("def run():\n    yield 1\n    return 'total'")

    assert ran.data == "total"
    assert ran.bodies("item") == [1]


@pytest.mark.parametrize(
    ("source", "items", "data"),
    [
        ("async def run():\n    import asyncio\n    await asyncio.sleep(0)\n    return 5", [], 5),
        ("async def run():\n    yield 1\n    yield 2", [1, 2], [1, 2]),
    ],
)
async def test_coroutines_and_async_generators_run(
    stage: Stage, source: str, items: list[Any], data: Any
) -> None:
    """A coroutine function returns its data, an async generator yields its items."""
    ran = await stage.run(source)

    assert ran.bodies("item") == items
    assert ran.data == data


async def test_plain_script_reads_stdin_and_prints_its_data(stage: Stage) -> None:
    """A file without `run` is executed as `__main__`, parameters in, one JSON document out."""
    source = """
        import json, subprocess, sys
        subprocess.run(["true"])
        params = json.load(sys.stdin)
        if __name__ == "__main__":
            print(json.dumps({"twice": params["n"] * 2}))
    """
    ran = await stage.run(source, {"n": 21})
    again = stage.begin(ran.assignment.run.pin.name, {"n": 4})
    await again.finished.wait()

    assert ran.data == {"twice": 42}
    assert again.data == {"twice": 8}


async def test_plain_script_that_only_talks_has_no_data(stage: Stage) -> None:
    """Standard output that is not one JSON document is a log and nothing else."""
    ran = await stage.run("print('hello')\nprint('world')")

    assert ran.data is None
    assert ran.messages("stdout") == ["hello", "world"]


async def test_named_function_of_an_entry_point_runs(stage: Stage) -> None:
    """`file.py:function` runs that function of that file, and may import its neighbours."""
    files = {
        "jobs/scrape.py": "from near import VALUE\ndef fetch():\n    return VALUE",
        "near.py": "VALUE = 7",
    }
    ran = await stage.run("", files=files, entry_point="jobs/scrape.py:fetch")

    assert ran.data == 7


async def test_context_carries_the_facts(stage: Stage) -> None:
    """`ctx` knows its task, its attempt, its parameters and the time that is left."""
    source = """
        def run(a, *, ctx):
            return [ctx.task_id, ctx.attempt, ctx.params, 0 < ctx.deadline <= 50, ctx.cancelled]
    """
    ran = await stage.run(source, {"a": 1})

    assert ran.data == [ran.assignment.task_id, 1, {"a": 1}, True, False]


async def test_speech_arrives_in_order(stage: Stage) -> None:
    """Each stream keeps its order, and what is printed before something is said comes before it."""
    source = """
        import sys
        def run(ctx):
            print("one")
            ctx.log.info("two", page=2, odd=object)
            ctx.progress(0.5, "three")
            ctx.emit("four")
            print("five", file=sys.stderr)
            print("six", end="")
    """
    ran = await stage.run(source)

    logs = ran.bodies("log")
    assert [body["message"] for body in logs if body["stream"] != "stderr"] == ["one", "two", "six"]
    assert ran.messages("stderr") == ["five"]
    assert [body["page"] for body in logs if body["stream"] == "log"] == [2]
    assert ran.bodies("progress") == [{"fraction": 0.5, "text": "three"}]
    assert ran.bodies("item") == ["four"]


async def test_records_are_heard_while_the_script_runs(stage: Stage) -> None:
    """Items and prints are told long before the attempt ends."""
    source = """
        import time
        def run(ctx):
            print("begun")
            ctx.emit(1)
            while not ctx.cancelled:
                time.sleep(0.01)
    """
    ran = stage.begin(stage.write(source))
    await ran.until(lambda ran: ran.bodies("item") == [1] and ran.messages("stdout") == ["begun"])
    is_running = not ran.outcomes
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert is_running
    assert ran.outcome.code == OutcomeCode.CANCELLED


async def test_repeated_key_is_one_item(stage: Stage) -> None:
    """An item whose key was seen in this run is dropped, also where no gateway knows keys."""
    body = b'{"message":"no gateway"}'
    stage.answer = lambda ask: Tell(ask.task_id, ask.attempt, ask.request, body, "unsupported")
    ran = await stage.run("def run(ctx):\n    for n in (1, 2, 1):\n        ctx.emit(n, key=n)")

    assert ran.bodies("item") == [1, 2]


async def test_saved_file_becomes_an_artifact(stage: Stage) -> None:
    """`ctx.save` gives one record with the file's bytes, size, type and hash."""
    ran = await stage.run("def run(ctx):\n    ctx.save('a.html', '<p>값')")

    (artifact,) = ran.bodies("artifact")
    assert (artifact["name"], artifact["size"]) == ("a.html", 6)
    assert artifact["content_type"] == "text/plain; charset=utf-8"
    assert base64.b64decode(artifact["data"]).decode() == "<p>값"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "x" * 129, "ü"])
async def test_artifact_names_never_become_paths(stage: Stage, name: str) -> None:
    """A name that is not a plain file name is refused in the script."""
    ran = await stage.run("def run(name, ctx):\n    ctx.save(name, b'')", {"name": name})

    assert (ran.outcome.code, ran.outcome.error_type) == (OutcomeCode.SCRIPT_ERROR, "ValueError")


async def test_failure_of_the_scripts_choice(stage: Stage) -> None:
    """`ctx.fail` ends the attempt with its code, even inside `except Exception`."""
    source = """
        def run(ctx):
            while True:
                try:
                    ctx.fail("blocked", "HTTP 403")
                except Exception:
                    pass
    """
    ran = await stage.run(source)

    assert ran.outcome.code == OutcomeCode.BLOCKED
    assert ran.outcome.error_message == "HTTP 403"


async def test_unknown_failure_code_is_a_script_error(stage: Stage) -> None:
    """Only the codes that are a script's to give can be given."""
    ran = await stage.run("def run(ctx):\n    ctx.fail('ok')")

    assert ran.outcome.code == OutcomeCode.SCRIPT_ERROR


@pytest.mark.parametrize(
    ("status", "code"), [("0", "ok"), ("", "ok"), ("3", "script_error"), ("'no'", "script_error")]
)
async def test_system_exit(stage: Stage, status: str, code: str) -> None:
    """`SystemExit(0)` is success, any other is a failure of the script."""
    ran = await stage.run(f"import sys\ndef run():\n    sys.exit({status})")

    assert ran.outcome.code == code


async def test_traceback_shows_the_scripts_own_frames(stage: Stage) -> None:
    """What a script raised is told with its type, message, cause and its own frames only."""
    source = """
        import json
        def parse(text):
            return json.loads(text)
        def run():
            try:
                parse("{")
            except ValueError as error:
                raise RuntimeError("bad page") from error
    """
    ran = await stage.run(source)

    outcome = ran.outcome
    assert (outcome.code, outcome.error_type, outcome.error_message) == (
        OutcomeCode.SCRIPT_ERROR,
        "RuntimeError",
        "bad page",
    )
    assert 'File "main.py", line 4, in parse' in outcome.traceback
    assert "direct cause" in outcome.traceback
    assert "JSONDecodeError" in outcome.traceback
    assert outcome.traceback.endswith("RuntimeError: bad page")
    assert "runtime/" not in outcome.traceback
    assert "json/decoder" not in outcome.traceback


async def test_syntax_error_shows_the_line(stage: Stage) -> None:
    """A file that is not Python is a script error that points at the place."""
    ran = await stage.run("def run(:\n    pass")

    assert (ran.outcome.code, ran.outcome.error_type) == (OutcomeCode.SCRIPT_ERROR, "SyntaxError")
    assert 'File "main.py", line 1' in ran.outcome.traceback
    assert "def run(:" in ran.outcome.traceback


async def test_missing_import_is_a_script_error(stage: Stage) -> None:
    """A module that is not there is the script's failure, with its line."""
    ran = await stage.run("import nothing_of_this_name\ndef run():\n    pass")

    assert (ran.outcome.code, ran.outcome.error_type) == (
        OutcomeCode.SCRIPT_ERROR,
        "ModuleNotFoundError",
    )
    assert "line 1" in ran.outcome.traceback


@pytest.mark.parametrize("entry_point", ["gone.py", "main.py:gone", "main.py:VALUE", ".."])
async def test_entry_point_that_is_not_there(stage: Stage, entry_point: str) -> None:
    """A missing file or function is `entry_point_invalid` and names itself."""
    ran = await stage.run("VALUE = 1\ndef run():\n    pass", entry_point=entry_point)

    assert ran.outcome.code == OutcomeCode.ENTRY_POINT_INVALID
    assert ran.outcome.fields["entry_point"] == entry_point
    assert ran.outcome.fields["reason"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("object()", "object"),
        ("{'a': [1, {2, 3}]}", "/a/1"),
        ("{'a/b': float('nan')}", "/a~1b"),
        ("b'x'", "bytes"),
        ("'\\ud800'", "surrogate"),
        ("[0, '\\udc00']", "/1"),
        ("{(1, 2): 3}", "tuple"),
        ("loop()", "itself"),
        ("deep()", "nested"),
    ],
)
async def test_result_that_is_not_json_names_the_place(stage: Stage, value: str, told: str) -> None:
    """A result without a JSON form is `result_invalid` and says where and why."""
    source = f"""
        def loop():
            found = {{}}
            found["me"] = [found]
            return found
        def deep():
            found = []
            for _ in range(100_000):
                found = [found]
            return found
        def run():
            return {value}
    """
    ran = await stage.run(source)

    assert ran.outcome.code == OutcomeCode.RESULT_INVALID
    assert told in str(ran.outcome.fields["reason"])


async def test_kind_types_have_a_json_form(stage: Stage) -> None:
    """Dates, decimals, enums, dataclasses and tuples are told as JSON."""
    source = """
        import dataclasses, datetime, decimal, enum
        @dataclasses.dataclass
        class Row:
            price: decimal.Decimal
            day: datetime.date
        class Colour(enum.Enum):
            RED = "red"
        def run():
            return (Row(decimal.Decimal("1.50"), datetime.date(2026, 1, 2)), Colour.RED)
    """
    ran = await stage.run(source)

    assert ran.data == [{"price": "1.50", "day": "2026-01-02"}, "red"]


async def test_parameters_become_what_the_annotations_say(stage: Stage) -> None:
    """Enum, date, literal, optional, nested and dataclass parameters are converted."""
    source = """
        from __future__ import annotations
        import dataclasses, datetime, enum
        from typing import Literal, Optional
        class Colour(enum.Enum):
            RED = "red"
        @dataclasses.dataclass
        class Site:
            url: str
            since: datetime.date
        def run(colour: Colour, when: datetime.datetime, site: Site, kind: Literal["a", "b"],
                ratio: float, many: list[int] | None = None, ctx=None, none: Optional[str] = None):
            assert isinstance(site.since, datetime.date) and none is None and ctx is not None
            return [colour.name, when.year, site.url, kind, ratio, many]
    """
    params = {
        "colour": "red", "when": "2026-01-02T03:04:05Z",
        "site": {"url": "u", "since": "2026-01-02"}, "kind": "b", "ratio": 2, "many": [1, 2.0],
    }  # fmt: skip
    ran = await stage.run(source, params)

    assert ran.data == ["RED", 2026, "u", "b", 2.0, [1, 2]]


@pytest.mark.parametrize(
    ("signature", "params", "pointer"),
    [
        ("a", {}, "/parameters/a"),
        ("a", {"a": 1, "b": 2}, "/parameters/b"),
        ("a: int", {"a": "1"}, "/parameters/a"),
        ("a: int", {"a": True}, "/parameters/a"),
        ("a: list[int]", {"a": [1, "x"]}, "/parameters/a/1"),
        ("a, ctx", {"a": 1, "ctx": 2}, "/parameters/ctx"),
    ],
)
async def test_parameters_that_do_not_fit_are_told(
    stage: Stage, signature: str, params: Any, pointer: str
) -> None:
    """A parameter that is unknown, missing or of another type is told with its pointer."""
    ran = await stage.run(f"def run({signature}):\n    return 1", params)

    assert ran.outcome.code == OutcomeCode.PARAMS_INVALID
    assert ran.outcome.error_message.startswith(pointer)


async def test_any_keyword_is_taken_without_context(stage: Stage) -> None:
    """`**kwargs` takes every parameter, and no `ctx` that is not named."""
    ran = await stage.run("def run(**rest):\n    return sorted(rest)", {"b": 1, "a": 2})

    assert ran.data == ["a", "b"]


async def test_decorated_function_is_called_by_its_own_signature(stage: Stage) -> None:
    """A wrapped function gets the parameters and the `ctx` that the inner one names."""
    source = """
        import functools
        def log(function):
            @functools.wraps(function)
            def inner(**arguments):
                return function(**arguments)
            return inner
        @log
        def run(a: int, *, ctx):
            return [a, ctx.attempt]
    """
    ran = await stage.run(source, {"a": 3})

    assert ran.data == [3, 1]


async def test_child_sees_a_clean_world(stage: Stage) -> None:
    """Environment, working directory, mask, standard input and descriptors are the child's own."""
    source = """
        import os, sys
        def run():
            home = os.getcwd()
            open("left.txt", "w").write("x")
            return {
                "env": sorted(os.environ),
                "home": [os.environ["HOME"], os.environ["TMPDIR"]].count(home),
                "mask": os.umask(0), "stdin": sys.stdin.read(),
                "fds": os.listdir("/proc/self/fd"), "files": os.listdir(home),
                "sid": os.getsid(0) == os.getpid(),
                "initial": open("/proc/self/environ").read(),
            }
    """
    first = (await stage.run(source)).data
    second = (await stage.run(source)).data

    assert set(first["env"]) <= {
        "HOME",
        "TMPDIR",
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "LC_CTYPE",
        "LC_ALL",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "LD_LIBRARY_PATH",
    }
    assert first["home"] == 2
    assert first["mask"] == 0o077
    assert first["stdin"] == ""
    assert set(first["fds"]) <= {"0", "1", "2", "3", "4"}  # 4 reads the list itself
    assert first["sid"]
    assert first["files"] == second["files"] == ["left.txt"]
    assert "PYTEST" not in first["initial"]


async def test_limits_are_final(stage: Stage) -> None:
    """A script finds its limits in force and cannot raise them."""
    source = """
        import resource as r
        def run():
            names = ("DATA", "AS", "NOFILE", "FSIZE", "CORE", "CPU")
            return {name: r.getrlimit(getattr(r, "RLIMIT_" + name)) for name in names}
    """
    limits = Limits(memory_bytes=200_000_000, open_file_count=99, file_size_bytes=1000, cpu_s=7.0)
    ran = await stage.run(source, limits=limits)
    standard = await stage.run(source)

    assert ran.data["DATA"][0] == 200_000_000
    assert ran.data["AS"][0] == 800_000_000
    assert ran.data["NOFILE"] == [99, 99]
    assert ran.data["FSIZE"] == [1000, 1000]
    assert ran.data["CORE"] == [0, 0]
    assert ran.data["CPU"] == [7, 8]
    assert standard.data["DATA"][0] == Limits().memory_bytes
    assert standard.data["NOFILE"] == [256, 256]


async def test_script_that_cannot_be_had_takes_the_errors_code(stage: Stage) -> None:
    """An error of the cache is the outcome; one that is none is `environment_error`."""
    name = stage.write("def run():\n    pass")
    stage.failures[name] = IntegrityFailure(name=name, expected="a", actual="b")
    torn = stage.begin(name)
    await torn.finished.wait()
    stage.failures[name] = RepositoryUnavailable(repository="r", reason="gone")
    gone = stage.begin(name)
    await gone.finished.wait()

    assert torn.outcome.code == OutcomeCode.INTEGRITY_ERROR
    assert torn.outcome.fields["expected"] == "a"
    assert gone.outcome.code == OutcomeCode.ENVIRONMENT_ERROR
    assert "gone" in str(gone.outcome.fields["reason"])


async def test_large_parameters_and_results_pass(stage: Stage) -> None:
    """A megabyte goes in and several come out."""
    ran = await stage.run("def run(text):\n    return text * 5", {"text": "x" * 1_000_000})

    assert len(ran.data) == 5_000_000
