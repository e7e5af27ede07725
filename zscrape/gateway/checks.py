"""Parameters against the schema of their script, where a look at their types did not do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from zscrape.errors.requests import ParamsInvalid
from zscrape.gateway.lockkeys import misplaced
from zscrape.scripts.catalogue import Script

# Larger parameters are checked beside the loop: a long list of objects takes longer than a beat,
# and the loop must beat in the meantime.
_INLINE_LIMIT_BYTES: Final = 16_384


async def check_closely(
    script: Script, params: Mapping[str, Any], *, size_bytes: int, at: str
) -> None:
    """Check parameters, which took `size_bytes` as JSON, by all that the schema says.

    Raises:
        ParamsInvalid: They have a fault; `at` is where their request stands in the body.
    """
    look = script.validator.problems
    is_short = size_bytes <= _INLINE_LIMIT_BYTES
    problems = look(params) if is_short else await asyncio.to_thread(look, params)
    if problems:
        raise misplaced(at, ParamsInvalid(script_name=script.pin.name, problems=problems))
