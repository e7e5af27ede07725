"""Leave links to everything that somebody might remove by mistake."""

import os


def run(home, cache, scripts):
    os.mkdir("inner")
    for number, target in enumerate((home, cache, scripts, f"{home}/key.pem", "/", "..")):
        os.symlink(target, f"link{number}")
        os.symlink(target, f"inner/link{number}")
    os.chmod("inner", 0)
    return 1
