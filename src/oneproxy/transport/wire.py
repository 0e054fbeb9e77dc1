"""What sockets tell the driver: the one way from transport to the engine."""

from typing import Protocol

from oneproxy.engine.flow import Flow


class Wire(Protocol):
    """The driver, as listeners and connections know it."""

    def now(self) -> float:
        """Seconds since the epoch. What is handed in until the next call came at this instant."""
        ...

    def received(self, flow: Flow, data: bytes) -> None:
        """One whole message has come on `flow`; whatever is wrong with it, this returns."""
        ...

    def flush(self) -> None:
        """Send what the engine has put out; called once after a batch of messages."""
        ...

    def flush_soon(self) -> None:
        """Flush at the end of this turn of the loop."""
        ...

    def undelivered(self, data: bytes) -> None:
        """These octets, maybe only the first of a message, reached nobody (RFC 3261 18.4).

        The engine hears of it later, not inside of the present flush.
        """
        ...

    def closed(self, flow: Flow) -> None:
        """A connection is gone; the engine hears of it later, not inside of the present flush."""
        ...
