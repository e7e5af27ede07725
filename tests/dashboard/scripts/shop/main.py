"""Rows with markup in them, a picture and a page: everything that a page of ours must not run."""

import base64
from typing import Literal

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def run(
    title: str,
    rows: int = 3,
    colour: Literal["red", "blue"] = "red",
    words: list[str] = ["a"],  # noqa: B006 - drawn as a form, never changed
    *,
    ctx,
):
    """Yield rows.

    Args:
        title: What each row is called.
        rows: How many.
        colour: Which.
        words: What to look for.
        ctx: This attempt.
    """
    ctx.save("picture.png", PICTURE, "image/png")
    ctx.save("page.html", MARKUP, "text/html")
    ctx.log.info(MARKUP, number=1)
    ctx.progress(1.0, MARKUP)
    for number in range(rows):
        yield {"name": title, "number": number, "markup": MARKUP, "link": "javascript:alert(1)"}
