"""Who calls whom, as limits count it: the caller who is believed to be that, and the domains of both."""

from oneproxy.engine.decisions import Ask
from oneproxy.policy.domains import Domains
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import escape_user, parse_uri
from oneproxy.trunks.identity import find_identity

_NOBODY = ("", "")


class Parties:
    """Reads them from a request that access control has let in."""

    __slots__ = ("_domains",)

    def __init__(self, domains: Domains) -> None:
        self._domains = domains

    def caller(self, ask: Ask) -> tuple[str, str]:
        """The AoR of the caller, of a tel URI his number, and the served domain that he is of; "" for none.

        Who has proved a password is that account, whoever From says. A trusted source is believed who
        it says calls. Else From counts where the domain that it names asks nobody for a password: in
        any other case anybody could use up the limit of whom he likes.
        """
        proved = ask.subscriber
        if proved is not None:
            return proved, proved.rpartition("@")[2]
        if ask.trusted:
            return self._told(ask)
        uri = address_uri(ask.request, "from")
        claimed = None if uri is None or uri.user is None else self._domains.claimed(uri)
        if claimed is None or "INVITE" in claimed[0].authenticate:
            return _NOBODY
        return claimed[1], claimed[0].name

    def called(self, ask: Ask) -> str:
        """The served domain of whom a call is for; "" for none."""
        found = self._domains.find(ask.uri)
        return "" if found is None else found[0].name

    def _told(self, ask: Ask) -> tuple[str, str]:
        """Who a trusted source says it is, by P-Asserted-Identity or From (RFC 3325)."""
        identity = find_identity(ask.request, believed=True)
        if identity is None:
            return _NOBODY
        if not identity.host:
            return escape_user(identity.user), ""
        aor = f"{escape_user(identity.user)}@{identity.host}"
        uri = parse_uri(f"sip:{aor}")
        claimed = None if isinstance(uri, Malformed) else self._domains.claimed(uri)
        return (aor, "") if claimed is None else (claimed[1], claimed[0].name)
