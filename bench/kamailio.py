"""Kamailio as a peer that does the same work: registrar in memory, stateful proxy, Record-Route."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from load import Server

_CONFIGURATION: Final = """\
#!KAMAILIO
debug=0
log_stderror=yes
children={children}
auto_aliases=no
disable_tcp=yes
listen=udp:{address}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
{more}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (!sanity_check()) exit;
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) t_relay();
        else if (!is_method("ACK")) sl_send_reply("404", "Not Found");
        exit;
    }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        save("location");
        exit;
    }}
    if (is_method("INVITE")) {{
        {on_call}
        record_route();
    }}
    if (!lookup("location")) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    t_relay();
}}
"""


class Kamailio(Server):
    """Started and stopped like OneProxy.

    children: workers; fewer than two would wait for the location lock, more would only add wake-ups.
    more: parts of its configuration. on_call: what is done with a new call first. prefix: as `Server`.
    """

    def __init__(
        self, folder: Path, children: int = 2, more: str = "", on_call: str = "", prefix: Sequence[str] = ()
    ) -> None:
        super().__init__(folder, subscribers={}, prefix=prefix)
        self._own = folder / "kamailio.cfg"
        self._own.write_text(
            _CONFIGURATION.format(address=self.address, children=children, more=more, on_call=on_call)
        )

    def command(self) -> list[str]:
        """What is run: in the foreground, logging to standard error."""
        return [path() or "kamailio", "-f", str(self._own), "-m", "256", "-M", "32", "-DD", "-E"]


def path() -> str | None:
    """Where Kamailio is, or None where it is not installed."""
    return shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
