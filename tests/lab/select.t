#!/usr/bin/python3
"""Who is moved, in which order and how many: exclude, order, max_accounts, max_bytes, strict; plan, which says so
and changes nothing; and batch_name, by which a batch is purged."""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, says  # noqa: E402
from zxlab.snapshot import own_records  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("select", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    SIZES = {"anna": 3, "ben": 12, "cat": 1, "dora": 7}  # messages
    ids = {name: scene.mailbox(name, one, messages=number, rich=False) for name, number in SIZES.items()}
    for name, when in (("anna", "20260101000000Z"), ("dora", "20250101000000.123Z")):
        lab.directory.set(lab.directory.account(ids[name])[0], zimbraLastLogonTimestamp=when)

    def of_domain(name, status, *words, stages="data"):
        """One test: a move of the domain ends so; {account: reason or outcome}, in order, and the whole answer."""
        result = lab.zxmove("--json", "doMailboxMove", two.name, "domains", scene.domain, "stages", stages, *words)
        exits(result, status, name)
        answer = json.loads(result.stdout.splitlines()[-1])
        return {mailbox["account"].partition("@")[0]: mailbox.get("reason", mailbox["outcome"])
                for mailbox in answer["response"]["mailboxes"]}, answer

    def plan(name, status, *words):
        """Two tests: a plan ends so, with documented keys; the response."""
        result = lab.zxmove("--json", "plan", two.name, *words)
        exits(result, status, name)
        answer = json.loads(result.stdout.splitlines()[-1])
        is_(schema.of_answer("plan", answer), [], "doc/json.md has its keys")
        return answer["response"]

    def size(name):
        """What the home's row says."""
        with one.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT size_checkpoint FROM zimbra.mailbox WHERE account_id = %s", (ids[name],))
            return int(cursor.fetchone()[0])

    found = plan("plan where no zxmove was before", 0, "domains", scene.domain)
    is_([mailbox["forecast"]["blobs_to_go"] >= SIZES[mailbox["account"].partition("@")[0]]
         for mailbox in found["mailboxes"]], [True] * 4, "everything is to go")
    ok(found["forecast"]["window_ms"] >= 100, "the window is estimated") or diag(str(found))
    for words in (("doPurgeMailboxes", "all", "dry_run", "true"), ("doPurgeMailboxes", "orphans", "dry_run", "true"),
                  ("doRecover", "accounts", scene.address("anna"))):
        exits(lab.zxmove(*words), 0, f"a look there: {' '.join(words[:2])}")
    is_([own_records(store) for store in (one, two)], [{}, {}], "and no database zxmove is made")

    small = sorted(SIZES, key=size)
    large = small[::-1]
    found, answer = of_domain("exclude and max_accounts", 0, "order", "size_desc", "max_accounts", "1", "exclude",
                              f"CAT.alias@{scene.domain},*ora@{scene.domain.upper()},nobody@{scene.domain}")
    reasons = dict(zip([name for name in large if name in ("anna", "ben")], ["staged", "over max_accounts 1"]),
                   cat="excluded", dora="excluded")
    is_(list(found.items()), [(name, reasons[name]) for name in large],
        "largest first; excluded by an alias and by a glob")
    ok(f"exclude nobody@{scene.domain} matches none of these accounts" in answer["response"]["notes"],
       "an exclude that matches nothing is noted")

    limit = size(small[0]) + size(small[1])
    found, _ = of_domain("max_bytes", 0, "order", "size_asc", "max_bytes", f"{limit}B")
    is_([list(found), list(found.values())[:2]], [small, ["staged", "staged"]], "smallest first, while they fit")
    ok(all("max_bytes" in found[name] for name in small[2:]), "the rest is skipped by name") or diag(str(found))

    found, _ = of_domain("order last_login, strict", 5, "order", "last_login", "max_accounts", "3", "strict", "true")
    is_(list(found.items()), [("ben", "staged"), ("cat", "staged"), ("dora", "staged"),
                              ("anna", "over max_accounts 3")],
        "who never logged in first, then who has not for longest; strict: 5")
    found, answer = of_domain("strict with nothing to do", 5, "exclude", "*", "strict", "true")
    is_([set(found.values()), answer["response"]["result"], answer["error"]["code"]],
        [{"excluded"}, "PARTIAL", "PARTIAL"], "strict: all were skipped")
    found, answer = of_domain("the same without strict", 0, "exclude", "*")
    is_(answer["response"]["result"], "DONE", "is done: nothing to move")

    # A plan of what is partly there: order, bytes, disks; nothing changes.
    ids["eve"] = scene.mailbox("eve", one, messages=2, rich=False)
    ids["nil"] = scene.account("nil", one)
    ids["odd"] = scene.account("odd", one)
    lab.directory.set(lab.directory.account(ids["odd"])[0], zimbraMailTransport="smtp:gateway.example:25")
    with tempfile.TemporaryDirectory(prefix="zxmove-select-") as directory:
        path = os.path.join(directory, "night1.txt")
        before, snapshot = [own_records(store) for store in (one, two)], scene.snapshot(*ids.values())
        found = plan("plan", 5, "domains", scene.domain, "order", "size_desc", "save", path)
        is_([own_records(store) for store in (one, two)] == before, True, "no record was made or changed")
        for name in ("ben", "eve", "nil"):
            findings_none(check_unmoved(lab, snapshot, ids[name]), f"{name}: and the world is as it was")
        mailboxes = {mailbox["account"].partition("@")[0]: mailbox for mailbox in found["mailboxes"]}
        order = [*sorted([*SIZES, "eve"], key=size, reverse=True), "nil"]
        is_([list(mailboxes), mailboxes["odd"]["outcome"]], [[*order, "odd"], "failed"],
            "largest first; what a move would refuse is refused")
        ben, eve = mailboxes["ben"]["forecast"], mailboxes["eve"]["forecast"]
        ok(ben["blobs_there"] >= SIZES["ben"] and ben["bytes_to_go"] == 0 and ben["bytes_there"] > 0
           and ben["mailbox_bytes"] == size("ben") and ben["rows"] > SIZES["ben"], "what is staged need not go") \
            or diag(str(ben))
        ok(eve["blobs_there"] == 0 and eve["blobs_to_go"] >= 2 and eve["bytes_to_go"] > 0, "what is not must") \
            or diag(str(eve))
        is_(found["forecast"]["bytes_to_go"], eve["bytes_to_go"], "the sum")
        ok(all(disk["bytes_free"] > disk["bytes_to_come"] for disk in found["disks"])
           and "MariaDB" in str(found["disks"]) and found["risks"] == [], "the disks have room") \
            or diag(str(found["disks"]))
        is_([line for line in open(path, encoding="utf-8").read().split("\n") if not line.startswith("#")],
            [scene.address(name) for name in order] + [""], "save has them in order")
        result = lab.zxmove("doMailboxMove", two.name, "input_file", path, "dry_run", "true", "min_free", "50")
        exits(result, 0, "the file can be run, here with dry_run")
        says(result, "6 planned, 0 failed, 0 skipped", "which is the same as plan")
        says(result, f"{scene.address('nil')}  planned  from {one.name}  no mailbox", "an account without a mailbox")

    # What a row costs, by a mailbox of enough rows: how many are enough to be seen is the machine's to say.
    ids["finn"] = scene.mailbox("finn", one, messages=1000, rich=False)

    def measured():
        """The answer of a plan that saw what a row costs."""
        words = ["plan", two.name, "accounts", f"{scene.address('anna')},{scene.address('finn')}"]
        response = json.loads(lab.zxmove("--json", *words).stdout.splitlines()[-1])["response"]
        return response if response.get("row_us", 0) > 0 else None

    found = wait_for(measured, 120, "a plan measures what a row costs", every=0.2)
    windows = {mailbox["account"].partition("@")[0]: mailbox["forecast"]["window_ms"] for mailbox in found["mailboxes"]}
    ok(100 <= windows["anna"] < windows["finn"] == found["forecast"]["window_ms"],
       "more rows, a longer window; the longest is the sum's") or diag(str(found))

    # A batch: its name and a remark are kept, and it is purged by its name.
    def moved(name, batch):
        """One test: a move under a batch name; the whole answer."""
        words = ["batch_name", batch, "comment", "ticket 4711", "notifications", f"admin@{scene.domain}"]
        result = lab.zxmove("--json", *scene.words(ids[name], two, *words))
        exits(result, 0, f"{name} moves in {batch}")
        return json.loads(result.stdout.splitlines()[-1])["response"]

    first = moved("cat", "night 1")
    moved("eve", "night 2")
    is_([first["batch_name"], first["comment"]], ["night 1", "ticket 4711"], "the report has both")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT batch_name, comment FROM zxmove.operation WHERE uuid = %s", (first["operation"],))
        is_(cursor.fetchone(), (b"night 1", b"ticket 4711"), "the journal has both")
    mail = [mail for mail in lab.mails() if first["operation"] in mail]
    ok(len(mail) == 1 and f"{two.name}, batch night 1" in mail[0].replace("\n ", " ")
       and "comment    ticket 4711" in mail[0], "the mail, too, the name in its subject") or diag(str(mail)[:500])
    result = lab.zxmove("doPurgeMailboxes", "night 3", "ignore_retention", "true")
    exits(result, 1, "a batch that is none")
    result = lab.zxmove("--json", "doPurgeMailboxes", "night 1", "ignore_retention", "true")
    exits(result, 0, "doPurgeMailboxes of a batch")
    is_([(mailbox["account"], mailbox["outcome"]) for mailbox in json.loads(result.stdout)["response"]["mailboxes"]],
        [(scene.address("cat"), "purged")], "takes its copies, and no others")
    found = json.loads(lab.zxmove("--json", "getMovedMailboxes").stdout)
    is_([(mailbox["account"], mailbox["batch_name"]) for mailbox in found["response"]["mailboxes"]],
        [(scene.address("eve"), "night 2")], "getMovedMailboxes shows the name")
    is_(schema.of_answer("getMovedMailboxes", found), [], "doc/json.md has it")
    before = [own_records(store) for store in (one, two)]

    # Stores that cannot be asked.
    two.sshd.stop()
    found = plan("plan without the destination", 0, "accounts", scene.address("anna"))
    is_([mailbox.get("forecast") for mailbox in found["mailboxes"]], [None], "nothing is known")
    ok(len(found["risks"]) == 1 and two.name in found["risks"][0], "the risk is named") or diag(str(found))
    two.sshd.start()
    is_([own_records(store) for store in (one, two)] == before, True, "still no record")
finally:
    lab.stop()
done()
