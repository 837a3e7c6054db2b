#!/usr/bin/python3
"""The laboratory itself: every server answers as zxmove needs it, stores differ, seeds hold together,
servers can be killed and frozen, and nothing is left after the end, whoever died."""

import base64
import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys

import ldap
import pymysql

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from zxlab import blobs, network, process, servers  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.seed import ORDER, grow_metadata, plant_damage, seed_company, seed_mailbox  # noqa: E402
from zxlab.tap import comes, done, is_, ok, wait_for  # noqa: E402

NAME = f"lab-t-{os.getpid()}"
STORES = ("store1.lab.test", "store2.lab.test", "store3.lab.test")


def listening(net):
    """Local ports on which anything listens in the laboratory's network."""
    prefix = f"127.{net}."
    found = []
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            local, state = line.split()[1], line.split()[3]
            address = socket.inet_ntoa(bytes.fromhex(local[:8])[::-1])
            if state == "0A" and address.startswith(prefix):
                found.append((address, int(local[9:], 16)))
    return sorted(found)


def mentions(text):
    """Processes (not this one) whose command line has `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if text.encode() in file.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def test_servers(lab):
    is_([name for name, pid in lab.pids().items() if not pid and "mailboxd" not in name], [],
        "every server runs")
    for store in lab.stores:
        with store.db() as db, db.cursor() as cursor:
            cursor.execute("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_allowed_packet',"
                           " 'max_connections', 'innodb_flush_log_at_trx_commit')")
            is_({k.decode(): int(v) for k, v in cursor.fetchall()},
                {"max_allowed_packet": 16777216, "max_connections": 110,
                 "innodb_flush_log_at_trx_commit": 0}, f"{store.name}: MariaDB is set as Zimbra does")
            cursor.execute("SELECT value FROM zimbra.config WHERE name = 'db.version'")
            is_(cursor.fetchone()[0], b"118", f"{store.name}: db.version")
    facts = {store.name: (store.groups, store.kind.next_mailbox_id, store.kind.current)
             for store in lab.stores}
    is_([len(set(column)) for column in zip(*facts.values())], [3, 3, 3], "no two stores are alike")
    order = []
    for store in lab.stores[:2]:
        with store.db() as db, db.cursor() as cursor:
            cursor.execute("SHOW COLUMNS FROM mboxgroup1.mail_item")
            order.append([row[0] for row in cursor.fetchall()])
    ok(order[0] != order[1] and sorted(order[0]) == sorted(order[1]), "same columns, other order")
    lab.memcached_set("some:key", "value")
    is_(lab.memcached_get("some:key"), b"value", "memcached keeps a value")
    lab.stores[1].configure({"zimbra_mailbox_lock_timeout": 1}, {"lock_timeout_ms": 1000})
    with lab.stores[1].db() as db:
        ok(db.open, "a change of localconfig keeps the rest as it was")
    subprocess.run([servers.program("smtp-source"), "-f", "a@lab.test", "-t", "b@lab.test",
                    f"{lab.host(network.SINK)}:{network.SMTP_PORT}"], check=True)
    ok(wait_for(lab.mails, 10, "the mail") and "b@lab.test" in lab.mails()[0], "the sink keeps a mail")


def ssh(lab, store, *command):
    known = os.path.join(lab.dir, "ssh", "known_hosts")
    return [servers.program("ssh"), "-F", "none", "-i", os.path.join(lab.dir, "ssh", "id_zxmove"),
            "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o",
            "BatchMode=yes", "-p", str(network.SSH_PORT), *command]


def test_ssh(lab):
    store = lab.stores[0]
    target = f"{servers.user()}@{store.address}"
    result = subprocess.run(ssh(lab, store, target, "echo", "$SSH_CONNECTION"), check=False,
                            capture_output=True, text=True)
    is_(result.stdout.split()[2:], [store.address, str(network.SSH_PORT)], "ssh with key and known host")
    forward = subprocess.run(ssh(lab, store, "-W", f"{store.address}:{network.MARIADB_PORT}", target),
                             check=False, stdin=subprocess.DEVNULL, capture_output=True)
    ok(b"MariaDB" in forward.stdout, "MariaDB is reached through ssh")


def test_directory(lab):
    connection = ldap.initialize(lab.ldap_master)
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, os.path.join(lab.dir, "ca", "ca.pem"))
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    connection.start_tls_s()
    connection.simple_bind_s(lab.ldap_dn, lab.ldap_password)
    ok(True, "StartTLS with the laboratory's CA, certificate checked")
    ids = seed_company(lab, "one.test", lab.stores[0])
    is_(lab.directory.account("a+b@one.test")[1]["zimbraId"], [ids["ann"]], "found by an alias")
    is_(lab.directory.lists_of("ann@one.test"), ["all@one.test", "some@one.test"], "member of lists")
    closed = lab.directory.account("closed@one.test")[1]
    is_(closed["zimbraMailStatus"], ["disabled"], "a closed account takes no mail")
    replica = Lab.attach(lab.name)
    replica.ldap_master = lab.ldap_urls[0]
    lab.replica_sync()
    is_(replica.directory.account(ids["ann"])[0], lab.directory.account(ids["ann"])[0],
        "the replica has it")
    lab.replica_lag()
    lab.directory.set(lab.directory.account(ids["ann"])[0], zimbraMailHost=STORES[1])
    is_(replica.directory.account(ids["ann"])[1]["zimbraMailHost"], [STORES[0]], "a cut-off replica lags")
    lab.replica_sync()
    is_(replica.directory.account(ids["ann"])[1]["zimbraMailHost"], [STORES[1]], "and catches up")
    lab.directory.set(lab.directory.account(ids["ann"])[0], zimbraMailHost=STORES[0])
    return ids


def wrong_blobs(store, mailbox_id):
    """Items of all four tables whose blob is not what the row says, and how many were looked at."""
    wrong, seen = [], 0
    with store.db() as db, db.cursor() as cursor:
        volumes = blobs.read_volumes(cursor)[0]
        group = (mailbox_id - 1) % store.groups + 1
        for table, column in (("mail_item", "id"), ("mail_item_dumpster", "id"),
                              ("revision", "item_id"), ("revision_dumpster", "item_id")):
            cursor.execute(f"SELECT {column}, mod_content, locator, size, blob_digest FROM"
                           f" mboxgroup{group}.{table} WHERE mailbox_id = %s AND blob_digest IS NOT NULL",
                           (mailbox_id,))
            for item, mod_content, locator, size, digest in cursor.fetchall():
                seen += 1
                path = volumes[int(locator)].blob(mailbox_id, item, mod_content)
                if not os.path.exists(path):
                    path = os.path.join(os.path.dirname(path), f"{item}.msg")
                if not os.path.exists(path):
                    wrong.append(item)
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                if data[:2] == b"\x1f\x8b" and len(data) != size:
                    data = gzip.decompress(data)
                kind = hashlib.sha1 if len(digest) == 28 else hashlib.sha256
                if len(data) != size or base64.b64encode(kind(data).digest(), b"+,") != digest:
                    wrong.append(item)
    return wrong, seen


def test_seed(lab, ids):
    for store, messages in zip(lab.stores, (300, 120, 40)):
        lab.new_account(f"seed{store.number}@one.test", store)
        account = lab.directory.account(f"seed{store.number}@one.test")[1]["zimbraId"][0]
        mailbox = seed_mailbox(lab, account, store, messages=messages)
        is_(mailbox, store.kind.next_mailbox_id, f"{store.name}: the mailbox has the next id")
        wrong, seen = wrong_blobs(store, mailbox)
        ok(seen > messages and not wrong, f"{store.name}: {seen} blobs are what their rows say")
        with store.db() as db, db.cursor() as cursor:
            cursor.execute("SELECT group_id, item_id_checkpoint, change_checkpoint FROM zimbra.mailbox"
                           " WHERE id = %s", (mailbox,))
            group, item_id, change = cursor.fetchone()
            cursor.execute(f"SELECT MAX(id), MAX(mod_metadata) FROM mboxgroup{group}.mail_item"
                           " WHERE mailbox_id = %s", (mailbox,))
            last_id, last_change = cursor.fetchone()
            step = int(store.kind.localconfig.get("zimbra_mailbox_change_checkpoint_frequency", 100))
            ok(item_id < last_id <= item_id // 20 * 20 + 19
               and change < last_change <= change // step * step + step - 1,
               f"{store.name}: checkpoints lag, but not too far")
            empty = []
            for table in ORDER:
                cursor.execute(f"SELECT COUNT(*) FROM mboxgroup{group}.{table} WHERE mailbox_id = %s",
                               (mailbox,))
                if not cursor.fetchone()[0]:
                    empty.append(table)
            is_(empty, [], f"{store.name}: no table of the group is empty")
    item = plant_damage(lab.stores[0], lab.stores[0].kind.next_mailbox_id, "wrong")
    is_(wrong_blobs(lab.stores[0], lab.stores[0].kind.next_mailbox_id)[0], [item], "planted damage shows")
    again = seed_mailbox(lab, ids["ann"], lab.stores[0], messages=60)
    with lab.stores[0].db() as db, db.cursor() as cursor:
        volumes, message, _, _ = blobs.read_volumes(cursor)
    files = subprocess.run(["find", volumes[message].mailbox_dir(again), "-type", "f", "-links", "+1"],
                           check=True, capture_output=True, text=True).stdout.split()
    ok(files, f"{len(files)} blobs are linked to other mailboxes or items")
    grown = grow_metadata(lab.stores[0], again, 16777215)
    with lab.stores[0].db() as db, db.cursor() as cursor:
        cursor.execute("SELECT LENGTH(metadata), CONCAT(metadata, subject, 'x') IS NULL FROM"
                       f" mboxgroup{(again - 1) % 5 + 1}.mail_item WHERE mailbox_id = %s AND id = %s",
                       (again, grown))
        is_(cursor.fetchone(), (16777215, 1), "metadata as long as it gets")
    bare = seed_mailbox(lab, ids["locked"], lab.stores[0], messages=0, rich=False)
    ok(not wrong_blobs(lab.stores[0], bare)[1], "a mailbox of no messages")
    heavy = seed_mailbox(lab, ids["closed"], lab.stores[0], messages=150, rich=False, mean_size=40_000)
    with lab.stores[0].db() as db, db.cursor() as cursor:
        cursor.execute("SELECT size_checkpoint FROM zimbra.mailbox WHERE id = %s", (heavy,))
        total, = cursor.fetchone()
    ok(2_000_000 < total < 18_000_000 and not wrong_blobs(lab.stores[0], heavy)[0],
       f"messages of about 40 kB: {total // 150} bytes")


def test_failures(lab):
    store = lab.stores[0]
    held = subprocess.Popen(ssh(lab, store, "-W", f"{store.address}:{network.MARIADB_PORT}",
                                f"{servers.user()}@{store.address}"),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    held.stdout.read(1)
    store.sshd_kill()
    is_(held.wait(timeout=120), 255, "killing sshd ends its sessions")
    store.sshd_start()
    with store.db() as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE zimbra.probe (n INT)")
        store.mariadb_kill()
        try:
            cursor.execute("SELECT 1")
            ok(False, "a killed MariaDB drops its connections")
        except pymysql.err.OperationalError:
            ok(True, "a killed MariaDB drops its connections")
        db._force_close()  # noqa: SLF001 - nobody is there to say goodbye to
    store.mariadb_start()
    with store.db() as db, db.cursor() as cursor:
        cursor.execute("DROP TABLE zimbra.probe")
        ok(True, "DDL survived it, and its password is still the same")
    with store.db(read_timeout=10) as db, db.cursor() as cursor:
        store.pause("mariadb")
        try:
            cursor.execute("SELECT 1")
            ok(False, "a frozen MariaDB does not answer")
        except pymysql.err.OperationalError:
            ok(True, "a frozen MariaDB does not answer")
        store.cont("mariadb")
    with store.db() as db:
        ok(db.open, "a thawed one does")


def test_mailboxd(lab, ids):
    store = lab.stores[0]
    if not store.has_mailboxd:
        ok(True, "no stand-in has been built: nothing to ask it")
        return
    with store.db() as db, db.cursor() as cursor:
        cursor.execute("SELECT id FROM zimbra.mailbox WHERE account_id = %s", (ids["ann"],))
        mailbox = cursor.fetchone()[0]
    store.mailboxd_start()
    is_(store.state(ids["ann"])["mapped"], mailbox, "the stand-in maps a seeded mailbox")
    lab.deliver("a+b@one.test", store, n=3)
    is_(wrong_blobs(store, mailbox)[0], [], "and delivers into it")
    ok(store.user(ids["ann"], "index")["ok"], "and goes on with its index")
    ok(store.user(ids["ann"], "flag")["ok"], "and its user works")
    ok("autoSendDraftTask" in str(store.tasks()), "and it has loaded the scheduled tasks")
    store.mailboxd_kill()
    store.mailboxd_start()
    ok(not store.state(ids["ann"])["cached"], "killed, it has forgotten what it held")


def test_end(lab):
    pids = [pid for pid in lab.pids().values() if pid]
    store = lab.stores[1]
    session = subprocess.Popen(ssh(lab, store, f"{servers.user()}@{store.address}", "echo; exec sleep 99"),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    session.stdout.read(1)
    pids += process.descendants(store.sshd.pid)
    lab.stop()
    session.wait(timeout=120)
    is_([pid for pid in pids if process.start_time(pid)], [], "stop ends every process")
    is_(mentions(lab.dir), [], "and what they had started")
    is_(listening(lab.net), [], "nobody listens")
    ok(not os.path.exists(lab.dir), "the directory is gone")


def test_killed_owner():
    """The owner of a laboratory is killed while it starts; the next stop finds what there is."""
    name = f"{NAME}-k"
    here = os.path.dirname(os.path.abspath(__file__))
    owner = subprocess.Popen([os.path.join(here, "lab"), "start", name], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    path = os.path.join(os.path.dirname(os.path.dirname(here)), "build", "lab", name)
    wait_for(lambda: os.path.exists(os.path.join(path, "run", "mariadb1.pid")), 60, "its first server")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    net = Lab.attach(name).net
    subprocess.run([os.path.join(here, "lab"), "stop", name], check=True)
    # What was just about to become a server finds its directory gone, and ends.
    comes(lambda: not mentions(path) and not listening(net), 30)
    is_((mentions(path), listening(net)), ([], []), "nothing is left of a laboratory whose owner died")


def main():
    lab = Lab.create(NAME, stores=STORES, replica=True, mailboxd=False)
    try:
        test_servers(lab)
        test_ssh(lab)
        ids = test_directory(lab)
        test_seed(lab, ids)
        test_failures(lab)
        test_mailboxd(lab, ids)
    finally:
        test_end(lab)
    test_killed_owner()
    done()


if __name__ == "__main__":
    main()
