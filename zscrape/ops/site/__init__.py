"""The bundled demonstration site: a small shop with a blog, served on loopback.

    site = Site()
    url = site.start()
    ...
    site.stop()

Everything on it is made up and always the same, so that tests can count on it.
"""

from __future__ import annotations

from zscrape.ops.site.server import Site

__all__ = ["Site"]
