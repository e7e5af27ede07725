"""What a child does when the kernel keeps it from its own limits."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from zscrape.runtime.landlock import Grants

_NO_FD = 987_654


def test_a_refused_rule_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    """A script is never run under fewer limits than were meant: the refusal is raised."""
    grants = Grants([], has_own_shm=False, ruleset_fd=_NO_FD)
    before = set(Path("/proc/self/fd").iterdir())

    with pytest.raises(OSError, match="landlock") as raised:
        grants.enforce(str(tmp_path))

    assert raised.value.errno in (errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP)
    # What earlier tests have left may be closed meanwhile.
    assert set(Path("/proc/self/fd").iterdir()) <= before
