"""A network of its own for real phones: a namespace with a veth pair.

baresip does not use the loopback interface. The namespace has no name; it lives as
long as the process that holds it, which ends with ours, so nothing can be left over.
"""

import array
import os
import socket
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

INTERFACE: Final = "phones0"
ADDRESS: Final = "10.53.0.1"

_SET_UP: Final = f"""
set -e
ip link set lo up
ip link add {INTERFACE} type veth peer name phones1
ip address add {ADDRESS}/24 dev {INTERFACE}
ip link set {INTERFACE} up
ip link set phones1 up
echo ready
exec cat
"""

#: Makes a socket inside the namespace and hands it out: a socket stays where it was made.
_MAKE_SOCKET: Final = """
import array, socket, sys
out = socket.socket(fileno=int(sys.argv[1]))
made = socket.socket(socket.AF_INET, int(sys.argv[2]))
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [made.fileno()]))])
"""


class Network:
    """A context manager; `ADDRESS` on `INTERFACE` is where everybody lives.

    Raises RuntimeError with the reason where this machine allows no namespace.
    """

    def __init__(self) -> None:
        # Without root, a user namespace gives the right to make a network.
        self._user = [] if os.geteuid() == 0 else ["--user"]
        maps = ["--map-root-user"] if self._user else []
        self._holder = subprocess.Popen(
            ["unshare", *self._user, *maps, "--net", "sh", "-c", _SET_UP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, errors = self._holder.communicate(timeout=5)
            raise RuntimeError(f"cannot make a network namespace: {errors.strip()}")

    def prefix(self) -> list[str]:
        """What goes before a command so that it runs in this network, under its own pid."""
        keep = ["--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._holder.pid), "--net", *self._user, *keep, "--"]

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """A socket of ours in this network."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            subprocess.run(
                [*self.prefix(), sys.executable, "-c", _MAKE_SOCKET, str(theirs.fileno()), str(int(kind))],
                pass_fds=[theirs.fileno()],
                check=True,
                timeout=10,
            )
            _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        return socket.socket(fileno=array.array("i", ancillary[0][2])[0])

    def close(self) -> None:
        """End the holder, and the network with it."""
        self._holder.communicate(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
