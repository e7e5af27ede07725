"""A script that waits for a person."""


def run(*, ctx):
    """Ask for a code and return it.

    Args:
        ctx: This attempt.
    """
    return ctx.ask(
        "Which code was <b>sent</b>?",
        fields={
            "code": {"type": "string", "title": "The code"},
            "kind": {"type": "string", "enum": ["mail", "phone"]},
            "tries": {"type": "integer", "required": False},
        },
    )
