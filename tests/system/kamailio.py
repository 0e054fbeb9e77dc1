"""Kamailio as the registrar and proxy of a carrier: it asks for a digest, and has bindings in its memory."""

import shutil
from pathlib import Path
from typing import Final

from system.server import Server
from system.wire import Client

REALM: Final = "carrier.test"
PASSWORD: Final = "secret"

# An OPTIONS to a user says where he is registered, in its Contact; who can't know the password looks
# at what the registrar itself has.
_CONFIGURATION: Final = """\
#!KAMAILIO
debug=0
log_stderror=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:{address}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "rr.so"

modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 1)
modparam("registrar", "max_contacts", 1)
modparam("auth", "nonce_expire", 300)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (!sanity_check()) exit;
    if (is_method("OPTIONS")) {{
        if ($rU == $null) {{
            sl_send_reply("200", "OK");
        }} else if (lookup("location")) {{
            append_to_reply("Contact: <$ru>\\r\\n");
            sl_send_reply("200", "Registered");
        }} else {{
            sl_send_reply("404", "Not Found");
        }}
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay();
        exit;
    }}
    if (is_method("INVITE")) {{
        if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{
            proxy_challenge("{realm}", "1");
            exit;
        }}
        consume_credentials();
        {called}
        exit;
    }}
    if (!is_method("REGISTER")) exit;
    if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
        www_challenge("{realm}", "1");
        exit;
    }}
    consume_credentials();
    save("location");
    exit;
}}
"""
_BUSY: Final = 'sl_send_reply("486", "Busy Here");'


class Registrar(Server):
    """Started, killed and started again like OneProxy; what it has is gone then.

    password: of everybody. answerer: "host:port" of who takes calls that prove it; without
    one everybody is busy.
    """

    def __init__(
        self, folder: Path, password: str = PASSWORD, host: str = "127.0.0.1", answerer: str = ""
    ) -> None:
        super().__init__(folder, subscribers={}, host=host)
        self._own = folder / "kamailio.cfg"
        called = f'record_route(); $du = "sip:{answerer}"; t_relay();' if answerer else _BUSY
        self._own.write_text(
            _CONFIGURATION.format(address=self.address, realm=REALM, password=password, called=called)
        )

    def command(self) -> list[str]:
        """What is run: in the foreground, logging to standard error."""
        found = shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert found is not None, "no Kamailio here: `make test` installs one (apt: kamailio)"
        return [found, "-f", str(self._own), "-m", "64", "-M", "16", "-DD", "-E"]

    def contact(self, client: Client, user: str) -> str:
        """Where `user` is registered; "" for nowhere."""
        answer = client.ask("OPTIONS", f"sip:{user}@{REALM}", f"asking@{REALM}")
        assert answer is not None, self.log()
        return answer.headers["contact"][0].strip("<>") if answer.status == 200 else ""
