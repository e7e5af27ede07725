"""Have the compiler fold a constant that is far too large."""


def run():
    return len(str(compile("x = " + "-" * 5_000 + "1" + " ** 9" * 50, "x", "exec")))
