"""Which lock a task takes: the request's key, the script's, or that of who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zscrape.errors.requests import ParamsInvalid
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import TaskRequest
from zscrape.model import LockRequest, Overlap
from zscrape.scripts.catalogue import Script
from zscrape.scripts.script import LOCK_KEY_LIMIT
from zscrape.scripts.sections import LockTemplate


def lock_of(
    request: TaskRequest,
    script: Script,
    params: Mapping[str, Any],
    at: str,
    *,
    is_plain: bool = False,
    own_key: str = "",
) -> LockRequest | None:
    """Return the lock of a task.

    Args:
        request: What is asked; its key may have `{parameter}` placeholders.
        script: The script that it is asked of.
        params: The parameters, found good.
        at: Where the request stands in the body, as a JSON pointer.
        is_plain: The request's key has no placeholders, whatever it looks like.
        own_key: The key to take where neither the request nor the script names one.

    Raises:
        FieldFault: It says what to do about a lock that it does not have, or its key asks for
            a parameter that there is not.
        ParamsInvalid: Its parameters make a key that is too long.
    """
    if request.lock_key is not None:
        key = request.lock_key
        if not is_plain and "{" in key:
            key = _filled(key, script.with_defaults(params), at)
        return LockRequest(key, request.overlap or Overlap.SKIP)
    try:
        lock = script.lock_for(params)
    except ParamsInvalid as error:
        raise misplaced(at, error) from None
    if lock is None and own_key:
        return LockRequest(own_key, request.overlap or Overlap.SKIP)
    if request.overlap is None:
        return lock
    if lock is None:
        raise field_fault(f"{at}/overlap", "overlap_without_lock")
    return LockRequest(lock.key, request.overlap)


def _filled(key: str, params: Mapping[str, Any], at: str) -> str:
    template = LockTemplate(key)
    missing = template.missing(params)
    if missing:
        known = ", ".join(sorted(params)) or "-"
        raise field_fault(f"{at}/lock_key", "lock_parameter", name=missing[0], known=known)
    filled = template.key_for(params)
    if len(filled) > LOCK_KEY_LIMIT:
        raise field_fault(f"{at}/lock_key", "lock_key_length", limit=LOCK_KEY_LIMIT)
    return filled


def misplaced(at: str, error: ParamsInvalid) -> ParamsInvalid:
    """Return the error with pointers into the body as it came."""
    moved = [{**each, "pointer": at + each["pointer"]} for each in error.problems]
    return ParamsInvalid(script_name=error.script_name, problems=moved)
