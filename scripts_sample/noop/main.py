"""The smallest script: give the parameters back."""


def run(**params):
    """Return the parameters as they came."""
    return params
