"""Data directories of MariaDB, made once per build and copied for every laboratory.

There is one for each kind of store, because stores differ: number of groups, which groups exist
already, and the column order that years of upgrades leave behind."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import servers

HERE = os.path.dirname(os.path.abspath(__file__))
LAB_TREE = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(LAB_TREE))
BUILD = os.path.join(ROOT, "build", "lab")
SQL = os.path.join(LAB_TREE, "sql")


@dataclass(frozen=True)
class Volume:
    """A row of zimbra.volume; `path` is below the store's directory."""

    id: int
    type: int  # 1 primary, 2 secondary, 10 index
    name: str
    path: str
    compress: bool = False
    threshold: int = 4096
    bits: tuple = (12, 8, 12, 8)  # file, file group, mailbox, mailbox group


@dataclass(frozen=True)
class Kind:
    """What tells one store from the next."""

    name: str
    groups: int
    made_groups: tuple  # mailboxd makes a group when it is first needed
    upgraded: bool
    next_mailbox_id: int
    volumes: tuple
    current: tuple  # message, secondary (or None), index
    localconfig: dict = field(default_factory=dict, hash=False)


PRIMARY, SECONDARY, INDEX = 1, 2, 10

# The same number never means the same volume on two of them. Mailbox ids of the second cross into
# another directory (id >> 12) and another calendar cache (id & 32768) after two mailboxes.
KINDS = (
    Kind("fresh", 5, (1, 2, 3, 4, 5), False, 11,
         (Volume(1, PRIMARY, "message1", "store"),
          Volume(2, INDEX, "index1", "index"),
          Volume(4, SECONDARY, "hsm1", "hsm/first")),
         (1, 4, 2)),
    Kind("upgraded", 7, (1, 2, 6), True, 32766,
         (Volume(3, PRIMARY, "message1", "blobs/compressed", compress=True, threshold=4096),
          Volume(5, SECONDARY, "archive", "archive", bits=(11, 8, 12, 8)),
          Volume(7, INDEX, "index1", "lucene")),
         (3, 5, 7),
         {"zimbra_mailbox_change_checkpoint_frequency": "20"}),
    Kind("wide", 100, (70,), False, 70,
         (Volume(2, PRIMARY, "message0", "store0"),
          Volume(6, INDEX, "index6", "index6", bits=(12, 8, 6, 4)),
          Volume(9, PRIMARY, "message9", "store9", compress=True, threshold=1024,
                 bits=(10, 6, 6, 4))),
         (9, None, 6)),
)


def sql_statements(name, **variables):
    """The statements of one of our SQL files, its ${VARIABLES} filled in."""
    with open(os.path.join(SQL, name), encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("--")]
    text = "".join(lines)
    for variable, value in variables.items():
        text = text.replace("${%s}" % variable, value)
    return [statement for statement in (s.strip() for s in text.split(";\n")) if statement]


@contextmanager
def locked(path):
    """Holds an exclusive lock on a file for as long as the block runs."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fingerprint():
    """Changes when anything the templates are made of does."""
    digest = hashlib.sha256(repr(KINDS).encode())
    for path in sorted(os.listdir(SQL)):
        with open(os.path.join(SQL, path), "rb") as file:
            digest.update(path.encode() + b"\0" + file.read())
    digest.update(subprocess.run([servers.program("mariadbd"), "--version"], check=True,
                                 capture_output=True).stdout)
    return digest.hexdigest()[:16]


def data_directory(kind):
    """The template of this kind of store, made if it is not there yet."""
    home = os.path.join(BUILD, "template", _fingerprint())
    path = os.path.join(home, kind.name)
    if not os.path.isdir(path):
        with locked(os.path.join(BUILD, "template.lock")):
            if not os.path.isdir(path):
                _make(kind, path)
    return path


def _make(kind, path):
    scratch = f"{path}.new"
    shutil.rmtree(scratch, ignore_errors=True)
    data = os.path.join(scratch, "data")
    os.makedirs(scratch)
    _install(data, os.path.join(scratch, "install.log"))
    with servers.private_mariadb(scratch, data) as db:
        _load(kind, db)
    for leftover in ("mysql_upgrade_info", "ib_buffer_pool"):
        if os.path.exists(os.path.join(data, leftover)):
            os.unlink(os.path.join(data, leftover))
    os.rename(data, path)
    shutil.rmtree(scratch)


def _install(data, log):
    command = [servers.program("mariadb-install-db"), "--no-defaults", f"--datadir={data}",
               "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
               f"--innodb-log-file-size={servers.INNODB_LOG_SIZE}"]
    if os.getuid() == 0:
        command.append("--user=root")
    with open(log, "wb") as output:
        if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
            with open(log, encoding="utf-8", errors="replace") as text:
                raise servers.ServerError(f"mariadb-install-db failed: {text.read()[-2000:]}")


def _load(kind, db):
    files = [("db.sql", {}), ("chat.sql", {})]
    if kind.upgraded:
        files.append(("upgraded_db.sql", {}))
    for group in kind.made_groups:
        name = {"DATABASE_NAME": f"mboxgroup{group}"}
        files.append(("create_database.sql", name))
        if kind.upgraded:
            files.append(("upgraded_group.sql", name))
    with db.cursor() as cursor:
        for name, variables in files:
            for statement in sql_statements(name, **variables):
                cursor.execute(statement)
