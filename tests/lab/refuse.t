#!/usr/bin/python3
"""What is refused before anything is touched: each with a message that names the remedy."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, led_back, says  # noqa: E402
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

    suspended = Scene(lab, strangers=False, status="suspended")
    inside = suspended.mailbox("inside", one, messages=2, rich=False)
    snapshot = suspended.snapshot(inside)
    result = suspended.move(inside, two)
    led_back(result, snapshot, inside, "an account of a suspended domain")
    says(result, "zmprov md", "and the remedy is named")

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
        file.write(wrong)
    led_back(scene.move(account, two), before, account, "certificates of another authority")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(conf, 0o644)
    result = scene.move(account, two)
    exits(result, 77, "a configuration with secrets that others may read")
    says(result, "chmod", "and the remedy is named")
    os.chmod(conf, 0o600)
finally:
    lab.stop()
done()
