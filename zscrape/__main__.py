"""`python -m zscrape`."""

from __future__ import annotations

from zscrape.cli import main

if __name__ == "__main__":
    main()
