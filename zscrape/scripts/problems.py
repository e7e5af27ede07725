"""One fault of a manifest, of files or of parameters: where it is and what is wrong.

Errors carry a list of them (`ManifestInvalid.problems`, `ParamsInvalid.problems`). Each is a
flat dictionary of texts: `pointer` (a JSON pointer), `reason` (English, so that a log line
speaks for itself), `code` (stable) and the fields of its words. `told` gives the same list
in the language of a reader.
"""

from __future__ import annotations

from collections.abc import Iterable

from zscrape.messages import text

Problem = dict[str, str]

# A reason quotes what was given, but a megabyte of it helps nobody.
_QUOTED_LENGTH = 80


def problem(pointer: str, code: str, **fields: object) -> Problem:
    """Describe one fault at `pointer`; `code` and `fields` choose its words (`problem.` texts)."""
    told_fields = {name: shortened(str(value)) for name, value in fields.items()}
    reason = text(f"problem.{code}", "en", **told_fields)
    return {"pointer": pointer, "reason": reason, "code": code, **told_fields}


def told(problems: Iterable[Problem], lang: str) -> list[Problem]:
    """Return `pointer`, `code` and the `reason` in `lang` of each problem."""
    return [
        {
            "pointer": each["pointer"],
            "code": each.get("code", ""),
            "reason": text(f"problem.{each['code']}", lang, **each)
            if "code" in each
            else each["reason"],
        }
        for each in problems
    ]


def pointer_to(*parts: object) -> str:
    """Return the JSON pointer to `parts` (RFC 6901: `~` and `/` are escaped).

    Names of files need not be text: what is none is told as Python escapes it.
    """
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return pointer.encode("utf-8", "backslashreplace").decode()


def shortened(value: str) -> str:
    """Return `value` fit to be quoted: printable, and cut with an ellipsis when long."""
    printable = "".join(char if char.isprintable() else "�" for char in value[: _QUOTED_LENGTH + 1])
    return printable if len(printable) <= _QUOTED_LENGTH else printable[:_QUOTED_LENGTH] + "…"
