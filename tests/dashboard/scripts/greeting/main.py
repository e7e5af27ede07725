"""The least that a schedule can run."""


def run(name: str = "you"):
    """Greet.

    Args:
        name: Whom.
    """
    return f"hello {name}"
