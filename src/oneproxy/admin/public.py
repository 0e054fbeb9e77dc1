"""Entries of the site as they are shown: without passwords, HA1s and secrets of gateways."""

from collections.abc import Mapping
from typing import Any, Final

from oneproxy.site import schema
from oneproxy.site.entries import decode_value
from oneproxy.site.mistake import SECRET_KEYS, without_uri_password

#: Keys of tables that never leave.
HIDDEN: Final = SECRET_KEYS | {"ha1"}

_TABLES: Final[Mapping[str, type[schema.Table]]] = {
    "domain": schema.Domain,
    "subscriber": schema.Subscriber,
    "access": schema.Access,
}


def without_secrets(value: Any) -> Any:
    """The same without what is secret in it, at any depth."""
    match value:
        case dict():
            return {key: without_secrets(one) for key, one in value.items() if key not in HIDDEN}
        case list():
            return [without_secrets(one) for one in value]
        case str():
            return without_uri_password(value)
        case _:
            return value


def shown_table(section: str, value: str) -> dict[str, Any]:
    """The table in the value of an entry; of a section in _TABLES with its defaults too."""
    table: dict[str, Any] = without_secrets(decode_value(value))
    kind = _TABLES.get(section)
    if kind is None:
        return table
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
        if name not in HIDDEN and not field.is_required()
    }
    return {name: one for name, one in (table | (defaults | table)).items() if one is not None}
