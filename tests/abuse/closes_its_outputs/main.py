"""Close the standard streams by number and by name."""

import os
import sys


def run():
    print("before")
    for number in (0, 1, 2):
        os.close(number)
    sys.stdout = sys.stderr = None
    return 1
