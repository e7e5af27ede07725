"""Keep a page as it looks: a picture of all of it, and a PDF."""


async def run(url: str, width: int = 1280, full_page: bool = True, *, ctx):
    """Save `page.png` and `page.pdf`, and return the page's title and address.

    Args:
        url: Address of the page.
        width: Width of the window in pixels.
        full_page: The whole page, not only what fits the window.
        ctx: This attempt: browser, artifacts.
    """
    async with ctx.browser(viewport=(width, 800)) as tab:
        await tab.go_to(url)
        await tab.save_screenshot("page.png", full_page=full_page)
        ctx.progress(0.5, "picture taken")
        await tab.save_pdf("page.pdf")
        return {
            "title": await tab.title(),
            "url": await tab.current_url(),
            "files": ["page.png", "page.pdf"],
        }
