"""One store of a laboratory: its directory (which is its zimbra_home), MariaDB, sshd, and the
stand-in for mailboxd, if that has been built."""

import html
import json
import os
import secrets
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

from . import network, servers, template


def _localconfig_text(keys):
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "", "<localconfig>"]
    for name, value in keys.items():
        lines += [f'  <key name="{name}">', f"    <value>{html.escape(str(value))}</value>", "  </key>"]
    return "\n".join(lines + ["</localconfig>"]) + "\n"


class Store:
    """Made by Lab; everything about one store."""

    def __init__(self, lab, number, facts):
        self.lab = lab
        self.number = number
        self.name = facts["name"]
        self.server_id = facts["server_id"]
        self._password = facts["mariadb_password"]
        self.kind = template.KINDS[number % len(template.KINDS)]
        self.groups = self.kind.groups
        self.address = lab.host(network.STORES[number])
        self.dir = os.path.join(lab.dir, f"store{number + 1}")
        self.mariadb = servers.mariadb(f"mariadb{number + 1}", self.dir, self.address, self._password,
                                       *lab.run_files(f"mariadb{number + 1}"))
        self.binary = os.path.join(template.ROOT, "build", lab.mode, "mailboxd")
        self.mailboxd = servers.mailboxd(f"mailboxd{number + 1}", self.binary,
                                         self.path("conf/mailboxd.json"), self.address,
                                         *lab.run_files(f"mailboxd{number + 1}"))
        self._sshd = None

    @staticmethod
    def new_facts(name, server_id):
        """What a new store is known by; the password has characters that XML must escape."""
        return {"name": name, "server_id": server_id,
                "mariadb_password": secrets.token_urlsafe(18) + "&<'"}

    def path(self, relative):
        """A path below the store's directory."""
        return os.path.join(self.dir, relative)

    @property
    def sshd(self):
        """Its sshd; the configuration is written when it is first asked for."""
        if self._sshd is None:
            name = f"sshd{self.number + 1}"
            self._sshd = servers.sshd(name, self.dir, self.address, *self.lab.run_files(name))
        return self._sshd

    @property
    def has_mailboxd(self):
        """Whether the stand-in has been built in the laboratory's mode."""
        return os.access(self.binary, os.X_OK)

    # Making it

    def make(self, authority, public_key):
        """Lays down its directory; starts nothing."""
        for directory in ("conf", "db", "log", "data/tmp/mysql", "data/tmp/calcache"):
            os.makedirs(self.path(directory), mode=0o750)
        for volume in self.kind.volumes:
            os.makedirs(self.path(volume.path), mode=0o750)
        subprocess.run(["cp", "-a", "--reflink=auto", template.data_directory(self.kind),
                        self.path("db/data")], check=True)
        shutil.copy(os.path.join(template.SQL, "create_database.sql"), self.path("db"))
        servers.write(self.path("db/first_start.sql"), self._first_start(), 0o600)
        servers.write(self.path("conf/localconfig.xml"), self._localconfig(), 0o640)
        servers.write(self.path("conf/authorized_keys"), public_key, 0o600)
        authority.issue(self.path("conf"), self.name, [self.address], "mailboxd")
        servers.write(self.path("conf/mailboxd.json"), self._mailboxd_config(authority), 0o600)

    def _first_start(self):
        """Run once by the new server: what cannot be in a template, one statement a line."""
        password = self._password.replace("\\", "\\\\").replace("'", "''")
        lines = [f"CREATE USER zimbra@'%' IDENTIFIED BY '{password}';",
                 "GRANT ALL PRIVILEGES ON *.* TO zimbra@'%' WITH GRANT OPTION;",
                 f"ALTER USER root@localhost IDENTIFIED BY '{password}';"]
        for v in self.kind.volumes:
            lines.append(
                "INSERT INTO zimbra.volume (id, type, name, path, file_bits, file_group_bits,"
                " mailbox_bits, mailbox_group_bits, compress_blobs, compression_threshold) VALUES"
                f" ({v.id}, {v.type}, '{v.name}', '{self.path(v.path)}', {v.bits[0]}, {v.bits[1]},"
                f" {v.bits[2]}, {v.bits[3]}, {int(v.compress)}, {v.threshold});")
        message, secondary, index = self.kind.current
        lines.append("INSERT INTO zimbra.current_volumes (message_volume_id,"
                     " secondary_message_volume_id, index_volume_id, next_mailbox_id) VALUES"
                     f" ({message}, {secondary or 'NULL'}, {index}, {self.kind.next_mailbox_id});")
        return "\n".join([*lines, *(f"{statement};" for statement in self._FLUSH)]) + "\n"

    def _localconfig(self):
        lab = self.lab
        keys = {
            "zimbra_home": self.dir,
            "zimbra_user": servers.user(),
            "zimbra_server_hostname": self.name,
            "zimbra_ldap_userdn": lab.ldap_dn,
            "zimbra_ldap_password": lab.ldap_password,
            "ldap_master_url": lab.ldap_master,
            "ldap_url": " ".join(lab.ldap_urls),
            "ldap_host": lab.host(network.MASTER),
            "ldap_port": network.LDAP_PORT,
            "ldap_starttls_supported": 1,
            "zimbra_mysql_user": "zimbra",
            "zimbra_mysql_password": self._password,
            "mysql_bind_address": self.address,
            "mysql_port": network.MARIADB_PORT,
            "mysql_socket": "${zimbra_tmp_directory}/mysql/mysql.sock",
            "zimbra_mailbox_groups": self.groups,
            **self.kind.localconfig,
        }
        return _localconfig_text(keys)

    def _mailboxd_config(self, authority):
        lab = self.lab
        return json.dumps({
            "name": self.name, "server_id": self.server_id, "address": self.address,
            "admin_port": network.SOAP_PORT, "lmtp_port": network.LMTP_PORT,
            "control_port": network.CONTROL_PORT, "certificate": self.path("conf/mailboxd.pem"),
            "key": self.path("conf/mailboxd.key"), "ca": authority.ca, "zimbra_home": self.dir,
            "mariadb": {"address": self.address, "port": network.MARIADB_PORT, "user": "zimbra",
                        "password": self._password},
            "ldap": {"master": lab.ldap_master, "urls": lab.ldap_urls, "bind_dn": lab.ldap_dn,
                     "password": lab.ldap_password},
            "memcached": [f"{lab.host(network.MEMCACHED)}:{network.MEMCACHED_PORT}"],
            "addresses": lab.addresses,
        }, indent=2) + "\n"

    # Servers

    def mariadb_start(self):
        """Starts MariaDB and waits."""
        self.mariadb.start()

    def mariadb_kill(self):
        """As a power cut to MariaDB alone: up to a second of commits is lost."""
        self.mariadb.kill()

    def sshd_start(self):
        """Starts sshd and waits."""
        self.sshd.start()

    def sshd_kill(self):
        """Ends sshd and every session it carries."""
        self.sshd.kill()

    def mailboxd_start(self):
        """Starts the stand-in and waits; it must have been built."""
        if not self.has_mailboxd:
            raise servers.ServerError(f"{self.binary} has not been built")
        self.mailboxd.start()

    def mailboxd_stop(self):
        """Ends the stand-in in good order."""
        self.mailboxd.stop()

    def mailboxd_kill(self):
        """As a crash: its memory is gone, the database stays."""
        self.mailboxd.kill()

    def configure(self, localconfig=None, mailboxd=None):
        """Changes keys of localconfig.xml and of the stand-in's own configuration; a running
        stand-in is started anew to read them."""
        path = self.path("conf/localconfig.xml")
        keys = {key.get("name"): key.findtext("value", "")
                for key in ElementTree.parse(path).getroot().iter("key")}
        servers.write(path, _localconfig_text({**keys, **(localconfig or {})}), 0o640)
        path = self.path("conf/mailboxd.json")
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        servers.write(path, json.dumps({**settings, **(mailboxd or {})}, indent=2) + "\n", 0o600)
        if self.mailboxd.pid:
            self.mailboxd_stop()
            self.mailboxd_start()

    def pause(self, server):
        """Freezes "mariadb", "sshd" or "mailboxd": it keeps its connections and answers nothing."""
        getattr(self, server).pause()

    def cont(self, server):
        """Thaws it."""
        getattr(self, server).cont()

    def db(self, **options):
        """A connection to its MariaDB (autocommit, bytes as they are)."""
        return servers.connect_mariadb(self.address, self._password, **options)

    # A commit is on disk up to a second later; DDL writes InnoDB's log at once (hazard 36).
    _FLUSH = ("CREATE OR REPLACE TABLE zimbra.flush_enforcer (nothing INT)",
              "DROP TABLE IF EXISTS zimbra.flush_enforcer")

    def flush(self, connection):
        """Makes what was committed survive a kill of MariaDB, the way Zimbra does it."""
        with connection.cursor() as cursor:
            for statement in self._FLUSH:
                cursor.execute(statement)

    def ensure_group(self, connection, group):
        """Creates the schema of a mailbox group from the store's own template if it is missing."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = %s",
                           (f"mboxgroup{group}",))
            if not cursor.fetchone():
                for statement in template.sql_statements("create_database.sql",
                                                         DATABASE_NAME=f"mboxgroup{group}"):
                    cursor.execute(statement)

    # The stand-in's control port

    def _control(self, path, seconds=90, **parameters):
        query = urllib.parse.urlencode({k: v for k, v in parameters.items() if v is not None})
        url = f"http://{self.address}:{network.CONTROL_PORT}/{path}" + (f"?{query}" if query else "")
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{self.name}: {path}: {error.read().decode()}") from error
        return json.loads(text) if text.strip() else {}

    def fault(self, request, mode, op=None, account=None, ms=None, code=None, count=None):
        """Plants a fault for requests of a kind, as tests need it."""
        return self._control("fault", request=request, mode=mode, op=op, account=account, ms=ms,
                             code=code, count=count)

    def faults_left(self, account=None):
        """How many of the planted faults (for an account) no request has met yet."""
        return self._control("fault/left", account=account)["left"]

    def fault_clear(self):
        """Removes all planted faults."""
        return self._control("fault/clear")

    def state(self, account_id):
        """What the stand-in has in memory about an account."""
        return self._control("state", account=account_id)

    def log(self):
        """The requests it has had."""
        return self._control("log")

    def user(self, account_id, do, item=None, **more):
        """Does what the account's own web client would; `more` is what an action takes beside the item."""
        return self._control("user", account=account_id, do=do, item=item, **more)

    def tasks(self):
        """The scheduled tasks in its memory."""
        return self._control("tasks")

    def tick(self):
        """Runs its periodic tasks now."""
        return self._control("tick")
