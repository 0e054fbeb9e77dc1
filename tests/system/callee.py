"""A callee at a socket of its own, who notes when calls come and how many are on."""

import socket
import threading
import time

from system.wire import answer_to


class Callee(threading.Thread):
    """Answers every call, notes when the first INVITE of each came, and how many ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.came: dict[bytes, float] = {}
        self.ended: set[bytes] = set()
        #: The most calls at once: from the first INVITE of each to its BYE.
        self.most = 0

    def run(self) -> None:
        """The thread's work, until the socket is shut."""
        while True:
            data, sender = self._socket.recvfrom(65_535)
            if not data:
                return
            call_id = data.partition(b"Call-ID:")[2].partition(b"\r\n")[0].strip()
            if data.startswith(b"INVITE "):
                self.came.setdefault(call_id, time.monotonic())
                self.most = max(self.most, len(self.came) - len(self.ended))
                ok = answer_to(data, 200, "OK").decode("latin-1")
                contact = f"Contact: <sip:callee@127.0.0.1:{self.port}>\r\nContent-Length"
                self._socket.sendto(ok.replace("Content-Length", contact).encode("latin-1"), sender)
            elif data.startswith(b"BYE "):
                self.ended.add(call_id)
                self._socket.sendto(answer_to(data, 200, "OK"), sender)

    def close(self) -> None:
        """End the thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.join()
        self._socket.close()


def most_within(instants: list[float], seconds: float) -> int:
    """The most of them, which are in order, in any window of that length."""
    return max(sum(start <= at < start + seconds for at in instants) for start in instants)
