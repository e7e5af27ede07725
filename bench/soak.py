"""`python -m bench soak [--seconds N] [--seed N]`: faults at random, and exact books at the end."""

from __future__ import annotations

import argparse
import secrets
import tempfile
from pathlib import Path

from tests.faults.soak import soak


def main(given: list[str]) -> int:
    """Soak for ten minutes unless told otherwise; returns 1 when the books do not agree."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    arguments = parser.parse_args(given)
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="zscrape-soak-") as root:
        soaked = soak(Path(root), arguments.seed, arguments.seconds)
    print(soaked)
    return 1 if soaked.account.faults else 0
