"""A child as the worker holds it: what its descriptors tell."""

from __future__ import annotations

import os
import select
from typing import cast

from zscrape.worker.children import Child, Keeper


def test_one_look_tells_which_output_can_be_read_or_has_ended() -> None:
    """One with something in it, and one that nobody can write to any more; else neither."""
    child = Child(1, cast("Keeper", None), "1")
    channel, out, error = child.connect()

    before = child.look_at_output(0)
    os.write(out, b"said")
    os.close(error)
    after = child.look_at_output(0)

    assert before == []
    assert after == [(child.out_fd, select.POLLIN), (child.err_fd, select.POLLHUP)]
    child.hang_up()
    os.close(channel)
    os.close(out)
