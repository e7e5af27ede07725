"""Return a list in a list in a list."""


def run():
    value = 1
    for _ in range(100_000):
        value = [value]
    return value
