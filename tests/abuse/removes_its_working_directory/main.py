"""Remove the working directory, if that can be done."""

import os
import shutil


def run():
    shutil.rmtree(os.getcwd(), ignore_errors=True)
    return 1
