"""A real phone: one headless baresip, driven through its ctrl_tcp module.

Commands and answers are JSON objects in netstrings ("5:hello,"); events come
unasked on the same connection and are kept in the order in which they came.
"""

import json
import re
import select
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from system.network import ADDRESS, INTERFACE, Network
from waiting import PATIENCE_S

_CONFIG: Final = """\
poll_method epoll
sip_listen {address}:{port}
net_interface {interface}
call_local_timeout 60
call_max_calls 4
audio_player aubridge,{name}
audio_source aubridge,{name}
audio_alert aubridge,alert
audio_buffer 20-160
jitter_buffer_delay 2-4
rtp_stats no
module_path {modules}
module g711.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{control}
ringback_disabled yes
"""

_MODULES: Final = "/usr/lib/baresip/modules"

Event = dict[str, Any]


class Phone:
    """One account of one phone.

    It registers as soon as it is made; `server` is "address:port". answer: "manual" or
    "auto". Waiting raises TimeoutError with everything that the phone said in the meantime.
    """

    def __init__(
        self,
        network: Network,
        folder: Path,
        user: str,
        domain: str,
        *,
        server: str,
        password: str,
        answer: str = "manual",
    ) -> None:
        folder.mkdir(parents=True)
        self.aor = f"{user}@{domain}"
        self._events: list[Event] = []
        self._buffer = b""
        with network.socket(socket.SOCK_DGRAM) as sip, network.socket(socket.SOCK_STREAM) as control:
            sip.bind((ADDRESS, 0))
            control.bind((ADDRESS, 0))
            self.port: int = sip.getsockname()[1]
            control_port: int = control.getsockname()[1]
        config = _CONFIG.format(
            address=ADDRESS,
            port=self.port,
            interface=INTERFACE,
            name=user,
            modules=_MODULES,
            control=control_port,
        )
        (folder / "config").write_text(config)
        (folder / "uuid").write_text(f"00000000-0000-4000-8000-{self.port:012d}\n")
        (folder / "accounts").write_text("")
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*network.prefix(), "baresip", "-4", "-f", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._folder = folder
        try:
            self._control = self._connect(network, control_port)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        # Only now, so that no event is missed: making the account starts its registration.
        self.tell(
            "uanew",
            f"<sip:{self.aor}>;auth_user={user};auth_pass={password}"
            f';outbound="sip:{server};transport=udp";answermode={answer};regint=600;audio_codecs=PCMU',
        )

    def _connect(self, network: Network, port: int, patience_s: float = PATIENCE_S) -> socket.socket:
        give_up = time.monotonic() + patience_s
        control = network.socket(socket.SOCK_STREAM)
        while True:
            try:
                control.connect((ADDRESS, port))
            except OSError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    control.close()
                    raise TimeoutError(f"baresip does not start: {self.log()}") from None
                time.sleep(0.02)
            else:
                control.setblocking(False)
                return control

    def log(self) -> str:
        """What the phone printed so far."""
        return (self._folder / "log").read_text(errors="replace")

    def tell(self, command: str, parameters: str = "") -> str:
        """Give a command and return what the phone says to it."""
        asked = len(self._events)
        text = json.dumps({"command": command, "params": parameters, "token": str(asked)})
        self._control.sendall(f"{len(text)}:{text},".encode())
        answer = self._wait(
            lambda event: event.get("token") == str(asked) and "response" in event, PATIENCE_S
        )
        self._events.remove(answer)
        return re.sub(r"\x1b\[[0-9;]*m", "", str(answer.get("data", "")))

    def dial(self, target: str) -> None:
        """Call `target`: a user of the own domain, or a whole SIP URI."""
        self.tell(
            "dial", target if target.startswith("sip:") else f"sip:{target}@{self.aor.partition('@')[2]}"
        )

    def answer(self) -> None:
        """Pick up the call that is ringing."""
        self.tell("accept")

    def hang_up(self) -> None:
        """End, refuse or cancel the current call."""
        self.tell("hangup")

    def wait(self, kind: str, within_s: float = PATIENCE_S) -> Event:
        """The first event of `kind` (REGISTER_OK, CALL_CLOSED, ...) not yet taken; it is then taken."""
        event = self._wait(lambda event: event.get("type") == kind, within_s)
        self._events.remove(event)
        return event

    def packets(self) -> tuple[int, int]:
        """RTP packets sent and received so far in the current call."""
        told = self.tell("audio_debug")
        sent = re.search(r"TX: packets=(\d+)", told)
        received = re.search(r"rcvd=(\d+)", told)
        return int(sent[1]) if sent else 0, int(received[1]) if received else 0

    def wait_for_sound(self, packets: int = 25, within_s: float = PATIENCE_S) -> None:
        """Wait until so many RTP packets went out and so many came in (50 are a second)."""
        give_up = time.monotonic() + within_s
        while min(self.packets()) < packets:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.aor}: RTP packets sent and received: {self.packets()}")
            time.sleep(0.05)

    def _wait(self, wanted: Any, within_s: float) -> Event:
        give_up = time.monotonic() + within_s
        while True:
            for event in self._events:
                if wanted(event):
                    return event
            left = give_up - time.monotonic()
            if left <= 0 or not select.select([self._control], [], [], left)[0]:
                raise TimeoutError(f"{self.aor}: got only {self._events}; log: {self.log()}")
            data = self._control.recv(65536)
            if not data:
                raise TimeoutError(f"{self.aor}: baresip ended: {self.log()}")
            self._buffer += data
            self._take_netstrings()

    def _take_netstrings(self) -> None:
        while True:
            length, colon, rest = self._buffer.partition(b":")
            if not colon or len(rest) <= int(length):
                return
            self._events.append(json.loads(rest[: int(length)]))
            self._buffer = rest[int(length) + 1 :]

    def close(self) -> None:
        """End the phone (it unregisters first)."""
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
