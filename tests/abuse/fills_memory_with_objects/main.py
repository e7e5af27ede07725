"""Keep objects until there is no room."""


def run():
    kept = []
    while True:
        kept.append([kept] * 10)
