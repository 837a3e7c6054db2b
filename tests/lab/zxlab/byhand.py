"""byhand.py - a move and a purge made by hand, so that the checker can be tested without the product.

Straightforward and slow, and no model of anything: it only makes the state after a correct move."""

import gzip
import os
import shutil
import time

import ldap

from . import compare, truth
from .snapshot import BLOB_TABLES, calendar_dirs, memcached_servers, read_copy
from .soap import Admin


def purge_through_mailboxd(store, account_id):
    """The old copy, as doc/platform.md 5.4 does it; it leaves `watch` rows and the calendar cache behind."""
    Admin(store).call("<BatchRequest xmlns='urn:zimbra' onerror='stop'>"
                      "<LockoutMailboxRequest xmlns='urn:zimbraAdmin' op='end'>"
                      f"<account by='id'>{account_id}</account></LockoutMailboxRequest>"
                      f"<DeleteMailboxRequest xmlns='urn:zimbraAdmin'><mbox id='{account_id}'/></DeleteMailboxRequest>"
                      "</BatchRequest>")


def move_by_hand(lab, before, account_id, source, destination):
    Admin(source).lockout(account_id, "start")
    old = read_copy(lab, source, account_id)
    with truth.Sql(destination) as sql:
        current = sql.current_volumes()
        new_id = _take_id(sql)
        group = (new_id - 1) % truth.mailbox_groups(destination) + 1
        destination.ensure_group(sql.connection, group)
        volumes = sql.volumes()
        blobs, index = volumes[current["message_volume_id"]], volumes[current["index_volume_id"]]
        styles = before.styles[destination.name]
        _copy_blobs(old, new_id, blobs, styles[blobs.id])
        _copy_index(old, new_id, index, styles[index.id])
        _copy_rows(sql, old, new_id, group, blobs.id, _mailbox_values(old, new_id, group, index.id, source))
    flip(lab, before.moved[account_id].dn, destination)
    for server in memcached_servers(lab):
        with truth.Memcached(*server) as memcached:
            for keys in before.moved[account_id].keys.values():
                for key in keys:
                    memcached.delete(key)
    for store in lab.stores:
        Admin(store).call("<FlushCacheRequest xmlns='urn:zimbraAdmin'><cache type='account'>"
                          f"<entry by='id'>{account_id}</entry></cache></FlushCacheRequest>")


def _take_id(sql):
    sql.query("START TRANSACTION")
    sql.query("UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id + 1")
    new_id = sql.current_volumes()["next_mailbox_id"] - 1
    sql.query("COMMIT")
    return new_id


def _mailbox_values(old, new_id, group, index_volume, source):
    row = old.mailbox()
    items, changes = compare.maxima(old)
    item = max(items, compare.round_up(int(row["item_id_checkpoint"]), 20))
    change = max(changes, compare.round_up(int(row["change_checkpoint"]), truth.change_increment(source)))
    return {"id": new_id, "group_id": group, "index_volume_id": index_volume, "last_backup_at": None,
            "account_id": row["account_id"].lower(), "item_id_checkpoint": item, "change_checkpoint": change,
            "itemcache_checkpoint": int(row["itemcache_checkpoint"]) + 1}


def _copy_rows(sql, old, new_id, group, blob_volume, mailbox_values):
    sql.query("SET SESSION foreign_key_checks = 0")
    now = int(time.time() * 1000)
    for name, rows in old.tables.items():
        if name == "zimbra.volume_blobs":
            continue
        schema, table = name.split(".")
        translated = mailbox_values if name == "zimbra.mailbox" else {"mailbox_id": new_id}
        values = [{**row, **translated} for row in rows.dicts()]
        for row in values:
            if name in BLOB_TABLES and row["locator"] is not None:
                row["locator"] = str(blob_volume)
            if name == "zimbra.pending_acl_push":
                row["date"] = now
        insert_rows(sql, schema if schema == "zimbra" else f"mboxgroup{group}", table, values)
    comment = old.mailbox()["comment"]
    with sql.connection.cursor() as cursor:
        cursor.execute("DELETE FROM zimbra.deleted_account WHERE email = %s", (comment,))


def insert_rows(sql, schema, table, rows):
    names = sorted(rows[0])
    with sql.connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO `{schema}`.`{table}` ({', '.join(f'`{n}`' for n in names)})"
                           f" VALUES ({', '.join(['%s'] * len(names))})",
                           [tuple(row[n] for n in names) for row in rows])


def _copy_blobs(old, new_id, volume, style):
    for table, column in BLOB_TABLES.items():
        for row in old.dicts(table):
            if row["blob_digest"] is None or row["locator"] is None:
                continue
            item, mod = int(row[column]), int(row["mod_content"])
            from_volume = old.volumes[int(row["locator"])]
            directory = from_volume.mailbox_dir(old.mailbox_id)
            names = [from_volume.blob(item, mod), from_volume.blob(item, mod).rsplit("-", 1)[0] + ".msg"]
            found = [n for n in names if os.path.exists(f"{directory}/{n}")]
            if not found:
                continue
            with open(f"{directory}/{found[0]}", "rb") as stream:
                data = stream.read()
            packed = truth.unpacked(data)[0] is not None and len(data) != int(row["size"])
            if volume.compress_blobs and not packed and int(row["size"]) > volume.compression_threshold:
                data = gzip.compress(data)
            write_file(f"{volume.mailbox_dir(new_id)}/{volume.blob(item, mod)}", data, volume.path, style)


def _copy_index(old, new_id, volume, style):
    for (from_volume, path), file in old.files.items():
        if path.startswith("index/") and file.kind == "f":
            with open(f"{old.volumes[from_volume].mailbox_dir(old.mailbox_id)}/{path}", "rb") as stream:
                write_file(f"{volume.mailbox_dir(new_id)}/{path}", stream.read(), volume.path, style)


def write_file(path, data, root, style):
    (file_mode, uid, gid), (dir_mode, dir_uid, dir_gid) = style
    missing = []
    directory = os.path.dirname(path)
    while directory != root and not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for directory in reversed(missing):
        os.mkdir(directory)
        os.chmod(directory, dir_mode)
        os.chown(directory, dir_uid, dir_gid)
    with open(path, "wb") as stream:
        stream.write(data)
    os.chmod(path, file_mode)
    os.chown(path, uid, gid)


def purge_by_hand(store, copy):
    """All of a copy, rows and files."""
    with truth.Sql(store) as sql:
        sql.query("SET SESSION foreign_key_checks = 0")
        for table in sql.keyed_tables():
            if table.schema in ("zimbra", f"mboxgroup{copy.group}") and table.name != "deleted_account":
                sql.query(f"DELETE FROM `{table.schema}`.`{table.name}` WHERE `{table.owner}` = {copy.mailbox_id}")
    for volume in copy.volumes.values():
        shutil.rmtree(volume.mailbox_dir(copy.mailbox_id), ignore_errors=True)
    for path in calendar_dirs(store, [copy.mailbox_id]):
        shutil.rmtree(path, ignore_errors=True)


def flip(lab, dn, destination):
    lab.ldap().modify_s(dn, [
        (ldap.MOD_REPLACE, "zimbraMailHost", [destination.name.encode()]),
        (ldap.MOD_REPLACE, "zimbraMailTransport", [f"lmtp:{destination.name}:7025".encode()])])
