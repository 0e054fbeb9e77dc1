"""TLS as the agents speak it: whom they believe, and what they show."""

import ssl
from typing import Final

from certificates import Authority, Issued

#: Where everybody in these tests is.
ADDRESSES: Final = ("127.0.0.1", "::1")


def issue(authority: Authority, name: str) -> Issued:
    """A certificate for this host, in files called `name`, which replace earlier ones."""
    return authority.issue(name, addresses=ADDRESSES, to=name)


def trusting(authority: Authority) -> ssl.SSLContext:
    """For a client that believes this authority, and it alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.path)
    return context


def serving(authority: Authority, name: str) -> ssl.SSLContext:
    """For a listener of our own, with a new certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issue(authority, name))
    return context
