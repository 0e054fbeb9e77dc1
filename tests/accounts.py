"""Registrations at gateways for tests, and whoever drives them: what leaves waits to be answered."""

from random import Random

from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.sip.message import Response, split
from oneproxy.site import model
from oneproxy.site.model import Gateway
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.registration import Standing
from oneproxy.trunks.registrations import Registrations
from trunking import NOW, provider, provider_of, site, trunks

CHALLENGE = 'WWW-Authenticate: Digest realm="carrier", nonce="{}", qop="auth"'
SECRET = b"the farm's"
TIMEOUT = Result(408, "timeout", None, 32.0)


def account(user: str = "me", password: str = "secret", **keys: object) -> model.Registration:
    return model.Registration(f"sip:{user}@carrier.example", user, password, **keys)  # type: ignore[arg-type]


def gateway(name: str = "a", register: model.Registration | None = None, uri: str = "") -> Gateway:
    return Gateway(name, uri or f"sip:{name}.example.net", register=register or account(name))


def contact_of(uri: str, user: str) -> str:
    over = ";transport=tcp" if "transport=tcp" in uri else ""
    return f"sip:{user}@192.0.2.1:5060{over}" if user else f"sip:192.0.2.1:5060{over}"


class Sent:
    """A request that left, and a way to answer it."""

    def __init__(self, made: "Made", at: float, request: OwnRequest, answered: Answered) -> None:
        self.made = made
        self.at = at
        self.request = request
        self.answered = answered

    def header(self, name: str) -> str:
        found = (line.partition(": ")[2] for line in self.request.headers if line.startswith(f"{name}: "))
        return next(found, "")

    @property
    def user(self) -> str:
        return self.request.to.partition(":")[2].partition("@")[0]

    @property
    def expires_s(self) -> int:
        return int(self.header("Expires"))

    def answer(self, status: int, *headers: str) -> None:
        response = split("\r\n".join([f"SIP/2.0 {status} Said", *headers, "", ""]).encode("latin-1"))
        assert isinstance(response, Response)
        self.come_to(Result(status, None, response, 0.1))

    def come_to(self, result: Result) -> None:
        self.answered(self.made.now, result)

    def grant(self) -> None:
        self.answer(200, f"Expires: {self.expires_s}")


class Made:
    """Registrations, and whoever drives them; what left waits in `sent`."""

    def __init__(self, *gateways: Gateway, node: str = "n1", secret: bytes = SECRET) -> None:
        self.now = NOW
        self.sent: list[Sent] = []
        self.told: list[tuple[str, str, Standing]] = []
        self.trunks = trunks(provider(*gateways))
        self.all = Registrations(node, secret, self.trunks, self._originate, contact_of, Random(1))
        self.all.on_told = lambda *told: self.told.append(told)
        self.take(*gateways)

    def _originate(self, now: float, request: OwnRequest, answered: Answered) -> None:
        assert now == self.now
        self.sent.append(Sent(self, now, request, answered))

    def take(self, *gateways: Gateway) -> None:
        """This is the site now."""
        changed = site(provider(*gateways))
        self.trunks.take(changed)
        self.all.take(self.now, changed)

    def wait(self, seconds: float) -> None:
        """Let time pass, each deadline at its own instant."""
        until = self.now + seconds
        while (deadline := self.all.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.all.expire(self.now)
        self.now = until

    def next(self) -> Sent:
        """The only request that left since the last one was taken."""
        self.wait(0.0)
        [sent] = self.sent
        self.sent = []
        return sent

    def registered(self) -> "Made":
        self.next().grant()
        return self

    def standing(self, name: str = "a") -> Standing:
        return next(one.standing for one in self.all.standings() if one.gateway == name)

    def why(self) -> dict[str, Why | None]:
        found: list[Candidate] = []
        provider_of(self.trunks).choose(self.now, (), found)
        return {one.name: one.why for one in found}
