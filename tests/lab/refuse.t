#!/usr/bin/python3
"""What is refused before anything is touched: each with a message that names the remedy."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import servers  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, led_back, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.create("refuse", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    scene = Scene(lab)
    account = scene.mailbox("ann", one, messages=5)
    before = scene.snapshot(account)
    dn = lab.directory.account(account)[0]

    result = scene.move("nobody@" + scene.domain, two)
    exits(result, 1, "an unknown account")
    says(result, "nobody@", "is named")
    result = lab.zxmove("doMailboxMove", "store9.lab.test", "accounts", scene.address("ann"))
    exits(result, 1, "an unknown host")
    says(result, "store9.lab.test", "is named")

    def setting(name, value, restore, words):
        """One attribute of the account changed, the move refused, everything as it was but for that."""
        lab.directory.set(dn, **{name: value})
        snapshot = scene.snapshot(account)
        result = scene.move(account, two)
        led_back(result, snapshot, account, f"{name} {value}")
        says(result, words, "and the remedy is named")
        lab.directory.set(dn, **{name: restore})

    setting("zimbraMailTransport", "smtp:gateway.example:25", f"lmtp:{one.name}:7025", "custom mail transport")

    for status in ("suspended", "shutdown"):
        shut = Scene(lab, strangers=False, status=status)
        inside = shut.mailbox("inside", one, messages=2, rich=False)
        snapshot = shut.snapshot(inside)
        result = shut.move(inside, two)
        led_back(result, snapshot, inside, f"an account of a domain in {status}")
        says(result, "zmprov md", "and the remedy is named")

    def server(name, value, words):
        """One attribute of the destination's server entry changed."""
        dn, entry = lab.directory.find("(&(objectClass=zimbraServer)(cn=%s))", two.name)[0]
        lab.directory.set(dn, **{name: value})
        snapshot = scene.snapshot(account)
        result = scene.move(account, two)
        led_back(result, snapshot, account, f"{name} {value} at the destination")
        says(result, words, "and it is named")
        lab.directory.set(dn, **{name: entry.get(name)})

    server("zimbraServiceEnabled", ["proxy"], "mailbox service")
    server("zimbraAlwaysOnClusterId", "f0f0f0f0-0000-4000-8000-000000000001", "always-on")

    def column(store, table, name, value, where, words):
        """One value of a table changed."""
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {name} FROM {table} WHERE {where}")
            old = cursor.fetchone()[0]
            cursor.execute(f"UPDATE {table} SET {name} = %s WHERE {where}", (value,))
            snapshot = scene.snapshot(account)
            result = scene.move(account, two)
            led_back(result, snapshot, account, f"{table}.{name} = {value}")
            says(result, words, "and the reason is told")
            cursor.execute(f"UPDATE {table} SET {name} = %s WHERE {where}", (old,))

    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox, group = cursor.fetchone()
        cursor.execute(f"SELECT MAX(id) FROM mboxgroup{group}.mail_item WHERE mailbox_id = {mailbox} AND type = 5")
        item = cursor.fetchone()[0]
    column(one, f"mboxgroup{group}.mail_item", "locator", "1@@elsewhere/object",
           f"mailbox_id = {mailbox} AND id = {item}", "1@@elsewhere/object")
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO zimbra.volume (id, type, name, path, file_bits, file_group_bits, mailbox_bits,"
                       " mailbox_group_bits, compress_blobs, compression_threshold, store_type)"
                       " VALUES (99, 2, 'bucket', %s, 12, 8, 12, 8, 0, 4096, 2)", (one.path("hsm"),))
        column(one, f"mboxgroup{group}.mail_item", "locator", "99", f"mailbox_id = {mailbox} AND id = {item}",
               "external storage is not supported")
        cursor.execute("DELETE FROM zimbra.volume WHERE id = 99")
    column(one, "zimbra.mailbox", "version", "2.10", f"id = {mailbox}", f"upgrade {two.name} first")
    column(two, "zimbra.config", "value", "117", "name = 'db.version'", "upgrade")

    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE zimbra.surprise (mailbox_id INT UNSIGNED NOT NULL, x INT)")
    snapshot = scene.snapshot(account)
    result = scene.move(account, two)
    led_back(result, snapshot, account, "an unknown table with a mailbox_id")
    says(result, "surprise", "is named")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE zimbra.surprise")

    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT 3, 3, %s,"
                       " index_volume_id FROM zimbra.current_volumes", (account,))
    result = scene.move(account, two)
    ok(result.returncode == 1, "a leftover row of the account at the destination: refused")
    says(result, "already has a mailbox 3", "and the row is named")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM zimbra.mailbox WHERE id = 3")
        is_(cursor.fetchone()[0], 1, "and left alone")
        cursor.execute("DELETE FROM zimbra.mailbox WHERE id = 3")

    # What the two stores are.
    def refused(name, words):
        """The move refused as things are now, everything left as it is."""
        snapshot = scene.snapshot(account)
        result = scene.move(account, two)
        led_back(result, snapshot, account, name)
        says(result, words, "and the remedy is named")

    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zimbra.config SET value = '119' WHERE name = 'db.version'")
    refused("a source whose schema is newer", f"upgrade {two.name} first")
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zimbra.config SET value = '118' WHERE name = 'db.version'")
    two.configure(localconfig={"zimbra_class_store": "com.example.ObjectStore"})
    refused("another kind of blob store", "zimbra_class_store")
    two.configure(localconfig={"zimbra_class_store": "com.zimbra.cs.store.file.FileBlobStore"})
    with subprocess.Popen(["/bin/sh", "-c", "read end", "mailboxd", one.dir, "-Duser.timezone=Asia/Tokyo"],
                          stdin=subprocess.PIPE):
        refused("stores of different time zones", "Asia/Tokyo")

    # What lies under the id that the account would get.
    def planted(name, plant, remove):
        """Something of nobody's under the next mailbox id of store two."""
        fresh = scene.mailbox(name.split()[0], one, messages=2, rich=False)
        with two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT next_mailbox_id, path FROM zimbra.current_volumes c JOIN zimbra.volume v"
                           " ON v.id = c.message_volume_id")
            free, path = cursor.fetchone()
            cursor.execute("SET SESSION foreign_key_checks = 0")
            plant(cursor, free, path.decode())
            connection.commit()
            snapshot = scene.snapshot(fresh)
            result = scene.move(fresh, two)
            led_back(result, snapshot, fresh, name)
            says(result, f"under mailbox id {free} that should be free", "and it is said")
            remove(cursor, free, path.decode())
            connection.commit()

    def blob(path, free):
        return os.path.join(path, str(free >> 12), str(free), "msg", "0", "257-1.msg")

    def plant_blob(_, free, path):
        os.makedirs(os.path.dirname(blob(path, free)))
        with open(blob(path, free), "w", encoding="ascii") as file:
            file.write("nobody's")

    planted("rows under the next mailbox id",
            lambda cursor, free, _: cursor.execute(
                "INSERT INTO zimbra.mailbox_metadata (mailbox_id, section, metadata) VALUES (%s, 'x', 'y')", (free,)),
            lambda cursor, free, _: cursor.execute(
                "DELETE FROM zimbra.mailbox_metadata WHERE mailbox_id = %s", (free,)))
    planted("files under the next mailbox id", plant_blob, lambda _, free, path: shutil.rmtree(
        os.path.join(path, str(free >> 12), str(free))))
    before = scene.snapshot(account)

    with open(os.path.join(lab.dir, "ssh", "known_hosts"), encoding="ascii") as file:
        known = file.read()
    kinds = {"an unknown host key": "", "another host key": known.replace(known.split()[2], known.split()[5])}
    for name, text in kinds.items():
        with open(os.path.join(lab.dir, "ssh", "known_hosts"), "w", encoding="ascii") as file:
            file.write(text)
        result = scene.move(account, two)
        led_back(result, before, account, name)
        says(result, "known_hosts", "and the file is named")
    with open(os.path.join(lab.dir, "ssh", "known_hosts"), "w", encoding="ascii") as file:
        file.write(known)

    conf = os.path.join(lab.dir, "zxmove.yaml")
    with open(conf, encoding="utf-8") as file:
        text = file.read()
    wrong = text.replace(os.path.join(lab.dir, "ca", "ca.pem"), "/etc/ssl/certs/ca-certificates.crt")
    ok(wrong != text, "(the configuration names the laboratory's CA)")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(text.replace("user: zimbra\n", f"user: {scene.address('ann.alias')}\n"))
    result = scene.move(account, two)
    led_back(result, before, account, "the account zxmove itself logs in as")
    says(result, "log in as another administrator", "and the remedy is named")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(wrong)
    led_back(scene.move(account, two), before, account, "certificates of another authority")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(text)

    authority = servers.Authority(os.path.join(lab.dir, "ca"))
    _, certificate, key = authority.issue(two.path("conf"), "store9.lab.test", stem="other")
    own = {"certificate": two.path("conf/mailboxd.pem"), "key": two.path("conf/mailboxd.key")}
    two.configure(mailboxd={"certificate": certificate, "key": key})
    snapshot = scene.snapshot(account)
    result = scene.move(account, two)
    led_back(result, snapshot, account, "a certificate for another name")
    says(result, two.name, "and the store is named")
    two.configure(mailboxd=own)

    os.chmod(conf, 0o644)
    result = scene.move(account, two)
    exits(result, 77, "a configuration with secrets that others may read")
    says(result, "chmod", "and the remedy is named")
    os.chmod(conf, 0o600)

    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zimbra.mailbox SET version = '2.6' WHERE id = %s", (mailbox,))
    snapshot = scene.snapshot(account)
    moved_clean(scene.move(account, two), snapshot, account, one, two,
                "with all that mended, and a mailbox of an older version, the move")
finally:
    lab.stop()
done()
