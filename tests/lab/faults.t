#!/usr/bin/python3
"""Databases killed and ssh cut off at every point of the window before the commit, at either end, mended a moment later
and mended when all is over: the user is back where they were, and the message says what to do."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.held import Held, durable, take_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

POINTS = ("fence:recorded", "fence:status", "fence:locked", "delta:applied", "prove:applied")


def fence_state(account, store):
    """The state in the last fence row of an account on a store."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state FROM zxmove.fence WHERE account_id = %s ORDER BY changed DESC LIMIT 1", (account,))
        row = cursor.fetchone()
        return row[0].decode() if row else None


def break_servers():
    """Store one loses its database, store three its ssh."""
    one.mariadb_kill()
    three.sshd_kill()


def mend_servers():
    """Both come back."""
    one.mariadb_start()
    three.sshd_start()


def in_the_window(ways, later):
    """Moves held at every point of the window; then servers break. `ways`: {what: (from, to)}; `later`: they are
    mended when all is over."""
    when = "mended later" if later else "mended at once"
    names = {f"{way} gone at {point}, {when}": (way, point) for way in ways for point in POINTS}
    accounts = {name: scene.mailbox(f"{when[7:]}{number}".replace(" ", ""), ways[way][0], messages=4)
                for number, (name, (way, _)) in enumerate(names.items())}
    durable(lab)
    before = scene.snapshot(*accounts.values())
    held = {name: Held(scene, accounts[name], ways[way][1], point) for name, (way, point) in names.items()}
    for one_held in held.values():
        one_held.wait()
    break_servers()
    for one_held in held.values():
        one_held.go_on()
    if not later:
        mend_servers()
    results = {name: one_held.finish() for name, one_held in held.items()}
    if later:
        mend_servers()
    for name, result in results.items():
        led_back_from(name, result, accounts[name], before, ways[names[name][0]][0], later)


def led_back_from(name, result, account, before, source, later):
    """The verdict of one move."""
    ok(result.returncode != 0, f"{name}: exit status tells of the failure")
    is_(account_status(lab, account), ("active", "enabled"), f"{name}: the user is in again, before any recovery")
    if later:
        says(result, f"doRecover accounts {scene.addresses[account]}", f"{name}: the message says what to run")
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
              f"{name}: doRecover")
    is_(fence_state(account, source), "undone", f"{name}: the record says that it is undone")
    if not findings_none(check_unmoved(lab, before, account), f"{name}: everything is as it was"):
        diag(result.stdout + result.stderr)


lab = Lab.create("faults", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    one, two, three = lab.stores
    scene = Scene(lab)
    take_all(lab)
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("net_timeout: 8s\n")  # what a recovery waits for requests of a mover that is gone
    for later in (False, True):
        in_the_window({"source's database": (one, two), "destination's database": (two, one),
                       "ssh to the source": (three, two), "ssh to the destination": (two, three)}, later)
finally:
    lab.stop()
done()
