"""Get past a captcha, as far as a browser or a person can, and read what stands behind it."""


async def run(url: str, selector: str = "#welcome", *, ctx):
    """Return what a page shows once its captcha is content.

    A checkbox (Turnstile) is clicked with the browser's own mouse. A picture is shown to a person
    on the dashboard, and their answer is sent. Whatever else stands in the way ends the attempt
    with `captcha_required`.

    Args:
        url: Address of the page.
        selector: CSS selector of what shows behind the captcha.
        ctx: This attempt: browser, captcha, artifacts.
    """
    async with ctx.browser() as tab:
        await tab.go_to(url)
        challenge = await ctx.captcha.detect(tab)
        ctx.log.info("page opened", challenge=challenge.kind if challenge else "none")

        was_challenged = await ctx.captcha.solve(tab, until=selector)
        found = await tab.wait_for(selector)
        await tab.save_screenshot("behind.png")
        return {"text": await found.text(), "was_challenged": was_challenged}
