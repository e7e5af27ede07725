"""The gateway of the gateway's own tests."""

from tests.gateway.conftest import folder, gateway, make

__all__ = ["folder", "gateway", "make"]
