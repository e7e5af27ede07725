"""The shop: a site on loopback that has all that makes scraping hard, and a log of who asked.

    with Shop() as shop:
        httpx.get(f"{shop.url}/products?page=2")
        assert shop.asked("/products")[0].query == "page=2"

It is a proxy, too: asked for `http://any.example/products` it answers with its own page.

What there is to ask for stands at the top of each module of pages: `goods.py`, `account.py`,
`documents.py`, `hostile.py`, `challenges.py`.
"""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.shop import account, challenges, documents, goods, hostile
from tests.shop.state import Asked, State

LIMIT_S = 20.0


class Shop:
    """The running site; also a context manager whose value is itself."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._listener = socket.create_server((host, 0))
        self.state = State()
        routes: list[Route] = []
        for each in (goods, account, documents, hostile, challenges):
            routes += each.ROUTES
        site = Starlette(routes=routes)
        site.state.shop = self.state
        app = _Logged(site, self.state)
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            ws="none",
            http="h11",
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="shop", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self._host}:{self.port}"

    def asked(self, path: str | None = None) -> list[Asked]:
        """Return the requests so far, in order; those for one path if it is given."""
        return [each for each in self.state.log if path in (None, each.path)]

    def start(self) -> Shop:
        """Serve from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; what is slow or endless is cut short."""
        self.state.is_closing = True
        self._server.should_exit = True
        self._thread.join(LIMIT_S)
        self._listener.close()

    def __enter__(self) -> Shop:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _Logged:
    """Notes each request before it is answered; ends in silence what a page cuts off."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("http://"):  # asked as a proxy: it is every site
            scope = {**scope, "path": "/" + scope["path"].split("/", 3)[3]}
        asked = self._state.note(scope)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except hostile.CutOff:  # uvicorn hangs up on an answer that is not complete
            return
