"""Stay inside one call of C, where no Python signal handler runs."""

import re


def run():
    return re.match(r"(a*)*b", "a" * 64)
