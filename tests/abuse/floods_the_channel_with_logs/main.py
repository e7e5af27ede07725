"""Log, without end, from four threads."""

import threading


def run(ctx):
    def shout():
        while True:
            ctx.log.info("x" * 500, number=1)

    for _ in range(3):
        threading.Thread(target=shout, daemon=True).start()
    shout()
