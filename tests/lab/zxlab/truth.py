"""truth.py - what is the case in a laboratory, read where it is: rows with SQL, files from the disk,
the directory from the LDAP master, keys from memcached.

The checker judges the product by this, so nothing here is shared with the product, and nothing is summed
up on a server: every value arrives as the bytes that are stored and is compared in Python. Facts:
doc/platform.md 1-3, 5.7 and 7."""

import base64
import gzip
import hashlib
import os
import socket
import stat
import zlib
import xml.etree.ElementTree as ElementTree
from collections import namedtuple
from dataclasses import dataclass, field
from urllib.parse import unquote

import ldap
import pymysql

MESSAGE_VOLUMES = (1, 2)
INDEX_VOLUME = 10

_catalogues = {}  # store directory -> {schema: {table: Table}}; schemas do not change while a test runs


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    columns: tuple  # sorted, so that the order in which a store keeps them does not matter
    key: tuple      # columns of the primary or else a unique key; only to name a difference
    defaults: dict = field(hash=False, compare=False)

    @property
    def owner(self):
        """The column that says whose row it is, None in a table of the whole store."""
        if (self.schema, self.name) == ("zimbra", "mailbox"):
            return "id"
        return "mailbox_id" if "mailbox_id" in self.columns else None


@dataclass
class Rows:
    """Rows of one table: tuples of bytes (None is NULL) in the order of `columns`."""
    columns: tuple
    key: tuple
    rows: list
    defaults: dict

    def dicts(self):
        return [dict(zip(self.columns, row)) for row in self.rows]

    def values(self, column):
        if column not in self.columns:
            return []
        at = self.columns.index(column)
        return [row[at] for row in self.rows]


class Sql:
    """A connection to one store's MariaDB on which nothing is decoded, converted or summed up."""

    def __init__(self, store):
        self.store = store
        config = localconfig(store)
        self.connection = pymysql.connect(
            host=store.address, port=int(config.get("mysql_port", "7306")), user=config["zimbra_mysql_user"],
            password=config["zimbra_mysql_password"], charset="utf8mb4", init_command="SET NAMES binary",
            autocommit=True, connect_timeout=10, read_timeout=120)
        self.connection.use_unicode = False
        self.connection.decoders = {}
        self.query("SET SESSION time_zone = '+00:00', tx_isolation = 'REPEATABLE-READ'")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def query(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def text(self, statement):
        """Rows of names and numbers: decoded, None kept."""
        return [tuple(None if v is None else v.decode() for v in row) for row in self.query(statement)]

    def snapshot(self):
        """All that follows on this connection is of one moment."""
        self.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")

    def schemas(self):
        return [name for name, in self.text("SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA")]

    def groups(self):
        return sorted((s for s in self.schemas() if s.startswith("mboxgroup")), key=lambda s: int(s[9:]))

    def tables(self, schema):
        """{name: Table}, from the catalogue, so that a table nobody knows of is looked at as well."""
        known = _catalogues.setdefault(self.store.dir, {})
        if schema not in known:
            known[schema] = self._read_catalogue(schema)
        return known[schema]

    def _read_catalogue(self, schema):
        columns, keys, defaults = {}, {}, {}
        for table, column, default in self.text(
                "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM INFORMATION_SCHEMA.COLUMNS"
                f" WHERE TABLE_SCHEMA = '{schema}'"):
            columns.setdefault(table, []).append(column)
            defaults.setdefault(table, {})[column] = default
        for table, index, column in self.text(
                "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM INFORMATION_SCHEMA.STATISTICS"
                f" WHERE TABLE_SCHEMA = '{schema}' AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY',"
                " INDEX_NAME, SEQ_IN_INDEX"):
            first, names = keys.setdefault(table, (index, []))
            if first == index:
                names.append(column)
        return {name: Table(schema, name, tuple(sorted(columns[name])), tuple(keys.get(name, ("", []))[1]),
                            defaults[name])
                for name in columns}

    def rows(self, table, where):
        columns = tuple(c for c in table.columns if c != "mailbox_id")
        names = ", ".join(f"`{c}`" for c in columns)
        found = self.query(f"SELECT {names} FROM `{table.schema}`.`{table.name}` WHERE {where}")
        return Rows(columns, tuple(c for c in table.key if c in columns), list(found), table.defaults)

    def filled(self, tables):
        """Those of `tables` that have any row; one question a hundred tables."""
        found = set()
        for start in range(0, len(tables), 100):
            found.update(self.text(" UNION ALL ".join(
                f"(SELECT '{t.schema}', '{t.name}' FROM `{t.schema}`.`{t.name}` LIMIT 1)"
                for t in tables[start:start + 100])))
        return [t for t in tables if (t.schema, t.name) in found]

    def owners(self, tables, ids):
        """{(schema, table, mailbox id): rows} for those of `ids` that have any."""
        found, wanted = {}, ", ".join(str(i) for i in sorted(ids))
        for start in range(0, len(tables), 100):
            for schema, table, owner, count in self.text(" UNION ALL ".join(
                    f"(SELECT '{t.schema}', '{t.name}', `{t.owner}`, COUNT(*) FROM `{t.schema}`.`{t.name}`"
                    f" WHERE `{t.owner}` IN ({wanted}) GROUP BY `{t.owner}`)"
                    for t in tables[start:start + 100])):
                found[schema, table, int(owner)] = int(count)
        return found

    def keyed_tables(self):
        """Every table of `zimbra` and of all group schemas whose rows belong to a mailbox."""
        return [t for schema in ["zimbra"] + self.groups() for t in self.tables(schema).values()
                if t.owner is not None]

    def volumes(self):
        return {int(v["id"]): Volume(**{k: int(v[k]) for k in Volume.numbers}, path=v["path"].decode())
                for v in self.rows(self.tables("zimbra")["volume"], "TRUE").dicts()}

    def current_volumes(self):
        row = self.rows(self.tables("zimbra")["current_volumes"], "TRUE").dicts()[0]
        return {name: None if value is None else int(value) for name, value in row.items()}

    def mailbox(self, account_id):
        """(mailbox id, group) of the account's row, None if there is none."""
        rows = self.text("SELECT id, group_id FROM zimbra.mailbox WHERE LOWER(account_id) ="
                         f" '{account_id.lower()}'")
        assert len(rows) < 2, f"{len(rows)} mailbox rows of {account_id} on {self.store.name}"
        return tuple(int(v) for v in rows[0]) if rows else None


@dataclass(frozen=True)
class Volume:
    id: int
    type: int
    path: str
    file_bits: int
    file_group_bits: int
    mailbox_bits: int
    mailbox_group_bits: int
    compress_blobs: int
    compression_threshold: int
    numbers = ("id", "type", "file_bits", "file_group_bits", "mailbox_bits", "mailbox_group_bits",
               "compress_blobs", "compression_threshold")

    def mailbox_dir(self, mailbox_id):
        return f"{self.path}/{(mailbox_id >> self.mailbox_bits) % (1 << self.mailbox_group_bits)}/{mailbox_id}"

    def blob(self, item_id, mod_content):
        """Below the mailbox directory."""
        return f"msg/{(item_id >> self.file_bits) % (1 << self.file_group_bits)}/{item_id}-{mod_content}.msg"


def localconfig(store):
    root = ElementTree.parse(os.path.join(store.dir, "conf", "localconfig.xml")).getroot()
    return {key.get("name"): (key.findtext("value") or "") for key in root.findall("key")}


def mailbox_groups(store):
    return int(localconfig(store).get("zimbra_mailbox_groups", "100"))


def change_increment(store):
    return int(localconfig(store).get("zimbra_mailbox_change_checkpoint_frequency", "100"))


# ---- files

File = namedtuple("File", "kind mode uid gid size ino mtime raw plain plain_size")
# kind: "f", "d", "l", "?"; raw: SHA-256 of the bytes; plain, plain_size: of what gunzip makes of them, None
# if that is nothing


def scan(root, content=True, skip=()):
    """{path below root: File}; @skip are paths below root that are left out. No link is followed."""
    found = {}
    if not os.path.lexists(root):
        return found
    waiting = [""]
    while waiting:
        under = waiting.pop()
        for entry in _entries(os.path.join(root, under) if under else root):
            path = f"{under}/{entry.name}" if under else entry.name
            if path in skip:
                continue
            file = _file(entry, content)
            if file is None:
                continue
            found[path] = file
            if file.kind == "d":
                waiting.append(path)
    return found


def _entries(directory):
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _file(entry, content):
    try:
        st = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(st.st_mode):
            return _made("d", st, 0, 0)
        if stat.S_ISLNK(st.st_mode):
            return _made("l", st, st.st_size, st.st_mtime_ns, os.readlink(entry.path))
        if not stat.S_ISREG(st.st_mode):
            return _made("?", st, 0, 0)
        if not content:
            return _made("f", st, st.st_size, st.st_mtime_ns)
        with open(entry.path, "rb") as stream:
            data = stream.read()
        plain, plain_size = unpacked(data)
        return _made("f", st, len(data), st.st_mtime_ns, hashlib.sha256(data).hexdigest(), plain, plain_size)
    except FileNotFoundError:  # a live store: swept between the listing and the look
        return None


def stat_file(path):
    """Of a directory that is known to be there."""
    return _made("d", os.lstat(path), 0, 0)


def _made(kind, st, size, mtime, raw=None, plain=None, plain_size=None):
    return File(kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, size, st.st_ino, mtime, raw, plain,
                plain_size)


def unpacked(data):
    """(digest as a row has it, length) of what gunzip makes of data, (None, None) if that is nothing."""
    if data[:2] != b"\x1f\x8b":
        return None, None
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None, None
    return blob_digest(plain), len(plain)


def read_blob(path):
    """The message in a blob file."""
    with open(path, "rb") as stream:
        data = stream.read()
    return gzip.decompress(data) if unpacked(data)[0] else data


def blob_digest(data):
    """blob_digest of a row: SHA-256, base64, "/" written as ","."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode().replace("/", ",")


def digest_of_hex(text):
    return base64.b64encode(bytes.fromhex(text)).decode().replace("/", ",")


def blob_content(file, row_size):
    """(digest, length) of what mailboxd would read from the file for a row of that size: gunzipped by the
    magic, but not if the file is as long as the row says."""
    if file.plain is not None and file.size != row_size:
        return file.plain, file.plain_size
    return digest_of_hex(file.raw), file.size


# ---- directory

class Directory:
    """The LDAP master."""

    def __init__(self, lab):
        self.connection = lab.ldap()

    def search(self, base, query="(objectClass=*)", scope=ldap.SCOPE_SUBTREE):
        """{dn: {attribute: sorted values}}, all user attributes as they are stored."""
        try:
            found = self.connection.search_ext_s(base, scope, query, ["*"])
        except ldap.NO_SUCH_OBJECT:
            return {}
        return {dn: {name: sorted(values) for name, values in entry.items()} for dn, entry in found if dn}

    def account(self, account_id):
        """(dn, attributes) of the account, by its id."""
        found = self.search("", f"(&(objectClass=zimbraAccount)(zimbraId={account_id}))")
        assert len(found) == 1, f"{len(found)} entries of account {account_id}"
        return next(iter(found.items()))

    def config(self):
        return self.search("cn=config,cn=zimbra", scope=ldap.SCOPE_BASE).get("cn=config,cn=zimbra", {})

    def servers(self):
        return self.search("cn=servers,cn=zimbra", "(objectClass=zimbraServer)")

    def domain(self, name):
        return self.search("", f"(&(objectClass=zimbraDomain)(zimbraDomainName={name}))")

    def alias_domains(self, domain_id):
        return self.search("", f"(&(objectClass=zimbraDomain)(zimbraDomainAliasTargetId={domain_id}))")


def one(entry, name, default=None):
    """The only value of an attribute as text."""
    for key, values in entry.items():
        if key.lower() == name.lower() and values:
            return values[0].decode()
    return default


def many(entry, name):
    return [v.decode() for key, values in entry.items() if key.lower() == name.lower() for v in values]


def server_setting(directory, host, name, default):
    """An attribute of the server with this service host name, or what it inherits."""
    for entry in directory.servers().values():
        if one(entry, "zimbraServiceHostname") == host and one(entry, name) is not None:
            return one(entry, name)
    return one(directory.config(), name, default)


def domain_of(dn):
    """The domain's DN of an account's: what is under its dc components."""
    return dn[dn.lower().index("dc="):] if "dc=" in dn.lower() else ""


# ---- memcached

class Memcached:
    """One server, by the text protocol."""

    def __init__(self, address, port=11211):
        self.socket = socket.create_connection((address, port), timeout=10)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def _line(self):
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("memcached hung up")
        return line.rstrip(b"\r\n")

    def set(self, key, value):
        data = value if isinstance(value, bytes) else value.encode()
        self.socket.sendall(f"set {key} 0 0 {len(data)}\r\n".encode() + data + b"\r\n")
        assert self._line() == b"STORED", key

    def delete(self, key):
        self.socket.sendall(f"delete {key}\r\n".encode())
        return self._line() == b"DELETED"

    def get(self, keys):
        """{key: (value, cas)} of those that are there; cas grows with every write on this server."""
        found = {}
        keys = list(keys)
        for start in range(0, len(keys), 50):
            self.socket.sendall(b"gets " + " ".join(keys[start:start + 50]).encode() + b"\r\n")
            while (line := self._line()) != b"END":
                _, key, _, length, cas = line.split()
                found[key.decode()] = (self.stream.read(int(length)), int(cas))
                self._line()
        return found

    def keys(self):
        """Every key there is: by the hash table, for a walk along the lists of use passes over what memcached moves
        from one to another meanwhile."""
        self.socket.sendall(b"lru_crawler metadump hash\r\n")
        found = []
        while (line := self._line()) != b"END":
            if not line.startswith(b"key="):
                raise RuntimeError(f"memcached does not tell its keys: {line}")
            found.append(unquote(line.split()[0][4:].decode()))
        return found


def key_forms(key):
    """A key as the versions of Zimbra write it: raw, or its SHA-256 in hexadecimal."""
    hashed = hashlib.sha256(key.encode()).hexdigest()
    return [key, hashed] if len(key.encode()) <= 250 and not any(c.isspace() for c in key) else [hashed]


_PROTOCOLS = ("http", "imap", "pop3", "httpssl", "imapssl", "pop3ssl")


def _user_routes(name):
    return [f"route:proto={protocol};user={name}" for protocol in _PROTOCOLS]


def route_keys(directory, dn, entry):
    """Every key under which a proxy may remember where the account lives (doc/platform.md 7), unhashed."""
    account_id, uid = one(entry, "zimbraId"), one(entry, "uid")
    domain_dn = domain_of(dn)
    domain = directory.search(domain_dn, scope=ldap.SCOPE_BASE).get(domain_dn, {})
    name = one(domain, "zimbraDomainName") or ".".join(part[3:] for part in domain_dn.split(","))
    addresses, hosts = many(domain, "zimbraVirtualIPAddress"), many(domain, "zimbraVirtualHostname")
    aliases = many(entry, "zimbraMailAlias")

    keys = [f"route:proto=http;id={account_id}", f"route:proto=httpssl;id={account_id}",
            f"route:proto=httpssl;admin=1;id={account_id}"]
    keys += _user_routes(uid) + _user_routes(f"{uid}@{name}") + [f"alias:user={uid};ip={name}"]
    for address in addresses:
        keys += _user_routes(f"{uid}@{address}") + [f"alias:user={uid};ip={address}"]
    keys += [f"alias:user={uid};vhost={host}" for host in hosts]

    locals_here = [uid] + [a.split("@")[0] for a in aliases if a.split("@")[1].lower() == name.lower()]
    for alias_domain in directory.alias_domains(one(domain, "zimbraId", "-")).values():
        other = one(alias_domain, "zimbraDomainName")
        for local in locals_here:
            keys += _user_routes(f"{local}@{other}") + [f"alias:user={local};ip={other}"]

    for alias in aliases:
        local = alias.split("@")[0]
        keys += _user_routes(alias) + [f"alias:user={local};vhost={host}" for host in hosts]
        for address in addresses:
            keys += _user_routes(f"{local}@{address}") + [f"alias:user={local};ip={address}"]
    return sorted(set(keys))


def cache_keys(account_id, folders):
    """The keys of mailboxd's own caches that can be named (doc/platform.md 5.7), unhashed."""
    keys = [f"zmFldrsTags:{account_id}", f"zmCalsList:{account_id}"]
    for folder in folders:
        keys += [f"zmEffFolderACL:{account_id}:{folder}", f"zmCtagInfo:{account_id}:{folder}",
                 f"zmCalSumry:{account_id}:{folder}"]
    return keys
