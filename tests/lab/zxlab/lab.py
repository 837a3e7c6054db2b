"""A laboratory: stores, directory, memcached and mail sink in one directory and one network.

    lab = Lab.create("mine", stores=["store1.lab.test", "store2.lab.test"])
    account = lab.new_account("ann@one.test", lab.stores[0])
    lab.zxmove("help")
    lab.stop()

Its servers outlive the process that started them; Lab.attach finds them again."""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess

import ldap
import yaml

from . import directory, network, process, servers, template
from .store import Store
from .tap import SLOW, wait_for

STORES = ("store1.lab.test", "store2.lab.test")
PROXY = "proxy.lab.test"
SHARED = "shared-A"


def _default_mode():
    return os.environ.get("MODE", "release")


def lab_directory(name):
    """Where the laboratory of this name is."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", name) or name.startswith("template"):
        raise ValueError(f"not a name for a laboratory: {name!r}")
    return os.path.join(template.BUILD, name)


def _made_of():
    """What a running laboratory has in it of this checkout: records of zxmove's, the stand-in, its own settings."""
    digest = hashlib.sha256()
    for pattern in ("core/ops/schema.*", "tests/mailboxd/*", "tests/lab/sql/*", "tests/lab/zxlab/*.py"):
        for path in sorted(glob.glob(os.path.join(template.ROOT, pattern))):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:16]


_owned = {}  # name -> the file whose lock this process holds


def _own(name):
    """Waits until no other process that made a laboratory of this name lives: the same test, run twice at a time."""
    if name not in _owned:
        os.makedirs(template.BUILD, exist_ok=True)
        _owned[name] = open(os.path.join(template.BUILD, f"{name}.owner"), "a", encoding="ascii")
        fcntl.flock(_owned[name], fcntl.LOCK_EX)


def _sanitizer_spoke(log):
    try:
        with open(log, "rb") as file:
            return re.search(rb"ERROR: \w+Sanitizer|runtime error:", file.read()) is not None
    except FileNotFoundError:
        return False


class Lab:
    """Use Lab.create, Lab.attach or Lab.shared."""

    def __init__(self, name, facts):
        self.name = name
        self.dir = lab_directory(name)
        self.facts = facts
        self.net = facts["net"]
        self.mode = facts["mode"]
        self.ldap_dn = directory.ADMIN_DN
        self.ldap_password = facts["ldap_password"]
        self.ldap_master = self._ldap_url(network.MASTER)
        self.replica = facts["replica"]
        self._cut_off = False
        # A store asks its replica first, as Zimbra's installer arranges it.
        self.ldap_urls = [self._ldap_url(network.REPLICA)] if self.replica else []
        self.ldap_urls.append(self.ldap_master)
        self.addresses = {PROXY: self.host(network.MEMCACHED)}
        for number, store in enumerate(facts["stores"]):
            self.addresses[store["name"]] = self.host(network.STORES[number])
        self.conf_path = os.path.join(self.dir, "zxmove.yaml")
        self.stores = [Store(self, number, store) for number, store in enumerate(facts["stores"])]
        self._ldap = None

    # Coming and going

    @classmethod
    def create(cls, name, stores=STORES, net=None, mode=None, replica=False, mailboxd=True):
        """A new, running laboratory; whatever is left of an older one of this name is removed.
        It uses the programs built in `mode`; default: $MODE, else release.
        Without `mailboxd`, or while the stand-in has not been built, stores run without it."""
        if name != SHARED:
            _own(name)
        cls.remove(name)
        if not 1 <= len(stores) <= len(network.STORES):
            raise ValueError(f"a laboratory has 1 to {len(network.STORES)} stores")
        path = lab_directory(name)
        os.makedirs(path, mode=0o755)
        facts = {"net": network.take(path, net), "mode": mode or _default_mode(), "replica": replica, "made_of": _made_of(),
                 "ldap_password": secrets.token_urlsafe(18),
                 "stores": [Store.new_facts(store, directory.new_id()) for store in stores]}
        servers.write(os.path.join(path, "lab.json"), json.dumps(facts, indent=2) + "\n", 0o600)
        lab = cls(name, facts)
        try:
            lab._make()
            lab.start(mailboxd)
        except BaseException:
            lab.stop()
            raise
        return lab

    @classmethod
    def attach(cls, name):
        """A laboratory that was started before; FileNotFoundError if there is none."""
        path = os.path.join(lab_directory(name), "lab.json")
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no laboratory {name}")
        with open(path, encoding="utf-8") as file:
            return cls(name, json.load(file))

    @classmethod
    def shared(cls, name=SHARED, mode=None, **options):
        """The laboratory that tests share, started by the first that asks. One left over from other sources is not
        the same: its stand-in runs, and its stores have their records."""
        mode = mode or _default_mode()
        with template.locked(os.path.join(template.BUILD, f"{name}.lock")):
            with contextlib.suppress(FileNotFoundError):
                lab = cls.attach(name)
                if lab.mode == mode and lab.facts.get("made_of") == _made_of() and lab.running():
                    lab.start()
                    return lab
            return cls.create(name, mode=mode, **options)

    @classmethod
    def stop_shared(cls, name=SHARED):
        """Ends the shared laboratory, if there is one."""
        with template.locked(os.path.join(template.BUILD, f"{name}.lock")):
            try:
                cls.attach(name).stop()
            except FileNotFoundError:
                cls.remove(name)

    @classmethod
    def remove(cls, name):
        """Stops what still runs of a laboratory, whole or not, and removes its directory."""
        path = lab_directory(name)
        process.stop_all(process.found_in(os.path.join(path, "run")), signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            network.give_back(cls.attach(name).net, path)
        if os.path.isdir(path):
            shutil.rmtree(path)

    @staticmethod
    def names():
        """The laboratories of this checkout."""
        found = glob.glob(os.path.join(template.BUILD, "*", "lab.json"))
        return sorted(os.path.basename(os.path.dirname(path)) for path in found)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _make(self):
        for path in ("run", "log", "mails", "ldap", "replica", "ssh", "state"):
            os.makedirs(os.path.join(self.dir, path))
        authority = servers.Authority(os.path.join(self.dir, "ca"))
        key = os.path.join(self.dir, "ssh", "id_zxmove")
        servers.make_ssh_key(key)
        with open(f"{key}.pub", encoding="ascii") as file:
            public_key = file.read()
        for store in self.stores:
            store.make(authority, public_key)
        self._slapd(authority)
        if self.replica:
            self._slapd_replica(authority)
        entries = directory.first_entries(
            [(store.name, store.server_id) for store in self.stores], PROXY,
            self.host(network.MEMCACHED),
            {"admin": self.ldap_password, "application": secrets.token_urlsafe(18)})
        servers.slapadd(os.path.join(self.dir, "ldap"), entries)
        self._write_known_hosts()
        self._write_conf(authority)

    def start(self, mailboxd=True):
        """Starts every server and waits until all serve."""
        first = self._servers()
        for server in first:
            server.launch()
        for server in first:
            server.wait_ready()
        if self.replica:  # a stand-in that asks it too early knows no administrator
            wait_for(self._replica_in_step, 20, "the replica to have what the master has")
        if mailboxd:
            able = [store.mailboxd for store in self.stores if store.has_mailboxd]
            for server in able:
                server.launch()
            for server in able:
                server.wait_ready()

    def running(self):
        """Whether all its servers run (the stand-in is not asked)."""
        return all(server.pid for server in self._servers())

    def pids(self):
        """{server name: pid or None}, the stand-ins included."""
        everyone = self._servers() + [store.mailboxd for store in self.stores]
        return {server.name: server.pid for server in everyone}

    def stop(self, keep=False):
        """Stops every server and removes the directory, unless it is to be kept. Stand-ins end in
        good order; ServerError, and the directory stays, if a sanitizer found fault with one."""
        if self._ldap is not None:
            with contextlib.suppress(ldap.LDAPError):
                self._ldap.connection.unbind_s()
            self._ldap = None
        process.stop_all([store.mailboxd for store in self.stores])
        faulty = [store.mailboxd.log for store in self.stores if _sanitizer_spoke(store.mailboxd.log)]
        process.stop_all(process.found_in(os.path.join(self.dir, "run")),
                         signal.SIGTERM if keep or faulty else signal.SIGKILL)
        if faulty:
            raise servers.ServerError(f"a sanitizer's report is in {', '.join(faulty)}")
        if not keep:
            self.remove(self.name)

    # Its parts

    def host(self, last):
        """The address with this last octet in the laboratory's network."""
        return f"127.{self.net}.{last}"

    def run_files(self, server):
        """Pid file and log of a server."""
        return (os.path.join(self.dir, "run", f"{server}.pid"),
                os.path.join(self.dir, "log", f"{server}.log"))

    def _ldap_url(self, last):
        return f"ldap://{self.host(last)}:{network.LDAP_PORT}"

    def _servers(self):
        authority = servers.Authority(os.path.join(self.dir, "ca"))
        found = [store.mariadb for store in self.stores]
        found.append(self._slapd(authority))
        if self.replica:
            found.append(self._slapd_replica(authority))
        found.append(self.memcached)
        found.append(servers.smtp_sink("sink", self.host(network.SINK),
                                       os.path.join(self.dir, "mails"), *self.run_files("sink")))
        return found + [store.sshd for store in self.stores]

    @property
    def memcached(self):
        """The memcached process."""
        return servers.memcached("memcached", self.host(network.MEMCACHED),
                                 *self.run_files("memcached"))

    @property
    def slapd(self):
        """The master's process."""
        return self._slapd(servers.Authority(os.path.join(self.dir, "ca")))

    def _slapd(self, authority):
        home = os.path.join(self.dir, "ldap")
        address = self.host(network.MASTER)
        tls = authority.issue(home, "ldap.lab.test", [address])
        return servers.slapd("slapd", home, address, tls, self.ldap_dn, self.ldap_password,
                             self.ldap_password, servers.PROVIDER, *self.run_files("slapd"))

    def _slapd_replica(self, authority):
        home = os.path.join(self.dir, "replica")
        address = self.host(network.REPLICA)
        tls = authority.issue(home, "replica.lab.test", [address])
        role = f"syncrepl {self._syncrepl()}\nupdateref {self.ldap_master}\n{servers.PROVIDER}"
        return servers.slapd("slapd-replica", home, address, tls, self.ldap_dn, self.ldap_password,
                             self.ldap_password, role, *self.run_files("slapd-replica"))

    def _syncrepl(self):
        return (f'rid=001 provider={self.ldap_master} type=refreshAndPersist searchbase=""'
                f' bindmethod=simple binddn="{self.ldap_dn}" credentials="{self.ldap_password}"'
                ' retry="1 +" schemachecking=off')

    def _write_known_hosts(self):
        lines = []
        for store in self.stores:
            assert store.sshd  # writes its host key
            with open(store.path("conf/ssh_host_ed25519_key.pub"), encoding="ascii") as file:
                kind, key = file.read().split()[:2]
            lines.append(f"[{store.address}]:{network.SSH_PORT} {kind} {key}")
        servers.write(os.path.join(self.dir, "ssh", "known_hosts"), "\n".join(lines) + "\n")

    def _write_conf(self, authority):
        conf = {
            "state_dir": os.path.join(self.dir, "state"),
            "stores": {store.name: {
                "address": store.address, "ssh_port": network.SSH_PORT,
                "mariadb_address": store.address, "mariadb_port": network.MARIADB_PORT,
                "soap_port": network.SOAP_PORT, "zimbra_home": store.dir} for store in self.stores},
            "ssh": {"user": servers.user(), "key_file": os.path.join(self.dir, "ssh", "id_zxmove"),
                    "known_hosts": os.path.join(self.dir, "ssh", "known_hosts")},
            "ldap": {"master": self.ldap_master, "bind_dn": self.ldap_dn,
                     "password": self.ldap_password, "ca_file": authority.ca, "starttls": True},
            "admin": {"user": "zimbra", "password": self.ldap_password, "ca_file": authority.ca},
            "smtp": {"url": f"smtp://{self.host(network.SINK)}:{network.SMTP_PORT}",
                     "from": "zxmove@lab.test"},
            "addresses": {PROXY: self.addresses[PROXY]},
        }
        servers.write(self.conf_path, yaml.safe_dump(conf, sort_keys=False), 0o600)

    # The directory

    def ldap(self):
        """A python-ldap connection of one's own, bound to the master as admin."""
        return servers.connect_ldap(self.ldap_master, self.ldap_dn, self.ldap_password)

    @property
    def directory(self):
        """The directory with its entries' rules (one connection, opened when first used)."""
        if self._ldap is None:
            self._ldap = directory.Directory(self.ldap(), self._replicated)
        return self._ldap

    def new_domain(self, name, **options):
        """See Directory.new_domain."""
        return self.directory.new_domain(name, **options)

    def new_account(self, address, store, **options):
        """See Directory.new_account; `store` is a Store or a name."""
        return self.directory.new_account(address, getattr(store, "name", store), **options)

    def new_list(self, address, members):
        """See Directory.new_list."""
        return self.directory.new_list(address, members)

    def _replicated(self):
        """A store asks its replica first: what a test wrote is seen there at once, unless it is cut off."""
        if self.replica and not self._cut_off:
            wait_for(self._replica_in_step, 20, "the replica to have what was written")

    def replica_lag(self, lagging=True):
        """Cuts the replica off from the master: it goes on answering what it knew. With False it
        is connected again and catches up."""
        self._cut_off = lagging
        change = ((ldap.MOD_DELETE, "olcSyncrepl", None) if lagging else
                  (ldap.MOD_ADD, "olcSyncrepl", [("{0}" + self._syncrepl()).encode()]))
        connection = servers.connect_ldap(self._ldap_url(network.REPLICA), "cn=config",
                                          self.ldap_password)
        connection.modify_s("olcDatabase={1}mdb,cn=config", [change])
        connection.unbind_s()

    def replica_sync(self, seconds=20):
        """Connects the replica and waits until it holds what the master held."""
        with contextlib.suppress(ldap.LDAPError):  # refused if it was never cut off
            self.replica_lag(False)
        wait_for(self._replica_in_step, seconds, "the replica to catch up")

    def _replica_in_step(self):
        try:
            there = self._change_numbers(self._ldap_url(network.REPLICA))
        except ldap.INVALID_CREDENTIALS:  # not even who asks is there yet
            return False
        return there == self._change_numbers(self.ldap_master)

    def _change_numbers(self, url):
        connection = servers.connect_ldap(url, self.ldap_dn, self.ldap_password)
        try:
            found = connection.search_s("", ldap.SCOPE_SUBTREE, "(objectClass=*)", ["entryCSN"])
        finally:
            connection.unbind_s()
        return {dn.lower(): attributes["entryCSN"] for dn, attributes in found if dn}

    # Mail, memcached, the program under test

    def memcached_command(self, command, data=None):
        """One command of the text protocol; the whole answer."""
        address = (self.host(network.MEMCACHED), network.MEMCACHED_PORT)
        with socket.create_connection(address, timeout=10) as connection:
            request = command.encode() + b"\r\n" + (data + b"\r\n" if data is not None else b"")
            connection.sendall(request)
            answer = b""
            ends = (b"END\r\n", b"STORED\r\n", b"OK\r\n", b"ERROR\r\n", b"NOT_FOUND\r\n",
                    b"DELETED\r\n")
            while not answer.endswith(ends):
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        return answer

    def memcached_set(self, key, value):
        """Stores a value (text or bytes) for an hour."""
        data = value if isinstance(value, bytes) else value.encode()
        if self.memcached_command(f"set {key} 0 3600 {len(data)}", data) != b"STORED\r\n":
            raise RuntimeError(f"memcached did not store {key}")

    def memcached_get(self, key):
        """The value as bytes, None if there is none."""
        answer = self.memcached_command(f"get {key}")
        if answer == b"END\r\n":
            return None
        head, _, rest = answer.partition(b"\r\n")
        return rest[:int(head.split()[3])]

    def deliver(self, address, store, n=1, size=None, sender="sender@outside.example"):
        """Offers n messages to a store by LMTP; RuntimeError if it does not take them."""
        command = [servers.program("smtp-source"), "-L", "-4", "-f", sender, "-t", address,
                   "-m", str(n), "-s", "1"]
        if size:
            command += ["-l", str(size)]
        command.append(f"{store.address}:{network.LMTP_PORT}")
        result = subprocess.run(command, capture_output=True, timeout=SLOW * 120, check=False)
        if result.returncode:
            raise RuntimeError((result.stderr or result.stdout).decode(errors="replace").strip())

    def mails(self):
        """The mails the sink kept, oldest first: [text]."""
        found = []
        for path in glob.glob(os.path.join(self.dir, "mails", "*")):
            with open(path, encoding="utf-8", errors="replace") as file:
                found.append((os.stat(path).st_mtime_ns, file.read()))
        return [text for _, text in sorted(found)]

    @property
    def program(self):
        """The zxmove of this laboratory's mode."""
        return os.path.join(template.ROOT, "build", self.mode, "zxmove")

    def _command(self, args, env, fail):
        environment = {**os.environ, **(env or {})}
        if fail:
            environment["ZX_FAIL"] = fail
        return [self.program, "--config", self.conf_path, *map(str, args)], environment

    def zxmove(self, *args, env=None, timeout=120, fail=None):
        """Runs zxmove to its end; CompletedProcess with text. `timeout` is for a quick machine."""
        command, environment = self._command(args, env, fail)
        return subprocess.run(command, env=environment, timeout=SLOW * timeout, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def zxmove_start(self, *args, env=None, fail=None, **options):
        """Starts zxmove and leaves it running; Popen with text pipes."""
        command, environment = self._command(args, env, fail)
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(command, env=environment, **options)
