"""Find every open descriptor."""

import fcntl


def is_open(number):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def run():
    return [number for number in range(4096) if is_open(number)]
