"""Whatever name servers say, a search ends within bounds, with whole hops that we can reach."""

from ipaddress import ip_address
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from oneproxy.engine.flow import Hop
from oneproxy.transport.dns import MAX_HOSTS, Answer, Naptr, Question, Srv, locate

NUMBERS = st.integers(0, 65_535)
HOSTS = st.sampled_from(
    ["h.test", "a.test", "b.test", "", "..", "192.0.2.7", "x" * 64, "2001:db8::7", "ü.test"]
)
SERVICES = st.sampled_from(["SIP+D2U", "SIP+D2T", "SIPS+D2T", "SIP+D2W", "SIPS+D2W", "E2U+SIP", ""])
SERVERS = st.builds(Srv, st.integers(0, 2), NUMBERS, NUMBERS, HOSTS | st.text(max_size=5))
NAPTRS = st.builds(
    Naptr,
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(["s", "a", "u", ""]),
    SERVICES,
    st.sampled_from(["", "!x!y!"]),
    HOSTS.map("_sip._udp.{}".format) | HOSTS,
)
ADDRESSES = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
ANSWERS = st.builds(
    Answer,
    st.lists(ADDRESSES, max_size=20).map(tuple),
    st.lists(SERVERS, max_size=20).map(tuple),
    st.lists(NAPTRS, max_size=5).map(tuple),
    st.booleans(),
)
HOPS = st.tuples(
    st.sampled_from(["", "SIPS", "UDP", "TCP", "TLS", "WS", "WSS"]), HOSTS | st.text(max_size=8), NUMBERS
)
ABLE = st.sets(
    st.tuples(st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS"]), st.sampled_from([4, 6])), max_size=10
)


@given(hop=HOPS, able=ABLE, seed=st.integers(0, 100), data=st.data())
def test_a_search_ends_with_whole_hops_that_can_be_reached(
    hop: Hop, able: set[tuple[str, int]], seed: int, data: st.DataObject
) -> None:
    asked: list[Question] = []
    search = locate(hop, lambda transport, version: (transport, version) in able, Random(seed))
    try:
        questions = next(search)
        while True:
            asked += questions
            questions = search.send(tuple(data.draw(ANSWERS) for _ in questions))
    except StopIteration as end:
        hops: list[Hop] = end.value
    # NAPTR, the services that it names or our own, and both families of the hosts.
    assert len(asked) <= 1 + 5 + 2 * MAX_HOSTS
    assert len(asked) == len(set(asked))
    assert len(hops) == len(set(hops))
    for transport, host, port in hops:
        assert 0 < port < 65_536
        assert (transport, ip_address(host).version) in able
        if hop[0] == "SIPS":
            assert transport in ("TLS", "WSS")
        elif hop[0]:
            assert transport == hop[0]
