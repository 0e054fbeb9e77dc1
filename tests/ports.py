"""Ports of this machine that tests may give to servers and programs."""

import os
import random
import socket
from typing import Final

#: Below those that the system gives to clients, or one of many thousand connections may
#: have taken one before it is bound.
_PORTS: Final = (10_000, 32_000)
#: Tests that run beside each other (pytest-xdist names their workers gw0, gw1 ...) take their
#: ports from parts of their own: one that is free is bound only later.
_PARTS: Final = 8
_PART: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody holds now, neither for UDP nor for TCP."""
    for _ in range(1000):
        port = random.randrange(_PORTS[0] + _PART, _PORTS[1], _PARTS)
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return port
    raise RuntimeError("every port tried is taken")
