#!/usr/bin/python3
"""What breaks before the window is opened: ssh cut off in mid-copy, a full disk, an agent that is none, a broken
configuration. Each time nothing has happened, and the message names what is wrong."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, led_back, moved_clean, says  # noqa: E402
from zxlab.process import Process  # noqa: E402
from zxlab.tap import comes, diag, done, is_, ok, wait_for  # noqa: E402


def cut_off_in_mid_copy():
    """The connection to the source, then to the destination, ends while blobs are copied."""
    account = scene.mailbox("copy", one, messages=1500)
    before = scene.snapshot(account)
    for store in (one, two):
        files = blob_files(two)
        process = scene.start_move(account, two, "bandwidth", "100K")  # so that the middle lasts
        wait_for(lambda n=files: blob_files(two) > n + 80 or process.poll() is not None, 60, "blobs to arrive", every=0)
        ok(process.poll() is None, f"(copying while {store.name} is cut off)")
        store.sshd_kill()
        out, err = process.communicate(timeout=600)
        store.sshd_start()
        result = subprocess.CompletedProcess([], process.returncode, out, err)
        name = f"ssh to {store.name} drops in mid-copy"
        exits(result, 69, f"{name}: exit status")
        # A claim cannot be given back to a store out of reach; its lease ends it, or the next mover here does.
        findings_none([f for f in check_unmoved(lab, before, account)
                       if f.kind != "own-leftover" or f"zxmove.claim on {store.name}" not in f.text],
                      f"{name}: everything is as it was")
        says(result, store.name, "the message names the store")
    staged = blob_files(two)
    result = scene.move(account, two)
    moved_clean(result, before, account, one, two, "the next run goes on")
    ok(staged > 100, f"(with {staged} files that were there)")


def half_a_group():
    """Killed while the schema of a mailbox group is made: mailboxd would never repair it, the next run does."""
    account = scene.mailbox("group", one, messages=4)
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT next_mailbox_id FROM zimbra.current_volumes")
        free = cursor.fetchone()[0]
        cursor.execute("SELECT SUBSTR(SCHEMA_NAME, 10) FROM INFORMATION_SCHEMA.SCHEMATA"
                       " WHERE SCHEMA_NAME LIKE 'mboxgroup%'")
        made = {int(group) for group, in cursor.fetchall()}
        new = next(i for i in range(free, free + two.groups) if (i - 1) % two.groups + 1 not in made)
        cursor.execute("UPDATE zimbra.current_volumes SET next_mailbox_id = %s", (new,))
        connection.commit()
    before = scene.snapshot(account)
    exits(scene.move(account, two, fail="reserve:schema=kill"), -9, "killed while a mailbox group is made")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM INFORMATION_SCHEMA.SCHEMATA s WHERE SCHEMA_NAME LIKE 'mboxgroup%'"
                       " AND NOT EXISTS (SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = SCHEMA_NAME)")
        is_(cursor.fetchone()[0], 1, "it is there, without tables")
    moved_clean(scene.move(account, two), before, account, one, two, "the next run completes it")


def blob_files(store):
    """How many files lie in the store's current message volume."""
    return sum(len(files) for _, _, files in os.walk(volume_path(store)))


def volume_path(store, kind="message"):
    """The root of the store's current message volume, or of its index volume."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT path FROM zimbra.volume v JOIN zimbra.current_volumes c ON v.id = c.{kind}_volume_id")
        return cursor.fetchone()[0].decode()


def small_disk(store, limits, path=None):
    """The store's sshd, and so the agent, in a mount namespace of its own with a small file system as its message
    volume, or at another path: gone with the process, whatever becomes of this script."""
    path = path or volume_path(store)
    sshd, argv = store.sshd, store.sshd.argv
    sshd.stop()
    script = f'mount -t tmpfs -o {limits},mode=750 none "$0" && exec "$@"'
    Process(sshd.name, lambda: ["unshare", "-m", "sh", "-c", script, path, *argv()], sshd.pid_file, sshd.log,
            sshd.ready).start()


def full_disk():
    """Refused while it can be known; else found out in the middle."""
    account = scene.mailbox("full", one, messages=200, rich=False)
    before = scene.snapshot(account)
    small_disk(two, "size=16k")
    result = scene.move(account, two)
    led_back(result, before, account, "destination disk full", status=1)
    says(result, "5% must remain (min_free)", "and the remedy is named")
    result = scene.move(account, two, "min_free", "40%")
    says(result, "40% must remain (min_free)", "one operation may ask for more")
    small_disk(two, "size=64m,nr_inodes=100")
    result = scene.move(account, two)
    led_back(result, before, account, "destination disk full in the middle", status=1)
    says(result, "space", "and it says so")
    two.sshd_kill()
    two.sshd_start()
    moved_clean(scene.move(account, two), before, account, one, two, "with room again it moves")
    account = scene.mailbox("disks", one, messages=100)
    before = scene.snapshot(account)
    for path, size, words in ((volume_path(two, "index"), "4k", "index volume"),
                              (two.path("db/data"), "64k", "MariaDB's disk")):
        small_disk(two, f"size={size}", path)
        result = scene.move(account, two)
        led_back(result, before, account, f"a full disk: {words}", status=1)
        says(result, f"{two.name}, {words}", "is named")
        says(result, "min_free", "with the remedy")
        two.sshd_kill()
        two.sshd_start()


def lanes_on_one_disk():
    """Two mailboxes in flight, room for one: the other waits, and is not begun when it does not fit then."""
    accounts = [scene.mailbox(f"lane{number}", one, messages=1, rich=False) for number in range(2)]
    for number in range(2):
        lab.deliver(scene.address(f"lane{number}"), one, n=16, size=262144)
    small_disk(two, "size=7m")  # each has 4
    result = lab.zxmove("--json", *scene.words(accounts, two, "threads", "2", "compress", "false", "bandwidth", "2M",
                                               stages="data"), timeout=180)
    boxes = json.loads(result.stdout.splitlines()[-1])["response"]["mailboxes"]
    is_(sorted(box["outcome"] for box in boxes), ["failed", "staged"], "two lanes, a disk for one: one is copied")
    failed = [box for box in boxes if box["outcome"] == "failed"]
    ok(failed and "must remain (min_free)" in failed[0]["reason"] and failed[0].get("blobs_copied", 0) == 0,
       "  the other is not begun, and its reason is min_free") or diag(str(boxes))
    two.sshd_kill()
    two.sshd_start()


def four_megabytes(name):
    """A mailbox of that; its account."""
    account = scene.mailbox(name, one, messages=1, rich=False)
    lab.deliver(scene.address(name), one, n=16, size=262144)
    return account


def operations_on_one_disk():
    """The same of two operations: one that was let in a moment ago, and has written nothing yet."""
    first, second = four_megabytes("first"), four_megabytes("second")
    small_disk(two, "size=7m")
    words = ("compress", "false")
    held = Held(scene, first, two, "space:fits", words=words, stages="data")
    held.wait()
    known = set(os.listdir(os.path.join(lab.dir, "state", "log")))
    waiting = scene.start_move(second, two, *words, stages="data")

    def waits():
        logs = set(os.listdir(os.path.join(lab.dir, "state", "log"))) - known
        return any("others in flight will still write" in
                   open(os.path.join(lab.dir, "state", "log", log), encoding="utf-8").read() for log in logs)
    ok(comes(lambda: waits() or waiting.poll() is not None, 60) and waits(), "two operations, a disk for one: one waits")
    exits(held.go(), 0, "  the other is copied")
    out, err = waiting.communicate(timeout=600)
    is_(waiting.returncode, 1, "  and the one that waited does not fit any more") or diag(out + err)
    says(subprocess.CompletedProcess([], 1, out, err), "must remain (min_free)", "  and says so")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM zxmove.coming")
        is_(cursor.fetchone()[0], 0, "  nobody has anything to come")
    two.sshd_kill()
    two.sshd_start()


def linked_on_a_small_disk():
    """What an older copy there has needs no room a second time."""
    account = four_megabytes("again")
    small_disk(two, "size=7m")
    exits(scene.move(account, two, "compress", "false"), 0, "there")
    exits(scene.move(account, one, "compress", "false"), 0, "and back")
    result = lab.zxmove("--json", *scene.words(account, two, "compress", "false", stages="data"))
    exits(result, 0, "there again, beside the older copy, on a disk with room for one")
    box = json.loads(result.stdout.splitlines()[-1])["response"]["mailboxes"][0]
    ok(box.get("blobs_copied", 0) < 16, "  most of it is linked") or diag(str(box))
    two.sshd_kill()
    two.sshd_start()


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


lab = Lab.create("copying", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab)
    cut_off_in_mid_copy()
    half_a_group()

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
        lanes_on_one_disk()
        operations_on_one_disk()
        linked_on_a_small_disk()
    else:
        diag("a full disk needs a small file system, and that root: left out")
finally:
    lab.stop()
done()
