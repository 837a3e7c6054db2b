#!/usr/bin/python3
"""Operations from outside their process: listed, watched, stopped, suspended, changed, held and completed, from another
host too; how they end, and with which status."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, moved_clean, says, short_timeouts  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("operations", mode=os.environ.get("MODE", "asan"))
LEASE = 20


def ask(status, *words, name=None, run=None):
    """Two tests: a verb ends so, with documented keys; its answer."""
    result = (run or lab.zxmove)("--json", *words)
    exits(result, status, name or f"{status}: {' '.join(word[:12] for word in words)}")
    answer = json.loads(result.stdout.splitlines()[-1])
    is_(schema.of_answer(words[0], answer), [], "  doc/json.md has its keys")
    return answer


def elsewhere(*words):
    """The same command on another host."""
    command = [lab.program, "--config", lab.conf_path, *words]
    return subprocess.run([*HOST, *command], text=True, capture_output=True, timeout=600, check=False,
                          stdin=subprocess.DEVNULL)


def another_host():
    """(words before a command that make it run on another host, its name); this one where that is not allowed."""
    for unshare in (["unshare", "-u"], ["unshare", "-Uru"]):
        words = [*unshare, "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
        if subprocess.run([*words, "true"], capture_output=True, timeout=60, check=False).returncode == 0:
            return words, "elsewhere"
    return [], socket.gethostname()


def going():
    """The operations that are going on, as they are listed now."""
    result = lab.zxmove("--json", "getAllOperations")
    return json.loads(result.stdout)["response"]["operations"]


def state_of(uuid):
    """The state in the log."""
    result = lab.zxmove("--json", "getOperationLog", "id", uuid)
    found, = json.loads(result.stdout)["response"]["operations"]
    return found["state"]


def comes(uuid, state, seconds=30):
    """One test: the operation comes to be in that state."""
    try:
        wait_for(lambda: state_of(uuid) == state, seconds, f"state {state}", every=0.2)
    except TimeoutError:
        diag(str(going()))
    return is_(state_of(uuid), state, f"  it comes to be {state}")


def asked(uuid, columns="wanted, complete"):
    """What its row says that is wanted of it."""
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM zxmove.operation WHERE uuid = %s", (uuid,))
        return cursor.fetchone()


def noticed(uuid):
    """Waits until its keeper has read the row once more: it writes a sign of life before each look."""
    def heartbeat():
        with two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT heartbeat FROM zxmove.operation WHERE uuid = %s", (uuid,))
            return cursor.fetchone()[0]
    for _ in range(2):
        last = heartbeat()
        wait_for(lambda: heartbeat() != last, 20, "a sign of life")


HOST, HOSTNAME = another_host()
try:
    short_timeouts(lab, lease=LEASE, timeout=5)
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    ids = {name: scene.mailbox(name, one, messages=4, rich=False)
           for name in ("anna", "ben", "cat", "dora", "eve", "fay", "gus", "hal")}

    # Nothing yet.
    result = lab.zxmove("getAllOperations")
    exits(result, 0, "getAllOperations where nothing was ever done")
    says(result, "no operation is going on", "  says so")
    exits(lab.zxmove("monitor"), 1, "1: monitor of nothing")
    for verb in ("doStopOperation", "getOperationLog", "getNotification"):
        exits(lab.zxmove(verb, "0123"), 1, f"1: {verb} of nothing")
    exits(lab.zxmove("doSuspend", "no-uuid"), 64, "64: what is no uuid")

    # One that is held up in its copy: listed, suspended with its claims young, resumed, changed, watched to its end.
    lab.deliver(scene.address("anna"), one, n=3, size=262144)  # what bandwidth holds up until it may be more
    before = scene.snapshot(ids["anna"])
    held = Held(scene, ids["anna"], two, "reserve:applied")
    held.wait()
    found = ask(0, "getAllOperations", "verbose", "true")["response"]["operations"]
    is_([(one_["verb"], one_["state"], one_["mailboxes"]) for one_ in found], [("doMailboxMove", "running", 1)],
        "getAllOperations has it")
    uuid = found[0]["operation"]
    is_([found[0]["process"], found[0]["command"].split()[0]], [held.process.pid, "doMailboxMove"],
        "  with its process and command")
    found = ask(0, "doSuspend", uuid[:8], "comment", "backup window", run=elsewhere,
                name="doSuspend from another host")["response"]["operations"]
    is_([found[0]["asked"], found[0]["asked_by"].endswith(f"@{HOSTNAME}")], ["pause", True], "  is noted, with who asked")
    noticed(uuid)
    held.go_on()
    comes(uuid, "paused")
    found = ask(0, "getAllOperations")["response"]["operations"][0]
    ok(f"{HOSTNAME}: backup window" in found.get("cause", ""), "  and says in whose words") or diag(str(found))
    watch = lab.zxmove_start("monitor", uuid)
    gone = lab.zxmove_start("monitor", uuid)
    wait_for(lambda: "paused" in json.loads(lab.zxmove("--json", "status", "operation_uuid", uuid).stdout)
             ["response"]["operations"][0]["state"], 10, "status to say so")

    def claims():
        """How long the leases of its claims still run, at the least."""
        with two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT MIN(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), expires)) FROM zxmove.claim")
            return cursor.fetchone()[0]

    # A lease is a time: what is looked at here is that it does not run out.
    until = time.monotonic() + LEASE + 2
    leases = [claims()]
    exits(scene.move(ids["anna"], two), 75, "75: nobody else takes the account meanwhile")
    found = ask(0, "setOperation", uuid, "threads", "3", "notifications", f"boss@{scene.domain}", "complete_after", "?")
    is_(found["response"]["operations"][0]["threads"], 3, "setOperation answers what holds now")
    ask(64, "setOperation", uuid, "threads", "33")
    found = ask(0, "setOperation", uuid, "bandwidth", "900M")["response"]["operations"][0]
    is_([found["bandwidth"], found["threads"]], ["900M", 3], "  one by one")
    ask(64, "setOperation", uuid, "max_replica_lag", "8s", name="64: max_replica_lag is not in this version")
    found = ask(0, "setOperation", uuid, "max_load", "0.01")["response"]["operations"][0]
    is_(found["max_load"], 0.01, "  and the load of the stores")
    found = ask(0, "setOperation", uuid, "threads", "?", run=elsewhere)["response"]["operations"][0]
    is_([found["threads"], found["notifications"]], [3, [f"boss@{scene.domain}"]], "  and so it reads elsewhere")
    is_([len(json.loads(lab.zxmove("--json", "--host", store.name, "getAllOperations").stdout)["response"]["operations"])
         for store in (one, two)], [0, 1], "--host: the records of one store")
    wait_for(lambda: leases.append(claims()) or time.monotonic() > until, LEASE + 20, "a lease's time", every=0.5)
    ok(min(leases) >= 1, "paused for longer than a lease, it keeps its claims") or diag(str(leases))
    gone.stderr.readline()  # every ten seconds it says something: it watches
    gone.send_signal(signal.SIGINT)
    out, err = gone.communicate(timeout=600)
    is_([gone.returncode, f"operation {uuid} goes on" in out, "stopping" in err], [130, True, False],
        "Ctrl-C ends monitor, and not the operation") or diag(out + err)
    ask(0, "doResume", uuid, "comment", "window over", run=elsewhere, name="doResume from another host")
    is_(asked(uuid, "wanted, wanted_comment"), (b"go", b"window over"), "  is noted, with the comment")
    comes(uuid, "throttled")
    wait_for(lambda: re.fullmatch(rf"load [0-9.]+ > 0.01 on ({one.name}|{two.name})",
                                  str(going()[0].get("cause"))),
             60, "the load that is too high")
    ask(0, "setOperation", uuid, "bandwidth", "1K")
    noticed(uuid)
    found = ask(0, "setOperation", uuid, "max_load", "off")["response"]["operations"][0]
    is_(found["max_load"], "off", "throttled by a load that is too high, until it may be higher")
    wait_for(lambda: any(str(entry.get("cause")).startswith("throttled, bandwidth 1.0 KB/s") for entry in going()), 60,
             "a copy that is slow")
    found = ask(0, "setOperation", uuid, "bandwidth", "off")["response"]["operations"][0]
    is_(found["bandwidth"], "off", "and by a bandwidth that is too low")
    moved_clean(held.finish(), before, ids["anna"], one, two, "the move that was suspended")
    out, err = watch.communicate(timeout=600)
    is_(watch.returncode, 0, "monitor ends with the operation") or diag(out + err)
    ok(f"{scene.address('anna')}  moved" in out and "done       1 moved, 0 failed" in out, "  and says how") or diag(out)
    ok(any(f"To: boss@{scene.domain}" in mail and uuid in mail for mail in lab.mails()),
       "setOperation's address gets the mail")
    found = ask(0, "monitor", uuid, name="monitor of one that has ended")["response"]
    is_([found["state"], found["totals"]["moved"]], ["done", 1], "  tells how it ended")
    found, = ask(0, "getNotification", "id", uuid)["response"]["operations"]
    is_([found["subject"], found["mailboxes"][0]["outcome"]], ["DONE 1 moved", "moved"], "getNotification tells it, too")
    exits(lab.zxmove("doStopOperation", uuid), 1, "1: it has ended")
    exits(lab.zxmove("doResume", uuid), 1, "1: and needs nobody to resume it")

    # Stopped in the middle: 2.
    before = scene.snapshot(ids["ben"], ids["cat"])
    held = Held(scene, [ids["ben"], ids["cat"]], two, "copy:applied")
    held.wait()
    uuid = going()[0]["operation"]
    watch = lab.zxmove_start("--json", "monitor", uuid)
    # Orders side by side: what is to be completed stays so, and a stop is taken back by nobody.
    ask(0, "doCompleteMove", uuid)
    found = ask(0, "doSuspend", uuid)["response"]["operations"]
    is_([found[0]["asked"], asked(uuid)], ["pause", (b"pause", 1)], "a pause takes nothing from what is to be completed")
    found = ask(0, "doStopOperation", uuid, "when", "now", "comment", "enough", run=elsewhere,
                name="doStopOperation from another host")["response"]["operations"]
    for verb in ("doSuspend", "doCompleteMove"):
        result = lab.zxmove(verb, uuid)
        exits(result, 1, f"1: {verb} after it")
        says(result, f"was told to stop, by {found[0]['asked_by']}: enough", "  says what stands")
    is_(asked(uuid), (b"stop", 1), "  and it stands")
    noticed(uuid)
    held.go_on()
    result = held.finish()
    exits(result, 2, "2: stopped")
    says(result, "0 failed, 0 skipped, 2 not reached", "  neither was reached")
    says(result, "stopped    0 moved", "  its summary begins so")
    out, err = watch.communicate(timeout=600)
    is_([watch.returncode, json.loads(out.splitlines()[-1])["response"]["state"]], [2, "stopped"],
        "2: monitor says so, too") or diag(out + err)
    for name in ("ben", "cat"):
        findings_none(check_unmoved(lab, before, ids[name]), f"{name} is where it was")

    # Waiting for its time, and removed: 3.
    waiting = scene.start_move(ids["dora"], two, "start_after", "2099-01-01T00:00Z")
    wait_for(going, 30, "it to be queued")
    found = going()[0]
    is_([found["state"], found["cause"].startswith("begins at 2099-")], ["queued", True], "start_after: it is queued")
    found = ask(0, "doStopAllOperations")["response"]["operations"]
    is_(len(found), 1, "doStopAllOperations asks it")
    out, err = waiting.communicate(timeout=600)
    is_(waiting.returncode, 3, "3: removed") or diag(out + err)
    is_(state_of(found[0]["operation"]), "removed", "and so it is in the log")
    ask(3, "monitor", found[0]["operation"])

    # Held: one account is let go, then all; complete_after lets go by itself. One is there already, and has no number.
    names = ("dora", "eve", "fay")
    before = scene.snapshot(*(ids[name] for name in names))
    waiting = scene.start_move([ids[name] for name in ("anna", *names)], two, "hold", "true", "notifications",
                               "held@lab.test")
    wait_for(lambda: [entry["state"] for entry in going()] == ["held"], 90, "it to be held", every=0.2)
    found = going()[0]
    uuid = found["operation"]
    ok("3 mailboxes wait for doCompleteMove" in found["cause"], "held: it says for what it waits") or diag(str(found))
    for name in names:
        findings_none(check_unmoved(lab, before, ids[name]), f"held: {name} is where it was")
    mail = wait_for(lambda: [text for text in lab.mails() if "held@lab.test" in text], 30, "the mail", every=0.2)
    ok(len(mail) == 1 and "[zxmove] HELD " in mail[0].replace("\n ", " ") and f"doCompleteMove {uuid}" in mail[0],
       "held: who is to be told of the end is told that it waits, and for what") or diag("\n".join(mail))
    exits(lab.zxmove("doCompleteMove", uuid, "accounts", scene.address("anna")), 1, "1: anna does not wait in it")
    ask(0, "doCompleteMove", uuid, "accounts", scene.address("eve"))
    wait_for(lambda: going() and going()[0].get("done") == 1, 60, "one to be moved", every=0.2)
    wait_for(lambda: "2 mailboxes wait" in (going()[0].get("cause") or ""), 30, "it to be held again, with two that wait")
    ask(0, "doCompleteMove", uuid)
    out, err = waiting.communicate(timeout=600)
    is_(waiting.returncode, 0, "0: all are moved") or diag(out + err)
    says(subprocess.CompletedProcess([], 0, out, err), "3 moved, 0 failed, 1 skipped", "  three of three")
    numbers = {scene.address(name): f"[{number}/3]" for number, name in enumerate(names, 1)}
    for what, said in (("where it runs", out), ("by monitor", lab.zxmove("monitor", uuid).stdout)):
        is_(dict(reversed(line.split()[:2]) for line in said.splitlines() if "  moved " in line), numbers,
            f"  each has its own number, whoever ended first: {what}") or diag(said)
    is_(len([text for text in lab.mails() if "held@lab.test" in text]), 2, "  told once that it waited, once of its end")
    for name in names:
        moved_clean(subprocess.CompletedProcess([], 0, out, err), before, ids[name], one, two, name)

    # Taken for dead, and taken over by another process: it stops, and leaves the row alone.
    before = scene.snapshot(ids["hal"])
    held = Held(scene, ids["hal"], two, "copy:applied")
    held.wait()
    uuid = going()[0]["operation"]
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zxmove.operation SET pid = 1, host = 'elsewhere', process = 'another' WHERE uuid = %s", (uuid,))
        connection.commit()
    log = os.path.join(lab.dir, "state", "log", f"{uuid}.log")
    wait_for(lambda: "has taken this operation over" in open(log, encoding="utf-8").read(), 20, "it to see that")
    held.go_on()
    result = held.finish()
    exits(result, 2, "2: taken over by another process")
    findings_none(check_unmoved(lab, before, ids["hal"]), "  what it had begun is left")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state, ended, host FROM zxmove.operation WHERE uuid = %s", (uuid,))
        is_(cursor.fetchone(), (b"running", None, b"elsewhere"), "  and the row is the other's")
        cursor.execute("UPDATE zxmove.operation SET ended = heartbeat WHERE uuid = %s", (uuid,))
        connection.commit()

    # It waits for its time, which another process may bring nearer.
    before = scene.snapshot(ids["gus"])
    waiting = scene.start_move(ids["gus"], two, "complete_after", "2099-01-01T00:00Z")
    wait_for(lambda: [entry["state"] for entry in going()] == ["held"], 90, "it to be held", every=0.2)
    found = going()[0]
    ok("1 mailbox waits for 209" in found["cause"], "complete_after: it says for what it waits") or diag(str(found))
    later = int(time.time()) + 8
    ask(0, "setOperation", found["operation"], "complete_after", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(later)))
    out, err = waiting.communicate(timeout=600)
    ok(time.time() >= later, "and moves when it has come")
    moved_clean(subprocess.CompletedProcess([], waiting.returncode, out, err), before, ids["gus"], one, two, "complete_after")
finally:
    lab.stop()
done()
