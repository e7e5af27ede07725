"""Move the bar, without end."""


def run(ctx):
    number = 0
    while True:
        number += 1
        ctx.progress(number % 1000 / 1000, str(number))
