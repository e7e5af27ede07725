"""A script that does no harm, and can tell whether it was done any."""

import os
import time

SECRET = os.urandom(8).hex()


def run(number, seconds):
    was = os.listdir(".")
    with open("mine.txt", "w") as file:
        file.write(f"{number} {SECRET}")
    time.sleep(seconds)
    with open("mine.txt") as file:
        kept = file.read() == f"{number} {SECRET}"
    return {"square": number * number, "was": was, "is": os.listdir("."), "kept": kept}
