#!/usr/bin/python3
"""A server that answers a request of the window with a fault or noise, late or not at all, before the commit: the
account is back where it was, whether or not the request had its effect, then or later."""

import os
import sys
from functools import partial
from itertools import count

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import led_back, moved_clean, short_timeouts, side_by_side  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

TIMEOUT = 3  # of mailboxd alone, which is the one that is silent
NUMBERS = count()  # a bare name may stand in another lane's route keys

# Request, op, how many go through before, and the modes in which it fails then. A lock-out is waited for longer.
AT_SOURCE = (
    ("LockoutMailboxRequest", "start", 0, ("silence", "silence-after", "close-after", "garbage", "fault")),
    ("LockoutMailboxRequest", "start", 1, ("silence", "close-after", "fault")),
    ("ModifyAccountRequest", None, 0, ("fault", "garbage", "silence", "silence-after", "close-after", "drop", "delay")),
    ("FlushCacheRequest", None, 0, ("fault", "silence", "close-after")),
    ("GetAccountRequest", None, 0, ("fault", "garbage", "silence")),
)
AT_DESTINATION = (
    ("FlushCacheRequest", None, 0, ("fault", "garbage", "silence")),
    ("GetAccountRequest", None, 0, ("fault", "silence", "drop")),
)


def plant(store, account, request, op, before, mode):
    if before:
        store.fault(request, "delay", op=op, account=account, ms=0, count=before)
    store.fault(request, mode, op=op, account=account, ms=2 * TIMEOUT * 1000 if mode == "delay" else None)


def leads_back(at, request, op, earlier, mode, scene):
    store = lab.stores[at]
    account = scene.mailbox(f"m{next(NUMBERS)}", one, messages=3, rich=False)
    before = scene.snapshot(account)
    plant(store, account, request, op, earlier, mode)
    name = f"{store.name}: {request} {op or ''} {mode} after {earlier}"
    led_back(scene.move(account, two), before, account, name)
    is_(store.faults_left(account), 0, f"{name}: it was met")
    ok(one.user(account, "login")["ok"], f"{name}: the user is in")


def goes_on(scene):
    """Slow is not wrong: the answer to a lock-out is waited for longer than to anything else."""
    account = scene.mailbox("slow", one, messages=3, rich=False)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=2 * TIMEOUT * 1000)
    moved_clean(scene.move(account, two), before, account, one, two, "a lock-out that takes long")


lab = Lab.create("silence", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, admin=TIMEOUT)
    cases = [partial(leads_back, at, request, op, earlier, mode)
             for at, requests in ((0, AT_SOURCE), (1, AT_DESTINATION))
             for request, op, earlier, modes in requests for mode in modes]
    side_by_side(lab, cases + [goes_on], lanes=3)
finally:
    lab.stop()
done()
