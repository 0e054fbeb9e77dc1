"""Why a request is refused: stable codes, of counters and logs. Peers are told none of them."""

from typing import Final

ADDRESS_DENIED: Final = "address-denied"
#: A source, or an account that asks for too much.
BANNED: Final = "banned"
FLOOD: Final = "flood"
#: A right or wrong password, from where none was proved lately while somebody guesses.
ACCOUNT_CLOSED: Final = "account-closed"

NO_CREDENTIALS: Final = "no-credentials"
OTHER_REALM: Final = "other-realm"
MALFORMED_CREDENTIALS: Final = "malformed-credentials"
OTHER_ALGORITHM: Final = "other-algorithm"
UNKNOWN_USER: Final = "unknown-user"
WRONG_PASSWORD: Final = "wrong-password"
STALE: Final = "stale"
REPLAYED: Final = "replayed"
#: Proved, but not that this From or To is theirs to use.
OTHER_USER: Final = "other-user"
BAD_FROM: Final = "bad-from"

#: What is in order with every phone: counted, and not logged.
ORDINARY: Final = frozenset((NO_CREDENTIALS, STALE))
