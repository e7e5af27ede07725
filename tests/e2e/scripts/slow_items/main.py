import time
from pathlib import Path


def run(number: int, seconds: float = 1.0, hold: str = "", *, ctx):
    for step in range(10):
        time.sleep(seconds / 10)
        ctx.progress((step + 1) / 10, f"step {step + 1}")
        yield {"number": number, "step": step}
    while hold and not Path(hold).exists():
        time.sleep(0.02)
