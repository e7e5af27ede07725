"""Where the knee is."""

from __future__ import annotations

import pytest

from bench.arrivals import knee


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({100.0: (100.0, 0.002), 200.0: (199.0, 0.004), 300.0: (250.0, 0.5)}, 200.0),
        ({100.0: (100.0, 0.002), 200.0: (200.0, 0.030), 300.0: (300.0, 0.002)}, 100.0),
        ({100.0: (90.0, 0.002)}, 0.0),
    ],
)
def test_the_knee_is_the_last_rate_before_one_that_is_not_kept_up_with(
    rows: dict[float, tuple[float, float]], expected: float
) -> None:
    """Too few answers or too long a wait ends the search, whatever higher rates have shown."""
    assert knee(rows, calm_p99_s=0.002) == expected
