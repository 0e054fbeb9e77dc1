"""Answering the challenges of a gateway."""

from random import Random

import pytest

from asking import NOW, ask_of, request_of, subscriber
from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Reply
from oneproxy.policy.domains import Domains
from oneproxy.sip.credentials import Credentials, parse_credentials
from oneproxy.sip.digest import make_ha1, make_response
from oneproxy.sip.message import Response, split
from oneproxy.site.model import Domain, Site
from oneproxy.trunks.authenticator import Authenticator

REGISTRAR = "sip:carrier.example"


def response(status: int, *headers: str) -> Response:
    found = split("\r\n".join([f"SIP/2.0 {status} Some", *headers, "", ""]).encode("latin-1"))
    assert isinstance(found, Response)
    return found


def asked(*params: str, status: int = 401) -> Response:
    """A response with a challenge for each of `params`, which stand behind realm and nonce."""
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return response(status, *[f'{name}: Digest realm="r", {one}' for one in params])


def authenticator(password: str = "secret", user: str = "me") -> Authenticator:
    return Authenticator(user, password, Random(1))


def proof(
    one: Authenticator, method: str = "REGISTER", uri: str = REGISTRAR, body: str = ""
) -> dict[str, str]:
    """The parameters of the only proof, whose response is what it has to be."""
    [line] = one.lines(method, uri, body)
    read = parse_credentials(line.partition(": ")[2])
    assert isinstance(read, Credentials)
    params = read.params
    ha1 = make_ha1(params["algorithm"], "me", params["realm"], "secret")
    assert params["response"] == make_response(
        params["algorithm"],
        ha1,
        method,
        uri,
        params["nonce"],
        params.get("qop"),
        params.get("nc", ""),
        params.get("cnonce", ""),
        body,
    )
    return params


def test_nothing_is_proved_before_somebody_asks() -> None:
    assert authenticator().lines("REGISTER", REGISTRAR) == ()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int", "auth-int, auth"])
def test_a_challenge_is_answered_by_its_algorithm(algorithm: str, qop: str) -> None:
    one = authenticator()
    assert one.challenged(asked(f'nonce="n1", algorithm={algorithm}, qop="{qop}", opaque="o,p"')) == ""
    params = proof(one, body="v=0")
    assert (params["username"], params["realm"], params["opaque"], params["uri"]) == (
        "me",
        "r",
        "o,p",
        REGISTRAR,
    )
    assert (params["algorithm"], params["nc"]) == (algorithm, "00000001")
    assert params["qop"] == ("auth-int" if qop == "auth-int" else "auth")


def test_who_knows_rfc_2069_only_is_answered_so() -> None:
    one = authenticator()
    assert one.challenged(asked('nonce="n1"')) == ""
    params = proof(one)
    assert {"qop", "nc", "cnonce", "opaque"}.isdisjoint(params)
    assert params["algorithm"] == "MD5"


def test_of_several_challenges_the_first_that_is_known_is_answered() -> None:
    one = authenticator()
    assert (
        one.challenged(asked('nonce="a", algorithm=SHA-3', 'nonce="b", algorithm=sha-256', 'nonce="c"')) == ""
    )
    assert proof(one)["nonce"] == "b"


@pytest.mark.parametrize(
    ("came", "why"),
    [
        (response(401), "no-challenge"),
        (response(401, "WWW-Authenticate: Basic realm=r"), "no-challenge"),
        (response(401, "WWW-Authenticate: Digest nonce=n"), "no-challenge"),
        (response(401, 'WWW-Authenticate: Digest realm="r"'), "no-challenge"),
        (response(401, "WWW-Authenticate: ,,"), "no-challenge"),
        (response(407, 'WWW-Authenticate: Digest realm="r", nonce="n"'), "no-challenge"),
        (asked('nonce="n", algorithm=SHA-3'), "other-algorithm"),
        (asked('nonce="n", qop="auth-conf"'), "other-algorithm"),
    ],
)
def test_what_cannot_be_answered_is_said(came: Response, why: str) -> None:
    one = authenticator()
    assert one.challenged(came) == why
    assert one.lines("REGISTER", REGISTRAR) == ()


def test_the_same_nonce_is_counted_up() -> None:
    one = authenticator()
    one.challenged(asked('nonce="n1", qop="auth"'))
    assert [proof(one)["nc"] for _ in range(3)] == ["00000001", "00000002", "00000003"]


def test_a_proof_that_is_refused_is_a_wrong_password_and_the_next_try_begins_anew() -> None:
    one = authenticator()
    one.challenged(asked('nonce="n1", qop="auth"'))
    one.lines("REGISTER", REGISTRAR)
    assert (
        one.challenged(asked('nonce="n2", qop="auth"', 'nonce="n2", algorithm=SHA-256')) == "wrong-password"
    )
    assert one.lines("REGISTER", REGISTRAR) == ()
    assert one.challenged(asked('nonce="n3", qop="auth"')) == ""


def test_a_nonce_that_is_too_old_is_replaced() -> None:
    one = authenticator()
    one.challenged(asked('nonce="n1", qop="auth"'))
    one.lines("REGISTER", REGISTRAR)
    assert one.challenged(asked('nonce="n2", qop="auth", stale=TRUE')) == ""
    assert (proof(one)["nonce"], proof(one)["nc"]) == ("n2", "00000002")
    # Once it was good, a challenge says no more than that its time is over.
    one.succeeded(response(200))
    assert one.challenged(asked('nonce="n3", qop="auth"')) == ""
    assert proof(one)["nonce"] == "n3"
    assert one.challenged(asked('nonce="n4", qop="auth"')) == "wrong-password"


def test_the_next_nonce_may_be_named() -> None:
    one = authenticator()
    one.challenged(asked('nonce="n1", qop="auth"'))
    one.lines("REGISTER", REGISTRAR)
    one.succeeded(response(200, 'Authentication-Info: nextnonce="n2", qop=auth'))
    params = proof(one)
    assert (params["nonce"], params["nc"]) == ("n2", "00000001")
    # Nothing that is no nonce is taken for one.
    for odd in ("", 'nextnonce=""', "qop=auth", "((("):
        one.succeeded(response(200, f"Authentication-Info: {odd}"))
        assert proof(one)["nonce"] == "n2"


def test_a_proxy_on_the_way_is_answered_beside_the_registrar() -> None:
    one = authenticator()
    one.challenged(asked('nonce="p1", qop="auth"', status=407))
    one.challenged(asked('nonce="n1", qop="auth"'))
    lines = one.lines("REGISTER", REGISTRAR)
    assert [line.partition(":")[0] for line in lines] == ["Proxy-Authorization", "Authorization"]
    # The proxy took its proof, or the registrar would not have been asked.
    assert one.challenged(asked('nonce="n2", qop="auth", stale=true')) == ""


def test_what_is_kept_of_realms_is_bounded() -> None:
    one = authenticator()
    for number in range(50):
        one.challenged(response(401, f'WWW-Authenticate: Digest realm="r{number}", nonce="n"'))
    assert len(one.lines("REGISTER", REGISTRAR)) <= 4


def test_users_and_realms_beyond_ascii_are_hashed_as_utf_8() -> None:
    one = authenticator(user="jos\u00e9")
    one.challenged(response(401, 'WWW-Authenticate: Digest realm="caf\u00c3\u00a9", nonce="n"'))
    [line] = one.lines("REGISTER", REGISTRAR)
    assert 'username="jos\u00c3\u00a9", realm="caf\u00c3\u00a9"' in line
    ha1 = make_ha1("MD5", "jos\u00e9", "caf\u00e9", "secret")
    assert make_response("MD5", ha1, "REGISTER", REGISTRAR, "n") in line


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256", "MD5"), ("SHA-512-256",)])
@pytest.mark.parametrize(("password", "let_in"), [("secret", True), ("guess", False)])
def test_our_own_registrar_lets_in_who_has_the_password(
    algorithms: tuple[str, ...], password: str, let_in: bool
) -> None:
    served = {"example.com": Domain("example.com", algorithms=algorithms)}
    users = {"alice@example.com": subscriber("alice@example.com")}
    step = Access(Site(served, users), users, Domains(served, set()), Nonces(b"farm"))
    one = authenticator(password, "alice")
    why = ""
    for _ in range(3):
        lines = one.lines("REGISTER", "sip:example.com")
        alice = "<sip:alice@example.com>"
        decision = step.decide(
            ask_of(request_of("REGISTER", "sip:example.com", *lines, sender=alice, to=alice), NOW)
        )
        if decision is None:
            break
        assert isinstance(decision, Reply)
        why = one.challenged(response(decision.status, *decision.headers))
        if why:
            break
    assert (decision is None, why) == (let_in, "" if let_in else "wrong-password")


def test_no_secret_is_shown() -> None:
    one = authenticator("hunter2")
    one.challenged(asked('nonce="n1"'))
    assert "hunter2" not in repr(one) + str(one.lines("REGISTER", REGISTRAR))
