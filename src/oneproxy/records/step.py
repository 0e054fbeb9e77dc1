"""The step that has a record made of each call that has come as far as being routed."""

from oneproxy.engine.decisions import Ask
from oneproxy.records.recording import Recording, Writer
from oneproxy.site.model import Site


class Records:
    """It never decides. writer: who keeps the records; None before there is somebody."""

    __slots__ = ("_is_enabled", "writer")

    def __init__(self, site: Site) -> None:
        self.writer: Writer | None = None
        self._is_enabled = False
        self.take(site)

    def take(self, site: Site) -> None:
        """The site has changed: calls that begin from now on are recorded if it says so."""
        self._is_enabled = site.cdr.enabled

    def decide(self, ask: Ask) -> None:
        """Have a record made of an INVITE that begins a call."""
        if self._is_enabled and not ask.inside and ask.request.method == "INVITE" and self.writer is not None:
            ask.record = Recording(self.writer, ask)
