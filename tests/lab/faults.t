#!/usr/bin/python3
"""Servers that break before the commit: databases killed and ssh cut off in the window, mended a moment later and
mended long after; ssh cut off in mid-copy, a full disk, an agent that is none, a broken configuration. Each time the
user is back where they were, and the message says what to do."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, led_back, moved_clean, says  # noqa: E402
from zxlab.process import Process  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

POINTS = ("fence:recorded", "fence:status", "fence:locked", "delta:applied", "prove:applied", "commit:committing")


def durable():
    """What the tests themselves wrote must survive the killing of a database."""
    for store in lab.stores:
        with store.db() as connection:
            store.flush(connection)


def fence_state(account, store):
    """The state in the last fence row of an account on a store."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state FROM zxmove.fence WHERE account_id = %s ORDER BY changed DESC LIMIT 1", (account,))
        row = cursor.fetchone()
        return row[0].decode() if row else None


def in_the_window(kind, ways, break_it, mend_it, later):
    """Moves held at every point of the window; then something breaks. `ways`: {word: (from, to)}."""
    names = {f"{kind}, {way} at {point}": (way, point) for way in ways for point in POINTS}
    accounts = {name: scene.mailbox(f"{kind[:3]}{number}{'l' if later else 'm'}", ways[way][0], messages=4)
                for number, (name, (way, _)) in enumerate(names.items())}
    durable()
    before = scene.snapshot(*accounts.values())
    held = {name: Held(scene, accounts[name], ways[way][1], point) for name, (way, point) in names.items()}
    for one_held in held.values():
        one_held.wait()
    break_it()
    for one_held in held.values():
        one_held.go_on()
    if not later:
        mend_it()
    results = {name: one_held.finish() for name, one_held in held.items()}
    if later:
        mend_it()
    for name, result in results.items():
        led_back_from(name, result, accounts[name], before, ways[names[name][0]][0], later)


def led_back_from(name, result, account, before, source, later):
    """The verdict of one move."""
    ok(result.returncode != 0, f"{name}: exit status tells of the failure")
    is_(account_status(lab, account), ("active", "enabled"), f"{name}: the user is in again, before any recovery")
    if later:
        says(result, f"doRecover accounts {scene.addresses[account]}", f"{name}: the message says what to run")
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
              f"{name}: doRecover")
    is_(fence_state(account, source), "undone", f"{name}: the record says that it is undone")
    if not findings_none(check_unmoved(lab, before, account), f"{name}: everything is as it was"):
        diag(result.stdout + result.stderr)


def cut_off_in_mid_copy():
    """The connection to the source, then to the destination, ends while blobs are copied."""
    account = scene.mailbox("copy", one, messages=1500)
    before = scene.snapshot(account)
    for store in (one, two):
        process = scene.start_move(account, two)
        files = blob_files(two)
        wait_for(lambda n=files: blob_files(two) > n + 50 or process.poll() is not None, 60, "blobs to arrive", every=0)
        ok(process.poll() is None, f"(copying while {store.name} is cut off)")
        store.sshd_kill()
        out, err = process.communicate(timeout=120)
        store.sshd_start()
        result = subprocess.CompletedProcess([], process.returncode, out, err)
        led_back(result, before, account, f"ssh to {store.name} drops in mid-copy")
        says(result, store.name, "the message names the store")
    staged = blob_files(two)
    result = scene.move(account, two)
    moved_clean(result, before, account, one, two, "the next run goes on")
    ok(staged > 100, f"(with {staged} files that were there)")


def blob_files(store):
    """How many files lie in the store's current message volume."""
    return sum(len(files) for _, _, files in os.walk(volume_path(store)))


def volume_path(store):
    """The root of the store's current message volume."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT path FROM zimbra.volume v JOIN zimbra.current_volumes c ON v.id = c.message_volume_id")
        return cursor.fetchone()[0].decode()


def small_disk(store, size):
    """The store's sshd, and so the agent, in a mount namespace of its own with a small file system as its message
    volume: gone with the process, whatever becomes of this script."""
    path = volume_path(store)
    sshd, argv = store.sshd, store.sshd.argv
    sshd.stop()
    script = f'mount -t tmpfs -o size={size},mode=750 none "$0" && exec "$@"'
    Process(sshd.name, lambda: ["unshare", "-m", "sh", "-c", script, path, *argv()], sshd.pid_file, sshd.log,
            sshd.ready).start()


def full_disk():
    """Refused while it can be known; else found out in the middle."""
    account = scene.mailbox("full", one, messages=200, rich=False)
    before = scene.snapshot(account)
    small_disk(two, "16k")
    result = scene.move(account, two)
    led_back(result, before, account, "destination disk full", status=1)
    says(result, "min_free", "and the remedy is named")
    small_disk(two, f"{blob_bytes(account) * 11 // 10 // 1024}k")  # a file takes whole pages
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("min_free: 0\n")
    result = scene.move(account, two)
    led_back(result, before, account, "destination disk full in the middle", status=1)
    says(result, "space", "and it says so")
    two.sshd_kill()
    two.sshd_start()
    moved_clean(scene.move(account, two), before, account, one, two, "with room again it moves")


def blob_bytes(account):
    """Bytes of the account's messages on store one, uncompressed."""
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox, group = cursor.fetchone()
        cursor.execute(f"SELECT SUM(size) FROM mboxgroup{group}.mail_item WHERE mailbox_id = %s"
                       " AND blob_digest IS NOT NULL", (mailbox,))
        return int(cursor.fetchone()[0])


def with_conf(change, name, status, words):
    """A move with a changed configuration."""
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    try:
        with open(lab.conf_path, "w", encoding="utf-8") as file:
            file.write(change(text))
        result = scene.move(plain, two)
    finally:
        with open(lab.conf_path, "w", encoding="utf-8") as file:
            file.write(text)
    led_back(result, plain_before, plain, name, status)
    says(result, words, "and the message names it")


lab = Lab.create("faults", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    one, two, three = lab.stores
    scene = Scene(lab)
    in_the_window("database killed", {"source": (one, two), "destination": (two, one)},
                  one.mariadb_kill, one.mariadb_start, later=False)
    in_the_window("ssh cut off", {"source": (three, two), "destination": (two, three)},
                  three.sshd_kill, three.sshd_start, later=False)
    in_the_window("database gone", {"source": (one, two), "destination": (two, one)},
                  one.mariadb_kill, one.mariadb_start, later=True)
    in_the_window("ssh gone", {"source": (three, two), "destination": (two, three)},
                  three.sshd_kill, three.sshd_start, later=True)
    cut_off_in_mid_copy()

    plain = scene.mailbox("plain", one, messages=4)
    plain_before = scene.snapshot(plain)
    for program in ("/bin/true", "/bin/yes", "/bin/cat"):
        with_conf(lambda text, p=program: text.replace("ssh:\n", f"ssh:\n  agent_file: {p}\n", 1) + "net_timeout: 3s\n",
                  f"{program} as agent", None, "agent")
    with_conf(lambda text: text.replace("ssh:\n", "ssh:\n  agent_file: /nowhere/agent\n", 1), "no agent", None,
              "/nowhere/agent")
    with_conf(lambda text: text + "min_fre: 3\n", "an unknown setting", None, "min_fre")
    with_conf(lambda text: text + "min_free: 99\n", "a setting out of bounds", None, "min_free")
    with_conf(lambda text: text + "stores: [\n", "a broken configuration", None, "zxmove.yaml")
    with_conf(lambda text: text.replace(f"  {two.name}:", "  elsewhere.lab.test:"), "a store not in it", None, two.name)

    if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0:
        full_disk()
    else:
        diag("a full disk needs a small file system, and that root: left out")
finally:
    lab.stop()
done()
