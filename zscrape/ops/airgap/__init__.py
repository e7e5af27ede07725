"""Bundles: what a machine without internet needs, in one archive.

ownwheel.py   this installation as a wheel
platforms.py  for which machines wheels are fetched
fetching.py   which wheels a set of requirements means there, and getting them
archive.py    the archive, with its checksums and the program that installs it
"""

from __future__ import annotations
