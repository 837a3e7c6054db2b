#!/usr/bin/python3
"""SIGKILL of the mover at every point of the window and after it, then doRecover: nothing lost, one home, no user
left out. Before the commit was begun the account is back as it was; from then on it has moved."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_  # noqa: E402

BACK = ("fence:intent", "fence:recorded", "fence:status", "fence:lock", "fence:locked", "fence:applied",
        "delta:applied", "prove:applied", "commit:intent")
FORWARD = ("commit:committing", "commit:sent", "commit:done", "open:intent", "open:flushed", "open:answered",
           "open:status", "settle:intent", "settle:recorded", "settle:applied")


def short_lock_timeout(lab):
    """An abandoned `start` may lock for as long as the server waits: recovery waits that long as well."""
    for store in lab.stores:
        path = store.path("conf/localconfig.xml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub("</localconfig>", '<key name="zimbra_mailbox_lock_timeout"><value>1</value></key>\n'
                              "</localconfig>", text))
        store.mailboxd_stop()
        store.mailboxd_start()


def one_point(scene, point, forward):
    """Killed there, recovered, judged."""
    one, two = lab.stores[:2]
    account = scene.mailbox(point.replace(":", "-"), one, messages=8)
    address = scene.addresses[account]
    before = scene.snapshot(account)
    result = scene.move(account, two, fail=f"{point}=kill")
    is_(result.returncode, -9, f"{point}: killed there")
    if point not in ("fence:intent", "settle:applied"):
        refused = scene.move(account, two)
        exits(refused, 75, f"{point}: until it is recovered nobody else may move it")
        says(refused, "doRecover", f"{point}: and the message says how")
        exits(lab.zxmove("doRecover", "accounts", address), 0, f"{point}: doRecover explains first")
    exits(lab.zxmove("doRecover", "accounts", address, "dry_run", "false"), 0, f"{point}: recovered")
    if forward:
        findings_none(check_move(lab, before, account, one, two), f"{point}: it has moved, the checker finds nothing")
    else:
        findings_none(check_unmoved(lab, before, account), f"{point}: everything is as it was")
        if point == "prove:applied":
            before = scene.snapshot(account)
            moved_clean(scene.move(account, two), before, account, one, two, f"{point}: and the next move succeeds")


lab = Lab.create("kill", mode=os.environ.get("MODE", "asan"))
try:
    short_lock_timeout(lab)
    the_scene = Scene(lab)
    for the_point in BACK:
        one_point(the_scene, the_point, False)
    for the_point in FORWARD:
        one_point(the_scene, the_point, True)
finally:
    lab.stop()
done()
