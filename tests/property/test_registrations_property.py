"""Sites that change and a registrar that loses and delays: in the end it has what the site says."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts import contact_of
from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.sip.message import Response, split
from oneproxy.site.model import Gateway, Provider, Registration, Site
from oneproxy.trunks.registrations import Registrations
from oneproxy.trunks.trunks import Trunks

EXPIRES_S = 300
NAMES = ("a", "b")
#: Users and addresses of one registrar; two transports have two contacts.
ACCOUNTS = st.tuples(
    st.sampled_from(["u", "v"]),
    st.sampled_from(["sip:192.0.2.20", "sip:192.0.2.21", "sip:192.0.2.20;transport=tcp"]),
    st.sampled_from(["x", "y"]),
)
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="{}", qop="auth"'


class Carrier:
    """One registrar, whichever address it is asked at (RFC 3261 10.3)."""

    def __init__(self) -> None:
        #: By AoR and contact: Call-ID, CSeq, until when.
        self.bindings: dict[tuple[str, str], tuple[str, int, float]] = {}

    def register(self, now: float, request: OwnRequest) -> int:
        written = dict(line.split(": ", 1) for line in request.headers)
        key = request.to.strip("<>"), written["Contact"].strip("<>")
        expires_s = int(written["Expires"])
        known = self.bindings.get(key)
        if known is not None and known[2] > now and known[0] == request.call_id and request.cseq <= known[1]:
            return 500
        if expires_s:
            self.bindings[key] = request.call_id, request.cseq, now + expires_s
        else:
            self.bindings.pop(key, None)
        return 200

    def has(self, now: float) -> set[tuple[str, str]]:
        return {key for key, (_, _, until) in self.bindings.items() if until > now}


class Changing(RuleBasedStateMachine):
    """Registrations, their driver, and requests that are answered in any order, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_750_000_000.0
        self.under_way: list[tuple[OwnRequest, Answered]] = []
        self.carrier = Carrier()
        self.site = Site({}, {})
        self.trunks = Trunks(self.site, Random(1))
        self.all = Registrations("n1", b"k", self.trunks, self.originate, contact_of, Random(1))
        self.nonces = 0

    def originate(self, now: float, request: OwnRequest, answered: Answered) -> None:
        assert now == self.now
        self.under_way.append((request, answered))

    @initialize(accounts=st.dictionaries(st.sampled_from(NAMES), ACCOUNTS, min_size=1))
    def begin(self, accounts: dict[str, tuple[str, str, str]]) -> None:
        self.change(accounts)

    @rule(accounts=st.dictionaries(st.sampled_from(NAMES), ACCOUNTS))
    def change(self, accounts: dict[str, tuple[str, str, str]]) -> None:
        gateways = tuple(
            # Two gateways of one user would be one contact for the registrar.
            Gateway(name, uri, register=Registration(f"sip:{user}{name}@c", user, password, EXPIRES_S, True))
            for name, (user, uri, password) in sorted(accounts.items())
        )
        self.site = Site({}, {}, providers={"p": Provider("p", gateway=gateways)})
        self.trunks.take(self.site)
        self.all.take(self.now, self.site)

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 40.0, 250.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.all.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.all.expire(self.now)
        self.now = until

    @rule(place=st.integers(0, 5), status=st.sampled_from([200, 200, 200, 401, 403, 503]))
    def answer(self, place: int, status: int) -> None:
        if not self.under_way:
            return
        request, answered = self.under_way.pop(place % len(self.under_way))
        if status == 200:
            status = self.carrier.register(self.now, request)
        self.nonces += 1
        headers = CHALLENGE.format(self.nonces) if status == 401 else f"Expires: {EXPIRES_S}"
        response = split(f"SIP/2.0 {status} Said\r\n{headers}\r\n\r\n".encode())
        assert isinstance(response, Response)
        answered(self.now, Result(status, None, response, 0.1))

    @rule(place=st.integers(0, 5), has_arrived=st.booleans())
    def lose(self, place: int, has_arrived: bool) -> None:
        if not self.under_way:
            return
        request, answered = self.under_way.pop(place % len(self.under_way))
        if has_arrived:
            self.carrier.register(self.now, request)
        answered(self.now, Result(408, "timeout", None, 32.0))

    @invariant()
    def what_counts_as_registered_is(self) -> None:
        has = self.carrier.has(self.now)
        for one in self.all.standings():
            gateway = self.gateway(one.gateway)
            is_registered = self.all.is_registered(self.now, "p", one.gateway)
            if is_registered:
                user = one.aor.removeprefix("sip:").partition("@")[0]
                assert (one.aor, contact_of(gateway.uri, user)) in has
            provider = self.trunks.find("p")
            assert provider is not None
            [state] = [found for found in provider.gateways if found.site.name == one.gateway]
            assert (self.now < state.registered_until) is is_registered

    @invariant()
    def each_has_one_request_under_way(self) -> None:
        asked = [(request.towards, request.call_id, request.from_) for request, _ in self.under_way]
        assert len(set(asked)) == len(asked)
        assert "secret" not in repr(asked)

    def gateway(self, name: str) -> Gateway:
        [found] = [one for one in self.site.providers["p"].gateway if one.name == name]
        return found

    def teardown(self) -> None:
        """Once all is answered for long enough the registrar has the accounts of the site, and no others."""
        until = self.now + 2.0 * 600.0 + EXPIRES_S
        while self.now < until:
            while self.under_way:
                self.answer(0, 200)
            self.wait(10.0)
        wanted = {
            (one.aor, contact_of(self.gateway(one.gateway).uri, one.aor[4:].partition("@")[0]))
            for one in self.all.standings()
        }
        assert len(wanted) == sum(len(one.gateway) for one in self.site.providers.values())
        while self.under_way:
            self.answer(0, 200)
        assert self.carrier.has(self.now) == wanted
        assert all(
            self.all.is_registered(self.now, one.provider, one.gateway) for one in self.all.standings()
        )


TestChanging = Changing.TestCase
TestChanging.settings = settings(max_examples=150, stateful_step_count=40)
