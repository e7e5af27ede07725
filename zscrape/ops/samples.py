"""Where the sample scripts are: inside the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

import zscrape


def samples_folder() -> Path:
    """Return the folder of the sample scripts; it is a `dir` repository."""
    package = Path(zscrape.__file__).parent
    installed = package / "_samples"
    return installed if installed.is_dir() else package.parent / "scripts_sample"
