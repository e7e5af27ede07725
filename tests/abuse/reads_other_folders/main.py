"""Look for the other script's folder, read it, leave something in it."""

import os

from probe import read, tried, write


def first(told):
    return next((each for each in told if each.startswith("done")), told[0])


def by_link(folder):
    os.symlink(folder, "there")
    return read("there/secret.txt")


def run(scratch, victim_home, victim_outer):
    if victim_home == os.getcwd():  # a view: both have the same name, and are not the same
        victim_home = victim_outer
    both = (victim_home, victim_outer)
    return {
        "listed": first([tried(os.listdir, folder) for folder in (*both, *scratch)]),
        "file": tried(read, f"{victim_home}/secret.txt"),
        "outer": tried(read, f"{victim_outer}/secret.txt"),
        "up": first([tried(read, f"../{number}/secret.txt") for number in range(1, 200)]),
        "written": first([tried(write, f"{folder}/abused") for folder in both]),
        "linked": first([tried(os.link, f"{folder}/secret.txt", "mine") for folder in both]),
        "by_link": tried(by_link, victim_outer),
    }
