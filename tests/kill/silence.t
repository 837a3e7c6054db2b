#!/usr/bin/python3
"""A server that falls silent, answers with a fault or with noise, late or not at all, at each request of the window:
before the commit the account is back where it was; without an answer to the commit nobody undoes; after it only
forward."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import check_move  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, led_back  # noqa: E402
from zxlab.tap import done, is_  # noqa: E402

lab = Lab.create("silence", mode=os.environ.get("MODE", "asan"))


def prepare():
    """Short timeouts, so that silence is soon noticed."""
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 2s\n")
    for store in lab.stores:
        path = store.path("conf/localconfig.xml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub("</localconfig>", '<key name="zimbra_mailbox_lock_timeout"><value>1</value></key>\n'
                              "</localconfig>", text))
        store.mailboxd_stop()
        store.mailboxd_start()


try:
    prepare()
    one, two = lab.stores[:2]
    scene = Scene(lab)

    # Before the commit: back.
    for request, op, mode in (("LockoutMailboxRequest", "start", "fault"), ("LockoutMailboxRequest", "start", "garbage"),
                              ("LockoutMailboxRequest", "start", "silence-after"),
                              ("LockoutMailboxRequest", "start", "close-after"),
                              ("ModifyAccountRequest", None, "fault"), ("ModifyAccountRequest", None, "garbage"),
                              ("ModifyAccountRequest", None, "silence"), ("GetAccountRequest", None, "fault")):
        account = scene.mailbox(f"b-{request[:4]}-{mode}".lower(), one, messages=4, rich=False)
        before = scene.snapshot(account)
        one.fault(request, mode, op=op, account=account, code="service.FAILURE", count=1)
        result = scene.move(account, two)
        one.fault_clear()
        led_back(result, before, account, f"{request} {op or ''} {mode}")
        is_(account_status(lab, account), ("active", "enabled"), "the status is as it was")

    # The commit itself is the second ModifyAccountRequest of a move; the first is let through by a slow status.
    for mode in ("silence", "silence-after", "close-after", "garbage"):
        account = scene.mailbox(f"c-{mode}", one, messages=4, rich=False, status="maintenance")
        before = scene.snapshot(account)
        one.fault("ModifyAccountRequest", mode, account=account, count=1)
        result = scene.move(account, two)
        one.fault_clear()
        exits(result, 0, f"commit answered by {mode}: in doubt, insisted on")
        findings_none(check_move(lab, before, account, one, two), f"commit answered by {mode}: moved, nothing lost")
    account = scene.mailbox("c-fault", one, messages=4, rich=False, status="maintenance")
    before = scene.snapshot(account)
    one.fault("ModifyAccountRequest", "fault", account=account, code="service.FAILURE", count=1)
    result = scene.move(account, two)
    one.fault_clear()
    led_back(result, before, account, "commit answered by a definite fault")

    # After the commit: forward.
    for request, mode in (("FlushCacheRequest", "fault"), ("GetMailboxRequest", "silence"),
                          ("GetMailboxRequest", "garbage"), ("ModifyAccountRequest", "close-after")):
        account = scene.mailbox(f"f-{request[:4]}-{mode}".lower(), one, messages=4, rich=False)
        before = scene.snapshot(account)
        two.fault(request, mode, account=account, code="service.FAILURE", count=1)
        result = scene.move(account, two)
        two.fault_clear()
        exits(result, 0, f"{request} {mode} at the destination: insisted on")
        findings_none(check_move(lab, before, account, one, two), "moved, nothing lost")
        is_(home(lab, account).name, two.name, "one home")
finally:
    lab.stop()
done()
