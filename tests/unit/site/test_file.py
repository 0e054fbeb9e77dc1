"""Reading a configuration file: what comes out of a good one, and every mistake of a bad one."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from oneproxy.site import schema
from oneproxy.site.export import to_toml
from oneproxy.site.file import read, read_text
from oneproxy.site.model import (
    Admin,
    Cdr,
    Configuration,
    Congestion,
    Domain,
    Format,
    Gateway,
    Listen,
    Machine,
    Provider,
    Registration,
    Rewrite,
    Route,
    Rule,
    Site,
)

SMALLEST = """\
[[listen]]
transport = "udp"
address = "127.0.0.1:5060"
[[domain]]
name = "example.com"
"""

WHOLE = """\
[node]
name = "edge-1"
processes = 1
[[listen]]
transport = "udp"
address = "0.0.0.0:5060"
advertise = "sip.example.com"
[[listen]]
transport = "udp"
address = "[2001:db8::1]:5062"
advertise = "203.0.113.5:5070"
[[listen]]
transport = "tcp"
address = "0.0.0.0:5060"
[[listen]]
transport = "ws"
address = "0.0.0.0:8080"
[database]
proxy = "postgresql://bench:bench@127.0.0.1/oneproxy"
system = "sqlite:///system.db"
keep_versions = 7
[capacity]
calls = 1000
registrations = 5000
connections = 3000
connections_per_source = 0
[dns]
servers = ["192.0.2.53", "127.0.0.1:5353", "2001:db8::53", "[::1]:5353"]
[admin]
address = "127.0.0.1:8080"
[farm]
address = "10.0.0.1:5070"
key = "correct horse"
peers = ["10.0.0.2:5070"]
[[domain]]
name = "Example.COM"
authenticate = ["REGISTER", "INVITE"]
algorithms = ["SHA-256", "MD5"]
min_expires_s = 60
max_expires_s = 3600
max_contacts = 10
redirect = false
[[subscriber]]
aor = "alice@EXAMPLE.com"
password = "secret"
[[access]]
source = "10.0.0.0/8"
action = "trust"
methods = ["INVITE"]
[[provider]]
name = "carrier-a"
fallback = "carrier-b"
[[provider.gateway]]
name = "a1"
uri = "sip:198.51.100.10:5060"
max_calls = 30
weight = 1
probe_every_s = 30
register = { aor = "sip:me@carrier", username = "me", password = "x", expires_s = 600 }
[[provider]]
name = "carrier-b"
[[route]]
prefix = "+351"
provider = "carrier-a"
strip = 1
prepend = "00"
[[route]]
prefix = "9"
redirect = "sip:9@198.51.100.10"
[congestion]
calls = 50
period_s = 1
max_calls = 1000
retry_after_s = [5, 15]
priority = ["ETS", "q735"]
max_wait_ms = 30
[cdr]
enabled = true
keep_days = 90
journal_mb = 512
when_full = "refuse-calls"
"""


def mistakes(text: str) -> list[str]:
    found = read_text(text)
    assert isinstance(found, list), "there should have been a mistake"
    return [mistake.text("f") for mistake in found]


def configuration(text: str) -> Configuration:
    found = read_text(text)
    assert isinstance(found, Configuration), found
    return found


def test_the_smallest_file_takes_every_default() -> None:
    assert configuration(SMALLEST) == Configuration(
        machine=Machine(
            name="oneproxy",
            listen=(Listen("udp", "127.0.0.1", 5060),),
            proxy_database="sqlite:///oneproxy.db",
            system_database="sqlite:///oneproxy.db",
        ),
        site=Site(domains={"example.com": Domain("example.com")}, subscribers={}),
        entries={("domain", "example.com"): '{"name":"example.com"}'},
    )


def test_a_file_with_every_key_is_read_and_its_idle_sections_are_named() -> None:
    found = configuration(WHOLE)
    assert found.machine == Machine(
        name="edge-1",
        listen=(
            Listen("udp", "0.0.0.0", 5060, "sip.example.com"),
            Listen("udp", "2001:db8::1", 5062, "203.0.113.5", 5070),
            Listen("tcp", "0.0.0.0", 5060),
            Listen("ws", "0.0.0.0", 8080),
        ),
        proxy_database="postgresql://bench:bench@127.0.0.1/oneproxy",
        system_database="sqlite:///system.db",
        keep_versions=7,
        calls=1000,
        registrations=5000,
        farm_key="correct horse",
        connections=3000,
        connections_per_source=0,
        dns_servers=("192.0.2.53:53", "127.0.0.1:5353", "[2001:db8::53]:53", "[::1]:5353"),
        admin=Admin("127.0.0.1", 8080),
    )
    assert found.site.access == (Rule("10.0.0.0/8", "", "trust", ("INVITE",)),)
    assert found.site.domains == {"example.com": Domain("example.com", algorithms=("SHA-256", "MD5"))}
    register = Registration("sip:me@carrier", "me", "x", 600)
    a1 = Gateway("a1", "sip:198.51.100.10:5060", max_calls=30, probe_every_s=30, register=register)
    assert found.site.providers == {
        "carrier-a": Provider("carrier-a", "carrier-b", (a1,)),
        "carrier-b": Provider("carrier-b"),
    }
    assert found.site.congestion == Congestion(
        calls=50, max_calls=1000, priority=("ets", "q735"), max_wait_ms=30
    )
    assert found.site.cdr == Cdr(True, 90, 512, "refuse-calls")
    assert found.site.idle_sections == (
        "farm.address",
        "farm.peers",
    )


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (schema.Provider, Provider),
        (schema.Gateway, Gateway),
        (schema.Registration, Registration),
        (schema.Rewrite, Rewrite),
        (schema.Format, Format),
        (schema.Route, Route),
    ],
)
def test_what_the_file_leaves_out_is_the_same_for_a_node(
    table: type[schema.Table], part: type[msgspec.Struct]
) -> None:
    written = {
        field.alias or name: field.get_default(call_default_factory=True) or None
        for name, field in table.model_fields.items()
        if not field.is_required()
    }
    read = {
        field.name: None if field.default == Rewrite() else field.default or None
        for field in msgspec.structs.fields(part)
        if not field.required
    }
    assert written == read


def test_every_key_of_a_provider_reaches_a_node() -> None:
    text = """
[[provider]]
name = "a"
choice = "weight"
max_calls = 100
try_for_ms = 2500
failed_codes = [403]
next_codes = [404, 484]
final_codes = [500]
eject_after = 3
eject_below_percent = 20
eject_s = 10
max_eject_s = 100
panic_percent = 50
canary_calls = 3
canary_every_s = 2
probes_down = 4
probes_up = 1
max_retry_after_s = 30
[[provider.gateway]]
name = "a1"
uri = "sip:198.51.100.10"
sources = ["198.51.100.0/28"]
max_calls = 20
max_calls_per_s = 10
weight = 0
drain = true
probe_every_s = 15
register = { aor = "sip:me@carrier", username = "me", password = "x", expires_s = 300, required = true }
format = { form = "digits" }
"""
    gateway = Gateway(
        "a1",
        "sip:198.51.100.10",
        sources=("198.51.100.0/28",),
        format=Format("digits"),
        max_calls=20,
        max_calls_per_s=10,
        weight=0,
        drain=True,
        probe_every_s=15,
        register=Registration("sip:me@carrier", "me", "x", 300, True),
    )
    found = configuration(SMALLEST + text)
    assert found.site.providers["a"] == Provider(
        "a",
        gateway=(gateway,),
        choice="weight",
        max_calls=100,
        try_for_ms=2500,
        failed_codes=(403,),
        next_codes=(404, 484),
        final_codes=(500,),
        eject_after=3,
        eject_below_percent=20,
        eject_s=10,
        max_eject_s=100,
        panic_percent=50,
        canary_calls=3,
        canary_every_s=2,
        probes_down=4,
        probes_up=1,
        max_retry_after_s=30,
    )
    again = read_text("\n".join(to_toml(found.entries)), machine=False)
    assert isinstance(again, Configuration)
    assert again.site.providers == found.site.providers


def test_the_password_of_a_gateway_is_in_no_text_of_the_site() -> None:
    found = configuration(WHOLE.replace('password = "x"', 'password = "hunter2"'))
    assert found.site.providers["carrier-a"].gateway[0].register is not None
    assert "hunter2" not in repr(found.site)


def test_of_a_password_only_the_hashes_are_left_by_every_algorithm() -> None:
    text = SMALLEST + 'algorithms = ["MD5"]\n[[subscriber]]\naor = "bob@example.com"\npassword = "zanzibar"\n'
    found = configuration(text)
    expected = hashlib.md5(b"bob:example.com:zanzibar").hexdigest()
    ha1 = found.site.subscribers["bob@example.com"].ha1
    assert (ha1["MD5"], set(ha1)) == (expected, {"MD5", "SHA-256", "SHA-512-256"})
    assert "zanzibar" not in repr(found)


def test_a_user_beyond_ascii_is_hashed_as_utf_8() -> None:
    text = SMALLEST + 'algorithms = ["MD5"]\n[[subscriber]]\naor = "josé@example.com"\npassword = "çã"\n'
    expected = hashlib.md5("josé:example.com:çã".encode()).hexdigest()
    assert configuration(text).site.subscribers["josé@example.com"].ha1["MD5"] == expected


def test_an_empty_file_lacks_an_address() -> None:
    assert mistakes("") == ["f:1: listen: found no [[listen]]; allowed at least one [[listen]] table"]


def test_a_file_that_says_anything_of_the_site_lacks_a_domain() -> None:
    assert mistakes("[flood]\n") == [
        "f:1: domain: found no [[domain]]; allowed at least one [[domain]] table",
        "f:1: listen: found no [[listen]]; allowed at least one [[listen]] table",
    ]


def test_a_file_without_a_site_has_no_entries() -> None:
    found = configuration('[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5060"\n')
    assert (found.entries, found.site) == ({}, Site({}, {}))


def test_one_source_in_two_spellings_is_one() -> None:
    text = '[[access]]\nsource = "2001:DB8::1"\naction = "deny"\n[[access]]\nsource = "2001:db8::1/128"\naction = "allow"\n'
    assert mistakes(SMALLEST + text) == [
        'f:10: access[2].source: found "2001:db8::1/128" again; allowed one rule; it stands in access[1]'
    ]


def test_every_mistake_of_a_file_is_named_with_its_line() -> None:
    text = """\
[node]
procesess = 2
[[listen]]
transport = "udp"
address = "127.0.0.1:99999"
[[listen]]
transport = "sctp"
[[domain]]
name = "example.com"
min_expires_s = 7200
algorithms = ["SHA-1"]
[[subscriber]]
aor = "alice@nowhere.com"
pasword = "hunter2"
[acess]
"""
    assert mistakes(text) == [
        "f:2: node.procesess: found an unknown key; allowed name, processes; did you mean processes?",
        'f:5: listen[1].address: found "127.0.0.1:99999"; allowed an IP address and a port, '
        'such as "192.0.2.1:5060" or "[2001:db8::1]:5060"',
        "f:6: listen[2].address: found nothing; allowed an IP address and a port, "
        'such as "192.0.2.1:5060" or "[2001:db8::1]:5060"',
        'f:7: listen[2].transport: found "sctp"; allowed "udp", "tcp", "tls", "ws" or "wss"',
        "f:10: domain[1].min_expires_s: found 7200; allowed at most max_expires_s, which is 3600",
        'f:11: domain[1].algorithms[1]: found "SHA-1"; allowed "SHA-256", "SHA-512-256" or "MD5"',
        "f:12: subscriber[1]: found neither; allowed exactly one of password, ha1",
        'f:13: subscriber[1].aor: found the domain "nowhere.com"; '
        "allowed a domain that has a [[domain]] table (example.com)",
        "f:14: subscriber[1].pasword: found an unknown key; allowed aor, password, ha1, aliases, may_use; "
        "did you mean password?",
        "f:15: acess: found an unknown section; allowed node, listen, database, capacity, dns, admin, "
        "farm, domain, subscriber, access, flood, registrar, provider, route, congestion, cdr; did you mean access?",
    ]


@pytest.mark.parametrize(
    ("added", "mistake"),
    [
        ('[[domain]]\nname = "EXAMPLE.com"', 'f:7: domain[2].name: found "example.com" again; allowed once; it stands in domain[1]'),
        (
            '[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5060"',
            'f:8: listen[2].address: found "127.0.0.1:5060" again; allowed once; it stands in listen[1]',
        ),
        (
            '[[listen]]\ntransport = "tcp"\naddress = "127.0.0.1:80"\n[[listen]]\ntransport = "ws"\naddress = "127.0.0.1:80"',
            'f:11: listen[3].address: found "127.0.0.1:80" again; allowed once; it stands in listen[2]',
        ),
        (
            '[dns]\nservers = ["127.0.0.1", "ns.example.com"]',
            'f:7: dns.servers[2]: found "ns.example.com"; allowed an IP address, with ":port" where it is not 53, such as "192.0.2.53"',
        ),
        (
            '[dns]\nservers = "127.0.0.1"',
            'f:7: dns.servers: found a string; allowed a list of up to 8 name servers, such as ["192.0.2.53", "127.0.0.1:5353"]',
        ),
        (
            "[capacity]\nconnections_per_source = -1",
            "f:7: capacity.connections_per_source: found -1; allowed a whole number from 0 to 10000000",
        ),
        (
            '[[subscriber]]\naor = "a@example.com"\npassword = "x"\n[[subscriber]]\naor = "a@example.com"\npassword = "y"',
            'f:10: subscriber[2].aor: found "a@example.com" again; allowed once; it stands in subscriber[1]',
        ),
        (
            '[[route]]\nprefix = "1"\nprovider = "x"',
            'f:8: route[1].provider: found "x"; allowed the name of a [[provider]] table (none so far)',
        ),
        ('[[route]]\nprefix = "1"', "f:6: route[1]: found no destination; allowed exactly one of provider, target, redirect, aor, domain, refuse"),
        (
            '[[route]]\nprefix = "1"\ntarget = "sip:a"\nredirect = "sip:b"',
            "f:6: route[1]: found target and redirect; allowed exactly one of provider, target, redirect, aor, domain, refuse",
        ),
        (
            '[[provider]]\nname = "a"\nfallback = "b"',
            'f:8: provider[1].fallback: found "b"; allowed the name of a [[provider]] table (a)',
        ),
        (
            '[[provider]]\nname = "a"\nfallback = "a"',
            "f:8: provider[1].fallback: found a circle of fallbacks; allowed fallbacks that end at a provider without one",
        ),
        (
            '[[provider]]\nname = "a"\n[[provider.gateway]]\nname = "g"\nuri = "sip:h"\n[[provider.gateway]]\nname = "g"\nuri = "sip:h"',
            'f:12: provider[1].gateway[2].name: found "g" again; allowed each name once within a provider',
        ),
        (
            '[[provider]]\nname = "a"\nfailed_codes = [403, 404]\nfinal_codes = [404]',
            "f:9: provider[1].final_codes[1]: found 404, which stands in failed_codes; allowed each status once in failed_codes, next_codes, final_codes",
        ),
        (
            '[[provider]]\nname = "a"\nnext_codes = [200]',
            "f:8: provider[1].next_codes[1]: found 200; allowed a whole number from 300 to 699",
        ),
        (
            '[[provider]]\nname = "a"\neject_s = 900',
            "f:8: provider[1].eject_s: found 900; allowed no more than max_eject_s: 600",
        ),
        (
            '[[provider]]\nname = "a"\nchoice = "best"',
            'f:8: provider[1].choice: found "best"; allowed "latency", "order", "weight" or "load"',
        ),
        (
            '[[access]]\nsource = "10.0.0.1/8"\naction = "deny"',
            'f:7: access[1].source: found "10.0.0.1/8"; allowed an IP network such as "10.0.0.0/8", without host bits, '
            "or one IP address",
        ),
        ('aliases = ["example.com"]', 'f:6: domain[1].aliases[1]: found "example.com", which is the name of a domain; allowed a name that no other domain has'),
        ("default_expires_s = 10", "f:6: domain[1].default_expires_s: found 10; allowed from min_expires_s to max_expires_s: 60 to 3600"),
        ('[[subscriber]]\naor = "a@example.com"\npassword = "x"\nha1 = {}', "f:6: subscriber[1]: found password and ha1; allowed exactly one of password, ha1"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { SHA-256 = "00112233445566778899aabbccddeeff" }', "f:8: subscriber[1].ha1.SHA-256: found 32 digits; allowed 64 hexadecimal digits"),
        ('[[subscriber]]\naor = "a@example.com"\npassword = "x"\naliases = ["b", "b"]', 'f:9: subscriber[1].aliases[2]: found "b", which is an alias in subscriber[1]; allowed a user that nobody else has'),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { MD5 = "0123" }', "f:8: subscriber[1].ha1.MD5: found ***; allowed 32 or 64 hexadecimal digits"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { CRC = "00112233445566778899aabbccddeeff" }', 'f:8: subscriber[1].ha1.***: found ***; allowed "SHA-256", "SHA-512-256" or "MD5"'),
        ('[[access]]\naction = "deny"', "f:6: access[1]: found neither; allowed exactly one of source, client"),
        ('[[access]]\naction = "deny"\nsource = "::1"\nclient = "gw"', "f:6: access[1]: found source and client; allowed exactly one of source, client"),
        ('[[access]]\naction = "deny"\nclient = "gw"\n[[access]]\naction = "allow"\nclient = "gw"', 'f:11: access[2].client: found "gw" again; allowed one rule; it stands in access[1]'),
        ('[flood]\nban_s = 0', "f:7: flood.ban_s: found 0; allowed seconds from 1 to 31536000"),
        ('[registrar]\nwithout_database = "panic"', 'f:7: registrar.without_database: found "panic"; allowed "refuse" or "memory"'),
        ('[[admin.token]]\nname = "a"\nsha256 = "xyz"', 'f:8: admin.token[1].sha256: found ***; allowed 64 hexadecimal digits: SHA-256 of the token'),
        ("[congestion]\nretry_after_s = [9, 5]", "f:7: congestion.retry_after_s: found [9, 5]; allowed the lower first: [5, 9]"),
        ('[congestion]\nemergency = ["112", "fire"]', 'f:7: congestion.emergency[2]: found "fire"; allowed a number as it is dialled, such as "112", up to 32 digits'),
        ('[congestion]\nemergency = ["+"]', 'f:7: congestion.emergency[1]: found "+"; allowed a number as it is dialled, such as "112", up to 32 digits'),
        ("[congestion]\nemergency = 112", 'f:7: congestion.emergency: found a number; allowed a list of numbers such as ["112", "911"], or [] for none'),
        ('[congestion]\npriority = ["ets", "wps.0"]', 'f:7: congestion.priority[2]: found "wps.0"; allowed a namespace of Resource-Priority (RFC 4412) without its values, such as "ets"'),
        ("[congestion]\nmax_wait_ms = -1", "f:7: congestion.max_wait_ms: found -1; allowed milliseconds from 0 to 10000"),
        (
            "[congestion]\nretry_after_s = [9]",
            "f:7: congestion.retry_after_s: found a list of 1; allowed two numbers of seconds, the lower first: [5, 15]",
        ),
        ('[domain]\nname = "x"', "f:6: found cannot declare ('domain',) twice, in column 8; allowed TOML 1.0"),
        ("route = 3", "f:6: domain[1].route: found an unknown key; allowed name, aliases, authenticate, algorithms, min_expires_s, max_expires_s, default_expires_s, spread_percent, max_contacts, when_full, gruu, service_route, redirect, redirect_status, follow_redirects, country"),
        ("[cdr]\nkeep_days = -1", "f:7: cdr.keep_days: found -1; allowed days from 0 to 36500"),
        ("[cdr]\njournal_mb = 8", "f:7: cdr.journal_mb: found 8; allowed MB from 16 to 1000000"),
        (
            '[cdr]\nwhen_full = "stop"',
            'f:7: cdr.when_full: found "stop"; allowed "drop-oldest" or "refuse-calls"',
        ),
        ('[cdr]\nenabled = "yes"', 'f:7: cdr.enabled: found "yes"; allowed true or false'),
        ("[capacity]\ncalls = true", "f:7: capacity.calls: found true; allowed a whole number from 1 to 10000000"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(added: str, mistake: str) -> None:
    assert mistakes(f"{SMALLEST}{added}\n") == [mistake]


@pytest.mark.parametrize(
    ("one", "other"), [("bob", "b%6Fb"), ("+351211", "+351-2.11"), ("j\u00e4n", "j%C3%A4n"), ("a%2fb", "a/b")]
)
def test_two_spellings_of_a_user_are_one_user(one: str, other: str) -> None:
    """What requests say leads to one of them; the other would lose its calls and its name."""

    def text(*users: str, aliases: tuple[str, ...] = ()) -> str:
        tables = [f'[[subscriber]]\naor = "{user}@example.com"\npassword = "x"' for user in users]
        lines = [f'aliases = ["{alias}"]' for alias in aliases]
        return "\n".join([SMALLEST, *tables, *lines])

    assert [found.partition(": found ")[2] for found in mistakes(text(one, other))] == [
        f'"{other}@example.com" again; allowed once; it stands in subscriber[1]'
    ]
    assert [found.partition(": found ")[2] for found in mistakes(text(one, "eve", aliases=(other,)))] == [
        f'"{other}", which is a subscriber; allowed a user that nobody else has'
    ]
    assert isinstance(read_text(text(one, "eve", aliases=(f"{other}1",))), Configuration)


def test_a_section_of_the_wrong_kind_is_named() -> None:
    assert mistakes('listen = "udp"\nnode = 1\n[domain]\nname = "x"\n') == [
        "f:1: listen: found a string; allowed tables that each begin with [[listen]]",
        "f:2: node: found a number; allowed a table",
        "f:3: domain: found a table; allowed tables that each begin with [[domain]]",
    ]


@pytest.mark.parametrize(
    ("added", "secret"),
    [
        ('[[subscriber]]\naor = "a@example.com"\npassword = 8675309', "8675309"),
        ('[farm]\nkey = "shortie"', "shortie"),
        ('[database]\nproxy = "mysql://root:hunter2@host/db"', "hunter2"),
        ('[database]\nproxy = ["postgresql://root:hunter2@host/db"]', "hunter2"),
        ('database = "postgresql://root:hunter2@host/db"', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\npasword = "hunter2"', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\npassword = "hunter2', "hunter2"),
        ('[[provider]]\nname = "p"\n[[provider.gateway]]\nname = "g"\nuri = "sip:h"\nregister = "me:hunter2"', "hunter2"),
        ('[[provider]]\nname = "p"\n[[provider.gateway]]\nname = "g"\nuri = "sip:me:hunter2@h h"', "hunter2"),
        ('[[route]]\nprefix = "1"\ntarget = "SIPS:me:hunter2@two@h"', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { SHA-1 = "hunter2" }', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { hunter2 = "MD5" }', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { hunter2 = { a = "MD5" } }', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { MD5 = { hunter2 = "MD5" } }', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\nha1 = { hunter2 = "MD5", hunter2 = "SHA-256" }', "hunter2"),
        ('[[subscriber]]\naor = "a@example.com"\n[subscriber.ha1]\nhunter2 = { MD5 = 1 }\n[subscriber.ha1.hunter2]', "hunter2"),
    ],
)  # fmt: skip
def test_no_mistake_shows_a_secret(added: str, secret: str) -> None:
    assert secret not in "\n".join(mistakes(f"{SMALLEST}{added}\n"))


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[node]\nname = \n", "f:2: found invalid value, in column 8; allowed TOML 1.0"),
        (
            "[node\n",
            "f:1: found expected ']' at the end of a table declaration, in column 6; allowed TOML 1.0",
        ),
        ("a = 1\na = 2\n", "f:2: found cannot overwrite a value, in column 6; allowed TOML 1.0"),
        ('a = 1\nb = """x\n', "f:2: found unterminated string, at the end of the file; allowed TOML 1.0"),
    ],
)
def test_what_is_no_toml_is_named_with_line_and_column(text: str, mistake: str) -> None:
    # The words before the place are Python's and differ between its versions.
    [found] = mistakes(text)
    assert found.split(":")[:2] == mistake.split(":")[:2]
    assert ("in column" in found) == ("in column" in mistake)
    assert found.endswith("; allowed TOML 1.0")


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    [mistake] = read(tmp_path / "none.toml")  # type: ignore[misc]
    assert mistake.text("none.toml") == (
        "none.toml: found no way to read it (no such file or directory); allowed a file that can be read"
    )


def test_octets_that_are_no_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b'[node]\nname = "caf\xe9"\n')
    [mistake] = read(file)  # type: ignore[misc]
    assert mistake.text("f") == "f:2: found the octet 0xe9; allowed text in UTF-8"


def test_a_file_is_read_as_its_text_is(tmp_path: Path) -> None:
    file = tmp_path / "oneproxy.toml"
    file.write_text(WHOLE)
    assert read(file) == read_text(WHOLE)


def listening(*places: tuple[str, str]) -> list[str]:
    """The mistakes of a file that listens there."""
    text = "".join(f'[[listen]]\ntransport = "{kind}"\naddress = "{address}"\n' for kind, address in places)
    found = read_text(text + '[[domain]]\nname = "example.com"\n', Path())
    return [mistake.text("f") for mistake in found] if isinstance(found, list) else []


def test_an_address_beside_all_addresses_is_a_mistake() -> None:
    assert listening(("udp", "0.0.0.0:5060"), ("udp", "127.0.0.1:5060")) == [
        'f:6: listen[2].address: found "127.0.0.1:5060" beside all addresses; '
        "allowed one of both; listen[1] has this port on every address"
    ]
    assert listening(("tcp", "[::1]:5060"), ("ws", "[::]:5060")) == [
        'f:3: listen[1].address: found "[::1]:5060" beside all addresses; '
        "allowed one of both; listen[2] has this port on every address"
    ]
    # Ports of UDP, and of the other family, are others.
    assert listening(("udp", "0.0.0.0:5060"), ("tcp", "127.0.0.1:5060"), ("udp", "[::1]:5060")) == []
    assert listening(("udp", "0.0.0.0:5060"), ("udp", "[::]:5060"), ("udp", "127.0.0.1:5062")) == []


def test_an_address_in_another_spelling_is_the_same() -> None:
    assert listening(("udp", "[::1]:5060"), ("udp", "[0:0::1]:5060")) == [
        'f:6: listen[2].address: found "[0:0::1]:5060" again; allowed once; it stands in listen[1]'
    ]
