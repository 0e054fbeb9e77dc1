"""Who guesses tokens of the HTTP API, and who is not kept from it by that."""

from structlog.testing import capture_logs

from office import TOKENS, Api, MemoryDesk, play, problem_in, tokens
from oneproxy.admin.guesses import CAPACITY, WINDOW_S, WRONG, Guesses
from oneproxy.admin.tokens import Tokens

READER, WRITER = TOKENS["reader"], TOKENS["writer"]


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def status(api: Api, token: str) -> int:
    return (await api.ask("GET", "/v1/health", token=token)).status_code


def test_an_address_that_guesses_is_not_listened_to_for_a_while() -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        time = Time()
        api.app.state.tokens = Tokens(tokens(), Guesses(time))
        assert [await status(api, f"guess-{number}") for number in range(WRONG)] == [401] * WRONG
        with capture_logs() as logged:
            refused = await api.ask("GET", "/v1/health", token="guess")
        assert problem_in(refused) == (429, "guessed")
        assert refused.headers["retry-after"] == "60"
        assert [one["event"] for one in logged] in (["tokens guessed"], [])
        # The right one tells a guesser nothing.
        assert [await status(api, READER), await status(api, WRITER)] == [429, 429]
        # What needs no token, and what comes without one, is answered as ever.
        assert (await api.ask("GET", "/livez", token="")).status_code == 200
        assert await status(api, "") == 401
        time.now += 2 * WINDOW_S
        assert await status(api, READER) == 200

    play(scene)


def test_right_tokens_from_other_addresses_and_those_known_from_this_one_are_good() -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        assert await status(api, READER) == 200
        for _ in range(3 * WRONG):
            await status(api, "guess")
        assert [await status(api, READER), await status(api, WRITER)] == [200, 429]
        api.come_from("192.0.2.6")
        assert [await status(api, READER), await status(api, WRITER)] == [200, 200]

    play(scene)


def test_a_network_of_ipv6_is_one_address() -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        for number in range(WRONG):
            api.come_from(f"2001:db8::{number:x}")
            assert await status(api, "guess") == 401
        api.come_from("2001:db8::ffff")
        assert await status(api, READER) == 429
        api.come_from("2001:db8:0:1::1")
        assert await status(api, READER) == 200

    play(scene)


def test_the_memory_of_guesses_is_bounded() -> None:
    guesses = Guesses(Time())
    for number in range(CAPACITY + 10):
        guesses.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        guesses.right(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "a")
    assert len(guesses._wrong) <= CAPACITY
    assert len(guesses._proved) == CAPACITY
