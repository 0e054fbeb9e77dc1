"""The configuration of who gave no file."""

from oneproxy.site.file import read_text
from oneproxy.site.sample import sample


def test_the_sample_is_what_a_file_with_two_accounts_gives() -> None:
    text = """\
[[listen]]
transport = "udp"
address = "127.0.0.1:5060"
[[domain]]
name = "127.0.0.1"
[[subscriber]]
aor = "alice@127.0.0.1"
password = "secret"
[[subscriber]]
aor = "bob@127.0.0.1"
password = "secret"
"""
    assert sample() == read_text(text)
