"""Return two megabytes where a tenth is allowed."""


def run():
    return "x" * 2_000_000
