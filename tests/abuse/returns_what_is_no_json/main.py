"""Return an object."""


def run():
    return {"rows": [object()]}
