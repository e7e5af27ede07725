"""Floors: the smallest programs of the same libraries that do what a goal's wording demands.

HTTP by a bare ASGI application on uvicorn, uvloop and httptools; a ROUTER with CURVE, as our links
have by default, read by its raw descriptor with plain integers for flags; a worker in one epoll
loop; a template with spare children forked ahead, one channel for each; a script's code, which the
child runs, its result as JSON, `_exit`. Nothing else: no keys, no validation, no store, no events,
no limits of time, no layer of isolation but a process of its own with limits that it inherits.
Their forks cost no more than ours need to: see `forks`.
What these miss nobody reaches by them; what they reach tells how far away ours is.
"""
