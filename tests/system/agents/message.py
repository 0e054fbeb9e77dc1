"""SIP messages as an agent reads and writes them, strictly: what is wrong fails the test."""

from dataclasses import dataclass, field
from typing import Self

Headers = list[tuple[str, str]]


@dataclass
class Message:
    """One message. headers: names as they are written, in their order."""

    start: str
    headers: Headers = field(default_factory=list)
    body: str = ""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises AssertionError for what RFC 3261 does not allow."""
        head, blank, body = data.decode().partition("\r\n\r\n")
        assert blank, f"no end of the head: {data!r}"
        start, *lines = head.split("\r\n")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon, f"no header: {line!r} in {data!r}"
            headers.append((name.strip(), value.strip()))
        made = cls(start, headers, body)
        assert made.one("Content-Length") == str(len(body.encode())), data
        return made

    def write(self) -> bytes:
        """The octets, with the Content-Length that is due."""
        lines = [f"{name}: {value}" for name, value in self.headers]
        length = f"Content-Length: {len(self.body.encode())}"
        return "\r\n".join([self.start, *lines, length, "", self.body]).encode()

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request, or of what a response answers."""
        return self.one("CSeq").split(" ")[1]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split(" ")[1]

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self.one("CSeq").split(" ")[0])

    def all(self, name: str) -> list[str]:
        """The values of a header, lists taken apart."""
        return [
            part
            for found, value in self.headers
            if found.lower() == name.lower()
            for part in split_values(value)
        ]

    def one(self, name: str) -> str:
        """The value of a header that stands exactly once."""
        values = [value for found, value in self.headers if found.lower() == name.lower()]
        assert len(values) == 1, f"{name}: {values} in {self.start}"
        return values[0]

    def tag(self, name: str) -> str:
        """The tag in From or To, empty where there is none."""
        return parameter(self.one(name).rpartition(">")[2], "tag")

    @property
    def branch(self) -> str:
        """That of the topmost Via."""
        return parameter(self.all("Via")[0], "branch")


def split_values(text: str) -> list[str]:
    """The elements of a list that are parted by commas outside of quotes and brackets."""
    parts = [""]
    quoted = bracketed = False
    for character in text:
        if character == '"':
            quoted = not quoted
        bracketed = not quoted and (character == "<" or (bracketed and character != ">"))
        if character == "," and not quoted and not bracketed:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def parameter(text: str, name: str) -> str:
    """The value of ";name=value" in `text`, empty where there is none."""
    for part in text.split(";")[1:]:
        found, _, value = part.partition("=")
        if found.strip().lower() == name:
            return value.strip()
    return ""


def address_uri(value: str) -> str:
    """The URI of a header value with brackets."""
    assert "<" in value, value
    return value.partition("<")[2].partition(">")[0]
