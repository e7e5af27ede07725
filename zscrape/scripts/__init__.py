"""Where code comes from: repositories, versions, manifests, the verified cache.

Knows nothing of tasks or sockets.
"""
