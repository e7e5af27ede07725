"""Download a file and keep it with the task as an artifact."""

import hashlib
import re
from urllib.parse import unquote, urlsplit


def run(url: str, name: str = "", *, ctx):
    """Download a file.

    Args:
        url: Address of the file.
        name: Name of the artifact; by default the last part of the address.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    page = ctx.http.get(url)
    last_part = unquote(urlsplit(page.url).path).rpartition("/")[2]
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name or last_part)[:128] or "download"
    content_type = page.headers.get("content-type")
    ctx.save(name, page.content, content_type)
    return {
        "url": page.url,
        "name": name,
        "size": len(page.content),
        "content_type": content_type,
        "sha256": hashlib.sha256(page.content).hexdigest(),
    }
