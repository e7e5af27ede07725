"""Chromium inside an attempt: it runs under limits, it is held to them, it ends with them."""

from __future__ import annotations

import shutil
from typing import Any

import psutil
import pytest

from tests.worker.conftest import Ran, Stage, until
from zscrape.model import Limits, OutcomeCode
from zscrape.scripts.manifest import parse_manifest

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium"),
]

# What a manifest with this kit and nothing said of limits gives.
STANDARD = parse_manifest(b'{"name": "tab", "version": "1.0.0", "kit": ["browser"]}', "tab").limits
SOURCE = f"""
    import os, subprocess

    def run(page):
        with open("page.html", "w") as file:
            file.write(page)
        here = os.getcwd()
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={{here}}/profile",
        ]
        told = subprocess.run(
            ["{CHROMIUM}", *options, "--dump-dom", f"file://{{here}}/page.html"],
            capture_output=True, text=True,
            env={{**os.environ, "TMPDIR": "."}},  # a socket's path has room for 107 bytes
        )
        return {{"status": told.returncode, "page": told.stdout, "log": told.stderr[-2000:]}}
"""
# Typed arrays that are written to, each kept.
BOMB = """<script>
const kept = [];
for (;;) kept.push(new Uint8Array(16 << 20).fill(kept.length + 1));
</script>"""
NEVER = "<script>for (;;);</script>"


def browsers(stage: Stage) -> list[int]:
    """Return the processes of browsers that work in this stage's folders."""
    root = str(stage.policy.scratch_dir)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        if any(word.startswith(f"--user-data-dir={root}") for word in words):
            found.append(process.pid)
    return found


async def run(stage: Stage, page: str, **options: Any) -> Ran:
    """Show a page to a browser in an attempt with the limits of its kit."""
    settings = {"kit": ("browser",), "limits": STANDARD, "timeout_s": 60.0, **options}
    return await stage.run(SOURCE, {"page": page}, **settings)


async def test_browser_runs_under_the_limits_of_its_kit(stage: Stage) -> None:
    """A page's script runs, in the attempt's own folder, under every layer that there is."""
    ran = await run(stage, "<h1>hello</h1><script>document.title = `t${6 * 7}`</script>")

    assert ran.outcome.code is OutcomeCode.OK, ran.outcome
    assert ran.data["status"] == 0, ran.data["log"]
    assert "<title>t42</title>" in ran.data["page"]
    assert Limits(process_count=512, open_file_count=4_096) == STANDARD


async def test_browser_that_takes_too_much_memory_is_ended(stage: Stage) -> None:
    """All processes of the browser count together: `memory_limit`, with the limit and the peak."""
    ran = await run(stage, BOMB)
    await until(lambda: not browsers(stage))

    assert ran.outcome.code is OutcomeCode.MEMORY_LIMIT
    assert ran.outcome.fields["limit_bytes"] == STANDARD.memory_bytes
    assert int(ran.outcome.fields["peak_bytes"]) > STANDARD.memory_bytes


async def test_browser_ends_with_its_attempt(stage: Stage) -> None:
    """No process of a page that never ends outlives the attempt's time limit."""
    ran = await run(stage, NEVER, timeout_s=6.0)
    await until(lambda: not browsers(stage))

    assert ran.outcome.code is OutcomeCode.TIMEOUT
