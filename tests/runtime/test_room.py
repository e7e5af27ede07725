from __future__ import annotations

import subprocess
import sys

# Objects of many sizes, most of them let go of again; then one of each size anew.
_TELL = """
import zscrape.runtime.room as room
held = [bytes(each % 500) for each in range(6_000)]
del held[::3]
room.gather()
made = [bytes(size - 33) for size in range(48, 513, 16)]
print(sum(id(each) % 16384 < 4096 for each in made), len(made))
"""


def test_what_is_made_next_lies_beside_the_header_of_its_pool() -> None:
    """A fork that makes an object of some size copies one page for it, not two."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL], capture_output=True, text=True, check=True
    ).stdout
    near, total = map(int, done.split())

    assert near >= total - 2  # the interpreter has used some of them meanwhile
