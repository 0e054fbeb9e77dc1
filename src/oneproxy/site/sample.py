"""What OneProxy runs with when nobody gave it a file: one address, one domain, two accounts."""

from typing import Final

from oneproxy.site.entries import make_entries, to_site
from oneproxy.site.model import Configuration, Listen, Machine
from oneproxy.site.password import HASHES, hash_password

HOST: Final = "127.0.0.1"
PORT: Final = 5060
PASSWORD: Final = "secret"
AORS: Final = (f"alice@{HOST}", f"bob@{HOST}")
DATABASE: Final = "sqlite:///oneproxy.db"


def sample() -> Configuration:
    """A configuration for a first call; it is reached from this machine only."""
    accounts = [{"aor": aor, "ha1": hash_password(aor, PASSWORD, HASHES)} for aor in AORS]
    entries = make_entries([("domain", {"name": HOST}), *(("subscriber", one) for one in accounts)])
    machine = Machine(
        name="oneproxy",
        listen=(Listen(transport="udp", host=HOST, port=PORT),),
        proxy_database=DATABASE,
        system_database=DATABASE,
    )
    return Configuration(machine, to_site(entries), entries)
