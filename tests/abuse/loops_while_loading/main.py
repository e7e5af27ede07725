"""Loop before there is anything to call."""

while True:
    pass
