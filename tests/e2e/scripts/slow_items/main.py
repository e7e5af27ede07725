import time


def run(number: int, seconds: float = 1.0, *, ctx):
    for step in range(10):
        time.sleep(seconds / 10)
        ctx.progress((step + 1) / 10, f"step {step + 1}")
        yield {"number": number, "step": step}
