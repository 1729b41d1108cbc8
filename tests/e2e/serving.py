"""Real servers on real sockets."""

import asyncio
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol


class ServerEndedError(Exception):
    """The server ended before it was ready."""


@asynccontextmanager
async def serving(
    app: ASGIApp,
    websockets: type[asyncio.Protocol] | str = TakeoverProtocol,
    *,
    system_buffer_bytes: int | None = None,
    **options: Any,
) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback interface; yield its base URL.

    Args:
        app: the application.
        websockets: uvicorn's `ws`. Only `TakeoverProtocol` takes connections over.
        system_buffer_bytes: size of the system's send buffer; megabytes by default.
        options: other options of uvicorn.
    """
    # asyncio disables Nagle's algorithm only for sockets whose protocol is set to TCP.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        if system_buffer_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, system_buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_level="error",
            ws=websockets,
            **{"ws_per_message_deflate": False, "timeout_graceful_shutdown": 5, **options},
        )
        server = uvicorn.Server(config)
        # `_serve` leaves the signal handlers of the test runner alone.
        task = asyncio.create_task(server._serve([listener]))
        try:
            while not server.started:
                if task.done():
                    task.result()
                    raise ServerEndedError
                await asyncio.sleep(0)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@contextmanager
def serving_in_a_thread(
    app: ASGIApp,
    websockets: type[asyncio.Protocol] | str = TakeoverProtocol,
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Iterator[str]:
    """Serve an application from a thread with its own event loop; yield its base URL."""

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(app, websockets) as base_url:
            started.put((base_url, lambda: loop.call_soon_threadsafe(stop.set)))
            loop = asyncio.get_running_loop()
            await stop.wait()

    started: queue.Queue[tuple[str, Callable[[], object]]] = queue.Queue()

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    base_url, stop = started.get(timeout=60)
    try:
        yield base_url
    finally:
        stop()
        thread.join()
