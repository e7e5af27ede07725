"""Read the code of other scripts."""

import os

from probe import tried


def beside():
    above = os.path.dirname(os.path.dirname(__file__))
    own = os.path.basename(os.path.dirname(__file__))
    others = [name for name in os.listdir(above) if name != own]
    return [name for name in others if os.path.exists(f"{above}/{name}/main.py")] or 1 / 0


def run(cache, scripts):
    return {
        "listed": tried(os.listdir, f"{cache}/sha256"),
        "published": tried(os.listdir, scripts),
        "beside": tried(beside),
    }
