#!/usr/bin/python3
"""Servers that break: databases killed before and right after the commit, ssh gone, a full disk; memcached or a third
store down after the commit. Before it the user is back where they were; after it the user is in, and the report names
what is left."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, moved_clean, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("faults", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def hold(scene, account, point):
    """A move that waits at a point for as long as the test likes: ZX_FAIL hangs until the file is there."""
    return scene.start_move(account, two, fail=f"{point}=wait", env={"ZX_FAIL_FILE": gate})


def go_on():
    """Lets the held move go on."""
    with open(gate, "w", encoding="ascii"):
        pass


def reached(account, state):
    """Whether the source's fence row is in this state."""
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state FROM zxmove.fence WHERE account_id = %s", (account,))
        row = cursor.fetchone()
        return bool(row) and row[0].decode() == state


def finish(process, name, status):
    """Waits for it and gives back what it said."""
    out, err = process.communicate(timeout=240)
    result = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if status is not None:
        exits(result, status, f"{name}: exit status")
    os.unlink(gate)
    return result


def broken_before(name, break_it, mend_it):
    """Something breaks while the account is locked out; when it is mended all must be as it was."""
    account = scene.mailbox(name, one, messages=10)
    before = scene.snapshot(account)
    process = hold(scene, account, "fence:applied")
    wait_for(lambda: reached(account, "fenced") and one.state(account)["locked"], 60, "the window to be open")
    break_it()
    go_on()
    if mend_it:
        mend_it()
    finish(process, name, None)
    ok(process.returncode != 0, f"{name}: the move failed")
    if not reached(account, "undone"):
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
              f"{name}: doRecover leads back")
    findings_none(check_unmoved(lab, before, account), f"{name}: everything is as it was")
    is_(account_status(lab, account), ("active", "enabled"), f"{name}: the status as well")


try:
    one, two, three = lab.stores
    gate = os.path.join(lab.dir, "gate")
    scene = Scene(lab)
    warm = scene.mailbox("warm", one, messages=2, rich=False)
    exits(scene.move(warm, two), 0, "(a first move)")

    broken_before("source database killed", one.mariadb_kill, one.mariadb_start)
    broken_before("destination database killed", two.mariadb_kill, two.mariadb_start)
    broken_before("ssh drops", one.sshd_kill, one.sshd_start)

    for name, store in (("source database killed after the commit", one),
                        ("destination database killed after the commit", two)):
        account = scene.mailbox(name.replace(" ", "-"), one, messages=10)
        before = scene.snapshot(account)
        process = hold(scene, account, "commit:done")
        wait_for(lambda a=account: home(lab, a) is two, 60, "the commit")
        store.mariadb_kill()
        go_on()
        store.mariadb_start()
        finish(process, name, 0)
        findings_none(check_move(lab, before, account, one, two), f"{name}: forward, the checker finds nothing")

    account = scene.mailbox("no-memcached", one, messages=10)
    before = scene.snapshot(account)
    lab.memcached.stop()
    result = scene.move(account, two)
    exits(result, 0, "memcached down: the move succeeds")
    says(result, "memcached", "and the report names it")
    lab.memcached.start()
    is_(account_status(lab, account)[0], "active", "the user is in")
    is_(home(lab, account).name, two.name, "on the new store")

    account = scene.mailbox("no-third", one, messages=10)
    before = scene.snapshot(account)
    three.mailboxd_stop()
    result = scene.move(account, two)
    exits(result, 0, "a third store down: the move succeeds")
    says(result, three.name, "and the report names it")
    three.mailboxd_start()

    if os.geteuid() == 0:
        account = scene.mailbox("full", one, messages=40)
        before = scene.snapshot(account)
        with two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT path FROM zimbra.volume v JOIN zimbra.current_volumes c ON v.id ="
                           " c.message_volume_id")
            path = cursor.fetchone()[0].decode()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=750", "none", path], check=True)
        try:
            result = scene.move(account, two)
            ok(result.returncode == 1, "destination disk full: refused before anything is begun")
            says(result, "min_free", "and the remedy is named")
            with open(lab.conf_path, "a", encoding="utf-8") as file:
                file.write("min_free: 0\n")
            result = scene.move(account, two)
            ok(result.returncode == 1, "destination disk full in the middle")
        finally:
            subprocess.run(["umount", path], check=True)
        findings_none(check_unmoved(lab, before, account), "everything is as it was")
        moved_clean(scene.move(account, two), before, account, one, two, "with room again it moves")
    else:
        diag("a full disk needs a small file system, and that root")
finally:
    lab.stop()
done()
