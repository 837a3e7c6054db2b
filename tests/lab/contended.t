#!/usr/bin/python3
"""Locks of others in the databases: each statement on a table of ours ends once in a deadlock and once in a lock wait;
a real deadlock in the copy; rows kept locked for as long as a step, and through a window. Nothing of it fails a move."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, led_back, moved_clean, says, short_timeouts  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

DEADLOCK, LOCK_WAIT = 1213, 1205
OURS = ("operation", "operation_mailbox", "step", "claim", "reservation", "staged", "fence", "moved")

lab = Lab.create("contended", mode=os.environ.get("MODE", "asan"))


class Session:
    """Somebody else's session on a store."""

    def __init__(self, store):
        self._db = store.db()
        self._cursor = self._db.cursor()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._db.rollback()
        self._db.close()

    def run(self, *statements):
        """The rows of the last one."""
        for statement in statements:
            self._cursor.execute(statement)
        return self._cursor.fetchall()

    def release(self):
        self._db.rollback()


def break_once(store, number):
    """From now on the first statement of each kind on each of our tables fails so. What counts them must not be
    rolled back with the statement."""
    with Session(store) as session:
        session.run("TRUNCATE scratch.broken")
        for table in OURS:
            for kind in ("INSERT", "UPDATE", "DELETE"):
                place = f"{table}_{kind.lower()}"
                session.run(
                    f"CREATE OR REPLACE TRIGGER zxmove.broken_{place} BEFORE {kind} ON zxmove.{table} FOR EACH ROW"
                    f" IF NOT EXISTS (SELECT 1 FROM scratch.broken WHERE place = '{place}') THEN"
                    f" INSERT INTO scratch.broken VALUES ('{place}');"
                    f" SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'planted'; END IF")


def broken(store):
    """What was broken so far; and no more will be."""
    with Session(store) as session:
        places = {place.decode() for place, in session.run("SELECT place FROM scratch.broken")}
        for table in OURS:
            for kind in ("insert", "update", "delete"):
                session.run(f"DROP TRIGGER IF EXISTS zxmove.broken_{table}_{kind}")
    return places


def newest_log():
    """The lines of the operation that was begun last."""
    logs = os.path.join(lab.dir, "state", "log")
    path = max((os.path.join(logs, name) for name in os.listdir(logs) if name.endswith(".log")), key=os.path.getmtime)
    with open(path, encoding="utf-8") as file:
        return file.read()


def copied(name):
    """A mailbox of which the destination has a copy, in which two messages are others since. Its id, the table of the
    copy with its mailbox as a condition, and the two, in the order of their keys."""
    account = scene.mailbox(name, one, messages=6, rich=False)
    exits(scene.move(account, two, stages="data"), 0, f"{name}: a copy")
    with Session(two) as session:
        copy, group = session.run("SELECT mailbox_id, group_id FROM zxmove.reservation"
                                  f" WHERE account_id = '{account}'")[0]
        table = f"mboxgroup{group}.mail_item"
        items = [item for item, in session.run(f"SELECT id FROM {table} WHERE mailbox_id = {copy} AND type = 5"
                                               " ORDER BY id")]
    for item in items[:2]:
        one.user(account, "flag", item=item)
    return account, f"{table} WHERE mailbox_id = {copy}", items[:2]


def waiting(session):
    """Whether a transaction waits for a lock."""
    return session.run("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'")[0][0]


def said(words, times=1):
    """Waits until the newest log says so, so often."""
    wait_for(lambda: newest_log().count(words) >= times, 60, f"{words!r} in the log", every=0.1)


def real_deadlock():
    """The mover has the first row and waits for the second; the other has the second and wants the first. The other
    has changed far more, so it is the mover that is rolled back."""
    account, rows, (first, second) = copied("embrace")
    before = scene.snapshot(account)
    with Session(two) as other, Session(two) as watch:
        other.run("START TRANSACTION", "INSERT INTO scratch.heavy SELECT seq FROM scratch.seq_1_to_20000",
                  f"SELECT 1 FROM {rows} AND id = {second} FOR UPDATE")
        process = scene.start_move(account, two)
        # InnoDB makes this table anew only for who has not looked at it for 0.1 s.
        wait_for(lambda: waiting(watch), 60, "the mover to wait for the second row", every=0.3)
        other.run(f"SELECT 1 FROM {rows} AND id = {first} FOR UPDATE")
        said("deadlock")
        other.release()
    moved_clean(finished(process), before, account, one, two, "a real deadlock")
    says(subprocess.CompletedProcess([], 0, newest_log(), ""), "trying again", "  the transaction was begun anew")


def locked_for_a_step():
    """Longer than the transaction is tried."""
    account, rows, (first, _) = copied("patient")
    before = scene.snapshot(account)
    with Session(two) as other:
        other.run("START TRANSACTION", f"SELECT 1 FROM {rows} AND id = {first} FOR UPDATE")
        process = scene.start_move(account, two)
        said("it is run again")
        other.release()
    moved_clean(finished(process), before, account, one, two, "a row that is locked for long: the step is run again")


def locked_in_the_window():
    """Longer than the transaction is tried: that window leads back, and another one follows."""
    account, rows, _ = copied("window")
    held = Held(scene, account, two, "fence:recorded")
    held.wait()
    with Session(two) as other:
        item = wait_for(lambda: other.run(f"SELECT MIN(id) FROM {rows} AND type = 5")[0][0], 10, "the copy")
        one.user(account, "unread", item=item)
        before = scene.snapshot(account)
        other.run("START TRANSACTION", f"SELECT 1 FROM {rows} AND id = {item} FOR UPDATE")
        held.go_on()
        wait_for(lambda: "undone" in fences(account), 60, "the window to be undone", every=0.1)
        other.release()
    moved_clean(held.finish(), before, account, one, two, "a row that is locked in the window: another one follows")


def locked_for_ever():
    """It ends, and says why."""
    account, rows, (first, _) = copied("never")
    before = scene.snapshot(account)
    with Session(two) as other:
        other.run("START TRANSACTION", f"SELECT 1 FROM {rows} AND id = {first} FOR UPDATE")
        result = scene.move(account, two)
    led_back(result, before, account, "a row that stays locked", status=1)
    says(result, "gave up waiting for a lock that another session holds", "  it says so")


def fences(account):
    with Session(one) as session:
        return [state.decode() for state, in
                session.run(f"SELECT state FROM zxmove.fence WHERE account_id = '{account}'")]


def finished(process):
    """CompletedProcess."""
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


try:
    short_timeouts(lab, lease=30, timeout=60)  # half of it a mover waits for a lock, which an embrace must outlast
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    for store in (one, two):
        with Session(store) as session:
            session.run("CREATE DATABASE scratch", "CREATE TABLE scratch.heavy (n INT)",
                        "CREATE TABLE scratch.broken (place VARCHAR(64) PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=0")
    exits(scene.move(scene.mailbox("first", one, messages=1, rich=False), two), 0, "a move, which makes the tables")

    # Each kind of statement on each table of ours, on both stores.
    for number, name in ((DEADLOCK, "deadlock"), (LOCK_WAIT, "lock wait")):
        account = scene.mailbox(name, one, messages=5)
        before = scene.snapshot(account)
        for store in (one, two):
            break_once(store, number)
        result = scene.move(account, two)
        places = broken(one) | broken(two)
        moved_clean(result, before, account, one, two, f"{name}, once everywhere")
        ok({"claim_insert", "claim_update", "claim_delete", "fence_insert", "fence_update", "staged_insert",
            "reservation_insert", "step_insert", "moved_insert", "operation_update"} <= places,
           "  it met them") or is_(sorted(places), [], "  what it met")
        ok(newest_log().count("planted") >= len(places), "  and says so in its log")

    real_deadlock()
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        file.write(text.replace("net_timeout: 60s", "net_timeout: 2s"))
    locked_for_a_step()
    locked_in_the_window()
    locked_for_ever()
finally:
    lab.stop()
done()
