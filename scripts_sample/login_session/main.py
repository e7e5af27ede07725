"""Log in by the form of a page, then read what only members see."""

GUEST = {"user": "guest", "password": "warm-tea"}


def run(
    url: str,
    account: dict[str, str] = GUEST,
    then: str = "/my",
    table: str = "table.orders",
    signed_in: str = "a.logout",
    *,
    ctx,
):
    """Yield the rows of a table behind a login.

    A script of your own should not take a password as a parameter: list it under "secrets" in
    metadata.json and say `ctx.secret("shop.password")`.

    Args:
        url: Address of the page with the login form.
        account: What to fill in, by the names of the form's fields.
        then: Address of the members' page, as seen from the first.
        table: CSS selector of the table to read there.
        signed_in: CSS selector of what only those see who are logged in.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    # Hidden fields, a CSRF token among them, go along; cookies are kept. A login that is not
    # accepted, or a session that ends, has the outcome `login_expired`.
    page = ctx.http.login(url, account, signed_in=signed_in)
    ctx.log.info("logged in", url=page.url)

    members = ctx.http.get(page.join(then))
    for found in members.tables(table):
        yield from found
