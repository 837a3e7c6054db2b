#!/usr/bin/python3
"""What breaks after the commit and stays broken until the mover has given up: the destination is home all the same; the
user is in as soon as the destination serves, and the message says what finishes the move."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move  # noqa: E402
from zxlab.held import BrokenEnds, hold_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, says  # noqa: E402
from zxlab.tap import diag, done, is_  # noqa: E402


def mended_later(ways, points, break_it, mend_it):
    """It is back only when the movers have ended."""
    before, held = hold_all(scene, ways, points, "mended later")
    break_it()
    for _, _, move in held:
        move.go_on()
    results = [move.finish() for _, _, move in held]
    for (name, way, move), result in zip(held, results):
        source, destination = ways[way]
        is_(home(lab, move.account).name, destination.name, f"{name}: the destination is home")
        user_was_in = move.point == "open:status"
        if "destination" in way and not user_was_in:
            exits(result, 69, f"{name}: exit status tells of it")
            is_(account_status(lab, move.account), ("maintenance", "enabled"),
                f"{name}: nobody is let in where nothing serves")
            says(result, f"doRecover accounts {scene.addresses[move.account]}", f"{name}: the message says what to run")
        else:
            is_(account_status(lab, move.account), ("active", "enabled"), f"{name}: the user is in")
            exits(result, 5 if "doRecover" in result.stdout else 0, f"{name}: exit status")
            says(result, (source if "source" in way else destination).name, f"{name}: the message names the store")
    mend_it()
    for (name, way, move), result in zip(held, results):
        if "doRecover" in result.stdout:
            exits(lab.zxmove("doRecover", "accounts", scene.addresses[move.account], "dry_run", "false"), 0,
                  f"{name}: doRecover")
        is_(account_status(lab, move.account), ("active", "enabled"), f"{name}: the user is in at the end")
        if not findings_none(check_move(lab, before, move.account, *ways[way], BrokenEnds.expected(way)),
                             f"{name}: forward, the checker finds nothing"):
            diag(result.stdout + result.stderr)


lab = Lab.create("gone", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    scene, ends = Scene(lab), BrokenEnds(*lab.stores)
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("net_timeout: 8s\n")
    mended_later(ends.ways, ("commit:done", "open:answered", "open:status"), ends.broken, ends.mended)
finally:
    lab.stop()
done()
