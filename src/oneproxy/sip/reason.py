"""The Reason header (RFC 3326) of what people end by hand."""

from typing import Final

#: Characters of the text that people give.
LONGEST_TEXT: Final = 100


def is_text(text: str) -> bool:
    """Whether `text` may be told to phones: one line, no characters that control, not too long."""
    return len(text) <= LONGEST_TEXT and text.isprintable()


def reason_value(cause: int, text: str) -> str:
    """A value for protocol SIP. cause: a status; text: as `is_text` has it, "" for none.

    RFC 3326 2: the text is a quoted string, so of UTF-8 (RFC 3261 25.1), here one character an octet.
    """
    if not text:
        return f"SIP;cause={cause}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').encode().decode("latin-1")
    return f'SIP;cause={cause};text="{escaped}"'
