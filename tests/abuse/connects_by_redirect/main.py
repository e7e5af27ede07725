"""Follow a redirect of a public page to the loopback service."""


def run(port, *, ctx):
    return ctx.http.get(f"http://93.184.215.14:{port}/redirect").text
