"""Read an RSS or Atom feed: both give the same fields."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

ATOM = "{http://www.w3.org/2005/Atom}"


def run(url: str, limit: int = 50, since: datetime | None = None, *, ctx):
    """Yield the entries of a feed, in its order.

    Args:
        url: Address of the feed.
        limit: At most so many entries.
        since: Only entries published after this moment.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    root = ET.fromstring(ctx.http.get(url).content)  # noqa: S314 - expat bounds entities
    entries = root.iter(ATOM + "entry") if root.tag == ATOM + "feed" else root.iter("item")
    count = 0
    for entry in entries:
        found = from_atom(entry) if entry.tag == ATOM + "entry" else from_rss(entry)
        if since is not None and (found["published_at"] is None or found["published_at"] <= since):
            continue
        yield found
        count += 1
        if count == limit:
            return


def from_rss(item):
    """Return the fields of an RSS item."""
    published = item.findtext("pubDate")
    return {
        "title": item.findtext("title", ""),
        "url": item.findtext("link", ""),
        "published_at": parsedate_to_datetime(published) if published else None,
        "summary": item.findtext("description", ""),
    }


def from_atom(entry):
    """Return the fields of an Atom entry."""
    link = entry.find(ATOM + "link")
    published = entry.findtext(ATOM + "published") or entry.findtext(ATOM + "updated")
    return {
        "title": entry.findtext(ATOM + "title", ""),
        "url": "" if link is None else link.get("href", ""),
        "published_at": datetime.fromisoformat(published) if published else None,
        "summary": entry.findtext(ATOM + "summary", ""),
    }
