"""The ladder: what each promise of ours costs at least, one added to the other.

It begins where the floors end (`bench.floors`): the same libraries, the same path. Each rung keeps
one promise more, in the least code that keeps it, and all those below. What a rung adds is what
the promise costs anybody by these means; what the product pays beyond the last one is its own.
"""
