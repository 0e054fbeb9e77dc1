"""What [[domain]] and [[subscriber]] tables must agree on: names, aliases, passwords, times."""

from collections.abc import Iterator

from oneproxy.site.agreement import listed, names, repeats, user_and_domain
from oneproxy.site.tables import Fault, Tables
from oneproxy.site.users import plain_user


def check_domains(tables: Tables) -> Iterator[Fault]:
    """Domains of one name, times that contradict each other, algorithms named twice."""
    yield from repeats(tables, "domain", "name", lambda domain: domain.name.lower())
    yield from _domain_aliases(tables)
    for index, domain in tables.domain.items():
        if tables.sound("domain", index, "min_expires_s", "max_expires_s") and (
            domain.min_expires_s > domain.max_expires_s
        ):
            allowed = f"at most max_expires_s, which is {domain.max_expires_s}"
            yield Fault(("domain", index, "min_expires_s"), str(domain.min_expires_s), allowed)
        if tables.sound("domain", index, "default_expires_s", "max_expires_s", "min_expires_s"):
            default_s = domain.default_expires_s
            if default_s is not None and not domain.min_expires_s <= default_s <= domain.max_expires_s:
                allowed = (
                    f"from min_expires_s to max_expires_s: {domain.min_expires_s} to {domain.max_expires_s}"
                )
                yield Fault(("domain", index, "default_expires_s"), str(default_s), allowed)
        if tables.sound("domain", index, "algorithms") and len(set(domain.algorithms)) < len(
            domain.algorithms
        ):
            yield Fault(("domain", index, "algorithms"), "an algorithm twice", "each algorithm once")


def _domain_aliases(tables: Tables) -> Iterator[Fault]:
    """Aliases that are the name, or another alias, of some domain."""
    taken = dict.fromkeys(names(tables, "domain"), "the name of a domain")
    for index, domain in tables.domain.items():
        if not tables.sound("domain", index, "aliases"):
            continue
        for place, alias in enumerate(domain.aliases):
            if alias in taken:
                found = f'"{alias}", which is {taken[alias]}'
                yield Fault(("domain", index, "aliases", place), found, "a name that no other domain has")
            taken.setdefault(alias, f"an alias in {tables.place('domain', index)}")


def check_subscribers(tables: Tables) -> Iterator[Fault]:
    """Subscribers of one AoR, or of a domain that is not served."""
    yield from repeats(tables, "subscriber", "aor", lambda subscriber: user_and_domain(subscriber.aor))
    served = names(tables, "domain")
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "aor"):
            continue
        domain = user_and_domain(subscriber.aor)[1]
        if domain not in served:
            allowed = f"a domain that has a [[domain]] table ({listed(served)})"
            yield Fault(("subscriber", index, "aor"), f'the domain "{domain}"', allowed)


def check_passwords(tables: Tables) -> Iterator[Fault]:
    """Subscribers with no password or several, and HA1s of the wrong length."""
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "password", "ha1"):
            continue
        given = [key for key in ("password", "ha1") if getattr(subscriber, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "neither"
            yield Fault(("subscriber", index), found, "exactly one of password, ha1")
        for algorithm, ha1 in (subscriber.ha1 or {}).items():
            digits = 32 if algorithm == "MD5" else 64
            if len(ha1) != digits:
                path = ("subscriber", index, "ha1", algorithm)
                yield Fault(path, f"{len(ha1)} digits", f"{digits} hexadecimal digits")


def check_user_aliases(tables: Tables) -> Iterator[Fault]:
    """Aliases that are the user, or another alias, of some subscriber of the domain."""
    taken = {
        user_and_domain(one.aor): "a subscriber"
        for index, one in tables.subscriber.items()
        if tables.sound("subscriber", index, "aor")
    }
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "aor", "aliases"):
            continue
        domain = user_and_domain(subscriber.aor)[1]
        for place, alias in enumerate(subscriber.aliases):
            name = plain_user(alias), domain
            if name in taken:
                found = f'"{alias}", which is {taken[name]}'
                yield Fault(("subscriber", index, "aliases", place), found, "a user that nobody else has")
            taken.setdefault(name, f"an alias in {tables.place('subscriber', index)}")
