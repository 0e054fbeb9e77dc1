"""A PostgreSQL server for tests: its own cluster in a temporary directory, on a free loopback port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from ports import free_port
from waiting import PATIENCE_S

PROGRAMS = Path("/usr/lib/postgresql")
START_S = PATIENCE_S


def programs() -> Path | None:
    """The directory of the newest PostgreSQL server on this machine, or None."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3].split(".")[0]))
    return found[-1].parent if found else None


class Cluster:
    """A running server. It refuses to run as root, so root lends it the user `postgres`."""

    def __init__(self, bin_directory: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="oneproxy-test-postgres-"))
        self._bin = bin_directory
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._data = self.directory / "data"
        self._names = 0
        initdb: list[str | Path] = [self._bin / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust"]
        options = ["-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [*initdb, *options], check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **self._as
        )
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start the server, also after `stop`."""
        server: list[str | Path] = [self._bin / "postgres", "-D", self._data, "-k", self.directory]
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=off", "-c", "max_connections=20"]
        with (self.directory / "log").open("a") as log:
            self._process = subprocess.Popen(
                [*server, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                **self._as,
            )
        give_up_at = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.05)
            else:
                return

    def url(self, name: str) -> str:
        """The URL of database `name`, with a password that the server does not ask for."""
        return f"postgresql://postgres:sesame@127.0.0.1:{self.port}/{name}"

    def database(self, encoding: str = "UTF8") -> str:
        """The URL of a database that is new and empty."""
        self._names += 1
        name = f"test_{os.getpid()}_{self._names}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
        return self.url(name)

    @property
    def pid(self) -> int:
        """The server's first process."""
        return self._process.pid

    def stop(self) -> None:
        """End the server, connections and all."""
        self._end(signal.SIGINT)

    def _end(self, by: signal.Signals) -> None:
        self._process.send_signal(by)
        self._process.wait(START_S)

    def remove(self) -> None:
        """End the server and remove its directory."""
        if self._process.poll() is None:
            # What it has not written to its files yet would be written for nothing.
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.directory)
