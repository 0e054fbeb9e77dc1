"""[[route]] and the format of gateways in a file: what is made of them, and every mistake."""

import pytest

from oneproxy.site.change import Edit, check_edits, check_entries
from oneproxy.site.entries import to_document, to_site
from oneproxy.site.export import to_toml
from oneproxy.site.file import read_text
from oneproxy.site.model import Configuration, Format, Rewrite, Route

BASE = """\
[[domain]]
name = "example.com"
[[provider]]
name = "a"
[[provider.gateway]]
name = "a1"
uri = "sip:198.51.100.10"
"""
#: The line behind BASE.
AFTER = BASE.count("\n") + 1


def routed(text: str) -> Configuration:
    found = read_text(BASE + text, machine=False)
    assert isinstance(found, Configuration), found
    return found


def mistakes(text: str) -> list[str]:
    found = read_text(BASE + text, machine=False)
    assert isinstance(found, list), "there should have been a mistake"
    return [mistake.text("f").partition(": ")[2] for mistake in found]


FORMAT = """
sources = ["198.51.100.0/28"]
register = { aor = "sip:me@carrier", username = "me", password = "x", required = true }
[provider.gateway.format]
form = "national"
country = "PT"
called = { strip = 1, prepend = "0" }
calling = { pattern = "0", replace = "+" }
identity = "remote-party-id"
domain = "pbx.example"
trusted = true
add = ["X-Gateway: {gateway}"]
remove = ["X-Internal"]
called_in = "to"
"""
WHOLE = r"""
[[route]]
prefix = "+351-9"
order = 2
inbound = ["a", "a/a1"]
domains = ["example.com"]
callers = ["alice@Example.com", "*@example.com", "+351-2*"]
sources = ["10.0.0.0/8"]
times = ["Mon-Fri 08:00-18:00"]
time_zone = "Europe/Lisbon"
provider = "a"
strip = 1
prepend = "00"
pattern = '^\+351(\d+)'
replace = '\1'
calling = { prepend = "9" }
withhold = true
add = ["X-Account: {caller}"]
remove = ["X-Internal"]
"""


def test_a_route_with_every_key_is_read() -> None:
    assert routed(WHOLE).site.routes == {
        "+3519": Route(
            "+3519",
            2,
            ("a", "a/a1"),
            ("example.com",),
            ("alice@example.com", "*@example.com", "+3512*"),
            ("10.0.0.0/8",),
            ("Mon-Fri 08:00-18:00",),
            "Europe/Lisbon",
            provider="a",
            strip=1,
            prepend="00",
            pattern=r"^\+351(\d+)",
            replace=r"\1",
            calling=Rewrite(prepend="9"),
            withhold=True,
            add=("X-Account: {caller}",),
            remove=("X-Internal",),
        )
    }


def test_what_is_exported_is_the_same_site() -> None:
    found = routed(
        FORMAT
        + WHOLE
        + '[[route]]\nprefix = "1"\nrefuse = 403\n[[route]]\nprefix = ""\naor = "bob@example.com"\n'
    )
    again = read_text("\n".join(to_toml(found.entries)), machine=False)
    assert isinstance(again, Configuration)
    assert again.entries == found.entries
    assert check_entries(found.entries) == found.entries
    assert to_site(found.entries).routes == found.site.routes
    assert len(to_document(found.entries)["route"]) == 3


def test_routes_of_one_prefix_are_in_their_order() -> None:
    text = "".join(
        f'[[route]]\nprefix = "1"\norder = {order}\ncallers = ["+{place + 10}*"]\nprovider = "a"\n'
        for place, order in enumerate([5, 0, 5, 1, *[6] * 8])
    )
    routes = routed(text).site.routes
    keys = ["1", *[f"1 {place}" for place in range(2, 13)]]
    assert set(routes) == set(keys)
    assert [routes[key].callers[0] for key in keys[:6]] == ["+11*", "+13*", "+10*", "+12*", "+14*", "+15*"]
    assert routes["1 12"].callers == ("+21*",)


def test_a_route_that_is_taken_out_closes_the_gap() -> None:
    text = "".join(
        f'[[route]]\nprefix = "1"\norder = {place}\ncallers = ["+{place}*"]\nprovider = "a"\n'
        for place in range(3)
    )
    entries = check_edits(routed(text).entries, [Edit("route", "1", None)])
    assert isinstance(entries, dict)
    assert {key for section, key in entries if section == "route"} == {"1", "1 2"}


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ('provider = "b"', 'route[1].provider: found "b"; allowed the name of a [[provider]] table (a)'),
        ('domain = "x.org"', 'route[1].domain: found "x.org"; allowed a domain that has a [[domain]] table (example.com)'),
        ('aor = "bob@x.org"', 'route[1].aor: found "bob@x.org"; allowed a user of a domain that has a [[domain]] table (example.com)'),
        ("refuse = 200", "route[1].refuse: found 200; allowed a status from 400 to 699"),
        ('inbound = ["a/a2"]', 'route[1].inbound[1]: found "a/a2"; allowed a [[provider]], or a provider and one of its gateways (a, a/a1)'),
        ('domains = ["x.org"]', 'route[1].domains[1]: found "x.org"; allowed a domain that has a [[domain]] table (example.com)'),
        ('callers = ["*"]', 'route[1].callers[1]: found "*"; allowed a user and a domain, "*@example.com" for all of it, or "+3512*" for numbers'),
        ('sources = ["10.0.0.1/8"]', 'route[1].sources[1]: found "10.0.0.1/8"; allowed an IP network such as "10.0.0.0/8", without host bits, or one IP address'),
        ('times = ["Mon 9-17"]', 'route[1].times[1]: found "Mon 9-17"; allowed days, hours or both, such as "Mon-Fri 08:00-18:00"'),
        ('times = ["Mon"]', "route[1].times: found times without time_zone; allowed both"),
        ('time_zone = "UTC"', "route[1].time_zone: found time_zone without times; allowed both"),
        ('times = ["Mon"]\ntime_zone = "Europe/Atlantis"', 'route[1].time_zone: found "Europe/Atlantis"; allowed the name of a time zone, such as "Europe/Lisbon"'),
        (r"pattern = '(\d+)+'", r'route[1].pattern: found "(\\d+)+"; allowed a regular expression that cannot take long: characters, ., \d, [0-9], groups, choices, and repetitions that are not in one another'),
        ("pattern = '0'", "route[1].pattern: found pattern without replace; allowed both"),
        ("replace = '0'", "route[1].replace: found replace without pattern; allowed both"),
        (r"pattern = '0(\d)'" + "\n" + r"replace = '\2'", r'route[1].replace: found "\2"; allowed the groups of the pattern, of which there are 1'),
        ("calling = { replace = '0' }", "route[1].calling.replace: found replace without pattern; allowed both"),
        ('add = ["From: <sip:a@b>"]', 'route[1].add[1]: found "From: <sip:a@b>"; allowed a header line such as "X-Account: {caller}", not one that the proxy or a dialog needs; in braces called, calling, domain, caller, source, gateway'),
        ('add = ["X: {password}"]', 'route[1].add[1]: found "X: {password}"; allowed a header line such as "X-Account: {caller}", not one that the proxy or a dialog needs; in braces called, calling, domain, caller, source, gateway'),
        ('remove = ["Via"]', 'route[1].remove[1]: found "Via"; allowed the full name of a header field such as "X-Account", not of one that dialogs need'),
        ('remove = ["f"]', 'route[1].remove[1]: found "f"; allowed the full name of a header field such as "X-Account", not of one that dialogs need'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_route_is_named(keys: str, mistake: str) -> None:
    destination = "" if keys.startswith(("provider", "domain =", "aor", "refuse")) else 'provider = "a"\n'
    assert mistakes(f'[[route]]\nprefix = "1"\n{destination}{keys}\n') == [mistake]


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ('form = "national"', 'provider[1].gateway[1].format: found form "national" without country; allowed both'),
        ('country = "pt"', 'provider[1].gateway[1].format.country: found "pt"; allowed two capitals of ISO 3166, such as "PT"'),
        ('form = "e.164"', 'provider[1].gateway[1].format.form: found "e.164"; allowed "e164", "digits", "national" or "international"'),
        ("calling = { strip = 1 }", 'provider[1].gateway[1].format: found calling without identity; allowed identity "asserted" or "remote-party-id" with it'),
        ("called = { pattern = '0' }", "provider[1].gateway[1].format.called.pattern: found pattern without replace; allowed both"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_format_is_named(keys: str, mistake: str) -> None:
    assert mistakes(f"[provider.gateway.format]\n{keys}\n") == [mistake]


def two(first: str, second: str) -> str:
    """Two routes of one prefix."""
    return "".join(f'[[route]]\nprefix = "1"\nprovider = "a"\n{keys}\n' for keys in (first, second))


COVERED = [
    ("", ""),
    ("", 'callers = ["+1*"]'),
    ('callers = ["+1*", "+2*"]', 'callers = ["+23*"]'),
    ('callers = ["*@example.com"]', 'callers = ["bob@example.com"]\nsources = ["::1"]'),
    ('sources = ["10.0.0.0/8"]', 'sources = ["10.1.0.0/16", "10.2.2.2"]'),
    ('domains = ["example.com"]', 'domains = ["example.com"]'),
    ('inbound = ["a"]', 'inbound = ["a/a1"]'),
    (
        'times = ["Mon-Fri", "Sat 08:00-12:00"]\ntime_zone = "UTC"',
        'times = ["Tue 22:00-06:00"]\ntime_zone = "UTC"',
    ),
    # The order counts, and not where it stands.
    ("order = 1\ncallers = ['+1*']", "order = 0"),
]
APART = [
    ('callers = ["+1*"]', ""),
    ('callers = ["+1*"]', 'callers = ["+*"]'),
    ('callers = ["+1*"]', 'callers = ["+1@example.com"]'),
    ('callers = ["bob@example.com"]', 'callers = ["*@example.com"]'),
    ('sources = ["10.0.0.0/8"]', 'sources = ["::/0"]'),
    ('sources = ["::/0"]', 'sources = ["10.0.0.0/8"]'),
    ('sources = ["10.0.0.0/8"]', ""),
    ('domains = ["example.com"]', ""),
    ("", 'inbound = ["a"]'),
    ('inbound = ["a"]', ""),
    ('inbound = ["a/a1"]', 'inbound = ["a"]'),
    ('times = ["Mon"]\ntime_zone = "UTC"', ""),
    ('times = ["Mon"]\ntime_zone = "UTC"', 'times = ["Mon"]\ntime_zone = "Europe/Lisbon"'),
    ('times = ["Mon-Fri"]\ntime_zone = "UTC"', 'times = ["Fri 22:00-06:00"]\ntime_zone = "UTC"'),
]


@pytest.mark.parametrize(("first", "second"), COVERED)
def test_a_route_that_no_call_gets_to_is_named(first: str, second: str) -> None:
    [mistake] = mistakes(two(first, second))
    which, other = (1, 2) if "order = 0" in second else (2, 1)
    assert mistake == (
        f'route[{which}].prefix: found "1" for calls that route[{other}] takes before; '
        "allowed another prefix, or conditions that differ"
    )


@pytest.mark.parametrize(("first", "second"), APART)
def test_routes_of_one_prefix_for_different_calls_are_in_order(first: str, second: str) -> None:
    assert len(routed(two(first, second)).site.routes) == 2


def test_prefixes_that_begin_with_one_another_are_in_order() -> None:
    text = "".join(f'[[route]]\nprefix = "{prefix}"\nprovider = "a"\n' for prefix in ("", "+", "+3", "+35"))
    assert set(routed(text).site.routes) == {"", "+", "+3", "+35"}


def test_more_routes_of_one_prefix_than_are_asked_in_no_time_are_a_mistake() -> None:
    text = "".join(
        f'[[route]]\nprefix = "1"\nprovider = "a"\ncallers = ["+{number}*"]\n' for number in range(1000, 1101)
    )
    assert mistakes(text) == [
        'route[101].prefix: found 101 routes with the prefix "1"; allowed 100 of one prefix'
    ]


def test_what_a_gateway_wants_is_what_its_table_says() -> None:
    [gateway] = routed(FORMAT).site.providers["a"].gateway
    assert gateway.format == Format(
        "national",
        "PT",
        Rewrite(1, "0"),
        Rewrite(pattern="0", replace="+"),
        "remote-party-id",
        "pbx.example",
        True,
        ("X-Gateway: {gateway}",),
        ("X-Internal",),
        "to",
    )
