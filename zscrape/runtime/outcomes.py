"""What the kit raises when it can tell how an attempt ends: each has its outcome's code.

A script that does not catch one ends with that code in place of `script_error`, so that
retries, alerts and routes go by it. Standard library only.
"""

from __future__ import annotations


class ScrapeFailure(Exception):
    """The base; `code` is one of the outcome codes that a script may give."""

    code = "script_error"


class CaptchaRequired(ScrapeFailure):
    """Raised when only a person, or what passes for one, gets any further."""

    code = "captcha_required"
