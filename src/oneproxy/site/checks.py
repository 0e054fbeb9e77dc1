"""What the tables of a configuration file must agree on with each other.

A check looks at keys that are well formed by themselves, so that one mistake is reported
once, and gives every disagreement that it finds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from oneproxy.site.certificates import SECURE, find_admin_faults, find_certificate_faults
from oneproxy.site.checks_access import check_rules
from oneproxy.site.checks_congestion import check_congestion
from oneproxy.site.checks_machine import check_listens, check_tokens
from oneproxy.site.checks_routes import check_formats, check_reach, check_routes
from oneproxy.site.checks_trunks import check_providers
from oneproxy.site.checks_users import (
    check_domains,
    check_passwords,
    check_subscribers,
    check_user_aliases,
)
from oneproxy.site.tables import Fault, Tables

_CHECKS: Final[tuple[Callable[[Tables], Iterator[Fault]], ...]] = (
    check_listens,
    check_tokens,
    check_domains,
    check_subscribers,
    check_passwords,
    check_user_aliases,
    check_rules,
    check_providers,
    check_formats,
    check_routes,
    check_reach,
    check_congestion,
)


def find_faults(tables: Tables, folder: Path = Path()) -> Iterator[Fault]:
    """Every disagreement between the tables, and with the files that they name.

    folder: where relative names of files begin.
    """
    for check in _CHECKS:
        yield from check(tables)
    for index, listen in tables.listen.items():
        if tables.sound("listen", index, "transport") and listen.transport in SECURE:
            yield from find_certificate_faults(tables, index, folder)
    yield from find_admin_faults(tables, folder)
