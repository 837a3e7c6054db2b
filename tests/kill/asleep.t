#!/usr/bin/python3
"""A mover that slept past its lease wakes when others have gone on with the account: after it was led back and moved
by a second operation, and while its own operation, resumed, has the account in another window. It takes back what it
sent since it woke, and touches nothing of theirs."""

import contextlib
import os
import signal
import sys
from functools import partial

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import check_move  # noqa: E402
from zxlab.held import Held, take_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (Scene, account_status, findings_none, moved_clean,  # noqa: E402
                         short_timeouts, side_by_side)
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402


def moved_meanwhile(point, scene):
    """It sleeps in its window, is led back by doRecover, and another operation moves the account."""
    account = scene.mailbox(point.replace(":", "-"), one, messages=6, rich=False)
    sleeper = Held(scene, account, two, point)
    sleeper.wait()
    recover = ("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    wait_for(lambda: lab.zxmove(*recover).returncode == 0, 90, "the lease to be over", every=1)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, two), before, account, one, two, f"asleep at {point}, moved meanwhile")
    result = sleeper.go()
    ok(result.returncode not in (0, -9), f"asleep at {point}, woken: it gives up ({result.returncode})")
    is_(account_status(lab, account), ("active", "enabled"), f"asleep at {point}, woken: the user is not kept out")
    if not findings_none(check_move(lab, before, account, one, two),
                         f"asleep at {point}, woken: the old copy stays locked, the new one is untouched"):
        diag(result.stdout + result.stderr)


def operation_of(account):
    with Sql(two) as sql:
        return sql.text("SELECT o.uuid FROM zxmove.operation o JOIN zxmove.operation_mailbox m ON m.operation = o.uuid"
                        f" WHERE m.account_id = '{account}' ORDER BY o.started DESC LIMIT 1")[0][0]


def log_of(uuid):
    with open(os.path.join(lab.dir, "state", "log", f"{uuid}.log"), encoding="utf-8") as log:
        return log.read()


def resumed_meanwhile(scene):
    """It is stopped in its window and its connections are cut; doResume goes on with its operation, and is in the
    middle of the commit when it wakes."""
    account = scene.mailbox("resumed", one, messages=6, rich=False)
    before = scene.snapshot(account)
    sleeper = Held(scene, account, two, "prove:applied")
    sleeper.wait()
    sleeper.process.send_signal(signal.SIGSTOP)
    for store in (one, two):
        store.sshd_kill()
        store.sshd_start()
    gate = os.path.join(lab.dir, "run", "gate-resumed")
    uuid = operation_of(account)
    resumed = None

    def begun():
        """As soon as the stores take it for lost, and then in its own window."""
        nonlocal resumed
        if resumed is None or resumed.poll() is not None:
            if resumed is not None:
                resumed.communicate()
            resumed = lab.zxmove_start("doResume", uuid, fail="commit:committing=wait", env={"ZX_FAIL_FILE": gate})
        return os.path.exists(f"{gate}.reached")
    wait_for(begun, 120, "the operation, resumed, to be about to commit", every=1)
    sleeper.go_on()
    sleeper.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "was taken over by another" in log_of(uuid), 60, "the sleeper to find out")
    is_(account_status(lab, account), ("maintenance", "enabled"), "resumed meanwhile, woken: the window of the other stays")
    ok(one.state(account)["locked"], "resumed meanwhile, woken: and its lock-out")
    with open(gate, "w", encoding="ascii"):
        pass
    out, errors = resumed.communicate(timeout=240)
    result = sleeper.finish()
    ok(result.returncode not in (0, -9), f"resumed meanwhile, woken: it gives up ({result.returncode})")
    is_(resumed.returncode, 0, "resumed meanwhile: the other finishes")
    if not findings_none(check_move(lab, before, account, one, two), "resumed meanwhile: the checker finds nothing"):
        diag(result.stdout + result.stderr)
        diag(out + errors)
    for path in (gate, f"{gate}.reached"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


lab = Lab.create("asleep", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, lease=30, timeout=5)  # the resumed one stands still, and must not be one that sleeps
    take_all(lab)
    side_by_side(lab, [partial(moved_meanwhile, "prove:applied"), partial(moved_meanwhile, "fence:maintenance")])
    resumed_meanwhile(Scene(lab))
finally:
    lab.stop()
done()
