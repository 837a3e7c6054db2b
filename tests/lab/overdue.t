#!/usr/bin/python3
"""A request that lies before the agent of a store until the lease of its mover is over: the agent does not carry it out,
for somebody else may have the account by then."""

import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, mailbox_id, purged_clean, short_timeouts  # noqa: E402
from zxlab.process import descendants  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def agents(store):
    """The processes of agents that somebody talks to on the store, by way of its sshd."""
    found = []
    for pid in descendants(store.sshd.pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            if file.read().startswith(("agent-", "zxmove-agent")):
                found.append(pid)
    return found


def files(store, mailbox):
    """All files of a mailbox id, on all volumes."""
    with Sql(store) as sql:
        return sorted(os.path.join(top, name) for volume in sql.volumes().values()
                      for top, _, names in os.walk(volume.mailbox_dir(mailbox)) for name in names)


def removal():
    """A purge whose agent stands still when the files are about to go, and then itself."""
    account = scene.mailbox("removal", one, messages=8)
    old = mailbox_id(one, account)
    exits(scene.move(account, two), 0, "moved")
    before = scene.snapshot(account)
    one.mailboxd_kill()  # its memory is gone: the copy goes behind its back
    one.mailboxd_start()
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 16 MINUTE WHERE mailbox_id = %s", old)
    gate = os.path.join(lab.dir, "run", "gate-removal")
    words = ("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true")
    purge = lab.zxmove_start(*words, env={"ZX_FAIL_FILE": gate}, fail="purge:rows=wait")
    wait_for(lambda: os.path.exists(f"{gate}.reached"), 60, "the purge to have removed the rows")
    there, hung = files(one, old), agents(one)
    ok(there and hung, "its files are there, and the agent that is to remove them")
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    leases = {lease(account)}
    with open(gate, "w", encoding="ascii"):
        pass
    # The first time it is renewed right before the request, the second time while the answer is waited for.
    wait_for(lambda: leases.add(lease(account)) or len(leases) > 2, 60, "the request to be on its way")
    purge.send_signal(signal.SIGSTOP)
    wait_for(lambda: execute(one, "SELECT expires < UTC_TIMESTAMP(3) FROM zxmove.claim WHERE account_id = %s", account)[0][0],
             60, "its lease to be over")
    for pid in hung:
        os.kill(pid, signal.SIGCONT)
    purge.send_signal(signal.SIGCONT)
    out, errors = purge.communicate(timeout=600)
    is_(purge.returncode, 5, "it is told that nothing was done")
    ok("after the end of the claim" in out, "and why") or diag(out + errors)
    is_(files(one, old), there, "a removal that comes after the end of its lease removes nothing")
    purged_clean(lab.zxmove(*words), before, account, one, old, "run again, in time, it goes on with it")


def lease(account):
    return execute(one, "SELECT expires FROM zxmove.claim WHERE account_id = %s", account)[0][0]


lab = Lab.create("overdue", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, lease=10, timeout=120)
    scene = Scene(lab, strangers=False)
    removal()
finally:
    lab.stop()
done()
