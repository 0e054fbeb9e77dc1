"""What a key of the configuration file may have for its value.

A description is the sentence that an operator reads after "allowed" when the value is wrong.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from oneproxy.site import routing_texts, texts

MAX_SECONDS: Final = 2**32 - 1  # RFC 3261 20.19: delta-seconds up to 2**32 - 1


def whole(least: int, most: int, what: str = "a whole number") -> Any:
    """A number in these bounds, and the words that say so."""
    return Field(ge=least, le=most, description=f"{what} from {least} to {most}")


Name = Annotated[
    str, AfterValidator(texts.name), Field(description='letters, digits, ".", "_" and "-", at most 63')
]
Address = Annotated[
    str,
    AfterValidator(texts.address),
    Field(description='an IP address and a port, such as "192.0.2.1:5060" or "[2001:db8::1]:5060"'),
]
Advertise = Annotated[
    str,
    AfterValidator(texts.advertise),
    Field(description='a host name or an IP address, with ":port" where it differs'),
]
NameServer = Annotated[
    str,
    AfterValidator(texts.name_server),
    Field(description='an IP address, with ":port" where it is not 53, such as "192.0.2.53"'),
]
File = Annotated[str, AfterValidator(texts.not_empty), Field(description="the name of a file in PEM format")]
DatabaseUrl = Annotated[
    str,
    AfterValidator(texts.database_url),
    Field(description='"sqlite:///" and a file, or "postgresql://user:password@host/database"'),
]
Host = Annotated[
    str,
    AfterValidator(texts.host),
    Field(description='a host name such as "example.com", or an IP address'),
]
Aor = Annotated[
    str,
    AfterValidator(texts.aor),
    Field(description='a user and a served domain, such as "alice@example.com"'),
]
Network = Annotated[
    str,
    AfterValidator(texts.network),
    Field(description='an IP network such as "10.0.0.0/8", without host bits, or one IP address'),
]
EachHost = Annotated[
    str,
    AfterValidator(texts.or_each(texts.host)),
    Field(description='a served domain such as "example.com", or "*" for each one by itself'),
]
EachNetwork = Annotated[
    str,
    AfterValidator(texts.or_each(texts.network)),
    Field(
        description='an IP network such as "10.0.0.0/8", without host bits, one IP address, '
        'or "*" for each address by itself'
    ),
]
EachName = Annotated[
    str,
    AfterValidator(texts.or_each(texts.name)),
    Field(description='the name of a provider such as "carrier-a", or "*" for each one by itself'),
]
EachAor = Annotated[
    str,
    AfterValidator(texts.or_each(texts.aor)),
    Field(description='a user and a domain, such as "alice@example.com", or "*" for each caller by itself'),
]
SipUri = Annotated[
    str,
    AfterValidator(texts.sip_uri),
    Field(description='a SIP URI such as "sip:198.51.100.10:5060"'),
]
Prefix = Annotated[
    str,
    AfterValidator(routing_texts.prefix),
    Field(
        description='the beginning of a number or user, up to 64 characters without spaces, such as "+351"'
    ),
]
Digits = Annotated[
    str,
    AfterValidator(routing_texts.prepended),
    Field(description='what a number may begin with, up to 64 ASCII characters, such as "00"'),
]
Pattern = Annotated[
    str,
    AfterValidator(routing_texts.pattern),
    Field(
        description="a regular expression that cannot take long: characters, ., \\d, [0-9], groups, choices, "
        "and repetitions that are not in one another"
    ),
]
Replacement = Annotated[
    str,
    AfterValidator(routing_texts.replacement),
    Field(description="up to 64 characters of a number, with \\1 to \\9 for groups of the pattern"),
]
CountryName = Annotated[
    str,
    AfterValidator(routing_texts.country),
    Field(description='two capitals of ISO 3166, such as "PT"'),
]
Caller = Annotated[
    str,
    AfterValidator(routing_texts.caller),
    Field(description='a user and a domain, "*@example.com" for all of it, or "+3512*" for numbers'),
]
Time = Annotated[
    str,
    AfterValidator(routing_texts.time),
    Field(description='days, hours or both, such as "Mon-Fri 08:00-18:00"'),
]
TimeZone = Annotated[
    str,
    AfterValidator(routing_texts.time_zone),
    Field(description='the name of a time zone, such as "Europe/Lisbon"'),
]
HeaderLine = Annotated[
    str,
    AfterValidator(routing_texts.header_line),
    Field(
        description='a header line such as "X-Account: {caller}", not one that the proxy or a dialog needs; '
        "in braces called, calling, domain, caller, source, gateway"
    ),
]
HeaderName = Annotated[
    str,
    AfterValidator(routing_texts.header_name),
    Field(description='the full name of a header field such as "X-Account", not of one that dialogs need'),
]
Side = Annotated[
    str,
    AfterValidator(routing_texts.side),
    Field(description='a provider, or a provider and its gateway: "carrier-a", "carrier-a/a1"'),
]


def _session_expires(seconds: int) -> int:
    """RFC 4028 4: no session is shorter than 90 s."""
    if 0 < seconds < 90 or not 0 <= seconds <= 86_400:
        raise ValueError("not a session interval")
    return seconds


SessionExpires = Annotated[
    int,
    AfterValidator(_session_expires),
    Field(description="seconds, 90 to 86400, or 0 for no timers"),
]
NotEmpty = Annotated[str, AfterValidator(texts.not_empty), Field(description="a text that is not empty")]
Username = Annotated[
    str,
    AfterValidator(texts.username),
    Field(description="a text that is not empty, without controls and line ends"),
]
FarmKey = Annotated[
    str,
    AfterValidator(texts.farm_key),
    Field(description="a secret of 8 characters or more, the same on every machine of the farm"),
]
Method = Annotated[
    str, AfterValidator(texts.method), Field(description='a SIP method in capitals, such as "INVITE"')
]
Algorithm = Annotated[
    Literal["SHA-256", "SHA-512-256", "MD5"], Field(description='"SHA-256", "SHA-512-256" or "MD5"')
]
Ha1 = Annotated[str, AfterValidator(texts.ha1), Field(description="32 or 64 hexadecimal digits")]
Alias = Annotated[
    str,
    AfterValidator(texts.alias),
    Field(description='a user such as "info" or "+351211234567", without a domain'),
]
Dialled = Annotated[
    str,
    AfterValidator(texts.dialled),
    Field(description='a number as it is dialled, such as "112", up to 32 digits'),
]
Namespace = Annotated[
    str,
    AfterValidator(texts.namespace),
    Field(description='a namespace of Resource-Priority (RFC 4412) without its values, such as "ets"'),
]
Usable = Annotated[
    str,
    AfterValidator(texts.usable),
    Field(description='a user and a domain, such as "sales@example.com", or "*@example.com" for all of it'),
]
RouteUri = Annotated[
    str,
    AfterValidator(texts.sip_uri),
    Field(description='a SIP URI of a proxy, such as "sip:edge.example.com;lr"'),
]
ClientName = Annotated[
    str,
    AfterValidator(texts.client),
    Field(description='a name in a TLS client certificate, such as "gw.example.com"'),
]
Codes = Annotated[
    list[Annotated[int, whole(300, 699)]],
    Field(description="a list of statuses from 300 to 699, such as [403, 503]"),
]
Flag = Annotated[bool, Field(description="true or false")]
Methods = Annotated[
    list[Method], Field(description='a list of SIP methods, such as ["REGISTER", "INVITE"], or [] for none')
]
