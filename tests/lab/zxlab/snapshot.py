"""snapshot.py - a laboratory before a move, kept in full: the mailboxes that are to move, and everything
around them that must not change.

    before = Snapshot(lab, [account_id, ...])        # then move, then check.check_move(lab, before, ...)

In a shared laboratory "everything around" is the domains of the accounts and what belongs to no domain
(server variables, volumes, configuration). exclusive=True is for a laboratory of one's own: every
row, file, entry and key that is not of the accounts."""

import glob
import hashlib
import os
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass

from . import truth

# The product's own database on each store; check.py looks into it, nothing else does.
OWN_SCHEMA = "zxmove"
SYSTEM_SCHEMAS = {"mysql", "information_schema", "performance_schema", "sys", OWN_SCHEMA}

# Not settings but counters and clocks that SHOW GLOBAL VARIABLES lists as well; and what the laboratory gives a
# server for its first start only.
MOVING_VARIABLES = {"gtid_binlog_pos", "gtid_binlog_state", "gtid_current_pos", "gtid_slave_pos", "timestamp",
                    "last_insert_id", "init_file"}

# Of the kind of process ids and logs, written by the servers themselves.
SERVER_FILES = {"db", "log", "run", ".cache"}  # the last: of the ssh user, where an agent is uploaded to


@dataclass
class Copy:
    """One mailbox on one store: all its rows, all its files."""
    store: str
    mailbox_id: int
    group: int
    tables: dict  # "zimbra.mailbox", "group.mail_item", ... -> Rows; only tables with rows, and `mailbox`
    files: dict   # (volume id, path below the mailbox directory) -> File
    volumes: dict

    def table(self, name):
        return self.tables.get(name)

    def dicts(self, name):
        rows = self.tables.get(name)
        return rows.dicts() if rows else []

    def mailbox(self):
        return self.dicts("zimbra.mailbox")[0]

    def folders(self):
        return [int(r["id"]) for r in self.dicts("group.mail_item") if r["type"] in (b"1", b"2", b"13")]

    def index_dir_volumes(self):
        return sorted({volume for volume, path in self.files if path == "index"})

    def index_files(self):
        """{path below index: File}"""
        return {path[6:]: file for (_, path), file in self.files.items()
                if path.startswith("index/") and file.kind != "d"}


# The four tables whose rows have blobs, and the column that names the item.
BLOB_TABLES = {"group.mail_item": "id", "group.mail_item_dumpster": "id", "group.revision": "item_id",
               "group.revision_dumpster": "item_id"}


def read_copy(lab, store, account_id):
    """The account's mailbox as it is on the store now; None if it has no row there."""
    with truth.Sql(store) as sql:
        sql.snapshot()
        found = sql.mailbox(account_id)
        return _read_copy(sql, store, *found) if found else None


def _read_copy(sql, store, mailbox_id, group):
    tables = {}
    for schema, prefix in (("zimbra", "zimbra"), (f"mboxgroup{group}", "group")):
        for table in sql.tables(schema).values():
            if table.owner is None or table.name == "deleted_account":
                continue
            rows = sql.rows(table, f"`{table.owner}` = {mailbox_id}")
            if rows.rows:
                tables[f"{prefix}.{table.name}"] = rows
    volumes = sql.volumes()
    files = {(volume.id, path): file for volume in volumes.values()
             for path, file in truth.scan(volume.mailbox_dir(mailbox_id)).items()}
    return Copy(store.name, mailbox_id, group, tables, files, volumes)


@dataclass
class Moved:
    """An account that is to be moved, as it was."""
    account_id: str
    dn: str
    entry: dict
    below: dict   # entries under the account's: data sources, identities
    home: str
    copies: dict  # store name -> Copy, wherever it has a row (old copies of earlier moves, too)
    keys: dict    # its keys in memcached, in both forms: {"route": [...], "cache": [...]}


class Snapshot:
    def __init__(self, lab, accounts, keys=(), exclusive=False):
        self.lab, self.exclusive = lab, exclusive
        self.keys = tuple(keys)
        directory = truth.Directory(lab)
        self.moved = {account: self._moved(lab, directory, account) for account in accounts}
        self.scope = Scope(self, directory)
        self.styles = {store.name: _styles(store) for store in lab.stores}
        self.world = World(lab, self)
        self.clock = {server: _clock(server) for server in memcached_servers(lab)}
        self.taken_ms = int(time.time() * 1000)

    @staticmethod
    def _moved(lab, directory, account_id):
        dn, entry = directory.account(account_id)
        below = {name: e for name, e in directory.search(dn).items() if name != dn}
        copies = {store.name: copy for store in lab.stores
                  if (copy := read_copy(lab, store, account_id)) is not None}
        folders = sorted({folder for copy in copies.values() for folder in copy.folders()})
        keys = {"route": _both_forms(truth.route_keys(directory, dn, entry)),
                "cache": _both_forms(truth.cache_keys(account_id, folders))}
        return Moved(account_id, dn, entry, below, truth.one(entry, "zimbraMailHost"), copies, keys)


class Scope:
    """What "the others" are."""

    def __init__(self, snapshot, directory):
        dns = sorted({truth.domain_of(m.dn) for m in snapshot.moved.values()})
        self.bases = [""] if snapshot.exclusive else dns + ["cn=config,cn=zimbra", "cn=servers,cn=zimbra"]
        self.accounts = sorted(
            truth.one(entry, "zimbraId").lower() for dn in dns
            for entry in directory.search(dn, "(objectClass=zimbraAccount)").values()
            if truth.one(entry, "zimbraId") not in snapshot.moved)


class World:
    """Everything that a move of the snapshot's accounts has no business with, at one moment."""

    def __init__(self, lab, snapshot):
        self.exclusive = snapshot.exclusive
        self.variables, self.storewide, self.schemas = {}, {}, {}
        self.next_mailbox_id, self.rows, self.files, self.roots = {}, {}, {}, {}
        for store in lab.stores:
            self._look_at(store, snapshot)
        self.directory = _directory(truth.Directory(lab), snapshot)
        self.keys = _keys(lab, snapshot)

    def _look_at(self, store, snapshot):
        with truth.Sql(store) as sql:
            self.variables[store.name] = {n: v for n, v in sql.text("SHOW GLOBAL VARIABLES")
                                          if n.lower() not in MOVING_VARIABLES}
            self.schemas[store.name] = _schemas(sql)
            self.next_mailbox_id[store.name] = sql.current_volumes()["next_mailbox_id"]
            own = own_mailboxes(sql, snapshot, store.name)
            self.storewide[store.name] = _storewide(sql, snapshot)
            self.rows[store.name] = _other_rows(sql, snapshot, own)
            self.files[store.name] = _other_files(sql, store, snapshot, own)
            self.roots[store.name] = volume_roots(store)


def own_mailboxes(sql, snapshot, store_name):
    """Mailbox ids on the store that are of the moved accounts: those of before, those of now, reserved."""
    ids = {m.copies[store_name].mailbox_id for m in snapshot.moved.values() if store_name in m.copies}
    accounts = ", ".join(f"'{account}'" for account in snapshot.moved) or "''"
    places = ["SELECT id FROM zimbra.mailbox"]
    if "reservation" in own_tables(sql):
        places.append(f"SELECT mailbox_id FROM {OWN_SCHEMA}.reservation")
    for place in places:
        ids.update(int(i) for i, in sql.text(f"{place} WHERE LOWER(account_id) IN ({accounts})"))
    return ids


def reserved(sql):
    """Ids that the product keeps for some account on this store."""
    if "reservation" not in own_tables(sql):
        return set()
    return {int(i) for i, in sql.text(f"SELECT mailbox_id FROM {OWN_SCHEMA}.reservation")}


def own_tables(sql):
    """Not by way of the catalogue kept for the test's time: the product makes its schema on first use."""
    return [name for name, in sql.text(
        f"SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '{OWN_SCHEMA}'")]


def own_records(store):
    """Every row of the product's own on a store, by table."""
    with truth.Sql(store) as sql:
        return {table: sorted(sql.text(f"SELECT * FROM {OWN_SCHEMA}.{table}"), key=str) for table in own_tables(sql)}


def _schemas(sql):
    # zimbra.flush_enforcer comes and goes: so Zimbra and the seeder make commits durable (hazard 36).
    return {tuple(row) for row in sql.text("SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES"
                                           " WHERE TABLE_NAME <> 'flush_enforcer'")
            if row[0] not in SYSTEM_SCHEMAS}


def _storewide(sql, snapshot):
    """Tables of `zimbra` that belong to no mailbox, as multisets of rows."""
    found = {}
    for table in sql.tables("zimbra").values():
        if table.owner is not None and table.name != "deleted_account":
            continue
        if table.name == "flush_enforcer":  # mailboxd makes and drops it all the time
            continue
        rows = [tuple(sorted(row.items(), key=lambda item: item[0]))
                for row in sql.rows(table, "TRUE").dicts() if not _passing(table.name, row, snapshot)]
        found[table.name] = Counter(tuple(pair for pair in row if pair[0] != "next_mailbox_id")
                                    for row in rows)
    return found


def _passing(table, row, snapshot):
    """A deleted_account row goes when the address gets a mailbox, and comes when a copy is purged through
    mailboxd: the moved account's own is looked at by check.py. In a shared laboratory only those of
    the scope's accounts are ours to watch."""
    if table != "deleted_account":
        return False
    account = row["account_id"].decode().lower()
    return account in snapshot.moved or (not snapshot.exclusive and account not in snapshot.scope.accounts)


def _other_rows(sql, snapshot, own):
    """{(schema, table, mailbox id): (digest, rows)}, without those of the moved accounts."""
    if snapshot.exclusive:
        tables = sql.filled(sql.keyed_tables())
        not_these = ", ".join(map(str, sorted(own | {0})))
        where = lambda table: f"`{table.owner}` NOT IN ({not_these})"
    else:
        mailboxes = [m for m in map(sql.mailbox, snapshot.scope.accounts) if m]
        if not mailboxes:
            return {}
        schemas = ["zimbra"] + sorted({f"mboxgroup{group}" for _, group in mailboxes})
        tables = [t for schema in schemas for t in sql.tables(schema).values() if t.owner]
        ids = {mailbox for mailbox, _ in mailboxes}
        filled = {key[:2] for key in sql.owners(tables, ids)}
        tables = [t for t in tables if (t.schema, t.name) in filled]
        wanted = ", ".join(map(str, sorted(ids)))
        where = lambda table: f"`{table.owner}` IN ({wanted})"
    found = {}
    for table in tables:
        if table.name == "deleted_account":
            continue
        names = ", ".join(f"`{c}`" for c in table.columns)
        by_owner = defaultdict(list)
        at = table.columns.index(table.owner)
        for row in sql.query(f"SELECT {names} FROM `{table.schema}`.`{table.name}` WHERE {where(table)}"):
            by_owner[int(row[at])].append(repr(row))
        for owner, rows in by_owner.items():
            if owner not in own:
                digest = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
                found[table.schema, table.name, owner] = (digest, len(rows))
    return found


def _other_files(sql, store, snapshot, own):
    """{absolute path: File}. Directories' times are not kept: a new mailbox beside an old one is no damage."""
    volumes = sql.volumes().values()
    roots = {}
    if snapshot.exclusive:
        roots.update((v.path, {os.path.relpath(v.mailbox_dir(i), v.path) for i in own}) for v in volumes)
    else:
        for mailbox, _ in filter(None, map(sql.mailbox, snapshot.scope.accounts)):
            roots.update((v.mailbox_dir(mailbox), set()) for v in volumes)
    inside = {os.path.relpath(v.path, store.dir) for v in volumes if v.path.startswith(store.dir)}
    caches = _calendar_caches(store)
    roots[store.dir] = inside | SERVER_FILES | {os.path.relpath(caches, store.dir)}
    if snapshot.exclusive:
        roots[caches] = {os.path.relpath(d, caches) for d in calendar_dirs(store, own)}
    else:
        roots.update((directory, set()) for directory in calendar_dirs(store, others_of(sql, snapshot)))
    found = {}
    for root, skip in roots.items():
        for path, file in truth.scan(root, skip=skip).items():
            if root == store.dir:  # configuration: the laboratory itself writes some of it anew
                file = file._replace(ino=0, mtime=0)
            if file.kind != "?":
                found[os.path.join(root, path)] = file
    return found


def volume_roots(store):
    """What lies in the volumes' roots beside the directories of mailboxes."""
    with truth.Sql(store) as sql:
        return {os.path.join(v.path, name) for v in sql.volumes().values() for name in os.listdir(v.path)
                if not name.isdigit()}


def others_of(sql, snapshot):
    return [m[0] for m in map(sql.mailbox, snapshot.scope.accounts) if m]


def _calendar_caches(store):
    config = truth.localconfig(store)
    home = config.get("zimbra_home", store.dir)
    temporary = config.get("zimbra_tmp_directory", "${zimbra_home}/data/tmp").replace("${zimbra_home}", home)
    path = config.get("calendar_cache_directory", "${zimbra_tmp_directory}/calcache")
    return os.path.normpath(path.replace("${zimbra_tmp_directory}", temporary).replace("${zimbra_home}", home))


def calendar_dirs(store, mailboxes):
    """Directories of the calendar disk cache (doc/platform.md 5.4; its & 8 is not the volumes' formula)."""
    root = _calendar_caches(store)
    return [f"{root}/{(mailbox >> 12) & 8}/{mailbox}" for mailbox in mailboxes]


def _directory(directory, snapshot):
    own = [m.dn.lower() for m in snapshot.moved.values()]
    return {dn: entry for base in snapshot.scope.bases for dn, entry in directory.search(base).items()
            if not any(dn.lower() == o or dn.lower().endswith("," + o) for o in own)}


def memcached_servers(lab):
    """(address, port) of every memcached the directory names."""
    directory = truth.Directory(lab)
    names = [truth.one(entry, "zimbraServiceHostname") for entry in directory.servers().values()
             if "memcached" in truth.many(entry, "zimbraServiceEnabled")]
    return [(lab.addresses[name], int(truth.server_setting(directory, name, "zimbraMemcachedBindPort", "11211")))
            for name in sorted(names)]


def _both_forms(keys):
    return [form for key in keys for form in truth.key_forms(key)]


def _keys(lab, snapshot):
    """{(server, key): value} of others' keys: those named by the test, in an exclusive laboratory all."""
    own = {key for moved in snapshot.moved.values() for keys in moved.keys.values() for key in keys}
    found = {}
    for server in memcached_servers(lab):
        with truth.Memcached(*server) as memcached:
            names = [k for k in (memcached.keys() if snapshot.exclusive else snapshot.keys) if k not in own]
            for key, (value, _) in memcached.get(names).items():
                if not any(account in key for account in snapshot.moved):
                    found[server, key] = value
    return found


def _clock(server):
    """The server's cas counter now: what has a lower one was there before."""
    with truth.Memcached(*server) as memcached:
        key = f"zxlab.clock.{uuid.uuid4().hex}"  # another test may look at the same moment
        memcached.set(key, "0")
        now = memcached.get([key])[key][1]
        memcached.delete(key)
        return now


def _styles(store):
    """{volume id: ((mode, uid, gid) of files, of directories)}: what is usual on the volume for what the
    product did not put there, else what follows from its root."""
    with truth.Sql(store) as sql:
        volumes, product = sql.volumes(), reserved(sql)
    return {volume.id: _style(volume, product) for volume in volumes.values()}


def _style(volume, product, enough=200):
    root = os.stat(volume.path)
    files = Counter({(root.st_mode & 0o666, root.st_uid, root.st_gid): 0})
    dirs = Counter({(root.st_mode & 0o777, root.st_uid, root.st_gid): 0})
    for mailbox in sorted(glob.glob(f"{volume.path}/[0-9]*/[0-9]*")):
        if int(os.path.basename(mailbox)) in product:
            continue
        for file in truth.scan(mailbox, content=False).values():
            (dirs if file.kind == "d" else files)[file.mode, file.uid, file.gid] += 1
        if sum(files.values()) > enough:
            break
    return files.most_common(1)[0][0], dirs.most_common(1)[0][0]
