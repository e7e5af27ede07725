"""Replace what the runtime of this process uses by nonsense."""

import builtins
import random
import sys


def run():
    chance = random.Random()
    for name, module in list(sys.modules.items()):
        if name.startswith("zscrape") and module is not None:
            for key, value in list(vars(module).items()):
                if callable(value) and chance.random() < 0.3:
                    setattr(module, key, lambda *_args, **_options: b"\0" * 7)
    builtins.len = lambda _value: 3
    return {"fine": [1, 2]}
