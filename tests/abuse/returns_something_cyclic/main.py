"""Return what contains itself."""


def run():
    value = {}
    value["again"] = [value]
    return value
