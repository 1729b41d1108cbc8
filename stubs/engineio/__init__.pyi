# The part of python-engineio that the project uses; the library ships no type information.
from engineio import payload as payload
from engineio.async_socket import AsyncSocket

class AsyncServer:
    sockets: dict[str, AsyncSocket]
    class reason:
        CLIENT_DISCONNECT: str
        SERVER_DISCONNECT: str
        TRANSPORT_CLOSE: str
