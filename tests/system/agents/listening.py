"""An agent's own port, to which the server opens the connection."""

import socket
import ssl
from typing import Final

from system.agents.channel import Stream
from system.agents.place import Place
from waiting import PATIENCE_S

_CONNECT_S: Final = PATIENCE_S


class Listening:
    """Listens for one connection of TCP or TLS.

    tls: a context that holds our certificate. port: 0 for one that is free.
    """

    def __init__(self, transport: str, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        host = "127.0.0.1"
        self._tls = tls if transport == "TLS" else None
        self._socket = socket.create_server((host, port))
        self._socket.settimeout(_CONNECT_S)
        self.place = Place(transport, host, self._socket.getsockname()[1])
        #: How others name this port in a Contact.
        self.contact = f"{self.place.address};transport={transport.lower()}"

    def accept(self, server: Place) -> Stream:
        """The next connection; `server` is whose messages will come on it."""
        made, _ = self._socket.accept()
        return Stream(server, self._tls, made=made)

    def close(self) -> None:
        """Close the port."""
        self._socket.close()
