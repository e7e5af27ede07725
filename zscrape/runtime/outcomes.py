"""What the kit raises when it can tell how an attempt ends: each has its outcome's code.

A script that does not catch one ends with that code in place of `script_error`, so that
retries, alerts and routes go by it. Standard library only.
"""

from __future__ import annotations

# The codes of the contract that are a script's to give.
FAIL_CODES = (
    "script_error",
    "blocked",
    "captcha_required",
    "robots_disallowed",
    "login_expired",
    "empty_result",
    "network_denied",
    "rate_limited",
)


class ScrapeFailure(Exception):
    """The base; `code` is one of `FAIL_CODES`."""

    code = "script_error"


class CaptchaRequired(ScrapeFailure):
    """Raised when only a person, or what passes for one, gets any further."""

    code = "captcha_required"


def code_of(kind: type[BaseException]) -> str:
    """Return the code of a class of failures, whatever a script has made of it."""
    for each in type.mro(kind):
        code = vars(each).get("code")
        if type(code) is str and code in FAIL_CODES:
            return code
    return "script_error"
