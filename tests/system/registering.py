"""Registrations by the hundred, and what the server says about them afterwards."""

import itertools
import time
from collections.abc import Sequence
from typing import Final

from system.agents.digest import credentials
from system.server import DOMAIN
from system.wire import Answer, Client, read_answer
from waiting import PATIENCE_S

_URI = f"sip:{DOMAIN}"
_NUMBERS: Final = itertools.count(1)


def contact_of(user: str) -> str:
    """Where `user` is registered by this module."""
    return f"sip:{user}@127.0.0.1:9"


def register(client: Client, user: str) -> Answer | None:
    """Register one user; the final answer."""
    return client.ask("REGISTER", _URI, f"{user}@{DOMAIN}", contact=contact_of(user))


def _take(client: Client, answered: set[str], until: float) -> None:
    """Collect the users that got a 200, until the time comes."""
    for answer in client.answers(until - time.monotonic()):
        if answer.status == 200:
            answered.add(answer.call_id.removeprefix("r-"))


def register_at_rate(client: Client, users: Sequence[str], rate: int, answered: set[str]) -> None:
    """Send one REGISTER for each user, `rate` a second; puts those that got a 200 into `answered`.

    Returns with the last one sent and its answer not waited for.
    """
    began = time.monotonic()
    for number, user in enumerate(users):
        _take(client, answered, began + number / rate)
        aor = f"{user}@{DOMAIN}"
        client.send(client.request("REGISTER", _URI, aor, call_id=f"r-{user}", contact=contact_of(user)))


def take_until(client: Client, answered: set[str], count: int) -> None:
    """Wait until so many users got a 200."""
    give_up = time.monotonic() + PATIENCE_S
    while len(answered) < count and time.monotonic() < give_up:
        _take(client, answered, time.monotonic() + 0.05)


def take_what_came(client: Client, answered: set[str]) -> None:
    """Collect the answers that had reached the socket."""
    _take(client, answered, time.monotonic() + 0.2)


def registered(client: Client, users: Sequence[str]) -> set[str]:
    """Those of the users whose binding the server names when asked (RFC 3261 10.2.3)."""
    give_up = time.monotonic() + PATIENCE_S
    unanswered = set(users)
    found: set[str] = set()
    while unanswered and time.monotonic() < give_up:
        # A few at a time, so that no question is lost in a full socket.
        asked = set(sorted(unanswered)[:50])
        for user in asked:
            client.send(client.request("REGISTER", _URI, f"{user}@{DOMAIN}", call_id=f"q-{user}"))
        wait_until = time.monotonic() + 0.5
        while asked & unanswered and (data := client.receive(wait_until - time.monotonic())):
            answer = read_answer(data)
            user = answer.call_id.removeprefix("q-") if answer else ""
            if answer is None or answer.status != 200 or user not in unanswered:
                continue
            unanswered.discard(user)
            if any(contact_of(user) in value for value in answer.headers.get("contact", [])):
                found.add(user)
    return found


def prove(
    client: Client, user: str, password: str, domain: str = DOMAIN, within_s: float = PATIENCE_S
) -> int:
    """The final status of a REGISTER that shows this password when it is asked for; 0: silence."""
    uri, aor = f"sip:{domain}", f"{user}@{domain}"
    call_id = f"proof-{next(_NUMBERS)}@{client.local}"
    contact = f"sip:{user}@{client.local}"
    client.send(client.request("REGISTER", uri, aor, call_id=call_id, contact=contact))
    challenge = client.final(call_id, within_s)
    if challenge is None or challenge.status != 401:
        return challenge.status if challenge else 0
    value = challenge.headers["www-authenticate"][0]
    proof = credentials(value, "REGISTER", uri, user, password)
    text = client.request("REGISTER", uri, aor, call_id=call_id, cseq=2, contact=contact)
    client.send(text.replace("\r\n\r\n", f"\r\nAuthorization: {proof}\r\n\r\n"))
    answer = client.final(call_id, within_s)
    return answer.status if answer else 0
