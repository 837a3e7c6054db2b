#!/usr/bin/python3
"""doRollback from_old_copy: the home is dead, the user gets the old copy as it was left. Only then, and only on a
word; by mailboxd or, when that refuses, by the LDAP master; killed at every step; and what becomes of the mailbox that was
left behind when its store is back."""

import json
import os
import sys
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "shell"))
from program import Terminal  # noqa: E402
from zxlab import schema, truth  # noqa: E402
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, fence_row, findings_none, home, mailbox_id, says  # noqa: E402
from zxlab.snapshot import OWN_SCHEMA, memcached_servers, own_records  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("rescue", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
WORDS = ("from_old_copy", "true", "accept_data_loss", "true")
BACK = ("rescue:fenced",)
# The home dies in the middle of the move that led to it: where that was killed.
MIDWAY = ("commit:done", "open:flushed", "settle:recorded")
FORWARD = ("rescue:committing", "rescue:sent", "rescue:changed", "rescue:recorded home", "rescue:flushed",
           "rescue:unlocked")


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def rescue(account, *words, **options):
    return lab.zxmove("--yes", "doRollback", "accounts", scene.addresses[account], *WORDS, *words, **options)


def die(store):
    """As a fire in the room."""
    with store.db() as connection:
        store.flush(connection)
    store.mailboxd_kill()
    store.mariadb_kill()
    store.sshd_kill()


def rise(store):
    store.mariadb_start()
    store.sshd_start()
    store.mailboxd_start()


def serves(account, old, name):
    """The user is in on store one, with the old copy as it was before they left, and mail arrives there."""
    findings = [f for f in truth_of(account) if f]
    if not ok(not findings, f"{name}: one home, the old copy as it was, no lock, no stale cache"):
        diag("\n".join(findings))
    ok(one.user(account, "login")["ok"], f"{name}: the user is in")
    lab.deliver(scene.addresses[account], one, n=1)
    is_(mailbox_id(one, account), old, f"{name}: mail goes to the old copy")


def truth_of(account):
    """What is wrong with the account, without zxmove's help."""
    dn, entry = truth.Directory(lab).account(account)
    yield None if truth.one(entry, "zimbraMailHost") == one.name else f"{dn}: host"
    yield None if truth.one(entry, "zimbraMailTransport").startswith(f"lmtp:{one.name}:") else f"{dn}: transport"
    yield None if truth.one(entry, "zimbraAccountStatus") == "active" else f"{dn}: status"
    state = one.state(account)
    yield "the old copy is locked" if state["locked"] else None
    for store in (one, three):
        view = store.state(account)["account_cache"]
        yield f"{store.name} believes in {view['host']}" if view and view["host"] != one.name else None
    moved = before.moved[account]
    for server in memcached_servers(lab):
        with truth.Memcached(*server) as memcached:
            yield f"routes are left on {server[0]}" if memcached.get(moved.keys["route"]) else None
            stale = [k for k, (_, cas) in memcached.get(moved.keys["cache"]).items() if cas <= before.clock[server]]
            yield f"{stale} on {server[0]}" if stale else None
    yield from (f"{f.kind}: {f.text}" for f in check_unmoved(lab_of_one, as_left[account], account)
                if f.kind == "source-changed")


class OneStore:
    """The laboratory as it is without the store that is dead."""

    def __init__(self, stores):
        self.stores = stores

    def __getattr__(self, name):
        return getattr(lab, name)


def answers_while_alive():
    """Nothing of this while the home answers, in part or with a refusal."""
    account = accounts["alive"]
    result = rescue(account)
    exits(result, 1, "the home answers: refused")
    says(result, "answers", "and the report says so")
    result = lab.zxmove("doRollback", "accounts", scene.addresses[account], "from_old_copy", "true")
    exits(result, 64, "without a word for what is lost: usage")
    result = lab.zxmove("doRollback", "accounts", scene.addresses[account], *WORDS)
    exits(result, 64, "nobody there to confirm it, and no --yes: usage")
    two.mailboxd_kill()
    result = rescue(account)
    exits(result, 1, "only mailboxd is dead: refused")
    says(result, "answers (agent)", "and what does answer is named")
    two.mailboxd_start()


def dry():
    """What would be lost, before."""
    account = accounts["plain"]
    result = lab.zxmove("--json", "doRollback", "accounts", scene.addresses[account], "from_old_copy", "true", "dry_run",
                        "true")
    exits(result, 0, "a dry run")
    answer = json.loads(result.stdout.splitlines()[-1])
    is_(schema.of_answer("doRollback", answer), [], "doc/json.md has its keys")
    reason = answer["response"]["mailboxes"][0]["reason"]
    ok("since" in reason and "unknown" in reason, "says since when, and that how much is unknown")
    is_(home(lab, account).name, two.name, "and changes nothing")
    is_(fence_row(one, account), "done", "no record is made")
    terminal = Terminal(types.SimpleNamespace(env={**os.environ, "ZXMOVE_CONFIG": lab.conf_path, "TERM": "dumb",
                                                   "HOME": lab.dir}))
    terminal.expect("zxmove> ")
    terminal.type(f"doRollback accounts {scene.addresses[account]} {' '.join(WORDS)}\r")
    asked = terminal.expect("[y/N] ") or ""
    ok(scene.addresses[account] in asked and "is given up" in asked, "a person is told what is lost, and asked")
    terminal.type("n\r")
    ok("nothing was changed" in (terminal.expect("zxmove> ") or ""), "a no is a no")
    terminal.type("quit\r")
    terminal.wait()
    is_((home(lab, account).name, fence_row(one, account)), (two.name, "done"), "and nothing is changed")


def plain():
    account = accounts["plain"]
    exits(rescue(account), 0, "rescued")
    serves(account, olds["plain"], "rescued")
    ends = [r for r in one.log() if r["request"] == "LockoutMailboxRequest" and r["account"] == account
            and r["op"] == "end"]
    is_(len(ends), 1, "the lock-out was ended once")
    result = rescue(account)
    exits(result, 0, "again")
    says(result, "already there", "nothing is done")
    is_(execute(one, f"SELECT state FROM {OWN_SCHEMA}.moved WHERE account_id = %s", account)[0][0], b"reused",
        "the record promises no old copy any more")
    result = lab.zxmove("status", "account", scene.addresses[account])
    says(result, f"a stray copy on {two.name}", "status tells of the one that was left behind")


def refused_by_mailboxd():
    """Then the LDAP master is asked, and only if host and transport are what they were."""
    account = accounts["refused"]
    one.fault("ModifyAccountRequest", "fault", account=account, count=0)
    dn = lab.directory.account(account)[0]
    go_on = os.path.join(lab.dir, "master.go")
    running = lab.zxmove_start("--yes", "doRollback", "accounts", scene.addresses[account], *WORDS,
                               env={"ZX_FAIL_FILE": go_on}, fail="rescue:master=wait")
    wait_for(lambda: os.path.exists(f"{go_on}.reached"), 60, "mailboxd to refuse")
    lab.directory.set(dn, zimbraMailHost=three.name)  # somebody else was quicker
    with open(go_on, "w", encoding="ascii"):
        pass
    output = "".join(running.communicate(timeout=600))
    is_(running.returncode, 1, "the host is another one in the last moment: refused")
    ok("has not the values" in output, "by the directory itself")
    is_((home(lab, account).name, fence_row(one, account), one.state(account)["locked"]), (three.name, "undone", True),
        "nothing is changed")
    lab.directory.set(dn, zimbraMailHost=two.name)
    exits(rescue(account), 0, "mailboxd refuses: the master does it")
    one.fault_clear()
    serves(account, olds["refused"], "by the master")


def silent():
    """No answer is no refusal: it is sent again."""
    account = accounts["silent"]
    one.fault("ModifyAccountRequest", "close-after", account=account, count=1)
    exits(rescue(account), 0, "no answer, and done")
    one.fault_clear()
    serves(account, olds["silent"], "no answer")


def midway(point):
    """The window of the move is still open, at times there is no record of the old copy yet: this way leads out, too."""
    name = place(point)
    account = accounts[name]
    result = lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    ok(result.returncode != 0, f"home gone at {point}: doRecover alone cannot finish it")
    says(result, f"doRollback accounts {scene.addresses[account]} from_old_copy true accept_data_loss true",
         f"home gone at {point}: names what can")
    exits(lab.zxmove("doRollback", "accounts", scene.addresses[account]), 69, f"home gone at {point}: no plain way back")
    result = lab.zxmove("--json", "doRollback", "accounts", scene.addresses[account], "from_old_copy", "true", "dry_run",
                        "true")
    said = json.loads(result.stdout.splitlines()[-1])["response"]["mailboxes"][0].get("reason", "")
    ok(("is given up" if point == "settle:recorded" else "nothing is given up") in said,
       f"home gone at {point}: what is lost is said") or diag(said)
    if point == "open:flushed":
        is_(rescue(account, fail="rescue:changed=kill").returncode, -9, f"home gone at {point}: killed on the way back")
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
              f"home gone at {point}: recovered forward")
    else:
        exits(rescue(account), 0, f"home gone at {point}: rescued")
    serves(account, olds[name], f"home gone at {point}")
    is_(execute(one, f"SELECT COUNT(*) FROM {OWN_SCHEMA}.fence WHERE account_id = %s"
                     " AND state NOT IN ('done', 'undone')", account)[0][0], 0, f"home gone at {point}: every record is closed")
    for words in (("accounts", scene.addresses[account]), ("operation", fence_row(one, account, "operation"))):
        result = lab.zxmove("doRollback", *words)
        exits(result, 1, f"home gone at {point}: doRollback {words[0]} of a rescue is refused")
        says(result, f"took {scene.addresses[account]} back to the old copy on {one.name}", "  says what it was")
        says(result, f"doVerify accounts {scene.addresses[account]}", "  and what there is to do")


def place(point):
    return point.replace(":", "-").replace(" ", "-")


def killed(point):
    name = place(point)
    account = accounts[name]
    is_(rescue(account, fail=f"{point}=kill").returncode, -9, f"{point}: killed")
    refused = scene.move(account, three)
    ok(refused.returncode != 0, f"{point}: nobody else may move it")
    words = ("doRecover", "accounts", scene.addresses[account])
    exits(lab.zxmove(*words), 0, f"{point}: doRecover explains")
    exits(lab.zxmove(*words, "dry_run", "false"), 0, f"{point}: recovered")
    if point in BACK:
        is_((home(lab, account).name, fence_row(one, account), one.state(account)["locked"]), (two.name, "undone", True),
            f"{point}: everything is as it was")
        exits(rescue(account), 0, f"{point}: the next one goes")
    serves(account, olds[name], point)
    is_(fence_row(one, account, "state"), "done", f"{point}: the record is closed")


def resumed():
    """As a process of its own, which is asked for before; killed in the first of two, and taken up again."""
    names = ("resumed", "resumed2")
    words = ("doRollback", "accounts", ",".join(scene.addresses[accounts[name]] for name in names), *WORDS)
    exits(lab.zxmove("--async", *words), 64, "in the background: nobody there to confirm it, and no --yes: usage")
    result = lab.zxmove("--json", "--yes", "--async", *words, fail="rescue:committing=kill")
    exits(result, 0, "in the background")
    uuid = json.loads(result.stdout.splitlines()[-1])["response"]["operation"]

    def lost():
        found = json.loads(lab.zxmove("--json", "getOperationLog", uuid).stdout.splitlines()[-1])
        return found["response"]["operations"][0]["state"] == "lost"
    wait_for(lost, 60, "it to be lost", every=0.5)
    result = lab.zxmove("doResume", uuid)
    exits(result, 0, "killed, and resumed")
    says(result, "2 moved, 0 failed, 0 skipped", "both are moved by this one operation")
    for name in names:
        serves(accounts[name], olds[name], f"{name}: resumed")


def restarted():
    """No lock, nothing to end."""
    account = accounts["restarted"]
    one.mailboxd_kill()
    one.mailboxd_start()
    exits(rescue(account), 0, "after a restart of the old store")
    serves(account, olds["restarted"], "after a restart")


def written_to():
    """Rows that are not what is in memory."""
    account, old = accounts["written"], olds["written"]
    flip = (f"UPDATE mboxgroup{(old - 1) % one.groups + 1}.mail_item SET flags = flags ^ 2"
            " WHERE mailbox_id = %s AND type = 5 ORDER BY id LIMIT 1", old)
    execute(one, *flip)
    result = rescue(account)
    exits(result, 1, "rows were changed under the lock: refused")
    says(result, "restart mailboxd", "with the remedy")
    execute(one, *flip)
    exits(rescue(account), 0, "as they were, it goes")
    serves(account, old, "as they were")


def looks():
    """Dry runs say what is there, and write nothing anywhere."""
    whose = [scene.addresses[accounts[place(point)]] for point in MIDWAY]
    were = [own_records(store) for store in lab.stores]
    result = lab.zxmove("doPurgeMailboxes", "orphans", "ignore_retention", "true", "dry_run", "true")
    exits(result, 5, "a dry run of orphans: kept")
    says(result, "accept_data_loss true", "as what was left behind is, by its record or without")
    result = lab.zxmove("doRecover", "accounts", ",".join(whose))
    exits(result, 0, "a dry run of doRecover: what was left behind needs nobody")
    says(result, "would be recorded there as stray", "it says what would become of it")
    says(result, "nothing to recover", "and nothing else")
    is_([own_records(store) for store in lab.stores], were, "and no record is another one")


def when_it_is_back():
    """The mailbox that was left behind is stray there: not served, not purged unasked, in nobody's way but its own."""
    account = accounts["plain"]
    rise(two)
    left = mailbox_id(two, account)
    ok(left is not None, "its row is there")
    ok(not two.user(account, "login")["ok"], "nobody is served it")
    looks()
    result = lab.zxmove("doPurgeMailboxes", "orphans", "ignore_retention", "true")
    exits(result, 5, "orphans: kept")
    says(result, "accept_data_loss true", "and named with its command")
    is_(execute(two, f"SELECT state FROM {OWN_SCHEMA}.moved WHERE mailbox_id = %s", left)[0][0], b"stray",
        "the store has its own record now")
    is_(execute(one, f"SELECT COUNT(*) FROM {OWN_SCHEMA}.left_behind")[0][0], 0, "and the other one none")
    is_(execute(one, f"SELECT COUNT(*) FROM {OWN_SCHEMA}.reservation")[0][0], 0, "what was staged beside a copy is gone")
    ok(one.user(accounts["silent"], "login")["ok"], "the copy is not")
    midway = {point: accounts[place(point)] for point in MIDWAY}
    exits(lab.zxmove("doRecover", "accounts", ",".join(scene.addresses[each] for each in midway.values()), "dry_run",
                     "false"), 0, "nothing is left to recover")
    for point, each in midway.items():
        is_([home(lab, each).name, fence_row(two, each)], [one.name, "undone"],
            f"the move that was killed at {point} is over there, too")
    result = scene.move(account, two)
    is_(home(lab, account).name, one.name, "its user stays where they are")
    exits(result, 1, "a move there is refused: it may hold mail")
    is_(mailbox_id(two, account), left, "and it is there")
    words = ("--host", two.name, "doPurgeMailboxes", left, "ignore_retention", "true")
    exits(lab.zxmove(*words), 5, "by its id: kept")
    execute(two, f"UPDATE {OWN_SCHEMA}.moved SET committed = committed - INTERVAL 20 MINUTE WHERE mailbox_id = %s", left)
    exits(lab.zxmove(*words, "accept_data_loss", "true"), 0, "with a word: purged")
    snapshot = scene.snapshot(account)
    exits(scene.move(account, two), 0, "then it moves there")
    findings_none(check_move(lab, snapshot, account, one, two, Expect(locked=True)), "and the checker finds nothing")


try:
    one, two, three = lab.stores
    scene = Scene(lab, exclusive=True, strangers=False)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 8s\nlease: 10s\n")
    names = ["alive", "plain", "refused", "silent", "written"] + [
        place(p) for p in BACK + FORWARD] + ["resumed", "resumed2", "restarted"]
    accounts = {name: scene.mailbox(name, one, messages=4, rich=name == "plain") for name in names}
    accounts.update((place(point), scene.mailbox(place(point), one, messages=4, rich=False)) for point in MIDWAY)
    olds = {name: mailbox_id(one, account) for name, account in accounts.items()}
    as_left = {account: scene.snapshot(account, plant=False) for account in accounts.values()}
    exits(scene.move([account for name, account in accounts.items() if name not in map(place, MIDWAY)], two), 0,
          "all move to store two")
    for point in MIDWAY:
        is_(scene.move(accounts[place(point)], two, fail=f"{point}=kill").returncode, -9, f"but for one, killed at {point}")
    for each in accounts.values():
        if each in [accounts[place(point)] for point in MIDWAY if point != "settle:recorded"]:
            continue
        lab.deliver(scene.addresses[each], two, n=1)
    exits(scene.move(accounts["silent"], one, stages="data"), 0, "one is on its way back already")
    answers_while_alive()
    before = scene.snapshot(*accounts.values())
    lab_of_one = OneStore([one])
    die(two)
    dry()
    for case in (plain, refused_by_mailboxd, silent, written_to):
        case()
    for each in BACK + FORWARD:
        killed(each)
    for each in MIDWAY:
        midway(each)
    resumed()
    restarted()
    when_it_is_back()
finally:
    lab.stop()
done()
