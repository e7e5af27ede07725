"""Forget every module."""

import sys


def run():
    sys.modules.clear()
    sys.path.clear()
    sys.meta_path.clear()
    return 1
