"""controls.py - proves the checker: one planted difference of each kind, which it must find, after a move made
by hand (byhand.py), which it must accept."""

import gzip
import json
import os
from dataclasses import dataclass

import ldap

from . import truth
from .byhand import insert_rows, write_file
from .snapshot import calendar_dirs, memcached_servers, read_copy
from .soap import Admin


@dataclass
class Case:
    """One moved account on which a difference is planted."""
    lab: object
    before: object
    account_id: str
    source: object
    destination: object
    undo: list  # what must be put back because it is not the account's own

    def __post_init__(self):
        self.old = self.before.moved[self.account_id].copies[self.source.name]
        self.new = read_copy(self.lab, self.destination, self.account_id)
        self.dn = self.before.moved[self.account_id].dn
        self.entry = self.before.moved[self.account_id].entry

    def sql(self, statement, store=None):
        """{z} is the mailbox's id at the destination, {g} its group schema."""
        with truth.Sql(store or self.destination) as sql:
            sql.query("SET SESSION foreign_key_checks = 0")
            with sql.connection.cursor() as cursor:
                count = cursor.execute(statement.format(z=self.new.mailbox_id, g=f"mboxgroup{self.new.group}",
                                                        old=self.old.mailbox_id))
        assert count, f"planted nothing: {statement}"

    def blob(self, plain=False):
        """(row, path) of some message's blob at the destination."""
        for row in self.new.dicts("group.mail_item"):
            if row["type"] == b"5" and row["locator"] is not None:
                volume = self.new.volumes[int(row["locator"])]
                path = f"{volume.mailbox_dir(self.new.mailbox_id)}/" + volume.blob(int(row["id"]),
                                                                                  int(row["mod_content"]))
                if os.path.exists(path) and (not plain or os.path.getsize(path) == int(row["size"])):
                    return row, path
        raise AssertionError("no blob to plant on")

    def mailbox_dir(self, volume_type=1):
        volume = next(v for v in self.new.volumes.values() if v.type == volume_type
                      and os.path.isdir(v.mailbox_dir(self.new.mailbox_id)))
        return volume.mailbox_dir(self.new.mailbox_id)

    def ldap(self, dn, name, value):
        self.lab.ldap().modify_s(dn, [(ldap.MOD_REPLACE, name, None if value is None else [value.encode()])])

    def key(self, key, value="left"):
        for server in memcached_servers(self.lab):
            with truth.Memcached(*server) as memcached:
                memcached.set(key, value)

    def stranger(self, store):
        """(mailbox id, group, account id) of an account of the domain that was not moved."""
        with truth.Sql(store) as sql:
            for account in self.before.scope.accounts:
                if sql.mailbox(account):
                    return (*sql.mailbox(account), account)
        raise AssertionError(f"no stranger on {store.name}")


CONTROLS = []


def control(*kinds):
    """Registers a function that plants a difference; `kinds` are all that the checker may say of it, the
    first it must say."""
    def register(function):
        CONTROLS.append((function.__name__.replace("_", " "), kinds, function))
        return function
    return register


# Rows: one table of each sort, then every other table.

@control("row-missing")
def message_row_missing(case):
    case.sql("DELETE FROM {g}.tagged_item WHERE mailbox_id = {z} LIMIT 1")


@control("row-altered")
def row_altered_by_one_byte(case):
    case.sql("UPDATE {g}.mail_item SET metadata = CONCAT(LEFT(metadata, LENGTH(metadata) - 1), 'X')"
             " WHERE mailbox_id = {z} AND type = 5 AND metadata IS NOT NULL LIMIT 1")


@control("row-altered")
def null_became_empty(case):
    case.sql("UPDATE {g}.mail_item SET name = '' WHERE mailbox_id = {z} AND type = 5 AND name IS NULL LIMIT 1")


@control("row-altered")
def count_without_change_number(case):
    case.sql("UPDATE {g}.mail_item SET unread = unread + 1 WHERE mailbox_id = {z} AND id = 2")


@control("row-altered", "blob-altered")
def letter_case_of_a_digest(case):
    row, _ = case.blob()
    other = row["blob_digest"].decode().swapcase()
    case.sql(f"UPDATE {{g}}.mail_item SET blob_digest = '{other}' WHERE mailbox_id = {{z}} AND id = {int(row['id'])}")


@control("row-doubled")
def tombstone_doubled(case):
    case.sql("INSERT INTO {g}.tombstone SELECT * FROM {g}.tombstone WHERE mailbox_id = {z} LIMIT 1")


@control("row-doubled")
def event_doubled(case):
    case.sql("INSERT INTO {g}.event SELECT * FROM {g}.event WHERE mailbox_id = {z} LIMIT 1")


@control("row-extra")
def row_of_a_deleted_item(case):
    case.sql("INSERT INTO {g}.watch (mailbox_id, target, item_id) VALUES ({z}, 'nobody', 1)")


def _every_table():
    """A row missing and a row altered in each table that moves."""
    tables = ["zimbra.mailbox_metadata", "zimbra.out_of_office", "zimbra.scheduled_task",
              "zimbra.pending_acl_push", "zimbra.mobile_devices", "zimbra.zmg_devices"]
    tables += ["{g}." + t for t in (
        "mail_item_dumpster", "revision", "revision_dumpster", "tag", "open_conversation", "appointment",
        "appointment_dumpster", "tombstone", "pop3_message", "imap_folder", "imap_message", "data_source_item",
        "purged_conversations", "purged_messages", "event", "watch")]
    for table in tables:
        def missing(case, table=table):
            case.sql(f"DELETE FROM {table} WHERE mailbox_id = {{z}} LIMIT 1")
        missing.__name__ = f"row_missing_in_{table.split('.')[1]}"
        control("row-missing", "blob-missing", "file-extra", "checkpoint")(missing)


_every_table()


@control("row-altered")
def device_time_moved(case):
    case.sql("UPDATE zimbra.mobile_devices SET update_time = '2001-02-03 04:05:06'"
             " WHERE mailbox_id = {z} LIMIT 1")


@control("acl-push-date")
def share_push_with_its_old_date(case):
    case.sql("UPDATE zimbra.pending_acl_push SET date = 1 WHERE mailbox_id = {z} LIMIT 1")


# The mailbox row and what is translated.

@control("checkpoint")
def item_checkpoint_too_low(case):
    case.sql("UPDATE zimbra.mailbox SET item_id_checkpoint = item_id_checkpoint - 1 WHERE id = {z}")


@control("checkpoint")
def change_checkpoint_too_low(case):
    case.sql("UPDATE zimbra.mailbox SET change_checkpoint = change_checkpoint - 1 WHERE id = {z}")


@control("mailbox-row")
def item_cache_checkpoint_wrong(case):
    case.sql("UPDATE zimbra.mailbox SET itemcache_checkpoint = itemcache_checkpoint + 1 WHERE id = {z}")


@control("mailbox-row", "row-missing", "row-extra", "file-extra", "leftover", "blob-missing", "index-missing",
         "checkpoint")
def group_by_the_wrong_count(case):
    case.sql("UPDATE zimbra.mailbox SET group_id = group_id % 7 + 1 WHERE id = {z}")


@control("mailbox-row")
def index_volume_not_translated(case):
    case.sql(f"UPDATE zimbra.mailbox SET index_volume_id = {case.old.index_dir_volumes()[0]} WHERE id = {{z}}")


@control("mailbox-row")
def last_backup_kept(case):
    case.sql("UPDATE zimbra.mailbox SET last_backup_at = 1 WHERE id = {z}")


@control("mailbox-row")
def tracking_lost(case):
    case.sql("UPDATE zimbra.mailbox SET tracking_sync = tracking_sync + 1 WHERE id = {z}")


@control("locator", "blob-missing", "file-extra")
def locator_not_translated(case):
    row, _ = case.blob()
    case.sql(f"UPDATE {{g}}.mail_item SET locator = '200' WHERE mailbox_id = {{z}} AND id = {int(row['id'])}")


# Files.

@control("blob-missing")
def blob_missing(case):
    os.unlink(case.blob()[1])


@control("blob-altered")
def blob_altered(case):
    with open(case.blob()[1], "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))


@control("blob-altered")
def blob_cut_short(case):
    path = case.blob()[1]
    os.truncate(path, os.path.getsize(path) - 1)


@control("blob-encoding", "blob-altered")
def blob_packed_again(case):
    path = case.blob(plain=True)[1]
    with open(path, "rb") as stream:
        data = stream.read()
    with open(path, "wb") as stream:
        stream.write(gzip.compress(data))


@control("blob-mode")
def blob_of_the_wrong_mode(case):
    path = case.blob()[1]
    os.chmod(path, os.stat(path).st_mode ^ 0o004)


@control("blob-owner")
def blob_of_another_owner(case):
    os.chown(case.blob()[1], 65534, -1)


@control("dir-mode")
def directory_of_the_wrong_mode(case):
    path = os.path.dirname(case.blob()[1])
    os.chmod(path, os.stat(path).st_mode ^ 0o002)


@control("blob-volume", "leftover")
def blob_on_the_wrong_volume(case):
    row, path = case.blob()
    here = case.new.volumes[int(row["locator"])]
    other = next(v for v in case.new.volumes.values() if v.type in (1, 2) and v.id != here.id)
    target = f"{other.mailbox_dir(case.new.mailbox_id)}/{other.blob(int(row['id']), int(row['mod_content']))}"
    styles = case.before.styles[case.destination.name][other.id]
    with open(path, "rb") as stream:
        write_file(target, stream.read(), other.path, styles)
    os.unlink(path)


@control("file-extra")
def temporary_file_left(case):
    _, path = case.blob()
    with open(path, "rb") as stream:
        write_file(f"{os.path.dirname(path)}/.{os.path.basename(path)}.tmp", stream.read(), path,
               case.before.styles[case.destination.name][int(case.blob()[0]["locator"])])


@control("file-extra")
def symbolic_link_left(case):
    os.symlink("/etc/hostname", f"{case.mailbox_dir()}/msg/999999-1.msg")


def _index_file(case, name):
    for path in sorted(case.new.index_files()):
        if name in path:
            return f"{case.mailbox_dir(10)}/index/{path}"
    raise AssertionError("no index to plant on")


@control("index-missing")
def index_file_missing(case):
    os.unlink(_index_file(case, "segments_"))


@control("index-altered")
def index_file_altered(case):
    with open(_index_file(case, "/_"), "ab") as stream:
        stream.write(b"!")


@control("index-extra")
def index_file_left_over(case):
    path = _index_file(case, "segments_")
    with open(path, "rb") as stream:
        write_file(f"{os.path.dirname(path)}/_zz.tmp", stream.read(), path,
               case.before.styles[case.destination.name][case.new.index_dir_volumes()[0]])


# The directory.

@control("status", "account-cache")
def left_in_maintenance(case):
    case.ldap(case.dn, "zimbraAccountStatus", "maintenance")


@control("mail-status")
def mail_status_changed(case):
    case.ldap(case.dn, "zimbraMailStatus", "disabled")


@control("host")
def home_not_changed(case):
    case.ldap(case.dn, "zimbraMailHost", case.source.name)


@control("transport")
def transport_not_changed(case):
    case.ldap(case.dn, "zimbraMailTransport", f"lmtp:{case.source.name}:7025")


@control("directory")
def another_attribute_changed(case):
    case.ldap(case.dn, "displayName", "somebody else")


@control("list")
def list_membership_lost(case):
    dn = next(dn for dn, entry in case.before.world.directory.items()
              if b"zimbraDistributionList" in entry.get("objectClass", []))
    name = "zimbraMailForwardingAddress"
    members = case.before.world.directory[dn][name]
    connection = case.lab.ldap()
    connection.modify_s(dn, [(ldap.MOD_DELETE, name, [members[0]])])
    case.undo.append(lambda: connection.modify_s(dn, [(ldap.MOD_ADD, name, [members[0]])]))


@control("other-directory")
def another_account_s_entry_changed(case):
    other = next(dn for dn, entry in case.before.world.directory.items()
                 if entry.get("zimbraId", [b""])[0].decode() in case.before.scope.accounts)
    connection = case.lab.ldap()
    connection.modify_s(other, [(ldap.MOD_REPLACE, "zimbraMailStatus", [b"disabled"])])
    case.undo.append(lambda: connection.modify_s(other, [(ldap.MOD_REPLACE, "zimbraMailStatus", [b"enabled"])]))


# Memcached.

@control("route-key")
def route_left_raw(case):
    case.key(f"route:proto=imapssl;user={truth.one(case.entry, 'zimbraMailDeliveryAddress')}")


@control("route-key")
def route_left_hashed(case):
    case.key(truth.key_forms(f"route:proto=httpssl;admin=1;id={case.account_id}")[1])


@control("route-key")
def route_of_an_alias_left(case):
    case.key(f"route:proto=pop3;user={truth.many(case.entry, 'zimbraMailAlias')[0]}")


def _older(case, key):
    """A key that was there before the move: written now, with the clock of the snapshot set forward."""
    clock = dict(case.before.clock)
    case.key(key)
    case.before.clock.update({server: time + 10 ** 9 for server, time in clock.items()})
    case.undo.append(lambda: case.before.clock.update(clock))


@control("cache-key")
def folder_cache_left_raw(case):
    _older(case, f"zmFldrsTags:{case.account_id}")


@control("cache-key")
def calendar_cache_key_left_hashed(case):
    _older(case, truth.key_forms(f"zmCtagInfo:{case.account_id}:10")[1])


@control("other-key")
def another_account_s_key_gone(case):
    (server, key), value = next(iter(case.before.world.keys.items()))
    with truth.Memcached(*server) as memcached:
        memcached.delete(key)
    case.undo.append(lambda: case.key(key, value))


# Others, and what belongs to the whole store.

def _with_sql(case, store, do, undo):
    case.sql(do, store)
    case.undo.append(lambda: case.sql(undo, store))


@control("other-rows")
def another_account_s_row_touched(case):
    mailbox, group, _ = case.stranger(case.destination)
    where = f"mailbox_id = {mailbox} AND id = 2"
    _with_sql(case, case.destination, f"UPDATE mboxgroup{group}.mail_item SET unread = unread + 1 WHERE {where}",
              f"UPDATE mboxgroup{group}.mail_item SET unread = unread - 1 WHERE {where}")


@control("other-files")
def another_account_s_blob_gone(case):
    mailbox, _, _ = case.stranger(case.source)
    path = next(p for p in case.before.world.files[case.source.name]
                if f"/{mailbox}/msg/" in p and p.endswith(".msg"))
    away = os.path.join(case.lab.dir, "away")  # on the same file system, and no other laboratory's
    os.rename(path, away)
    case.undo.append(lambda: os.rename(away, path))


@control("server-variable")
def global_variable_changed(case):
    _with_variable(case, "innodb_flush_log_at_trx_commit", 1)


def _with_variable(case, name, value):
    old = case.before.world.variables[case.destination.name][name]
    with truth.Sql(case.destination) as sql:
        sql.query(f"SET GLOBAL {name} = {value}")

    def undo():
        with truth.Sql(case.destination) as sql:
            sql.query(f"SET GLOBAL {name} = {old}")
    case.undo.append(undo)


@control("storewide")
def volume_changed(case):
    _with_sql(case, case.destination, "UPDATE zimbra.volume SET file_bits = file_bits + 1 WHERE id ="
              " (SELECT message_volume_id FROM zimbra.current_volumes)",
              "UPDATE zimbra.volume SET file_bits = file_bits - 1 WHERE id ="
              " (SELECT message_volume_id FROM zimbra.current_volumes)")


@control("next-mailbox-id")
def next_mailbox_id_lowered(case):
    _with_sql(case, case.destination, "UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id - 1000",
              "UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id + 1000")


@control("schema")
def staging_table_left(case):
    with truth.Sql(case.destination) as sql:
        sql.query("CREATE TABLE zimbra.zx_staging (id INT)")

    def undo():
        with truth.Sql(case.destination) as sql:
            sql.query("DROP TABLE zimbra.zx_staging")
    case.undo.append(undo)


# Leftovers under the old or the new id.

@control("leftover")
def dedupe_rows_under_the_new_id(case):
    case.sql("INSERT INTO zimbra.volume_blobs (volume_id, mailbox_id, item_id, revision, processed)"
             " VALUES (1, {z}, 257, 1, 0)")


@control("leftover")
def rows_under_the_old_id_at_the_destination(case):
    case.sql("INSERT INTO {g}.watch (mailbox_id, target, item_id) VALUES ({old}, 'nobody', 1)")
    case.undo.append(lambda: case.sql("DELETE FROM {g}.watch WHERE mailbox_id = {old}"))


@control("leftover")
def directory_under_the_old_id_at_the_destination(case):
    volume = case.new.volumes[int(case.blob()[0]["locator"])]
    path = volume.mailbox_dir(case.old.mailbox_id)
    os.makedirs(path, exist_ok=True)
    case.undo.append(lambda: os.rmdir(path))


@control("leftover")
def directory_under_the_new_id_at_the_source(case):
    volume = next(v for v in case.old.volumes.values() if v.type == 2)
    path = volume.mailbox_dir(case.new.mailbox_id)
    os.makedirs(path)
    case.undo.append(lambda: os.rmdir(path))


@control("leftover")
def probe_of_shared_volumes_left(case):
    path = f"{case.new.volumes[int(case.blob()[0]['locator'])].path}/.zxmove-probe"
    os.mkdir(path)
    case.undo.append(lambda: os.rmdir(path))


@control("leftover")
def rows_in_another_group(case):
    with truth.Sql(case.destination) as sql:
        group = next(g for g in sql.groups() if g != f"mboxgroup{case.new.group}")
    case.sql(f"INSERT INTO {group}.watch (mailbox_id, target, item_id) VALUES ({{z}}, 'nobody', 1)")


@control("leftover")
def calendar_cache_under_the_new_id(case):
    path = calendar_dirs(case.destination, [case.new.mailbox_id])[0]
    os.makedirs(path)
    with open(f"{path}/10.dat", "wb") as stream:
        stream.write(b"cache")


@control("leftover")
def deleted_account_still_there(case):
    case.sql("INSERT INTO zimbra.deleted_account (email, account_id, mailbox_id, deleted_at) SELECT comment,"
             " account_id, 1, 1 FROM zimbra.mailbox WHERE id = {z}")


@control("own-leftover")
def claim_not_given_back(case):
    _own_row(case, "claim (account_id CHAR(36), pid INT)", f"claim VALUES ('{case.account_id}', {os.getpid()})")


@control("own-leftover")
def lock_still_held(case):
    sql = truth.Sql(case.destination)
    sql.query(f"SELECT GET_LOCK('zxmove.{case.account_id}', 0)")
    case.undo.append(sql.connection.close)


@control("own-leftover")
def fence_left_open(case):
    _own_row(case, "fence (account_id CHAR(36), state CHAR(20))", f"fence VALUES ('{case.account_id}', 'committing')")


@control("own-leftover")
def late_row_not_carried_over(case):
    _own_row(case, "reservation (account_id CHAR(36), mailbox_id INT)",
             f"reservation VALUES ('{case.account_id}', {case.new.mailbox_id})")
    _own_row(case, "late_scheduled_task (mailbox_id INT)", f"late_scheduled_task VALUES ({case.new.mailbox_id})")


def _own_row(case, table, row):
    """In a database like the product's, which this laboratory does not have."""
    with truth.Sql(case.destination) as sql:
        sql.query("CREATE DATABASE IF NOT EXISTS zxmove")
        sql.query(f"CREATE TABLE zxmove.{table}")
        sql.query(f"INSERT INTO zxmove.{row}")

    def undo():
        with truth.Sql(case.destination) as sql:
            sql.query("DROP DATABASE IF EXISTS zxmove")
    case.undo.append(undo)


# The source's copy, and who is home.

@control("source-changed", "row-altered")
def source_row_changed(case):
    case.sql(f"UPDATE mboxgroup{case.old.group}.mail_item SET date = date + 1"
             " WHERE mailbox_id = {old} AND id = 2", case.source)


@control("source-changed")
def source_blob_removed(case):
    place = next(p for p, f in case.old.files.items() if f.kind == "f" and p[1].startswith("msg/"))
    os.unlink(f"{case.old.volumes[place[0]].mailbox_dir(case.old.mailbox_id)}/{place[1]}")


@control("lock")
def source_not_locked(case):
    Admin(case.source).lockout(case.account_id, "end")


@control("mapping", "leftover")
def no_mailbox_at_the_destination(case):
    case.sql("DELETE FROM zimbra.mailbox WHERE id = {z}")

    def undo():
        with truth.Sql(case.destination) as sql:
            insert_rows(sql, "zimbra", "mailbox", [case.new.mailbox()])
    case.undo.append(undo)


@control("directory")
def data_source_lost(case):
    child = next(iter(case.before.moved[case.account_id].below))
    case.lab.ldap().delete_s(child)


def describe(findings):
    return json.dumps([f"{f.kind}: {f.text}" for f in findings][:6])
