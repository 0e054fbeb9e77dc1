"""[[congestion.limit]] in a file: what is read, and which mistakes are named."""

import pytest

from oneproxy.site.export import to_toml
from oneproxy.site.file import read_text
from oneproxy.site.model import Configuration, Limit

SITE = """\
[[listen]]
transport = "udp"
address = "127.0.0.1:5060"
[[domain]]
name = "example.com"
aliases = ["example.org"]
[[provider]]
name = "carrier"
"""


def limits(text: str) -> tuple[Limit, ...]:
    found = read_text(f"{SITE}{text}\n")
    assert isinstance(found, Configuration), found
    return found.site.congestion.limit


def test_a_limit_is_for_a_domain_a_source_a_provider_or_a_caller_or_for_each_of_them() -> None:
    text = """
[congestion]
calls = 7
[[congestion.limit]]
domain = "Example.com"
calls = 50
period_s = 0.5
name = "tenant"
[[congestion.limit]]
source = "10.0.0.0/8"
max_calls = 5
[[congestion.limit]]
provider = "carrier"
calls = 3
[[congestion.limit]]
caller = "alice@EXAMPLE.com"
calls = 2
max_calls = 1
[[congestion.limit]]
caller = "*"
calls = 10
"""
    assert limits(text) == (
        Limit(domain="example.com", calls=50, period_s=0.5, name="tenant"),
        Limit(source="10.0.0.0/8", max_calls=5),
        Limit(provider="carrier", calls=3),
        Limit(caller="alice@example.com", calls=2, max_calls=1),
        Limit(caller="*", calls=10),
    )


def test_limits_are_exported_as_they_are_written() -> None:
    text = '[congestion]\ncalls = 7\n[[congestion.limit]]\nsource = "*"\ncalls = 2'
    found = read_text(f"{SITE}{text}\n")
    assert isinstance(found, Configuration)
    assert [line for line in to_toml(found.entries) if line][-5:] == text.split("\n")


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ("calls = 1", "f:9: congestion.limit[1]: found none of them; allowed exactly one of domain, source, provider, caller"),
        ('domain = "*"\ncaller = "*"\ncalls = 1', "f:9: congestion.limit[1]: found domain and caller; allowed exactly one of domain, source, provider, caller"),
        ('caller = "*"', "f:9: congestion.limit[1]: found neither calls nor max_calls; allowed calls, max_calls or both"),
        ('domain = "example.org"\ncalls = 1', 'f:10: congestion.limit[1].domain: found "example.org"; allowed the name, and no alias, of a [[domain]] table (example.com)'),
        ('provider = "other"\ncalls = 1', 'f:10: congestion.limit[1].provider: found "other"; allowed the name of a [[provider]] table (carrier)'),
        ('source = "10.0.0.1/8"\ncalls = 1', 'f:10: congestion.limit[1].source: found "10.0.0.1/8"; allowed an IP network such as "10.0.0.0/8", without host bits, one IP address, or "*" for each address by itself'),
        ('caller = "alice"\ncalls = 1', 'f:10: congestion.limit[1].caller: found "alice"; allowed a user and a domain, such as "alice@example.com", or "*" for each caller by itself'),
        ('caller = "*"\ncalls = 10001', 'f:11: congestion.limit[1].calls: found 10001; allowed at most 10000 for each of "*"'),
        ('caller = "*"\ncalls = 1\nperiod_s = 0', "f:12: congestion.limit[1].period_s: found 0; allowed seconds, more than 0 and at most 3600"),
        ('caller = "*"\ncalls = 1\ntimes = 2', "f:12: congestion.limit[1].times: found an unknown key; allowed domain, source, provider, caller, calls, period_s, max_calls, name"),
        ('source = "::1"\ncalls = 1\n[[congestion.limit]]\nsource = "0::1/128"\ncalls = 2', 'f:13: congestion.limit[2].source: found "0::1/128" again; allowed once; it stands in congestion.limit[1]'),
        ('caller = "+351-2@x.org"\ncalls = 1\n[[congestion.limit]]\ncaller = "+3512@x.org"\ncalls = 2', 'f:13: congestion.limit[2].caller: found "+3512@x.org" again; allowed once; it stands in congestion.limit[1]'),
    ],
)  # fmt: skip
def test_a_mistake_is_named(keys: str, mistake: str) -> None:
    found = read_text(f"{SITE}[[congestion.limit]]\n{keys}\n")
    assert isinstance(found, list), "there should have been a mistake"
    assert [one.text("f") for one in found] == [mistake]
