"""What a worker is told where the kernel gives it no processes that lost their parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zscrape.messages import text
from zscrape.runtime import syscalls

# Attempts may not adopt, so what keeps them from it stands for a kernel that cannot.
_REFUSED = """
from zscrape.config.values import SettingError
from zscrape.runtime import seccomp, syscalls
from zscrape.worker import processes

syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
seccomp.forbid_dangerous()
try:
    processes.adopt()
except SettingError as error:
    print(error.text_key, error.source, error.reason, sep="|")
"""


@pytest.mark.skipif(not syscalls.is_known_machine(), reason="no filter for this machine")
def test_kernel_without_adoption_is_told_by_name() -> None:
    """It is the kernel that is at fault then, not a folder; the words say where a worker runs."""
    told = subprocess.run(
        [sys.executable, "-c", _REFUSED], capture_output=True, text=True, check=True
    ).stdout
    key, source, reason = told.strip().split("|")
    words = [text(key, lang, source=source, reason=reason) for lang in ("en", "ko")]

    assert key == "config_invalid.kernel"
    assert "PR_SET_CHILD_SUBREAPER" in source
    assert reason
    assert all("zscrape doctor" in each and "qemu-user" in each for each in words)
