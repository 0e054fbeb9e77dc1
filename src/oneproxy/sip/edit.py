"""Changing a message on its way through: lines are dropped, replaced and pushed, then joined once.

    edit = Edit(request)
    edit.lines[0] = "INVITE sip:bob@192.0.2.4 SIP/2.0"
    edit.push("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK7")
    data = edit.join()

The message itself stays as it is, since a response to it may still have to be made.
"""

from oneproxy.sip.fields import split_list
from oneproxy.sip.message import Message


class Edit:
    """One outgoing copy of a message. Lines keep their places until `join`."""

    __slots__ = ("_body", "_dropped", "_message", "_pushed", "lines")

    def __init__(self, message: Message) -> None:
        self.lines = message.lines.copy()
        self._message = message
        self._body = message.body
        self._pushed = ""
        self._dropped: list[int] | None = None

    def push(self, line: str) -> None:
        """Put a header line on top, above those pushed before."""
        self._pushed = f"\r\n{line}{self._pushed}"

    def append(self, line: str) -> None:
        """Put a header line at the end."""
        self.lines.append(line)

    def drop(self, at: int) -> None:
        """Leave line `at` out."""
        if self._dropped is None:
            self._dropped = [at]
        else:
            self._dropped.append(at)

    def drop_all(self, name: str) -> None:
        """Leave out every line of header `name`."""
        for at in self._message.positions(name):
            self.drop(at)

    def pop(self, name: str) -> None:
        """Remove the first value of header `name`, be it a line or the head of a list.

        An empty element of a list is no value.
        """
        at = self._message.first[name]
        value = self._message.values[at]
        if "," in value:
            rest = [one for one in split_list(value) if one][1:]
            if rest:
                written = self.lines[at].partition(":")[0]
                self.lines[at] = f"{written}: {', '.join(rest)}"
                return
        self.drop(at)

    def join(self) -> bytes:
        """The edited message as octets."""
        lines = self.lines
        if self._dropped is not None:
            # Once, though two had a reason to drop it: the next line stays.
            for at in sorted(set(self._dropped), reverse=True):
                del lines[at]
        lines[0] += self._pushed
        lines.append("")
        lines.append(self._body)
        return "\r\n".join(lines).encode("latin-1")
