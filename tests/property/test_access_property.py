"""Whatever stands in an Authorization header: an answer, never an exception, never a way in."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from asking import NOW, credentials, nonce_in, register, subscriber
from oneproxy.access.nonces import Age, Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Reply
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain

SERVED = {"example.com": Domain("example.com", algorithms=("SHA-256", "MD5"))}
STEP = Access(
    SERVED, {"alice@example.com": subscriber("alice@example.com")}, Domains(SERVED, set()), Nonces(b"farm")
)
RIGHT = credentials(nonce_in(STEP.decide(register())), "REGISTER", "sip:example.com")

header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)


@given(header_text)
@example('Digest realm="example.com"')
@example('Digest realm="example.com", username="\xff", nonce="\xff", uri="sip:example.com", response="\xff"')
def test_no_text_is_a_way_in(text: str) -> None:
    for value in (text, f'Digest realm="example.com", {text}', RIGHT.replace("response=", f"{text}=")):
        ask = register(f"Authorization: {value}")
        assert isinstance(STEP.decide(ask), Reply)
        assert ask.subscriber is None


@given(st.data())
@settings(max_examples=200)
def test_no_single_change_to_what_is_proved_is_let_pass(data: st.DataObject) -> None:
    proved = [part for part in RIGHT.split(", ") if part.partition("=")[0] != "algorithm"]
    part = data.draw(st.sampled_from(proved))
    value = part.partition("=")[2].strip('"')
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(
        st.sampled_from("abcdefg012345AZ").filter(lambda character: character != value[at].lower())
    )
    changed = RIGHT.replace(value, value[:at] + other + value[at + 1 :], 1)
    if changed.lower() == RIGHT.lower():
        return
    ask = register(f"Authorization: {changed}")
    assert isinstance(STEP.decide(ask), Reply)
    assert ask.subscriber is None


@given(st.text(st.characters(max_codepoint=255), max_size=50))
def test_no_text_is_a_nonce_of_ours(text: str) -> None:
    assert Nonces(b"farm").check(text, NOW) is Age.FORGED


@given(st.floats(0, 4_000_000_000), st.floats(-100, 1000))
def test_a_nonce_is_ours_at_any_time(made_at: float, passed_s: float) -> None:
    nonces = Nonces(b"farm")
    assert nonces.check(nonces.make(made_at), made_at + passed_s) is not Age.FORGED
