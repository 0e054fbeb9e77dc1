"""Kamailio as a registrar that asks for a digest and writes every binding through to PostgreSQL."""

from pathlib import Path
from typing import Final

import kamailio
import psycopg
from load import Server

#: What Debian's kamailio-postgres-modules brings.
SCHEMA: Final = Path("/usr/share/kamailio/postgres")
PASSWORD: Final = "secret"

# db_mode 1: as OneProxy, a REGISTER is answered when it is stored. The keys are the same
# for everybody, so that no query for a password is counted.
_CONFIGURATION: Final = """\
#!KAMAILIO
debug=0
log_stderror=yes
children=4
auto_aliases=no
disable_tcp=yes
listen=udp:{address}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "db_postgres.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"

modparam("usrloc", "db_mode", 1)
modparam("usrloc", "db_url", "{database}")
modparam("usrloc", "hash_size", 14)
modparam("usrloc", "use_domain", 1)
modparam("registrar", "max_expires", 3600)
modparam("auth", "nonce_expire", 300)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (!sanity_check()) exit;
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (!is_method("REGISTER")) exit;
    if (!pv_www_authenticate("{domain}", "{password}", "0")) {{
        www_challenge("{domain}", "1");
        exit;
    }}
    consume_credentials();
    save("location");
    exit;
}}
"""


class Registrar(Server):
    """Started and stopped like OneProxy. database: the URL of an empty database."""

    def __init__(self, folder: Path, domain: str, database: str) -> None:
        super().__init__(folder, subscribers={})
        with psycopg.connect(database) as connection:
            for name in ("standard", "usrloc"):
                connection.execute((SCHEMA / f"{name}-create.sql").read_bytes())
        self._own = folder / "kamailio.cfg"
        url = database.replace("postgresql://", "postgres://")
        text = _CONFIGURATION.format(address=self.address, database=url, domain=domain, password=PASSWORD)
        self._own.write_text(text)

    def command(self) -> list[str]:
        """What is run: in the foreground, logging to standard error."""
        return [kamailio.path() or "kamailio", "-f", str(self._own), "-m", "256", "-M", "32", "-DD", "-E"]


def installed() -> bool:
    """Whether Kamailio and its tables for PostgreSQL are here."""
    return kamailio.path() is not None and (SCHEMA / "usrloc-create.sql").exists()
