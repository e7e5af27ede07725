"""What the processes of a cluster do not load, since nothing in them needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_TELL = """
import sys
import zscrape.cli.serving
import {module}
names = {{name for name, module in sys.modules.items() if type(module) is type(sys)}}
print(*sorted(names | {{name.partition(".")[0] for name in names}}))
"""


# What only some of the work needs, or another process.
_OF_OTHERS = {"rich", "pygments", "alembic", "sqlalchemy", "dulwich", "boto3"}
_ON_USE = {"jsonschema", "httpx", "packaging", "prometheus_client", "zoneinfo", "semver", "tarfile"}
_ON_USE |= {"psutil", "html.entities", "email.parser", "calendar", "gzip", "cronsim", "uv"}
_ON_USE |= {"bz2", "lzma", "_bz2", "_lzma"}
# What answers calls, and what only a child or a probe runs.
_NOT_OF_WORKERS = {"starlette", "email", "html", "sqlite3", "zscrape.runtime.child"}
_NOT_OF_WORKERS |= {"zscrape.runtime.context", "zscrape.runtime.sandbox"}
# What shares a database, fetches scripts from elsewhere, packs capsules; what cookies are read by.
_NOT_OF_GATEWAYS = {"zscrape.store.postgres", "zscrape.gateway.neighbours"}
_NOT_OF_GATEWAYS |= {"zscrape.scripts.remote", "zscrape.gateway.capsules", "http.cookies"}
# Others' command lines, and what comes with them.
_OF_OTHERS |= {"uvicorn.main", "multiprocessing", "logging.handlers", "socketserver"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("zscrape.worker.serve", _OF_OTHERS | _ON_USE | _NOT_OF_WORKERS),
        ("zscrape.gateway.serve", _OF_OTHERS | _ON_USE | _NOT_OF_GATEWAYS),
        ("zscrape.cli.run", _OF_OTHERS | {"asyncio", "zmq", "jsonschema"}),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module: str, absent: set[str]) -> None:
    """Neither worker, gateway nor command carries packages that only other parts use."""
    told = subprocess.run(
        [sys.executable, "-c", _TELL.format(module=module)],
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert absent & set(told.split()) == set()
