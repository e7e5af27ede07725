"""A script that fails."""


def run(page: str = "/list"):
    """Fail.

    Args:
        page: Of which page to tell.
    """
    raise ValueError(f"no price on {page}")
