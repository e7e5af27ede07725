"""Rows until somebody cancels it."""

import time


def run(*, ctx):
    """Yield a row every moment.

    Args:
        ctx: This attempt.
    """
    number = 0
    while not ctx.cancelled:
        yield {"number": number}
        ctx.progress(0.25, f"row {number}")
        number += 1
        time.sleep(0.1)
