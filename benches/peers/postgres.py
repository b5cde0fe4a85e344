"""A PostgreSQL for one run, with the settings that Daybook gives its own, ended with this process."""

import os
import pwd
import re
import shutil
import subprocess
import time
from pathlib import Path

SOURCE = (Path(__file__).parents[2] / "store/src/private_postgres/server.rs").read_text()
SECONDS = 5
DATA = '{"text":"' + "x" * 289 + '"}'
TABLE = "set client_min_messages = warning; drop table if exists limit_rows; create table limit_rows (id bigserial primary key, data json not null)"


class Postgres:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.data = self.directory / "postgres"
        self.env = {
            **os.environ,
            "PATH": f"{programs()}:{os.environ['PATH']}",
            "PGHOST": str(self.directory),
            "PGPORT": "5432",
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
            "GLIBC_TUNABLES": re.search(r'const MALLOC: &str =\s*"(.*?)"', SOURCE)[1],
        }

    def __enter__(self):
        if account := ordinary_account():
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        authentication = ["--auth-local=trust", "--auth-host=reject"]
        command = ["initdb", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", *authentication, self.data]
        subprocess.run(as_account(command), env=self.env, cwd="/", check=True, stdout=subprocess.DEVNULL)
        options = [f"unix_socket_directories={self.directory}", *settings()]
        command = ["postgres", "-D", self.data, *(word for option in options for word in ("-c", option))]
        with open(self.directory / "log", "w") as log:
            self.server = subprocess.Popen(as_account(command), env=self.env, cwd="/", stdout=log, stderr=log)
        self.await_ready()
        return self

    def __exit__(self, *_):
        self.server.terminate()
        try:
            self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()

    def await_ready(self):
        for _ in range(100):
            if subprocess.run(["pg_isready", "-q"], env=self.env).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self.directory / "log").read_text())

    def query(self, sql):
        command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return subprocess.run(command, env=self.env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def inserts_per_second(self, clients):
        """The limit: pgbench inserting one row a transaction."""
        self.query(TABLE)
        script = self.directory / "insert.sql"
        script.write_text(f"insert into limit_rows (data) values ('{DATA}');\n")
        command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(SECONDS)]
        output = subprocess.run([*command, "-f", script], env=self.env, check=True, capture_output=True, text=True).stdout
        return float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)[1])


def settings():
    """Those of Daybook's own source, so that they cannot differ."""
    array = re.search(r"const SETTINGS[^=]*= \[(.*?)\];", SOURCE, re.DOTALL)[1]
    least, most = map(int, re.search(r"const BUFFERS[^=]*= (\d+)..=(\d+);", SOURCE).groups())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    buffers = min(max(memory // 8, least), most)
    return [*re.findall(r'"(.*?)"', array), f"shared_buffers={buffers}MB", f"effective_cache_size={3 * buffers}MB"]


def programs():
    """Where PostgreSQL's programs are: as told, where Debian puts them, or in the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = os.environ.get("DAYBOOK_POSTGRES_BIN") or (debian and debian[-1])
    return found or Path(shutil.which("postgres")).parent


def ordinary_account():
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return None
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


def as_account(command):
    account = ordinary_account()
    switch = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
    return ["setpriv", "--pdeathsig=QUIT", *switch, *command]
