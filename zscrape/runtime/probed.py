"""What a probe tells besides the layers, by name.

Whoever reads it has no use for the modules that a probe tries the layers with.
"""

from __future__ import annotations

# No layer of its own: what a view does besides, where the kernel lets it.
PROCESSES = "processes"
# Nor this: what tells children apart where each is a user.
GROUPS = "groups"
