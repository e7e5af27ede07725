"""A script that gives its slot back while it waits for people."""


def run(*, ctx):
    """Ask two questions, the second by what the first was answered; yield what was said.

    Args:
        ctx: This attempt.

    Yields:
        The answers.
    """
    yield {"attempt": ctx.attempt}
    name = ctx.ask("Which name?", fields=["name"], free_slot=True)["name"]
    try:
        code = ctx.ask(f"Which code of {name}?", fields=["code"], free_slot=True)["code"]
    except Exception as error:  # noqa: BLE001 - the end of an attempt must pass even this
        code = error.code
    yield {"name": name, "code": code}
