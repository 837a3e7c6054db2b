#!/usr/bin/python3
"""Two movers on one mailbox: the second is refused while the first lives; a mover that sleeps past its lease is
taken over by doRecover and, woken, touches nothing any more."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("movers", mode=os.environ.get("MODE", "asan"))


def fence_state(account):
    """The state of the account's fence row on the source, None without one."""
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'zxmove' AND TABLE_NAME = 'fence'")
        if not cursor.fetchone():
            return None
        cursor.execute("SELECT state FROM zxmove.fence WHERE account_id = %s", (account,))
        row = cursor.fetchone()
        return row[0].decode() if row else None


try:
    one, two = lab.stores[:2]
    scene = Scene(lab)

    account = scene.mailbox("twice", one, messages=20)
    before = scene.snapshot(account)
    first = scene.start_move(account, two, fail="clear:intent=hang")
    wait_for(lambda: lab.zxmove("doMailboxMove", two.name, "accounts", scene.addresses[account]).returncode == 75, 60,
             "the second mover to find the first")
    result = scene.move(account, two)
    exits(result, 75, "a second mover is refused")
    says(result, "worked on by operation", "and told by whom")
    first.kill()
    first.wait()
    moved_clean(scene.move(account, two), before, account, one, two, "when the first is dead the account is free")

    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("lease: 5s\n")
    account = scene.mailbox("asleep", one, messages=20)
    before = scene.snapshot(account)
    sleeper = scene.start_move(account, two, fail="prove:applied=hang")
    wait_for(lambda: fence_state(account) == "proven", 60, "the mover to have proven")
    sleeper.send_signal(signal.SIGSTOP)
    recover = ("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    wait_for(lambda: lab.zxmove(*recover).returncode == 0, 60, "the lease to be over and the move undone", every=0.5)
    findings_none(check_unmoved(lab, before, account), "taken over: everything is as it was")
    sleeper.send_signal(signal.SIGCONT)
    sleeper.kill()
    sleeper.wait()

    account = scene.mailbox("woken", one, messages=20)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=1500, count=0)
    sleeper = scene.start_move(account, two)
    wait_for(lambda: fence_state(account) == "fenced", 60, "the window to be open")
    sleeper.send_signal(signal.SIGSTOP)
    one.fault_clear()
    wait_for(lambda: lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false").returncode == 0,
             120, "the lease to be over and the move undone", every=0.5)
    sleeper.send_signal(signal.SIGCONT)
    status = sleeper.wait(timeout=120)
    ok(status not in (0, -9), f"woken, it gives up (status {status})")
    findings_none(check_unmoved(lab, before, account), "and touched nothing: everything is as it was")
    is_(fence_state(account), "undone", "the record says so")
finally:
    lab.stop()
done()
