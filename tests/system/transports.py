"""The transports that OneProxy speaks, as the tests name them."""

from typing import Final

#: "UDP6" is UDP over IPv6; the rest is as in Via.
TRANSPORTS: Final = ("UDP", "TCP", "TLS", "WS", "WSS", "UDP6")
