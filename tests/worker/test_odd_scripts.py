"""Scripts whose objects lie, raise or are huge: what can be told is told, and nothing crashes."""

from __future__ import annotations

import json

import pytest

from tests.worker.conftest import Stage
from zscrape.model import Limits, OutcomeCode

pytestmark = pytest.mark.asyncio(loop_scope="session")

BIG = 2_000_000

# What each raises, and a part of what is told of it.
RAISED = {
    "a text that leaves": (
        """
        class Odd(Exception):
            def __str__(self):
                raise SystemExit(0)
        def run():
            raise Odd
        """,
        "SystemExit",
    ),
    "a text that is a lying subclass": (
        """
        class Text(str):
            def __getitem__(self, at):
                raise KeyboardInterrupt
            encode = __len__ = __getitem__
        class Odd(Exception):
            def __str__(self):
                return Text("told all the same")
        def run():
            raise Odd
        """,
        "told all the same",
    ),
    "a type that hides its names": (
        """
        class Meta(type):
            def __getattribute__(cls, name):
                raise SystemExit
            def __instancecheck__(cls, other):
                raise SystemExit
        class Odd(Exception, metaclass=Meta):
            pass
        def run():
            raise Odd("told")
        """,
        "Odd: told",
    ),
    "a module that is no text": (
        "class Odd(Exception):\n    __module__ = 5\ndef run():\n    raise Odd('told')",
        "Odd: told",
    ),
    "an error that hides everything": (
        """
        class Odd(Exception):
            def __getattribute__(self, name):
                raise SystemExit(0)
        def run():
            raise Odd("told")
        """,
        "Odd: told",
    ),
    "properties in the way": (
        """
        class Odd(Exception):
            @property
            def __cause__(self):
                raise KeyboardInterrupt
            __class__ = __context__ = __traceback__ = __notes__ = exceptions = __cause__
        def run():
            raise Odd("told")
        """,
        "Odd: told",
    ),
    "notes that are no list": (
        "def run():\n    e = ValueError('told')\n    e.__notes__ = 5\n    raise e",
        "told",
    ),
    "notes that raise": (
        """
        class Note:
            def __str__(self):
                raise SystemExit
        def run():
            e = ValueError("told")
            e.__notes__ = [Note(), "second note"]
            raise e
        """,
        "second note",
    ),
    "an exit with a status that raises": (
        """
        import sys
        class Status:
            def __eq__(self, other):
                raise KeyboardInterrupt
            def __str__(self):
                return "told"
        def run():
            sys.exit(Status())
        """,
        "SystemExit: told",
    ),
    "a syntax error of odd parts": (
        """
        def run():
            raise SyntaxError("told", (b"file", "x", [], object(), 5, 6))
        """,
        "told",
    ),
    "a syntax error far to the right": (
        "def run():\n    raise SyntaxError('told', ('f', 1, 10**9, 'x'))",
        "told",
    ),
    "a frame of a file that cannot be": (
        """
        import os
        def run():
            folder = os.path.dirname(__file__)
            exec(compile("raise ValueError('told')", folder + "/\\0" + "x" * 2_000_000, "exec"))
        """,
        "told",
    ),
    "a huge message": (f"def run():\n    raise ValueError('m' * {BIG})", "m [cut]"),
    "huge escaped messages": (
        f"def run():\n    try:\n        raise ValueError('\\x01' * {BIG})\n"
        f"    except ValueError:\n        raise KeyError('\\ud800' * {BIG})",
        "KeyError",
    ),
    "a huge type name": (
        f"def run():\n    raise type('N' * {BIG}, (Exception,), {{}})('told')",
        "N [cut]: told",
    ),
    "huge notes": (
        f"def run():\n    e = ValueError('told')\n    e.__notes__ = ['n' * {BIG}] * 1000\n"
        "    raise e",
        "n [cut]",
    ),
    "a recursion limit that is far too low": (
        "import sys\ndef run():\n    sys.setrecursionlimit(25)\n    raise ValueError('told')",
        "told",
    ),
    "a forged end": (
        "def run():\n    from zscrape.runtime.said import Ended\n"
        "    raise Ended('blocked', odd=object())",
        "Ended",
    ),
}


@pytest.mark.parametrize("name", RAISED)
async def test_odd_exception_is_told_as_far_as_it_can_be(stage: Stage, name: str) -> None:
    """Whatever an exception's class does, the outcome is `script_error` with the rest told."""
    source, told = RAISED[name]
    ran = await stage.run(source)
    outcome = ran.outcome

    assert outcome.code == OutcomeCode.SCRIPT_ERROR
    assert told in f"{outcome.error_type}: {outcome.error_message}\n{outcome.traceback}"
    assert len(json.dumps([outcome.error_type, outcome.error_message, outcome.traceback])) < 2**20


INVALID = {
    "deep": "value = 1\n    for _ in range(100_000):\n        value = [value]\n    return value",
    "deep with a high limit": (
        "import sys\n    sys.setrecursionlimit(10**9)\n    value = 1\n"
        "    for _ in range(200_000):\n        value = [value]\n    return value"
    ),
    "as deep as a child bears": (
        "value = 1\n    for _ in range(970):\n        value = [value]\n    return value"
    ),
    "a fault far down": (
        "value = object()\n    for _ in range(700):\n        value = [value]\n    return value"
    ),
    "a number of too many digits": (
        "import sys\n    sys.set_int_max_str_digits(0)\n    return 10 ** 5000"
    ),
    "an object without a class": (
        "class Odd:\n        @property\n        def __class__(self):\n"
        "            raise RuntimeError('no')\n    return Odd()"
    ),
    "a type without a module": (
        "class Meta(type):\n        @property\n        def __module__(cls):\n"
        "            raise RuntimeError('no')\n"
        "    return Meta('Odd', (), {})()"
    ),
    "an object that leaves": (
        "class Meta(type):\n        def __getattr__(cls, name):\n            raise SystemExit(0)\n"
        "    return Meta('Odd', (), {})()"
    ),
    "items that are no pairs": (
        "class Odd(dict):\n        def items(self):\n            return [1, 2]\n    return Odd(a=1)"
    ),
    "items that raise": (
        "class Odd(dict):\n        def items(self):\n            raise KeyError\n"
        "    return Odd(a=1)"
    ),
    "a list that raises": (
        "class Odd(list):\n        def __iter__(self):\n            raise KeyError\n"
        "    return {'a': Odd([1])}"
    ),
    "a huge key above a fault": f"return {{'k' * {BIG}: object()}}",
    "a huge type name": f"return type('N' * {BIG}, (), {{}})()",
}


@pytest.mark.parametrize("name", INVALID)
async def test_odd_value_is_an_invalid_result(stage: Stage, name: str) -> None:
    """A value that cannot be told as JSON, in whatever way, is `result_invalid` with a reason."""
    ran = await stage.run(f"def run():\n    {INVALID[name]}", limits=Limits(memory_bytes=10**9))

    assert ran.outcome.code == OutcomeCode.RESULT_INVALID
    assert 0 < len(str(ran.outcome.fields["reason"])) < 20_000


async def test_odd_item_is_an_invalid_result(stage: Stage) -> None:
    """An item as deep as only the child can read is refused as a result, not as a crash."""
    ran = await stage.run(
        "def run():\n    value = 1\n    for _ in range(965):\n        value = [value]\n"
        "    yield value"
    )

    assert ran.outcome.code == OutcomeCode.RESULT_INVALID


FLUSHES = {
    "flush that leaves": (
        "class Out:\n    def write(self, text):\n        pass\n"
        "    def flush(self):\n        raise SystemExit(3)\nsys.stdout = Out()"
    ),
    "no names": "del sys.stdout, sys.stderr, sys.__stdout__",
    "closed": "sys.stdout.close()",
    "nothing": "sys.stdout = sys.stderr = None",
}


@pytest.mark.parametrize("name", FLUSHES)
async def test_value_outlives_an_odd_output(stage: Stage, name: str) -> None:
    """What a function returned is kept whatever it has made of the standard streams."""
    ran = await stage.run(f"import sys\n{FLUSHES[name]}\ndef run():\n    return 1")

    assert ran.data == 1


async def test_plain_script_may_replace_its_output(stage: Stage) -> None:
    """A plain script that wraps standard output, or takes it away, still has printed its data."""
    wrapped = await stage.run(
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('[1]')"
    )
    taken = await stage.run("import sys\nprint('[2]')\nsys.stdout = None")

    assert (wrapped.data, taken.data) == ([1], [2])


COROUTINES = {
    "thread of the executor": """
        import asyncio, time
        async def run():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
            return 1
    """,
    "task that swallows its end": """
        import asyncio
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
        async def run():
            asyncio.create_task(stubborn())
            await asyncio.sleep(0)
            return 1
    """,
    "generator that does not close": """
        import asyncio
        async def rows():
            try:
                yield 1
            finally:
                await asyncio.sleep(60)
        kept = rows()
        async def run():
            return await anext(kept)
    """,
}


@pytest.mark.parametrize("name", COROUTINES)
async def test_coroutine_has_answered_once_it_has_its_value(stage: Stage, name: str) -> None:
    """Threads and tasks that a coroutine leaves behind do not hold its answer."""
    ran = await stage.run(COROUTINES[name])

    assert ran.data == 1


async def test_what_a_coroutine_leaves_behind_may_clean_up(stage: Stage) -> None:
    """Left-over tasks are cancelled and generators closed before the answer, as asyncio does."""
    source = """
        import asyncio
        async def task():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                print("task cleaned")
        async def rows():
            try:
                yield 1
            finally:
                print("rows closed")
        kept = rows()
        async def run():
            asyncio.create_task(task())
            return await anext(kept)
    """
    ran = await stage.run(source)

    assert ran.data == 1
    assert ran.messages("stdout") == ["task cleaned", "rows closed"]


CALLS = {
    "ctx.progress(10**400)": "ValueError: fraction must be a finite number",
    "ctx.progress(float('nan'))": "ValueError: fraction must be a finite number",
    "ctx.progress('x')": "TypeError: fraction must be a number, not str",
    "ctx.progress(None)": "TypeError: fraction must be a number, not NoneType",
    "ctx.fail(['blocked'])": "TypeError: code must be a text, not list",
    "ctx.fail('c' * 2_000_000)": "ValueError: 'ccc",
    "ctx.save(5, b'')": "TypeError: name must be a text, not int",
    "ctx.save('n' * 2_000_000, b'')": "is not a name for an artifact",
    "ctx.save('a', 5)": "TypeError: data must be bytes or a text, not int",
    "ctx.save('a', None)": "TypeError: data must be bytes or a text, not NoneType",
    "ctx.save('a', '\\ud800')": "ValueError: data has a lone surrogate at 0",
    "ctx.save('a', 'b', 5)": "TypeError: content_type must be a text, not int",
    "ctx.save('a', 'b', 'text/html\\r\\nX: y')": "ValueError: content_type",
}


@pytest.mark.parametrize("call", CALLS)
async def test_wrong_argument_is_told_by_its_name(stage: Stage, call: str) -> None:
    """A wrong argument to `ctx` is an error at the call, with the argument's name in it."""
    ran = await stage.run(f"def run(ctx):\n    {call}")
    outcome = ran.outcome

    assert outcome.code == OutcomeCode.SCRIPT_ERROR
    assert CALLS[call] in f"{outcome.error_type}: {outcome.error_message}"
    assert call.partition("(")[0] in outcome.traceback


async def test_anything_can_be_logged(stage: Stage) -> None:
    """A log record of odd objects is told as far as it can be, and the script goes on."""
    source = """
        class Odd:
            def __str__(self):
                return 1 / 0
            __repr__ = __str__
        class Many(list):
            count = 0
            def __iter__(self):
                Many.count += 1
                return iter([1] if Many.count == 1 else [object()])
        def run(ctx):
            deep = 1
            for _ in range(960):
                deep = [deep]
            ctx.log.info(Odd(), a=Odd(), b=10**30, c="\\ud800", d=Many([1]), **{"\\ud800": 1})
            ctx.log.info("deep", value=deep)
            ctx.log.info("x" * 40_000_000, field="y")
            ctx.progress(0.5, "z" * 40_000_000)
            ctx.save("a", memoryview(b"abc"))
            return 1
    """
    ran = await stage.run(source)
    first, second, third = ran.bodies("log")

    assert ran.data == 1
    assert "ZeroDivisionError" in first["message"]
    assert "ZeroDivisionError" in first["a"]
    assert (first["b"], first["c"], first["d"], first["\\ud800"]) == (10**30, "\\ud800", [1], 1)
    assert second["is_cut"] is True
    assert third["is_cut"] is True
    assert len(ran.bodies("progress")[0]["text"]) < 1100


async def test_message_of_a_chosen_failure_is_cut(stage: Stage) -> None:
    """A huge message of `ctx.fail` keeps its code, and shows that it was cut."""
    ran = await stage.run(f"def run(ctx):\n    ctx.fail('blocked', 'm' * {BIG})")

    assert ran.outcome.code == OutcomeCode.BLOCKED
    assert ran.outcome.error_message.endswith("m [cut]")
