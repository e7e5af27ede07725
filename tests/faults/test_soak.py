"""All faults mixed at random, and exact books at the end."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.faults.soak import soak

SECONDS = float(os.environ.get("ZSCRAPE_SOAK_S", "60"))
SEED = int(os.environ.get("ZSCRAPE_SOAK_SEED") or secrets.randbelow(1_000_000))


@pytest.mark.e2e
@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_soak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happened, every accepted task is final once and all records agree."""
    with capsys.disabled():
        print(f"\nsoak: seed {SEED}, ZSCRAPE_SOAK_SEED={SEED} repeats it", flush=True)  # noqa: T201
        soaked = soak(tmp_path, SEED, SECONDS)
        print(soaked, flush=True)  # noqa: T201

    assert not soaked.account.faults
    assert soaked.account.accepted_count > 0
