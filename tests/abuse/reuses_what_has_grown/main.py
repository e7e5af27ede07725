"""Ask for reuse, and keep more of the memory than is left for another attempt."""

kept = []


def run():
    kept.append(bytearray(60_000_000))
    for place in range(0, 60_000_000, 4096):
        kept[-1][place] = 1
    return len(kept)
