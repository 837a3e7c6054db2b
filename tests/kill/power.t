#!/usr/bin/python3
"""The power goes: mover and both databases end in the same moment, and of what was committed MariaDB has on disk only
what somebody saw to (doc/platform.md 9.3, hazard 36). Then doRecover: nothing lost, one home, no user left out."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.held import Held, durable, hold_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, short_timeouts  # noqa: E402
from zxlab.tap import diag, done, is_  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

BACK = ("fence:status", "fence:locked", "prove:applied")
FORWARD = ("commit:committing", "commit:done", "open:status")
RESTARTED = Expect(servers_changed=True)


def write_no_log():
    """A server writes its log once a second, and the test has no way to be quick enough: so seldom that it is never."""
    for store in lab.stores:
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_flush_log_at_timeout = 2700")


def power_cut(moves):
    for store in lab.stores:
        store.mariadb_kill()
    for move in moves:
        move.process.kill()
    for move in moves:
        move.finish()
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[moves[0].account], "dry_run", "false"), 69,
          "no database can be asked: doRecover does not take that for nothing to do")
    for store in lab.stores:
        store.mariadb_start()


def source_alone():
    """The source loses its power when the last record of a move was written there: what that was made from is gone by
    then at the destination."""
    account = scene.mailbox("alone", one, messages=4)
    before = scene.snapshot(account)
    durable(lab)
    held = Held(scene, account, two, "settle:recorded")
    held.wait()
    one.mariadb_kill()
    one.mariadb_start()
    result = held.go()
    exits(result, 0, "the source alone: the move goes on")
    with Sql(one) as sql:
        is_(sql.text(f"SELECT state, blobs > 0 FROM zxmove.moved WHERE account_id = '{account}'"), [("kept", "1")],
            "the source alone: the old copy has its record")
    findings_none(check_move(lab, before, account, one, two, RESTARTED), "the source alone: it has moved")


lab = Lab.create("power", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab)
    short_timeouts(lab, timeout=5)
    write_no_log()
    before, held = hold_all(scene, {"power": (one, two)}, BACK + FORWARD, "back later")
    power_cut([move for _, _, move in held])
    for name, _, move in held:
        account = move.account
        result = lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
        exits(result, 0, f"{name}: recovered")
        is_(account_status(lab, account), ("active", "enabled"), f"{name}: the user is in")
        findings = (check_unmoved(lab, before, account, expect=RESTARTED) if move.point in BACK else
                    check_move(lab, before, account, one, two, RESTARTED))
        findings_none(findings, f"{name}: {'everything is as it was' if move.point in BACK else 'it has moved'}")\
            or diag(result.stdout + result.stderr)
    write_no_log()  # they were started anew
    source_alone()
finally:
    lab.stop()
done()
