"""Return text that cannot be encoded."""


def run():
    return {"\ud800": "\udfff"}
