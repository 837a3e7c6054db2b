"""check.py - the independent checker: is a move done, undone or purged as it should be? It knows nothing
of how zxmove works; it compares the laboratory with what it was (snapshot.py).

    problems = check_move(lab, before, account_id, source, destination)
    problems = check_unmoved(lab, before, account_id)
    problems = check_purged(lab, before, account_id, store, mailbox_id)

Each answers a list of Finding(kind, text); empty is good. tests/lab/checker.t plants every kind."""

import os
import re
import time
from collections import Counter
from dataclasses import dataclass

from . import compare, truth
from .compare import Finding
from .snapshot import (OWN_SCHEMA, World, calendar_dirs, memcached_servers, own_tables, read_copy,
                       reserved, volume_roots)

# Zimbra itself clears these when an active account's status is written (doc/platform.md 6.6).
CLEARED_BY_ACTIVE = {"zimbraPasswordLockoutFailureTime", "zimbraPasswordLockoutLockedTime",
                     "zimbraAccountSuspensionReason"}


# Where mailboxd puts a message together (doc/platform.md 3.6).
INCOMING = re.compile(r"/incoming(/\d+-\d+\.msg)?$")


@dataclass
class Expect:
    """What is special about a move; the defaults are a plain one."""
    compress: bool = True       # None: either way of storing a blob will do
    blob_volume: int = None     # None: the destination's current message volume
    index: str = "same"         # "rebuilt": left out and re-indexed at the destination
    source: object = None       # a Copy: the source as it was when it has been purged or written since
    changing: bool = False      # the user worked while the move ran: the source differs from the snapshot
    load: object = None         # a load.Load that also ran on after the commit: changes at the destination
                                # are what it made
    locked: bool = True         # the source's lock-out still stands (not after a restart there)
    acl_pushed: bool = False    # the destination's AclPushTask has run since
    stale_caches: tuple = ()    # names of stores that were down and may hold an old view
    surroundings: bool = True   # False: look at the account alone
    servers_changed: bool = False  # a MariaDB was restarted with other settings by the test itself

    def __post_init__(self):
        self.changing = self.changing or self.load is not None


def check_move(lab, before, account_id, source, destination, expect=None):
    """After a committed move of account_id from store `source` to store `destination`."""
    expect = expect or Expect()
    moved = before.moved[account_id]
    new, old = read_copy(lab, destination, account_id), expect.source or read_copy(lab, source, account_id)
    findings = []
    if old is None and source.name in moved.copies:
        findings.append(Finding("source-changed", f"the old copy on {source.name} has no mailbox row"))
        old = moved.copies[source.name]
    if old is not None and new is None:
        findings.append(Finding("mapping", f"no mailbox row of {account_id} on {destination.name}"))
    elif old is None and new is not None:
        findings.append(Finding("mapping", f"{destination.name} has a mailbox that {source.name} never had"))
    elif old is not None:
        findings += _content(before, moved, old, new, destination, expect, source)
        findings += _own_leftovers(lab, before, source, destination, old.mailbox_id, new.mailbox_id, new.group)
    if expect.source is None and not expect.changing and source.name in moved.copies:
        findings += _unchanged(moved.copies[source.name], old, before.taken_ms)
    findings += _older_copies(lab, before, moved, source, destination, new)
    findings += _entry(lab, moved, destination)
    findings += _state(lab, moved, source, destination, old, new, expect)
    findings += _keys(lab, before, moved)
    findings += _own_schema(lab, account_id)
    return findings + list(_surroundings(lab, before, expect))


def check_unmoved(lab, before, account_id, changing=False, expect=None):
    """After a failure that must lead back: everything as it was, nothing mapped elsewhere, no lock.
    changing: the user worked meanwhile, so the mailbox is not compared with the snapshot."""
    expect = expect or Expect()
    moved = before.moved[account_id]
    findings = []
    for store in lab.stores:
        was, now = moved.copies.get(store.name), read_copy(lab, store, account_id)
        if was is None and now is not None:
            findings.append(Finding("mapping", f"{store.name} has a mailbox row of {account_id}"))
        elif was is not None and now is None:
            findings.append(Finding("source-changed", f"the mailbox on {store.name} is gone"))
        elif was is not None and not changing:
            findings += _unchanged(was, now, before.taken_ms)
        state = store.state(account_id)
        if state["locked"] and store.name == moved.home:
            findings.append(Finding("lock", f"the mailbox is still locked out on {store.name}"))
        if state["mapped"] is not None and was is None:
            findings.append(Finding("mapping", f"{store.name} maps {account_id} to {state['mapped']}"))
    findings += _entry(lab, moved, None)
    findings += _cached_views(lab, moved, moved.home, expect)
    findings += _own_schema(lab, account_id)
    return findings + list(_surroundings(lab, before, expect))


def check_purged(lab, before, account_id, store, mailbox_id, live=None):
    """After a purge of the old copy mailbox_id on `store`. live: the account's mailbox at its home before the
    purge (a Copy), which must still be what it was."""
    findings = list(_nothing_under(store, mailbox_id))
    if live is not None:
        home = next(s for s in lab.stores if s.name == live.store)
        now = read_copy(lab, home, account_id)
        if now is None:
            findings.append(Finding("mapping", f"the live mailbox on {live.store} is gone"))
        else:
            findings += [f._replace(kind="live-changed") for f in _unchanged(live, now, before.taken_ms)]
    findings += _own_schema(lab, account_id)
    return findings + list(_surroundings(lab, before, Expect()))


# ---- the mailbox itself

def _content(before, moved, old, new, destination, expect, source):
    with truth.Sql(destination) as sql:
        current = sql.current_volumes()
        addresses = {row["email"] for row in sql.rows(sql.tables("zimbra")["deleted_account"], "TRUE").dicts()}
        if current["next_mailbox_id"] <= new.mailbox_id:
            yield Finding("next-mailbox-id", f"{current['next_mailbox_id']} on {destination.name} would be given"
                          f" out though {new.mailbox_id} is in use")
    going = None
    if expect.load is not None:
        going = GoneOn(old, new, expect.load)
    found = Counter()
    for difference in compare.differences(old, new):
        if going is not None and going.explains(difference):
            continue
        if (expect.index == "rebuilt" and difference.what == "altered" and difference.table == "group.mail_item"
                and set(difference.columns) == {"index_id"}):
            continue  # written anew with the index
        finding = compare.row_finding(difference)
        found[finding.kind, difference.table] += 1
        if found[finding.kind, difference.table] <= 10:
            yield finding
    for (kind, table), count in found.items():
        if count > 10:
            yield Finding(kind, f"{table}: {count} altogether")
    index_volume = current["index_volume_id"]
    yield from compare.mailbox_row(old, new, truth.mailbox_groups(destination), truth.change_increment(source),
                                   index_volume, before.taken_ms,
                                   truth.change_increment(destination) if going else None)
    yield from _acl_push(before, moved, old, new, expect)
    if new.mailbox().get("comment") in addresses:
        yield Finding("leftover", f"deleted_account of {destination.name} still has the address")
    yield from _files(before, moved, old, new, destination, expect, current, index_volume)
    if going is not None:
        yield from going.counts()


def _files(before, moved, old, new, destination, expect, current, index_volume):
    style = before.styles[destination.name]
    wanted = {expect.blob_volume or current["message_volume_id"]}
    if expect.load is not None:
        wanted.add(current["message_volume_id"])
    blobs = compare.Blobs(old, new, wanted, style, expect.compress, moved.copies.get(destination.name))
    yield from blobs.findings()
    if expect.index == "same" and expect.load is None:
        yield from compare.index_findings(old, new, index_volume, style)
    elif expect.index == "same" and _segments(old) and not _segments(new):
        yield Finding("index-missing", "no segments file in the index")
    yield from compare.stray_findings(new, blobs.expected, index_volume, style)


def _segments(copy):
    return sorted(path for path in copy.index_files() if "segments_" in path)


def _acl_push(before, moved, old, new, expect):
    """pending_acl_push: the union of what was there before and during the lock, with a fresh date. The store's
    own task deletes rows it skipped, so the source is no measure."""
    def items(copy):
        return {int(row["item_id"]) for row in copy.dicts("zimbra.pending_acl_push")}

    snapshot = moved.copies.get(old.store)
    due = items(old) | (items(snapshot) if snapshot and not expect.changing else set())
    have = items(new)
    if not expect.acl_pushed:
        for item in sorted(due - have):
            yield Finding("row-missing", f"zimbra.pending_acl_push item_id={item}")
    if expect.load is None:
        for item in sorted(have - due - (items(snapshot) if snapshot else set())):
            yield Finding("row-extra", f"zimbra.pending_acl_push item_id={item}")
    # Where the recorded id is used again, the old copy's own rows may be there still: the same push twice is
    # no harm, and a fresh one is asked for above.
    older = moved.copies.get(new.store)
    kept = older.dicts("zimbra.pending_acl_push") if older and older.mailbox_id == new.mailbox_id else []
    fresh = {row["item_id"] for row in new.dicts("zimbra.pending_acl_push") if int(row["date"]) >= before.taken_ms}
    for row in new.dicts("zimbra.pending_acl_push"):
        if int(row["date"]) < before.taken_ms and not (row in kept and row["item_id"] in fresh):
            yield Finding("acl-push-date", f"zimbra.pending_acl_push item_id={int(row['item_id'])} has an old date")


def _unchanged(was, now, since_ms):
    """One copy at two times: nothing may have happened to it, but for a log-in since."""
    if was.mailbox_id != now.mailbox_id or was.group != now.group:
        yield Finding("source-changed", f"the mailbox on {was.store} has another id or group")
        return
    for table in sorted(set(was.tables) | set(now.tables)):
        if table == "zimbra.pending_acl_push":  # the store's own task empties it
            continue
        for difference in compare.table_differences(table, was.table(table), now.table(table), exact=True):
            if (table == "zimbra.mailbox" and set(difference.columns) <= compare.LOGIN_COLUMNS and difference.columns
                    and compare.logged_in(difference.target, since_ms)):
                continue
            finding = compare.row_finding(difference)
            yield Finding("source-changed", f"on {was.store}: {finding.kind} {finding.text}")
    for text in compare.same_files(was, now, with_index=_segments(was) == _segments(now)):
        yield Finding("source-changed", f"on {was.store}: {text}")


# ---- the account

def _entry(lab, moved, destination):
    """The directory entry: only host and transport may differ, and only if it moved."""
    directory = truth.Directory(lab)
    dn, entry = directory.account(moved.account_id)
    if dn != moved.dn:
        yield Finding("directory", f"the entry is now {dn}")
    expected = {name.lower(): values for name, values in moved.entry.items()}
    if destination is not None:
        port = truth.server_setting(directory, destination.name, "zimbraLmtpBindPort", "7025")
        expected["zimbramailhost"] = [destination.name.encode()]
        expected["zimbramailtransport"] = [f"lmtp:{destination.name}:{port}".encode()]
    kinds = {"zimbraaccountstatus": "status", "zimbramailstatus": "mail-status", "zimbramailhost": "host",
             "zimbramailtransport": "transport"}
    now = {name.lower(): values for name, values in entry.items()}
    active = truth.one(moved.entry, "zimbraAccountStatus") == "active"
    for name in sorted(set(expected) | set(now)):
        if expected.get(name) == now.get(name):
            continue
        if active and name not in now and name in {n.lower() for n in CLEARED_BY_ACTIVE}:
            continue
        yield Finding(kinds.get(name, "directory"), f"{dn}: {name} is {now.get(name)}, should be"
                      f" {expected.get(name)}")
    below = {name: e for name, e in directory.search(dn).items() if name != dn}
    if below != moved.below:
        yield Finding("directory", f"entries below {dn} changed")


def _state(lab, moved, source, destination, old, new, expect):
    """One home, and the old copy fenced off."""
    for store in lab.stores:
        with truth.Sql(store) as sql:
            row = sql.mailbox(moved.account_id)
        if row and store not in (source, destination) and store.name not in moved.copies:
            yield Finding("mapping", f"{store.name} has a mailbox row of {moved.account_id}")
    there = destination.state(moved.account_id)
    if there["mapped"] not in (None, new and new.mailbox_id):
        yield Finding("mapping", f"{destination.name} maps the account to {there['mapped']}")
    if there["locked"]:
        yield Finding("lock", f"the mailbox is locked out on {destination.name}")
    if expect.locked and expect.source is None and old is not None and not source.state(moved.account_id)["locked"]:
        yield Finding("lock", f"the old copy on {source.name} is not locked out")
    yield from _cached_views(lab, moved, destination.name, expect)


def _cached_views(lab, moved, home, expect):
    """What each store believes of the account."""
    status = truth.one(moved.entry, "zimbraAccountStatus")
    for store in lab.stores:
        if store.name in expect.stale_caches:
            continue
        cached = store.state(moved.account_id)["account_cache"]
        if cached is None:
            continue
        if cached["host"] != home:
            yield Finding("account-cache", f"{store.name} believes the home is {cached['host']}")
        if cached["status"] == "maintenance" and status == "active":
            yield Finding("account-cache", f"{store.name} believes the account is in maintenance")


def _keys(lab, before, moved):
    """No route at all; of mailboxd's own caches nothing that was there before."""
    for server in memcached_servers(lab):
        with truth.Memcached(*server) as memcached:
            for key in memcached.get(moved.keys["route"]):
                yield Finding("route-key", f"{key} on {server[0]}")
            for key, (_, cas) in memcached.get(moved.keys["cache"]).items():
                if cas <= before.clock[server]:
                    yield Finding("cache-key", f"{key} on {server[0]} is of before the move")


# ---- leftovers and surroundings

def _older_copies(lab, before, moved, source, destination, new):
    """Copies of earlier moves: the one at the destination made way, those elsewhere were left alone."""
    for store in lab.stores:
        was = moved.copies.get(store.name)
        if was is None or store is source:
            continue
        if store is not destination:
            now = read_copy(lab, store, moved.account_id)
            gone = [Finding("source-changed", f"an old copy on {store.name} is gone")]
            yield from _unchanged(was, now, before.taken_ms) if now else gone
        elif new is not None and was.mailbox_id != new.mailbox_id:
            yield from _nothing_under(store, was.mailbox_id)


def _nothing_under(store, mailbox_id):
    """No row and no directory of a mailbox id."""
    with truth.Sql(store) as sql:
        for (schema, table, _), count in sql.owners(sql.keyed_tables(), {mailbox_id}).items():
            if table != "deleted_account":
                yield Finding("leftover", f"{count} rows of mailbox {mailbox_id} in {schema}.{table} on {store.name}")
        directories = [v.mailbox_dir(mailbox_id) for v in sql.volumes().values()]
    for path in directories + calendar_dirs(store, [mailbox_id]):
        if os.path.lexists(path):
            yield Finding("leftover", f"{path} is still there")


def _own_leftovers(lab, before, source, destination, old_id, new_id, new_group):
    """Rows and files under the old or the new id where none belong."""
    for store, own, other in ((source, old_id, new_id), (destination, new_id, old_id)):
        with truth.Sql(store) as sql:
            mailbox = {row[0]: row[1] for row in sql.text(
                f"SELECT id, group_id FROM zimbra.mailbox WHERE id IN ({old_id}, {new_id})")}
            known = {int(i) for i in mailbox} | reserved(sql)
            tables = sql.keyed_tables()
            group = mailbox.get(str(own))
            for (schema, table, owner), count in sql.owners(tables, {own, other}).items():
                if owner == own:
                    stray = schema.startswith("mboxgroup") and schema != f"mboxgroup{group}"
                    stray = stray or table == "volume_blobs" and store is destination
                else:
                    stray = owner not in known
                if stray and table != "deleted_account":
                    yield Finding("leftover", f"{count} rows of mailbox {owner} in {schema}.{table} on {store.name}")
            volumes = sql.volumes().values()
        if other not in known and other != own:
            for volume in volumes:
                if os.path.lexists(volume.mailbox_dir(other)):
                    yield Finding("leftover", f"{volume.mailbox_dir(other)} on {store.name}")
    for path in calendar_dirs(destination, [new_id]):
        if os.path.lexists(path):
            yield Finding("leftover", f"{path}: a calendar cache nobody made for this mailbox")


def _own_schema(lab, account_id):
    """The product's own database: nothing of the account is left open, nobody holds its lock."""
    own = f"WHERE account_id = '{account_id}'"
    for store in lab.stores:
        with truth.Sql(store) as sql:
            holder, = sql.text(f"SELECT IS_USED_LOCK('zxmove.{account_id}')")[0]
            if holder is not None:
                yield Finding("own-leftover", f"connection {holder} of {store.name} holds the account's lock")
            for table in own_tables(sql):
                if table == "claim":  # one of a process that was killed binds nobody
                    claims = sql.text(f"SELECT pid FROM {OWN_SCHEMA}.claim {own}")
                    where = own if any(os.path.exists(f"/proc/{pid}") for pid, in claims) else "WHERE FALSE"
                elif table.startswith("late_"):
                    where = f"WHERE mailbox_id IN (SELECT mailbox_id FROM {OWN_SCHEMA}.reservation {own})"
                elif table == "fence":
                    where = f"{own} AND state NOT IN ('committed', 'done', 'undone')"
                else:
                    continue
                count = int(sql.text(f"SELECT COUNT(*) FROM {OWN_SCHEMA}.{table} {where}")[0][0])
                if count:
                    yield Finding("own-leftover", f"{count} open rows of the account in {OWN_SCHEMA}.{table} on"
                                  f" {store.name}")


def check_surroundings(lab, before):
    """Whatever happened to the accounts: what is not theirs is as it was."""
    return list(_surroundings(lab, before, Expect()))


def _surroundings(lab, before, expect):
    """Everything that is not of the moved accounts."""
    if not expect.surroundings:
        return
    was, now = before.world, World(lab, before)
    for store in lab.stores:
        name = store.name
        if not expect.servers_changed:
            for variable, old, new in _changed(was.variables[name], now.variables[name]):
                yield Finding("server-variable", f"{variable} of {name}: {old} is now {new}")
        yield from _schemas(name, was.schemas[name], now.schemas[name])
        for table, old, new in _changed(was.storewide[name], now.storewide[name]):
            old, new = old or Counter(), new or Counter()
            yield Finding("storewide", f"zimbra.{table} of {name}: {list(old - new)[:2]} -> {list(new - old)[:2]}")
        if now.next_mailbox_id[name] < was.next_mailbox_id[name]:
            yield Finding("next-mailbox-id", f"lowered on {name}: {was.next_mailbox_id[name]} ->"
                          f" {now.next_mailbox_id[name]}")
        for (schema, table, owner), old, new in _changed(was.rows[name], now.rows[name]):
            kind = "leftover" if old is None else "other-rows"
            yield Finding(kind, f"{schema}.{table} of mailbox {owner} on {name}: rows"
                          f" {old and old[1]} -> {new and new[1]}")
        yield from _other_files(was.files[name], now.files[name])
        if not before.exclusive:
            yield from _volume_roots(store, was.roots[name])
    for dn, old, new in _changed(was.directory, now.directory):
        names = [n for n, _, _ in _changed(old or {}, new or {})]
        members = names == ["zimbraMailForwardingAddress"] and b"zimbraDistributionList" in (old or {}).get(
            "objectClass", [])
        yield Finding("list" if members else "other-directory", f"{dn}: {', '.join(names)}")
    for (server, key), old, new in _changed(was.keys, now.keys):
        yield Finding("other-key", f"{key} on {server[0]}: {old} -> {new}")


def _changed(was, now):
    for key in sorted(set(was) | set(now), key=repr):
        if was.get(key) != now.get(key):
            yield key, was.get(key), now.get(key)


def _schemas(name, was, now):
    """A group schema may be made, whole, when a mailbox needs it, or have been in the making when it was looked at
    before; nothing else may come or go."""
    for schema, table in sorted(was - now):
        yield Finding("schema", f"{schema}.{table} of {name} is gone")
    group = {t for s, t in now if s == next((s for s, _ in sorted(was) if s.startswith("mboxgroup")), None)}
    made = {schema for schema, _ in now} - {schema for schema, _ in was}
    made |= {s for s, _ in was if s.startswith("mboxgroup") and {t for other, t in was if other == s} < group}
    for schema in sorted(made):
        if not schema.startswith("mboxgroup") or {t for s, t in now if s == schema} != group:
            yield Finding("schema", f"{schema} appeared on {name}, and is no whole group schema")
    for schema, table in sorted(now - was):
        if schema not in made:
            yield Finding("schema", f"{schema}.{table} appeared on {name}")


def _other_files(was, now):
    for path, old, new in _changed(was, now):
        if INCOMING.search(path) and (old is None or old.kind == "f"):
            continue  # a message on its way in at that moment
        if old is None:
            if new.kind == "d" and os.path.basename(path).isdigit():
                continue  # <dir1> of a mailbox: shared with whoever comes next
            yield Finding("leftover", f"{path} appeared")
        elif new is None:
            yield Finding("other-files", f"{path} is gone")
        else:
            changed = [field for field in old._fields if getattr(old, field) != getattr(new, field)]
            yield Finding("other-files", f"{path}: {', '.join(changed)}")


def _volume_roots(store, was, patience=2.0):
    """In a shared laboratory: what appeared beside the mailboxes and stays. What goes again within moments is
    another test's."""
    deadline = time.monotonic() + patience
    while new := {path for path in volume_roots(store) - was if not INCOMING.search(path)}:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for path in sorted(new):
        yield Finding("leftover", f"{path} appeared")


# ---- a destination that was used after the commit

class GoneOn:
    """Tells the changes that a load made at the destination since the commit from damage: they carry change
    numbers above everything the source ever gave out, or hang on an item that does."""

    COUNTERS = {"size", "unread", "metadata"}          # folders, without a new number (doc/platform.md 2.7)
    UNNUMBERED = {"index_id", "flags", "prev_folders"}  # indexing, system flags

    def __init__(self, old, new, load):
        self.old, self.new = old, new
        self.base = compare.maxima(old)[1]
        self.deleted = set(load.deleted_items)
        self.touched = set(self.deleted)
        for difference in compare.differences(old, new):
            if difference.table in ("group.mail_item", "group.mail_item_dumpster") and self._item(difference):
                self.touched.add(int((difference.source or difference.target)["id"]))

    def explains(self, difference):
        table, row = difference.table, difference.target or difference.source
        if difference.what == "doubled":
            return False
        if table in ("group.mail_item", "group.mail_item_dumpster"):
            return self._item(difference)
        if table == "group.tag":
            return difference.what == "altered" and set(difference.columns) <= {"item_count", "unread"}
        if table == "group.tombstone":
            return difference.what == "extra" and int(row["sequence"]) > self.base
        if table == "zimbra.mailbox_metadata":
            return False
        owner = row.get("item_id") or row.get("conv_id")
        return owner is not None and int(owner) in self.touched

    def _item(self, difference):
        old, new = difference.source, difference.target
        if difference.what == "missing":
            return int(old["id"]) in self.deleted or old["type"] == b"4"
        if new is not None and int(new["mod_metadata"]) > self.base:
            return True
        if difference.what != "altered":
            return False
        if old["type"] in (b"1", b"2"):
            return set(difference.columns) <= self.COUNTERS
        return set(difference.columns) <= self.UNNUMBERED

    def counts(self):
        """A folder's count may be wrong, but not more wrong than it was: a stale cache would show here."""
        for folder, error in self._errors(self.new).items():
            if error != self._errors_of_old().get(folder, 0):
                yield Finding("counts", f"folder {folder}: its size is off by {error} items, at the source it was"
                              f" off by {self._errors_of_old().get(folder, 0)}")

    def _errors_of_old(self):
        return self._errors(self.old)

    @staticmethod
    def _errors(copy):
        items = copy.dicts("group.mail_item")
        inside = Counter(int(i["folder_id"]) for i in items if i["type"] not in (b"1", b"2", b"4"))
        return {int(i["id"]): int(i["size"]) - inside[int(i["id"])] for i in items if i["type"] == b"1"}
