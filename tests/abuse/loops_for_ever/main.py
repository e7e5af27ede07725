"""Loop."""


def run():
    while True:
        pass
