"""Following a 3xx where policy lets it be followed (RFC 3261 16.7 step 4)."""

from oneproxy.engine.decisions import BEST, Ask, Decision, Forward, Target
from world import Peer, World, request, response


def redirect(peer: Peer, *contacts: str, status: int = 302) -> None:
    """Answer the INVITE that the peer has got with a 3xx."""
    lines = [f"Contact: {contact}" for contact in contacts]
    peer.send(response(peer.take_request("INVITE"), status, *lines, to_tag="x"))
    peer.take_request("ACK")


def called(recurse: int = 1, *uris: str) -> World:
    world = World(Forward([Target(uri) for uri in uris or ("sip:bob@192.0.2.20",)], recurse=recurse))
    world.peer("192.0.2.10").send(request("INVITE"))
    return world


def test_a_302_that_is_not_followed_goes_back_and_policy_sees_it() -> None:
    seen: list[str | None] = []

    def look(ask: Ask) -> Decision:
        assert ask.outcomes[0].response is not None
        seen.append(ask.outcomes[0].response.get("contact"))
        return BEST

    world = World(Forward([Target("sip:bob@192.0.2.20")]), look)
    world.peer("192.0.2.10").send(request("INVITE"))
    redirect(world.peer("192.0.2.20"), "<sip:bob@192.0.2.30>")
    assert world.peer("192.0.2.10").take_response(302).get("contact") == "<sip:bob@192.0.2.30>"
    assert seen == ["<sip:bob@192.0.2.30>"]


def test_a_302_is_followed_to_its_contacts_the_best_first() -> None:
    world = called()
    given: list[list[str]] = []

    def targets(uris: list[str]) -> list[Target]:
        given.append(uris)
        return [Target(uri) for uri in uris]

    world.redirects = targets
    redirect(
        world.peer("192.0.2.20"),
        "<sip:bob@192.0.2.31>;q=0.2, <sip:bob@192.0.2.30>",
        "<sip:bob@192.0.2.32>;q=0.7",
    )
    assert given == [["sip:bob@192.0.2.30", "sip:bob@192.0.2.32", "sip:bob@192.0.2.31"]]
    for host in ("192.0.2.30", "192.0.2.31", "192.0.2.32"):
        world.peer(host).take_request("INVITE")
    assert world.peer("192.0.2.10").has_nothing


def test_only_as_many_rounds_are_followed_as_policy_says() -> None:
    world = called(2)
    redirect(world.peer("192.0.2.20"), "<sip:bob@192.0.2.30>")
    redirect(world.peer("192.0.2.30"), "<sip:bob@192.0.2.31>")
    redirect(world.peer("192.0.2.31"), "<sip:bob@192.0.2.32>")
    assert world.peer("192.0.2.32").has_nothing
    assert world.peer("192.0.2.10").take_response(302).get("contact") == "<sip:bob@192.0.2.32>"


def test_nobody_is_tried_twice() -> None:
    world = called(5)
    redirect(world.peer("192.0.2.20"), "<sip:bob@192.0.2.30>", "<sip:bob@192.0.2.20>")
    redirect(world.peer("192.0.2.30"), "<sip:bob@192.0.2.20>", "<sip:bob@192.0.2.30>")
    assert world.peer("192.0.2.20").has_nothing
    world.peer("192.0.2.10").take_response(302)


def test_policy_may_refuse_every_contact() -> None:
    world = called()
    world.redirects = lambda _: []
    redirect(world.peer("192.0.2.20"), "<sip:bob@192.0.2.30>")
    world.peer("192.0.2.10").take_response(302)


def test_contacts_that_cannot_be_read_are_passed_over() -> None:
    world = called()
    redirect(world.peer("192.0.2.20"), "<sip:bob@", "<sip:bob@192.0.2.30>;q=2", "")
    world.peer("192.0.2.30").take_request("INVITE")


def test_after_the_caller_gave_up_no_302_is_followed() -> None:
    world = called()
    callee = world.peer("192.0.2.20")
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="x"))
    world.peer("192.0.2.10").send(request("CANCEL"))
    callee.send(response(invite, 302, "Contact: <sip:bob@192.0.2.30>", to_tag="x"))
    assert world.peer("192.0.2.30").has_nothing


def test_the_other_branches_ring_on_while_one_is_redirected() -> None:
    world = called(1, "sip:bob@192.0.2.20", "sip:bob@192.0.2.21")
    redirect(world.peer("192.0.2.20"), "<sip:bob@192.0.2.30>")
    other = world.peer("192.0.2.21")
    other.send(response(other.take_request("INVITE"), 200, to_tag="b"))
    world.peer("192.0.2.10").take_response(200)
    # RFC 3261 9.1: no CANCEL before a provisional response.
    third = world.peer("192.0.2.30")
    third.send(response(third.take_request("INVITE"), 180, to_tag="c"))
    third.take_request("CANCEL")


def test_a_redirect_to_a_number_alone_is_for_policy_to_place() -> None:
    def decide(ask: Ask) -> Decision:
        return Forward([Target("sip:bob@192.0.2.20")], recurse=1)

    world = World(decide)
    world.redirects = lambda uris: [Target(f"sip:{uris[0].partition(':')[2]}@192.0.2.40")]
    world.peer("192.0.2.10").send(request("INVITE"))
    redirect(world.peer("192.0.2.20"), "<tel:+351123>")
    assert world.peer("192.0.2.40").take_request("INVITE").uri == "sip:+351123@192.0.2.40"


def test_two_users_whose_phones_name_each_other_are_not_rung_in_turn() -> None:
    """Policy turns the names of users into their contacts, which may have been tried."""
    world = called(5)
    contacts = {"sip:alice@example.com": "sip:alice@192.0.2.30", "sip:bob@example.com": "sip:bob@192.0.2.20"}
    world.redirects = lambda uris: [Target(contacts[uri]) for uri in uris]
    redirect(world.peer("192.0.2.20"), "<sip:alice@example.com>")
    redirect(world.peer("192.0.2.30"), "<sip:bob@example.com>")
    assert world.peer("192.0.2.20").has_nothing
    assert world.peer("192.0.2.10").take_response(302).get("contact") == "<sip:bob@example.com>"
