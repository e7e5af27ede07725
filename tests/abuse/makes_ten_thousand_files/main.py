"""Make many small files, some with names that are no text."""

import os


def run():
    for number in range(100):
        os.mkdir(f"{number}")
        for other in range(100):
            os.close(os.open(b"%d/\xff%d" % (number, other), os.O_CREAT | os.O_WRONLY))
    return 1
