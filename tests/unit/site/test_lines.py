"""The lines that a walk over a TOML document finds."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.site.lines import Path, find_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] = "and" more
title = "one"        # [not.a.table]
"quoted.key" = 1
site.name.short = 'x'
many = [
    "a",  # ]
    ["b", 'c]'],
    { deep = { er = 1 } },
]
text = """
[listen]
key = "no" \\"""
still text"""
raw = \'\'\'
# not a comment
''\'\'\'

[node]
name = "edge"

[[provider]]
name = "a"
  [[provider.gateway]]
  name = "g1"
  register = { aor = "x", "user name" = "y" }
  [[provider.gateway]]
  name = "g2"
[[ provider ]]
name = "b"
  [[provider.gateway]]
  name = "g3"
  [provider.gateway.more]
  deep = true
'''


def test_every_key_table_and_element_has_its_line() -> None:
    gateways = ("provider", 0, "gateway")
    assert find_lines(DOCUMENT) == {
        ("title",): 2,
        ("quoted.key",): 3,
        ("site",): 4,
        ("site", "name"): 4,
        ("site", "name", "short"): 4,
        ("many",): 5,
        ("many", 0): 6,
        ("many", 1): 7,
        ("many", 1, 0): 7,
        ("many", 1, 1): 7,
        ("many", 2): 8,
        ("many", 2, "deep"): 8,
        ("many", 2, "deep", "er"): 8,
        ("text",): 10,
        ("raw",): 14,
        ("node",): 18,
        ("node", "name"): 19,
        ("provider",): 21,
        ("provider", 0): 21,
        ("provider", 0, "name"): 22,
        gateways: 23,
        (*gateways, 0): 23,
        (*gateways, 0, "name"): 24,
        (*gateways, 0, "register"): 25,
        (*gateways, 0, "register", "aor"): 25,
        (*gateways, 0, "register", "user name"): 25,
        (*gateways, 1): 26,
        (*gateways, 1, "name"): 27,
        ("provider", 1): 28,
        ("provider", 1, "name"): 29,
        ("provider", 1, "gateway"): 30,
        ("provider", 1, "gateway", 0): 30,
        ("provider", 1, "gateway", 0, "name"): 31,
        ("provider", 1, "gateway", 0, "more"): 32,
        ("provider", 1, "gateway", 0, "more", "deep"): 33,
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [(("node", "name"), 19), (("node", "nothing", 3), 18), (("nowhere",), 1), ((), 1)],
)
def test_what_has_no_line_has_that_of_the_table_around_it(path: Path, line: int) -> None:
    assert line_of(path, find_lines(DOCUMENT)) == line


def test_carriage_returns_do_not_move_lines() -> None:
    assert find_lines(DOCUMENT.replace("\n", "\r\n")) == find_lines(DOCUMENT)


_KEYS = st.sampled_from(["a", "b-c", '"d.e"', "'f'", '"g \\" h"'])
_SCALARS = st.sampled_from(
    ["1", "-2.5", "true", '"x"', "'y'", '""', '"""\nz\n"""', "'''\n]'''", "1979-05-27T07:32:00Z", '"a\\\\"']
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ # list\n" + ",\n".join(items) + "\n]"),
        st.lists(st.tuples(_KEYS, _SCALARS), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"
        ),
    ),
    max_leaves=8,
)
_TABLES = st.lists(
    st.tuples(
        st.sampled_from(["[[t]]", "[[ t ]]", "[[t.inner]]", "[[u]]"]),
        st.lists(st.tuples(_KEYS, _VALUES), max_size=3, unique_by=lambda pair: pair[0]),
    ),
    max_size=4,
)


def _paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return found.union(*(_paths(child, (*path, key)) for key, child in children))


@settings(deadline=None)
@given(_TABLES)
def test_the_walk_finds_the_paths_that_the_reader_finds(
    tables: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    text = "".join(
        f"{header}\n" + "".join(f"{key} = {value} # end\n" for key, value in pairs)
        for header, pairs in tables
    )
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # A list before its table, say; such a text never comes to the walk.
        return
    lines = find_lines(text)
    assert lines.keys() == _paths(document)
    assert all(1 <= line <= text.count("\n") for line in lines.values())
