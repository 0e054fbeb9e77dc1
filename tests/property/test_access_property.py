"""Whatever stands in an Authorization header: an answer, never an exception, never a way in."""

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asking import credentials, nonce_in, register, subscriber
from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Reply
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Flood, Site

SERVED = {"example.com": Domain("example.com", algorithms=("SHA-256", "MD5"))}
SUBSCRIBERS = {"alice@example.com": subscriber("alice@example.com")}
STEP = Access(
    # Without limits: here one source guesses by the hundred.
    Site(SERVED, SUBSCRIBERS, flood=Flood(wrong_passwords=0, account_wrong_passwords=0)),
    SUBSCRIBERS,
    Domains(SERVED, set()),
    Nonces(b"farm"),
)
RIGHT = credentials(nonce_in(STEP.decide(register())), "REGISTER", "sip:example.com")

header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)


@given(header_text)
@example('Digest realm="example.com"')
@example('Digest realm="example.com", username="\xff", nonce="\xff", uri="sip:example.com", response="\xff"')
def test_no_text_is_a_way_in(text: str) -> None:
    # That one is the proof itself, under its own name.
    assume(text.rpartition(",")[2].strip().lower() != "response")
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
    assert Nonces(b"farm").read(text) is None


@given(st.floats(0, 4_000_000_000), st.text(max_size=50))
def test_a_nonce_says_when_it_was_made_and_for_whom(made_at: float, source: str) -> None:
    nonces = Nonces(b"farm")
    nonce = Nonces(b"farm").read(nonces.make(made_at, source))
    assert nonce is not None
    assert nonce.made_at == int(made_at)
    assert nonces.is_for(nonce, source)
    assert not nonces.is_for(nonce, f"{source}.")
