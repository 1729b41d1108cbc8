"""Real servers on real sockets, for as long as a test needs them."""

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
    """The server ended before it had started."""


@asynccontextmanager
async def serving(
    app: ASGIApp,
    websockets: type[asyncio.Protocol] | str = TakeoverProtocol,
    *,
    system_buffer_bytes: int | None = None,
    **options: Any,
) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback interface; yields its base URL.

    Args:
        app: the application.
        websockets: uvicorn's `ws`: with any other than ours, connections are not handed over.
        system_buffer_bytes: how much the system keeps of what a client has not read; by itself it
            is megabytes.
        options: more of uvicorn's.
    """
    # asyncio sends without delay only over a socket that says that it is TCP's.
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
        # Signals are the test runner's.
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
    """The same from a thread of its own, with a loop of its own."""

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(app, websockets) as base_url:
            started.put((base_url, lambda: loop.call_soon_threadsafe(stop.set)))
            loop = asyncio.get_running_loop()
            await stop.wait()

    started: queue.Queue[tuple[str, Callable[[], object]]] = queue.Queue()

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as dispatcher:
            dispatcher.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    base_url, stop = started.get(timeout=60)
    try:
        yield base_url
    finally:
        stop()
        thread.join()
