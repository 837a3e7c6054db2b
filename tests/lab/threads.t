#!/usr/bin/python3
"""Several mailboxes in flight: ten through four lanes while mail arrives, one of them broken; threads changed
while it runs; lanes that cannot open; stop; a window while another copies; max_in_flight over two operations; hold."""

import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.blobs import read_volumes  # noqa: E402
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.connections import USER, Most, connections, user_of_its_own  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Load, check_accepted  # noqa: E402
from zxlab.moves import Scene, claimed, exits, fence_row, findings_none, home, moved_clean, says  # noqa: E402
from zxlab.snapshot import own_tables  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

def claims(asked):
    """How many of the watched accounts are in flight; of a store that nothing was moved to yet none."""
    sql = asked[two.name]
    names = ", ".join(f"'{account}'" for account in watched)
    return int(sql.text(f"SELECT COUNT(*) FROM zxmove.claim WHERE account_id IN ({names})")[0][0]) \
        if "claim" in own_tables(sql) else 0


def row(operation=None, columns="uuid, state, cause"):
    """The operation's row at the destination; the last one, if none is named."""
    with Sql(two) as sql:
        if "operation" not in own_tables(sql):
            return None, None, None
        which = f"WHERE uuid = '{operation}'" if operation else "ORDER BY started DESC LIMIT 1"
        return (sql.text(f"SELECT {columns} FROM zxmove.operation {which}") or [(None, None, None)])[0]


def order(operation, **columns):
    """What another process asks of the operation."""
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zxmove.operation SET " + ", ".join(f"{name} = %s" for name in columns)
                       + " WHERE uuid = %s", (*columns.values(), operation))
        connection.commit()


def newest():
    """The uuid of the operation that was begun last."""
    return row(columns="uuid")[0]


def beats(operation, count):
    """Waits for so many heartbeats: what was asked of the operation before has been read."""
    for _ in range(count):
        last = row(operation, "CAST(heartbeat AS CHAR)")
        wait_for(lambda: row(operation, "CAST(heartbeat AS CHAR)") != last, 30, "a heartbeat")


def steps(operation, name, done=False):
    """How many mailboxes have begun a step, or ended it."""
    with Sql(two) as sql:
        return int(sql.text(f"SELECT COUNT({'done' if done else 'intent'}) FROM zxmove.step"
                            f" WHERE operation = '{operation}' AND name = '{name}'")[0][0])


def execute(store, statement):
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def in_flight(accounts):
    return sum(claimed(two, account) for account in accounts)


def answer(result):
    return json.loads(result.stdout.splitlines()[-1])["response"]


def outcomes(result):
    """{local part: outcome}"""
    return {m["account"].partition("@")[0]: m["outcome"] for m in answer(result)["mailboxes"]}


def unreadable(store, account):
    """A directory lies where a blob should: it is there, and cannot be read."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox = cursor.fetchone()[0]
        volumes, message = read_volumes(cursor)[:2]
    path = next(f for f in sorted(glob.glob(f"{volumes[message].mailbox_dir(mailbox)}/msg/*/*.msg"))
                if os.stat(f).st_nlink == 1)
    os.unlink(path)
    os.mkdir(path)


def four_lanes(scene):
    names = [f"m{number}" for number in range(10)]
    accounts = {name: scene.mailbox(name, one, messages=40) for name in names}
    unreadable(one, accounts["m4"])
    watched.extend(accounts.values())
    before = scene.snapshot(*accounts.values())
    loads = {name: Load(lab, accounts[name], mails=4, changes=6, seed=number).start()
             for number, name in enumerate(names) if name != "m4"}
    gate = os.path.join(lab.dir, "run", "gate-four")
    with Most((one, two), claims=claims) as watch:
        process = lab.zxmove_start("--json", *scene.words(accounts.values(), two, "threads", "4", stages="data,account"),
                                   fail="copy:intent=wait", env={"ZX_FAIL_FILE": gate})
        wait_for(lambda: in_flight(accounts.values()) == 4, 60, "four to be in flight at once")
        beats(newest(), 2)
        with open(gate, "w", encoding="ascii"):
            pass
        result = finished(process, 1800)
    for load in loads.values():
        load.stop()
    exits(result, 5, "ten through four lanes, one of them broken")
    is_(outcomes(result), {name: "failed" if name == "m4" else "moved" for name in names}, "nine moved, one failed")
    is_(watch.most["claims"], 4, "four were in flight at once, and never more") or diag(str(watch.most))
    # The server may still have one that was closed a moment ago.
    ok(max(watch.most[store.name] for store in (one, two)) <= 2 * 4 + 2,
       "two connections a lane and store, and one for the operation") or diag(str(watch.most))
    findings_none(check_unmoved(lab, before, accounts["m4"]), "m4: as it was")
    for name, load in loads.items():
        findings_none(check_move(lab, before, accounts[name], one, two, Expect(load=load)), f"{name}: the checker")
        findings_none(check_accepted(load, lab, two), f"{name}: every message exactly once")
    with Sql(two) as sql:
        listed = sql.text("SELECT seq FROM zxmove.operation_mailbox WHERE operation ="
                          f" '{answer(result)['operation']}' ORDER BY seq")
    is_([int(seq) for seq, in listed], list(range(1, 11)), "the journal has the end of each, once")


def changed_meanwhile(scene):
    """threads raised and lowered while it runs."""
    accounts = [scene.mailbox(f"c{number}", one, messages=2, rich=False) for number in range(8)]
    before = scene.snapshot(*accounts)
    held = Held(scene, accounts, two, "copy:intent", stages="data,account")
    held.wait()
    operation = newest()
    is_(in_flight(accounts), 1, "one mailbox after the other")
    order(operation, limits='{"threads": 3}')
    wait_for(lambda: steps(operation, "copy") == 3, 60, "two more while the first is not done")
    order(operation, limits='{"threads": 1}')
    beats(operation, 2)
    exits(held.go(), 0, "threads raised to 3 and lowered to 1 on the way")
    with Sql(two) as sql:
        spans = sorted(sql.text(
            "SELECT CAST(s.intent AS CHAR), CAST(m.ended AS CHAR) FROM zxmove.step s JOIN zxmove.operation_mailbox m"
            " ON m.operation = s.operation AND m.account_id = s.account_id"
            f" WHERE s.operation = '{operation}' AND s.name = 'reserve'"))
    late = spans[3:]
    ok(len(late) == 5 and all(late[i][1] <= late[i + 1][0] for i in range(4)),
       "after that one after the other") or diag(str(spans))
    for account in accounts:
        findings_none(check_move(lab, before, account, one, two), f"{scene.addresses[account]}: the checker")


def cannot_open(scene):
    """The store's MariaDB takes no more connections than two lanes and the operation have."""
    accounts = [scene.mailbox(f"o{number}", one, messages=2, rich=False) for number in range(5)]
    with Sql(two) as sql:
        wait_for(lambda: connections(sql) == 0, 20, "connections of the moves before to end")
    execute(two, f"ALTER USER {USER}@'%' WITH MAX_USER_CONNECTIONS 5")
    result = lab.zxmove(*scene.words(accounts, two, "threads", "4", stages="data,account"), timeout=240)
    execute(two, f"ALTER USER {USER}@'%' WITH MAX_USER_CONNECTIONS 0")
    exits(result, 0, "lanes that cannot open cost no mailbox")
    says(result, "fewer mailboxes at a time than threads says", "which is noted")


def stopped(scene):
    """One in its window, another waiting for its own, two not begun."""
    accounts = [scene.mailbox(f"s{number}", one, messages=2, rich=False) for number in range(4)]
    before = scene.snapshot(*accounts)
    held = Held(scene, accounts, two, "commit:sent", words=("threads", "2"), stages="data,account")
    held.wait()
    operation = newest()
    wait_for(lambda: steps(operation, "clear", done=True) == 2, 60, "the second to wait for its window")
    is_([fence_row(one, account) for account in accounts].count(None), 3, "one window at a time")
    order(operation, wanted="stop", wanted_by="test")
    beats(operation, 2)
    result = held.go()
    ok(result.returncode not in (0, 1), "it tells of the stop") or diag(str(result))
    is_(row(operation)[1], "stopped", "so does its row")
    homes = [home(lab, account).name for account in accounts]
    is_(sorted(homes), [one.name] * 3 + [two.name], "who was in the window is through, the others stay")
    for account, where in zip(accounts, homes):
        findings_none(check_unmoved(lab, before, account) if where == one.name
                      else check_move(lab, before, account, one, two), f"{scene.addresses[account]}: the checker")


def aside(scene):
    """While a user is out, who copies stands aside, and not for ever: however long it takes, the copy gets done."""
    accounts = [scene.mailbox(f"w{number}", one, messages=20, rich=False) for number in range(2)]
    before = scene.snapshot(*accounts)
    held = Held(scene, accounts, two, "prove:lock", nth="1", stages="data,account")
    held.wait()
    operation = newest()
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES zxmove.step WRITE")  # the second one cannot begin its first step
        order(operation, limits='{"threads": 2}')
        wait_for(lambda: claimed(two, accounts[1]), 60, "the second to begin")
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 0.6, 10, "it not to be a small one any more")
        cursor.execute("UNLOCK TABLES")
    wait_for(lambda: steps(operation, "clear", done=True) == 2, 60, "the second to have copied while the first is out")
    is_([fence_row(one, account) for account in accounts], ["fenced", None], "one is out, the other copied meanwhile")
    moved_clean(held.go(), before, accounts[0], one, two, "one out while another copies")
    findings_none(check_move(lab, before, accounts[1], one, two), "the other one: the checker")
    with open(os.path.join(lab.dir, "state", "log", f"{operation}.log"), encoding="utf-8") as log:
        ok("stood aside for a user who is out" in log.read(), "who copied stood aside")


def places(scene):
    """max_in_flight: a second operation waits for the first, and goes on when that has died."""
    accounts = [scene.mailbox(f"p{number}", one, messages=2, rich=False) for number in range(3)]
    before = scene.snapshot(*accounts)
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("max_in_flight: 2\n")
    held = Held(scene, accounts[:2], two, "copy:intent", words=("threads", "3"))
    held.wait()
    first = newest()
    wait_for(lambda: steps(first, "copy") == 2, 60, "two in flight")
    second = scene.start_move(accounts[2], two)
    cause = wait_for(lambda: newest() != first and row(newest())[2], 60, "the second to say why it waits")
    is_(row(newest())[1], "queued", "the second operation is queued")
    ok(first in cause and two.name in cause or one.name in cause, "for whom it waits is told") or diag(cause)
    beats(newest(), 2)
    is_([second.poll(), steps(newest(), "copy")], [None, 0], "and it goes on waiting")
    held.process.kill()
    held.process.communicate()
    moved_clean(finished(second), before, accounts[2], one, two, "when the first is dead its places are free")


def finished(process, timeout=600):
    """A program that was left running, at its end."""
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def copied(account, item=None):
    """How many messages lie under the reserved id at the destination, of all or with this item id."""
    with Sql(two) as sql:
        mailbox, group = sql.text("SELECT mailbox_id, group_id FROM zxmove.reservation"
                                  f" WHERE account_id = '{account}'")[0]
        one_item = f" AND id = {item}" if item else ""
        return int(sql.text(f"SELECT COUNT(*) FROM mboxgroup{group}.mail_item WHERE mailbox_id = {mailbox}"
                            f" AND type = 5{one_item}")[0][0])


def held_by_somebody(store, account):
    """Whether the account has a claim, or its lock a holder."""
    with Sql(store) as sql:
        return sql.text(f"SELECT EXISTS (SELECT 1 FROM zxmove.claim WHERE account_id = '{account}')"
                        f" OR IS_USED_LOCK('zxmove.{account}') IS NOT NULL")[0][0] != "0"


def kept_up_to_date(scene):
    """hold: rounds go on, nobody moves before he is released; what another operation moves is left alone."""
    accounts = [scene.mailbox(f"h{number}", one, messages=20) for number in range(2)]
    process = scene.start_move(accounts, two, "hold", "true", "threads", "2", fail="hold:soon=fail",
                               stages="data,account")
    held = wait_for(lambda: [found for found in [row()] if found[1] == "held"], 60, "the operation to be held")
    operation, _, cause = held[0]
    ok("doCompleteMove" in str(cause), "and to say for what") or diag(str(cause))
    number = copied(accounts[0])
    with Sql(two) as sql:
        staged = int(sql.text(f"SELECT COUNT(*) FROM zxmove.staged WHERE account_id = '{accounts[0]}'")[0][0])
    lab.deliver(scene.address("h0"), one, n=3)
    wait_for(lambda: copied(accounts[0]) == number + 3, 30, "new mail to follow")
    item = one.user(accounts[0], "delete")["item"]
    one.user(accounts[0], "empty-dumpster")
    wait_for(lambda: copied(accounts[0], item) == 0, 30, "a deletion to follow")
    before = scene.snapshot(*accounts)
    other = wait_for(lambda: (lambda r: r.returncode == 0 and r)(scene.move(accounts[1], two, stages="data,account")),
                     60, "another operation to move one of them meanwhile")
    # A round that looked where it lives before it moved claims it once more, and sees.
    wait_for(lambda: not any(held_by_somebody(store, accounts[1]) for store in (one, two)), 60, "nobody to hold it")
    moved_clean(other, before, accounts[1], one, two, "held is not claimed")
    is_(home(lab, accounts[0]).name, one.name, "nobody else moved")
    order(operation, complete=1, wanted_by="test")
    moved_clean(finished(process), before, accounts[0], one, two, "released")
    with Sql(two) as sql:
        result = json.loads(sql.text("SELECT result FROM zxmove.operation_mailbox WHERE operation ="
                                     f" '{operation}' AND account_id = '{accounts[0]}'")[0][0])
    ok(result["rounds"] > 2 and result["blobs_copied"] == staged + 3, "no blob was brought twice") \
        or diag(str(result))


def at_their_time(scene):
    """start_after and complete_after."""
    waits = {"for its start": False, "for its completion": False, "for no round before": False}
    for seconds in (6, 40, 200):  # this machine may need so long to begin
        account = scene.mailbox(f"timed{seconds}", one, messages=2, rich=False)
        before, last, now, begun = scene.snapshot(account), newest(), int(time.time()), None
        process = scene.start_move(account, two, "start_after", stamp(now + seconds), "complete_after",
                                   stamp(now + 2 * seconds), "resync_interval", "20h", stages="data,account")
        rounds = time.strftime("next round at %Y-%m-%d %H:%M", time.localtime(now + 19 * 3600))

        def over():
            """The process has ended; what it waited for meanwhile, and when it began, is kept."""
            nonlocal begun
            operation, state, cause = row()
            if operation != last:
                waits["for its start"] |= "begins at" in str(cause)
                waits["for its completion"] |= state == "held"
                waits["for no round before"] |= state == "held" and str(cause).rpartition("; ")[2] > rounds
                begun = begun or (time.time() if steps(operation, "reserve") else None)
            return process.poll() is not None

        wait_for(over, 2 * seconds + 60, "it to end", every=0.1)
        moved_clean(finished(process), before, account, one, two, "by itself")
        ended = time.time()
        ok((begun or ended) >= now + seconds and ended >= now + 2 * seconds, "neither was before its time") \
            or diag(f"{now}, {seconds}: {begun}, {ended}")
        if all(waits.values()):
            break
    is_(waits, dict.fromkeys(waits, True), "it said for what it waited")


def stamp(when):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(when))


def refusals(scene):
    account = scene.account("nobody", one)
    for words, why in ((("hold", "true", "stages", "data"), "nothing to hold"),
                       (("resync_interval", "1h"), "is for hold")):
        result = scene.move(account, two, *words)
        exits(result, 64, f"{words[0]}: refused")
        says(result, why, "and why")


lab = Lab.create("threads", mode=os.environ.get("MODE", "asan"))
watched = []
try:
    one, two = lab.stores[:2]
    user_of_its_own(lab)
    only = sys.argv[1:]
    for case in (four_lanes, changed_meanwhile, cannot_open, stopped, aside, kept_up_to_date, at_their_time, refusals, places):
        if not only or case.__name__ in only:
            began = time.time()
            case(Scene(lab, strangers=False))
            diag(f"{case.__name__}: {time.time() - began:.1f} s")
finally:
    lab.stop()
done()
