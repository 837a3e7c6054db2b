#!/usr/bin/python3
"""What would fail every mailbox in turn fails the operation before it begins, with one message and its exit status: a
password that is refused, servers that do not answer, a volume that is none. Of several sources one that does not answer
fails its own mailboxes, and the others go."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, mailbox_id, moved_clean, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

WRONG = {"ZXMOVE_ADMIN_PASSWORD": "wrong"}

lab = Lab.create("ready", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def operations():
    """Every operation that a store has a row of."""
    answer = json.loads(lab.zxmove("--json", "getOperationLog").stdout.splitlines()[-1])
    return {entry["id"]: entry["state"] for entry in answer["response"]["operations"]}


def not_begun(status, words, name, *command, **options):
    """The message comes once, whoever is meant; no operation is begun, and nobody's home, status or mailbox is touched."""
    before = operations()
    result = lab.zxmove(*command, **options)
    exits(result, status, f"{name}: exit status")
    said = result.stdout + result.stderr
    is_(said.count(words), 1, f"{name}: says so once") or diag(said)
    ok("not reached" not in said and "0 moved" not in said, f"{name}: no mailbox is told of") or diag(said)
    is_(set(operations()), set(before), f"{name}: no operation is begun")


def move(*accounts):
    return ("doMailboxMove", two.name, "accounts", ",".join(scene.addresses[account] for account in accounts))


try:
    one, two, three = lab.stores
    scene = Scene(lab, strangers=False)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 8s\n")
    ann, ben, cat, old, torn = [scene.mailbox(name, three if name == "cat" else one, messages=3, rich=False)
                                for name in ("ann", "ben", "cat", "old", "torn")]
    copy = mailbox_id(one, old)
    exits(scene.move(old, two), 0, "one has moved")
    is_(scene.move(torn, two, fail="fence:applied=kill").returncode, -9, "one was killed in its window")

    refused = "cannot log in as zimbra"
    not_begun(77, refused, "a move with a wrong password", *move(ann, ben), env=WRONG)
    address = f"night@{scene.domain}"
    not_begun(77, refused, "one of the night", *move(ann, ben), "notifications", address, env=WRONG)
    mails = [text for text in lab.mails() if "FAILED not begun" in text]
    is_(len(mails), 1, "who is to be told of its end is told") or diag("\n".join(mails))
    ok(address in mails[0] and "doMailboxMove" in mails[0] and refused in mails[0], "what, and why") or diag(mails[0])
    not_begun(77, refused, "its plan", "plan", two.name, "accounts", f"{scene.addresses[ann]},{scene.addresses[ben]}",
              env=WRONG)
    not_begun(77, refused, "a way back with it", "doRollback", "accounts", scene.addresses[old], env=WRONG)
    not_begun(77, refused, "a purge with it", "doPurgeMailboxes", "all", "ignore_retention", "true", env=WRONG)
    is_(mailbox_id(one, old), copy, "the copy is there")
    recover = ("doRecover", "accounts", scene.addresses[torn], "dry_run", "false")
    not_begun(77, refused, "a recovery with it", *recover, env=WRONG)
    is_(account_status(lab, torn)[0], "maintenance", "its account is as it was")
    exits(lab.zxmove(*recover), 0, "with the right one it is recovered")
    before = scene.snapshot(ann, ben, cat)

    volume = (*move(ann, ben)[1:], "blob_destination_volume", "nosuch")
    for verb in ("doMailboxMove", "plan"):
        not_begun(1, "has no volume nosuch", f"{verb} to a volume that is none", verb, *volume)

    lab.slapd.stop()
    result = lab.zxmove(*move(ann, ben))
    lab.slapd.start()
    exits(result, 69, "the LDAP master does not answer")
    is_((result.stdout, result.stderr.count("\n")), ("", 1), "is said once") or diag(result.stdout + result.stderr)

    two.mailboxd_kill()
    not_begun(69, f"SOAP of {two.name}", "the destination's mailboxd is dead", *move(ann, ben))
    two.mailboxd_start()
    one.mailboxd_kill()
    not_begun(69, f"SOAP of {one.name}", "the only source's mailboxd is dead", *move(ann, ben))

    waiting = scene.start_move([ann, ben], two, "start_after", "2099-01-01T00:00Z")
    queued = wait_for(lambda: [uuid for uuid, state in operations().items() if state == "queued"], 60, "it to be queued",
                      every=0.2)
    exits(lab.zxmove("doStopOperation", queued[0]), 0, "what begins later is not refused for it")
    out, err = waiting.communicate(timeout=600)
    is_(waiting.returncode, 3, "it is removed") or diag(out + err)

    result = lab.zxmove("--json", *move(ann, cat, ben))
    exits(result, 5, "two of three have that source")
    answer = json.loads(result.stdout.splitlines()[-1])["response"]
    is_([(mailbox["outcome"], mailbox.get("code")) for mailbox in answer["mailboxes"]],
        [("failed", "CONNECT"), ("moved", None), ("failed", "CONNECT")], "they fail, the other one goes")
    shown = lab.zxmove("monitor", answer["operation"])
    exits(shown, 5, "monitor of it")
    says(shown, f"[1/1] {scene.addresses[cat]}", "numbers what was tried")
    one.mailboxd_start()
    for account in (ann, ben):
        findings_none([f for f in check_unmoved(lab, before, account) if f.kind != "mapping"], "it is where it was")
    before = scene.snapshot(ann, ben)
    result = lab.zxmove(*move(ann, ben))
    for account in (ann, ben):
        moved_clean(result, before, account, one, two, "when it is back they move, too")
finally:
    lab.stop()
done()
