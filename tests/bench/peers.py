"""peers.py - what zxmove is measured against: rsync and tar over the same sshd, a plain local copy, mariadb-dump
into mariadb, INSERT .. SELECT; and how a store is brought back to where nothing had been copied."""

import os
import subprocess

from zxlab import network, servers
from zxlab.blobs import read_volumes

from measure import timed

# One cipher for everybody, the one that zxmove asks for first.
CIPHER = "aes128-gcm@openssh.com"


class Copies:
    """A mailbox's directories on all volumes of a store, copied by others to a directory on the destination."""

    def __init__(self, lab, source, destination, mailbox):
        self.lab, self.source, self.destination = lab, source, destination
        self.to, self.places = None, 0
        with source.db() as connection, connection.cursor() as cursor:
            volumes = read_volumes(cursor)[0].values()
        there = [v.mailbox_dir(mailbox) for v in volumes if v.type != 10]
        self.directories = [os.path.relpath(path, source.dir) for path in there if os.path.isdir(path)]
        files = [os.stat(os.path.join(at, name)) for path in there for at, _, names in os.walk(path) for name in names]
        self.files, self.bytes = len(files), sum(file.st_size for file in files)

    def ssh(self):
        """The words of an ssh to the destination."""
        return ["ssh", "-F", "none", "-c", CIPHER, "-p", str(network.SSH_PORT), "-i",
                os.path.join(self.lab.dir, "ssh", "id_zxmove"), "-o",
                f"UserKnownHostsFile={self.lab.dir}/ssh/known_hosts", "-o", "BatchMode=yes"]

    def _login(self):
        return f"{servers.user()}@{self.destination.address}"

    def rsync(self):
        """rsync -a over ssh, then what zxmove does as well: wait until it is on the disk. (copied, durable)"""
        copied = timed(["rsync", "-aR", "-e", " ".join(self.ssh()), *self.directories,
                        f"{self._login()}:{self.to}/"], cwd=self.source.dir)
        return copied, copied + self.sync()

    def tar(self):
        """tar into ssh tar; (copied, durable)"""
        remote = f"tar -C {self.to} -xf -"
        copied = timed(["bash", "-o", "pipefail", "-c", 'tar -cf - "${@:1:$#-1}" | ' + " ".join(self.ssh())
                        + f' {self._login()} "${{@: -1}}"', "-", *self.directories, remote], cwd=self.source.dir)
        return copied, copied + self.sync()

    def local(self):
        """cp -a on the same disk: the limit; (copied, durable)"""
        copied = timed(["cp", "-a", "--parents", *self.directories, self.to], cwd=self.source.dir)
        return copied, copied + self.sync()

    def sync(self):
        """Seconds until the destination's file system has everything on its disk."""
        return timed(["sync", "-f", self.destination.dir])

    def empty(self):
        """A new directory to copy to. The one before stays: ext4 is slow to make files while many were just
        deleted, and whoever came after would be charged with it."""
        self.places += 1
        self.to = self.destination.path(f"peer{self.places}")
        os.makedirs(self.to)
        self.sync()


def unstage(store, account):
    """Everything that `stages data` left of an account on a store goes: rows, records; files go aside (see empty)."""
    unstage_rows(store, account)
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT mailbox_id FROM zxmove.reservation WHERE account_id = %s", (account,))
        (mailbox,), = cursor.fetchall()
        for table in ("reservation", "staged"):
            cursor.execute(f"DELETE FROM zxmove.{table} WHERE account_id = %s", (account,))
        for volume in read_volumes(cursor)[0].values():
            if os.path.isdir(volume.mailbox_dir(mailbox)):
                os.rename(volume.mailbox_dir(mailbox), os.path.join(volume.path, f"aside-{mailbox}"))
    timed(["sync", "-f", store.dir])


def unstage_rows(store, account):
    """The rows alone."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT mailbox_id, group_id FROM zxmove.reservation WHERE account_id = %s", (account,))
        (mailbox, group), = cursor.fetchall()
        cursor.execute("SET foreign_key_checks = 0")
        for table in mailbox_tables(cursor, group):
            cursor.execute(f"DELETE FROM mboxgroup{group}.{table} WHERE mailbox_id = %s", (mailbox,))


def mailbox_tables(cursor, group):
    """The tables of a group that hold rows of a mailbox."""
    cursor.execute("SELECT TABLE_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = %s"
                   " AND COLUMN_NAME = 'mailbox_id' ORDER BY TABLE_NAME", (f"mboxgroup{group}",))
    return [name.decode() if isinstance(name, bytes) else name for name, in cursor.fetchall()]


class Rows:
    """The rows of a mailbox, copied by others under the same mailbox id into a group of the destination."""

    def __init__(self, copies, mailbox, group):
        self.copies, self.mailbox, self.group = copies, mailbox, group
        self.source, self.destination = copies.source, copies.destination
        for store in (self.source, self.destination):
            path = self._defaults(store)
            if not os.path.exists(path):
                servers.write(path, f'[client]\nhost={store.address}\nport={network.MARIADB_PORT}\nuser=zimbra\n'
                              f'password="{store._password}"\n', 0o600)
        with self.destination.db() as connection:
            self.destination.ensure_group(connection, group)

    @staticmethod
    def _defaults(store):
        return store.path("conf/bench.cnf")

    def dump(self):
        """mariadb-dump into ssh mariadb: seconds."""
        dump = ["mariadb-dump", f"--defaults-extra-file={self._defaults(self.source)}", "--single-transaction",
                "--no-create-info", "--complete-insert", "--skip-triggers", "--skip-add-locks", "--skip-disable-keys",
                f"--where=mailbox_id={self.mailbox}", f"mboxgroup{self.group}"]
        load = f"mariadb --defaults-extra-file={self._defaults(self.destination)} mboxgroup{self.group}"
        return timed(["bash", "-o", "pipefail", "-c", '"${@:1:$#-1}" | ' + " ".join(self.copies.ssh())
                      + f' {self.copies._login()} "${{@: -1}}"', "-", *dump, load])

    def select(self, to):
        """INSERT .. SELECT on the source's server, under another mailbox id: the limit."""
        with self.source.db() as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            tables = mailbox_tables(cursor, self.group)
            statements = []
            for table in tables:
                cursor.execute("SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = %s AND"
                               " TABLE_NAME = %s AND COLUMN_NAME <> 'mailbox_id'", (f"mboxgroup{self.group}", table))
                columns = ", ".join(f"`{c.decode() if isinstance(c, bytes) else c}`" for c, in cursor.fetchall())
                statements.append(f"INSERT INTO mboxgroup{self.group}.{table} (mailbox_id, {columns}) SELECT {to},"
                                  f" {columns} FROM mboxgroup{self.group}.{table} WHERE mailbox_id = {self.mailbox}")
        path = self.source.path("db/bench.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write("SET foreign_key_checks = 0;\n" + ";\n".join(statements) + ";\n")
        took = timed(["mariadb", f"--defaults-extra-file={self._defaults(self.source)}", "-e", f"source {path}"])
        self._remove(self.source, to)
        return took

    def clean(self):
        """What dump() brought goes."""
        self._remove(self.destination, self.mailbox)

    def _remove(self, store, mailbox):
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for table in mailbox_tables(cursor, self.group):
                cursor.execute(f"DELETE FROM mboxgroup{self.group}.{table} WHERE mailbox_id = %s", (mailbox,))


def version(program):
    """The first line of what a program says of itself."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
