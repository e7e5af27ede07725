"""Ask for more than there may be, at once."""


def run():
    return len(b"x" * 500_000_000)
