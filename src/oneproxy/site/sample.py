"""What OneProxy runs with when nobody gave it a file: one address, one domain, two accounts."""

from typing import Final

from oneproxy.site.model import Configuration, Domain, Listen, Machine, Site, Subscriber
from oneproxy.site.password import HASHES, hash_password

HOST: Final = "127.0.0.1"
PORT: Final = 5060
PASSWORD: Final = "secret"
AORS: Final = (f"alice@{HOST}", f"bob@{HOST}")
DATABASE: Final = "sqlite:///oneproxy.db"


def sample() -> Configuration:
    """A configuration for a first call; it is reached from this machine only."""
    domain = Domain(name=HOST)
    return Configuration(
        machine=Machine(
            name="oneproxy",
            listen=(Listen(transport="udp", host=HOST, port=PORT),),
            proxy_database=DATABASE,
            system_database=DATABASE,
        ),
        site=Site(
            domains={domain.name: domain},
            subscribers={aor: Subscriber(aor=aor, ha1=hash_password(aor, PASSWORD, HASHES)) for aor in AORS},
        ),
    )
