"""Who is challenged, who is let pass, who is refused."""

import pytest

from asking import NOW, ask_of, credentials, invite, nonce_in, register, request_of, shown, subscriber
from oneproxy.access.nonces import LIFETIME_S, Nonces
from oneproxy.access.step import Access
from oneproxy.access.verify import MAX_PROOFS
from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Site

DOMAIN = Domain("example.com", algorithms=("SHA-256", "MD5"))
BOTH = ("MD5", "SHA-256")


def access(*domains: Domain, secret: bytes = b"farm") -> Access:
    served = {domain.name: domain for domain in domains or (DOMAIN,)}
    subscribers = {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")}
    domains_of = Domains(served, {"192.0.2.1:5060", "192.0.2.1"})
    return Access(Site(served, subscribers), subscribers, domains_of, Nonces(secret))


def proved(step: Access, ask: Ask, **how: object) -> tuple[Decision | None, Ask]:
    """Take the challenge to `ask`, answer it, and give what becomes of the answer."""
    request = ask.request
    at = how.pop("at", ask.now)
    how.setdefault("uri", request.uri)
    value = credentials(nonce_in(step.decide(ask)), request.method, **how)  # type: ignore[arg-type]
    header = "Authorization" if request.method == "REGISTER" else "Proxy-Authorization"
    again = again_with(ask, f"{header}: {value}", now=at)  # type: ignore[arg-type]
    return step.decide(again), again


def again_with(ask: Ask, *headers: str, now: float = NOW) -> Ask:
    request = ask.request
    sender = (request.get("from") or "").partition(";tag=")[0]
    return ask_of(
        request_of(
            request.method,
            request.uri,
            *headers,
            sender=sender,
            to=request.get("to") or "",
            body=request.body,
        ),
        now,
    )


def test_a_register_without_credentials_is_challenged_by_the_registrar() -> None:
    reply = access().decide(register())
    nonce = nonce_in(reply)
    assert shown(reply) == (
        401,
        "Unauthorized",
        (
            f'WWW-Authenticate: Digest realm="example.com", nonce="{nonce}", algorithm=SHA-256, qop="auth"',
            f'WWW-Authenticate: Digest realm="example.com", nonce="{nonce}", algorithm=MD5, qop="auth"',
        ),
    )


def test_an_invite_without_credentials_is_challenged_by_the_proxy() -> None:
    reply = access(Domain("example.com", algorithms=("MD5",))).decide(invite())
    digest = f'Digest realm="example.com", nonce="{nonce_in(reply)}", algorithm=MD5, qop="auth"'
    assert shown(reply) == (
        407,
        "Proxy Authentication Required",
        (f"Proxy-Authenticate: {digest}",),
    )


@pytest.mark.parametrize("ask", [register(), invite()], ids=["register", "invite"])
def test_a_challenge_costs_no_memory(ask: Ask) -> None:
    reply = access().decide(ask)
    assert isinstance(reply, Reply)
    assert reply.stateless


@pytest.mark.parametrize("ask", [register(), invite()], ids=["register", "invite"])
@pytest.mark.parametrize("algorithm", BOTH)
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_the_right_password_passes_and_says_who_it_was(ask: Ask, algorithm: str, qop: str) -> None:
    decision, again = proved(access(), ask, algorithm=algorithm, qop=qop)
    assert decision is None
    assert again.subscriber == "alice@example.com"


def test_auth_int_covers_the_body() -> None:
    step = access()
    ask = ask_of(request_of("INVITE", "sip:bob@example.com", body="v=0"))
    assert proved(step, ask, qop="auth-int", body="v=0")[0] is None
    assert shown(proved(step, ask, qop="auth-int", body="v=1")[0])[0] == 407


def test_a_client_that_knows_no_qop_passes_with_md5() -> None:
    decision, again = proved(access(), register(), algorithm="MD5", qop=None)
    assert decision is None
    assert again.subscriber == "alice@example.com"


def test_sha_256_without_qop_is_malformed() -> None:
    decision, _ = proved(access(), register(), algorithm="SHA-256", qop=None)
    assert shown(decision) == (400, "Bad Authorization", ())


def test_an_algorithm_that_the_domain_does_not_offer_is_challenged_again() -> None:
    decision, again = proved(
        access(Domain("example.com", algorithms=("SHA-256",))), register(), algorithm="MD5"
    )
    assert shown(decision)[0] == 401
    assert again.subscriber is None


@pytest.mark.parametrize(
    "wrong", [{"password": "guess"}, {"user": "nobody"}, {"user": ""}, {"user": "al\xefce"}]
)
@pytest.mark.parametrize("ask", [register(), invite()], ids=["register", "invite"])
@pytest.mark.parametrize("algorithm", BOTH)
def test_unknown_users_and_wrong_passwords_get_the_same_challenge(
    wrong: dict[str, str], ask: Ask, algorithm: str
) -> None:
    step = access()
    first = step.decide(ask)
    decision, again = proved(step, ask, algorithm=algorithm, **wrong)
    status, reason, headers = shown(decision)
    assert again.subscriber is None
    assert (status, reason) == shown(first)[:2]
    assert [line.replace(nonce_in(decision), nonce_in(first)) for line in headers] == list(shown(first)[2])


def test_the_right_password_on_an_old_nonce_is_told_so() -> None:
    decision, again = proved(access(), register(), at=NOW + LIFETIME_S)
    assert again.subscriber is None
    assert all(line.endswith(", stale=true") for line in shown(decision)[2])


def test_a_wrong_password_on_an_old_nonce_is_not_told_so() -> None:
    decision, _ = proved(access(), register(), at=NOW + LIFETIME_S, password="guess")
    assert not any("stale" in line for line in shown(decision)[2])


def test_a_nonce_from_before_the_secret_changed_counts_as_stale() -> None:
    ask = register()
    value = credentials(nonce_in(access(secret=b"old").decide(ask)), "REGISTER", "sip:example.com")
    decision = access(secret=b"new").decide(again_with(ask, f"Authorization: {value}"))
    assert all(line.endswith(", stale=true") for line in shown(decision)[2])


def test_a_response_to_another_method_is_wrong() -> None:
    step = access()
    value = credentials(nonce_in(step.decide(invite())), "BYE", "sip:bob@example.com")
    assert shown(step.decide(invite("sip:bob@example.com", f"Proxy-Authorization: {value}")))[0] == 407


def test_registering_the_address_of_somebody_else_is_forbidden() -> None:
    decision, again = proved(access(), register(to="<sip:bob@example.com>"))
    assert shown(decision) == (403, "Forbidden", ())
    assert again.subscriber is None


def test_calling_in_the_name_of_somebody_else_is_forbidden() -> None:
    decision, _ = proved(access(), invite(sender="<sip:bob@example.com>"))
    assert shown(decision) == (403, "Forbidden", ())


def test_an_escaped_spelling_of_the_own_name_is_the_own_name() -> None:
    assert proved(access(), invite(sender="<sip:%61lice@EXAMPLE.com>"))[0] is None


def test_credentials_for_an_equal_uri_count() -> None:
    ask = invite("sip:%62ob@EXAMPLE.com")
    assert proved(access(), ask, uri="sip:bob@example.com")[0] is None


def test_credentials_for_another_uri_are_refused() -> None:
    decision, _ = proved(access(), invite(), uri="sip:carol@example.com")
    assert shown(decision) == (400, "Bad Authorization", ())


@pytest.mark.parametrize("uri", ["sip:192.0.2.1:5060", "sip:example.com", "sip:192.0.2.1"])
def test_credentials_for_this_server_itself_count(uri: str) -> None:
    assert proved(access(), invite(), uri=uri)[0] is None


@pytest.mark.parametrize("dropped", ["username", "nonce", "uri", "response", "cnonce", "nc"])
def test_credentials_that_lack_a_required_parameter_are_malformed(dropped: str) -> None:
    step = access()
    value = credentials(nonce_in(step.decide(register())), "REGISTER", "sip:example.com")
    value = value.replace(f" {dropped}=", f" x-{dropped}=")
    assert shown(step.decide(register(f"Authorization: {value}"))) == (400, "Bad Authorization", ())


def test_a_qop_that_was_never_offered_is_malformed() -> None:
    step = access()
    value = credentials(nonce_in(step.decide(register())), "REGISTER", "sip:example.com").replace(
        "=auth,", "=other,"
    )
    assert shown(step.decide(register(f"Authorization: {value}"))) == (400, "Bad Authorization", ())


def test_credentials_that_cannot_be_read_are_malformed() -> None:
    header = 'Authorization: Digest realm="example.com", username="alice'
    assert shown(access().decide(register(header))) == (400, "Bad Authorization", ())


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: NoOneKnowsThisScheme opaque-data=here",
        "Authorization: Basic example.com",
        'Authorization: Digest realm="elsewhere.org", username="alice',
        'Authorization: Digest realm="not-example.com", username="alice"',
        'Proxy-Authorization: Digest realm="example.com", username="alice"',
    ],
)
def test_credentials_that_are_not_for_us_are_passed_over(header: str) -> None:
    assert shown(access().decide(register(header)))[0] == 401


def test_the_right_credentials_are_found_among_those_of_other_proxies() -> None:
    step = access()
    right = credentials(nonce_in(step.decide(invite())), "INVITE", "sip:bob@example.com")
    other = credentials("theirs", "INVITE", "sip:bob@example.com", realm="elsewhere.org")
    same_realm = credentials("theirs", "INVITE", "sip:bob@example.com", password="x")
    ask = invite(
        "sip:bob@example.com", *[f"Proxy-Authorization: {value}" for value in (other, same_realm, right)]
    )
    assert step.decide(ask) is None
    assert ask.subscriber == "alice@example.com"


def test_no_more_than_a_few_credentials_are_worked_out() -> None:
    step = access()
    right = credentials(nonce_in(step.decide(invite())), "INVITE", "sip:bob@example.com")
    wrong = [f"Proxy-Authorization: {right.replace('alice', 'carol')}"] * MAX_PROOFS
    ask = invite("sip:bob@example.com", *wrong, f"Proxy-Authorization: {right}")
    assert shown(step.decide(ask))[0] == 407


def test_algorithm_and_qop_have_no_case() -> None:
    step = access()
    value = credentials(nonce_in(step.decide(register())), "REGISTER", "sip:example.com")
    value = value.replace("algorithm=SHA-256", "algorithm=sha-256")
    assert step.decide(register(f"Authorization: {value}")) is None


def test_methods_that_the_domain_does_not_list_pass() -> None:
    step = access()
    assert step.decide(ask_of(request_of("MESSAGE", "sip:bob@example.com"))) is None
    assert access(Domain("example.com", authenticate=())).decide(register()) is None
    assert access(Domain("example.com", authenticate=("REGISTER",))).decide(invite()) is None


def test_each_domain_lists_its_own_methods() -> None:
    step = access(DOMAIN, Domain("open.org", authenticate=()))
    assert step.decide(invite("sip:bob@example.com", sender="<sip:zoe@open.org>")) is None
    assert step.decide(register(uri="sip:open.org", to="<sip:zoe@open.org>")) is None
    assert shown(step.decide(invite("sip:zoe@open.org")))[0] == 407


def test_a_call_from_a_foreign_domain_passes_to_the_steps_behind() -> None:
    ask = invite(sender="<sip:carol@elsewhere.org>")
    assert access().decide(ask) is None
    assert ask.subscriber is None


@pytest.mark.parametrize(
    "sender",
    [
        "<sip:alice@example.com:7777>",
        "<sips:alice@example.com>",
        "<sip:alice@EXAMPLE.COM;transport=tcp>",
        '"<sip:carol@elsewhere.org>" <sip:alice@example.com>',
        "<sip:alice@192.0.2.1>",
        "<sip:example.com>",
    ],
)
def test_no_spelling_of_a_served_domain_in_from_saves_the_password(sender: str) -> None:
    assert shown(access().decide(invite(sender=sender)))[0] == 407


def test_a_trusted_source_needs_no_password() -> None:
    ask = invite()
    ask.trusted = True
    assert access().decide(ask) is None


def test_a_register_of_an_outsider_for_a_domain_that_is_not_served_passes_to_the_steps_behind() -> None:
    assert access().decide(register(uri="sip:elsewhere.org", to="<sip:carol@elsewhere.org>")) is None


@pytest.mark.parametrize(
    "sender",
    [
        "<sip:alice@example.com:99999>",
        "<sip:alice@example.com:>",
        "<sip:alice@example.com;;x>",
        "<sip:a%zz@example.com>",
        "<im:alice@example.com>",
    ],
)
def test_a_caller_that_cannot_be_read_is_not_taken_for_an_outsider(sender: str) -> None:
    assert shown(access().decide(invite(sender=sender))) == (400, "Bad From", ())
