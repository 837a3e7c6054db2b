#!/usr/bin/python3
"""Who may take over from whom: an operation that is cut off from its destination is no dead one while its lease runs; a
mover of another container is not judged by the numbers of this one; a place in flight that went with its connection is
taken again; who is told of a death is told what the stores know, when they can be asked; and records of an
older version are taken over, too."""

import json
import os
import signal
import subprocess
import sys

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, moved_clean, says, short_timeouts  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

LEASE = 120  # what is asserted while it runs must not take longer

lab = Lab.create("takeover", mode=os.environ.get("MODE", "asan"))


def query(store, statement, *values):
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        connection.commit()
        return cursor.fetchall()


def cut(store, account):
    """The mover of the account loses its connections to the store's database, and its locks with them."""
    for lock in (f"zxmove.{account}", f"zxmove.{account}.data"):
        query(store, "KILL %s", query(store, "SELECT IS_USED_LOCK(%s)", lock)[0][0])
        wait_for(lambda name=lock: query(store, "SELECT IS_FREE_LOCK(%s)", name)[0][0], 20, f"{lock} to be free")


def operation():
    """The newest one."""
    return query(two, "SELECT uuid FROM zxmove.operation ORDER BY started DESC LIMIT 1")[0][0].decode()


def on_the_store(*words):
    """The command where no ssh is needed to reach the stores."""
    return [lab.program, "--config", LOCAL, *words]


def run_there(*words):
    return subprocess.run(on_the_store(*words), text=True, capture_output=True, timeout=600, check=False,
                          stdin=subprocess.DEVNULL)


def local_conf():
    """The laboratory's configuration for somebody who sits on the stores."""
    with open(lab.conf_path, encoding="utf-8") as file:
        conf = yaml.safe_load(file)
    for store in conf["stores"].values():
        store["local"] = True
    path = os.path.join(lab.dir, "local.yaml")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(conf, file)
    return path


def dead_word(word):
    """That of a process of this container that has ended."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    boot, space, _, rest = word.split(":")
    return f"{boot}:{space}:{gone.pid}:{rest}"


def another_container():
    """The mover of a container that shares this host's name, cut off: the number of its process is nobody's here."""
    account = scene.mailbox("container", one, messages=3, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "copy:applied")
    held.wait()
    word = query(two, "SELECT process FROM zxmove.claim WHERE account_id = %s", account)[0][0].decode()
    boot, _, number, rest = dead_word(word).split(":")
    for store in (one, two):
        query(store, "UPDATE zxmove.claim SET process = %s, pid = %s WHERE account_id = %s",
              f"{boot}:1:{number}:{rest}", number, account)
        cut(store, account)
    result = scene.move(account, two)
    exits(result, 75, "a mover of another container with the same name of the host is not taken for dead")
    says(result, "is being worked on by operation", "  while its lease runs")
    for store in (one, two):
        query(store, "UPDATE zxmove.claim SET process = %s WHERE account_id = %s", dead_word(word), account)
    moved_clean(scene.move(account, two), before, account, one, two, "of this one it is known, and taken over at once")
    held.go_on()
    ok(held.finish().returncode != 0, "who comes back then, finds out")


def cut_off():
    """In its window, cut off from the destination: others see it lost, and leave it alone; back, it goes on."""
    account = scene.mailbox("island", one, messages=3, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "open:flushed")
    held.wait()
    uuid = operation()
    two.sshd_kill()
    def state():
        answer = json.loads(run_there("--json", "getAllOperations").stdout)["response"]["operations"]
        return [entry["state"] for entry in answer if entry["operation"] == uuid]
    wait_for(lambda: state() == ["lost"], 60, "the operation to be seen as lost", every=0.5)
    result = run_there("doStopOperation", uuid)
    exits(result, 1, "cut off: it takes no order")
    says(result, f"or cannot reach {two.name}", "  and that it may live is said")
    result = run_there("--json", "doRecover", "operation", uuid, "dry_run", "false")
    box = json.loads(result.stdout.splitlines()[-1])["response"]["mailboxes"][0]
    is_([box["outcome"], box["code"]], ["failed", "CONFLICT"], "doRecover leaves it alone while its lease runs")
    resume = subprocess.Popen(on_the_store("doResume", uuid), text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = resume.stderr.readline()
    ok("until the leases of its process" in line, "doResume waits for its lease") or diag(line)
    two.sshd_start()
    wait_for(lambda: state() == ["running"], 60, "the operation to be back", every=0.5)
    out, err = resume.communicate(timeout=600)
    exits(subprocess.CompletedProcess([], resume.returncode, out, err), 75, "back before, and nobody resumes it")
    ok("goes on again" in out + err, "  says why") or diag(out + err)
    result = held.go()
    moved_clean(result, before, account, one, two, "cut off in its window, and back")


def place_again():
    """It held the only place, and its connection with it; while it was cut off nobody took that."""
    account = scene.mailbox("place", one, messages=3, rich=False)
    used = "SELECT IS_USED_LOCK('zxmove.flight.1')"
    held = Held(scene, account, two, "open:flushed", also="open:answered=hang")
    held.wait()
    first = query(two, used)[0][0]
    query(two, "KILL %s", first)
    wait_for(lambda: query(two, used)[0][0] is None, 20, "the place to be free")
    held.go_on()
    second = wait_for(lambda: query(two, used)[0][0], 60, "the place to be taken again")
    ok(second != first, "a place in flight is taken again with the connection that had it")
    held.process.kill()
    held.finish()
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0, "  (and recovered)")


def told_later():
    """Nobody can be asked when its process dies; the mail waits for the stores, and then says what they know."""
    account = scene.mailbox("mail", one, messages=3, rich=False)
    held = Held(scene, account, two, "copy:applied", words=("notifications", "boss@lab.test"))
    held.wait()
    uuid = operation()
    for store in (one, two):
        store.sshd_kill()
    os.kill(held.process.pid, signal.SIGKILL)
    held.finish()
    for store in (one, two):
        store.sshd_start()
    mail = wait_for(lambda: [text for text in lab.mails() if "boss@lab.test" in text], 90, "the mail", every=0.5)[0]
    ok("INTERRUPTED 0 of 1 ended" in mail and "has ended without a word; 0 of 1 mailboxes" in mail and uuid in mail,
       "a mail of its death says what the stores know") or diag(mail)


def older_records():
    """The database zxmove as version 2 made it: the next move brings it up to date, with what is in it."""
    account = scene.mailbox("older", one, messages=2, rich=False)
    before = scene.snapshot(account)
    for store in (one, two):
        query(store, "ALTER TABLE zxmove.operation DROP COLUMN complete, DROP COLUMN process, DROP COLUMN notes,"
                     " MODIFY COLUMN wanted ENUM('go','pause','stop','complete') NOT NULL DEFAULT 'go', MODIFY COLUMN state"
                     " ENUM('queued','running','paused','held','done','partial','failed','stopped','removed','interrupted')"
                     " NOT NULL")
        query(store, "ALTER TABLE zxmove.claim DROP COLUMN process")
        query(store, "DROP TABLE zxmove.coming")
        query(store, "UPDATE zxmove.schema_version SET version = 2")
    known = query(two, "SELECT COUNT(*) FROM zxmove.operation")[0][0]
    result = lab.zxmove("getAllOperations")
    says(result, "brings it up to date", "records of an older version: who only looks is told what helps")
    moved_clean(scene.move(account, two), before, account, one, two, "a move makes them new")
    is_([query(store, "SELECT COUNT(*) FROM zxmove.schema_version WHERE version = 5")[0][0] for store in (one, two)], [1, 1],
        "  on both stores")
    is_(query(two, "SELECT COUNT(*) FROM zxmove.operation")[0][0], known + 1, "  and all are there")
    exits(lab.zxmove("getAllOperations"), 0, "  and can be looked at")


try:
    short_timeouts(lab, lease=LEASE, timeout=10)
    LOCAL = local_conf()
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    another_container()
    cut_off()
    place_again()
    told_later()
    older_records()
finally:
    lab.stop()
done()
