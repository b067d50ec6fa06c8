"""A PostgreSQL server of Debian's packages in a directory of its own, run by a user who is not root, as it demands."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOTS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BIN = ROOTS[-1] if ROOTS else next((Path(found).parent for found in [shutil.which("initdb")] if found), None)
"""Directory of the server's programs; None where there is none."""
PASSWORD = "quite secret"  # noqa: S105  # of a server that lives for a test
USER = "reader"


class PostgresProcess:
    """Running server that is reached by a socket in its directory, with a password."""

    def __init__(self):
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
        word = self._directory / "password"
        word.write_text(PASSWORD)
        if self._user is not None:
            for path in (self._directory, word):
                shutil.chown(path, self._user)
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            USER,
            f"--pwfile={word}",
            "--auth=scram-sha-256",
            "-E",
            "UTF8",
            "--no-sync",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={self._directory} -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-l", self._directory / "log", "-w", "-o", options, "start")

    @property
    def address(self):
        """Address with the password from the environment variable SHOP_PASSWORD."""
        return f"postgresql://{USER}:${{SHOP_PASSWORD}}@/postgres?host={self._directory}"

    def execute(self, *statements):
        from adbc_driver_postgresql import dbapi

        address = self.address.replace("${SHOP_PASSWORD}", PASSWORD.replace(" ", "%20"))
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def kill(self):
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _data(self):
        return self._directory / "data"

    def _run(self, program, *arguments):
        command = [str(BIN / program), *map(str, arguments)]
        # A file and no pipe: the server inherits it, and would keep a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(command, user=self._user, cwd=self._directory, stdout=said, stderr=said, check=False)
            said.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program} failed: {said.read()}")
