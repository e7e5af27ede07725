def run(url: str, *, ctx):
    page = ctx.http.get(url)
    return {
        "title": " ".join(page.css_first("title").text.split()),
        "headings": [" ".join(node.text.split()) for node in page.css("h1, h2, h3, h4, h5, h6")],
        "link_count": len(page.css("a[href]")),
        "code_count": len(page.css("pre")),
    }
