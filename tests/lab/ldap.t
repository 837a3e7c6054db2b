#!/usr/bin/python3
"""The LDAP master ends in the window, before the commit and after it, and is back a moment later or when the mover has
given up: before, the user is where they were, after, where they went; nobody is left out but while nothing can be
written, and the message says so."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.held import hold_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

BEFORE = ("fence:recorded", "fence:locked", "prove:applied")
AFTER = ("commit:done", "open:answered")


def broken(points, later):
    """The master ends while moves stand at these points."""
    when = "mended later" if later else "mended at once"
    before, held = hold_all(scene, {"LDAP master": (one, two)}, points, when)
    lab.slapd.kill()
    for _, _, move in held:
        move.go_on()
    if not later:
        lab.slapd.start()
    results = [move.finish() for _, _, move in held]
    if later:
        lab.slapd.start()
    for (name, _, move), result in zip(held, results):
        verdict(name, move, result, before, later)


def verdict(name, move, result, before, later):
    """Of one move."""
    moved = move.point in AFTER or (not later and result.returncode == 0)  # it may be back before it is missed
    if later:
        ok(result.returncode != 0, f"{name}: exit status tells of it")
        says(result, f"doRecover accounts {scene.addresses[move.account]}", f"{name}: the message says what to run")
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[move.account], "dry_run", "false"), 0,
              f"{name}: doRecover")
    else:
        is_(result.returncode == 0, moved, f"{name}: exit status")
    is_(account_status(lab, move.account), ("active", "enabled"), f"{name}: the user is in, with the old status")
    findings = (check_move(lab, before, move.account, one, two) if moved
                else check_unmoved(lab, before, move.account))
    if not findings_none(findings, f"{name}: the checker finds nothing"):
        diag(result.stdout + result.stderr)


lab = Lab.create("ldap", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 8s\n")
    broken(BEFORE + AFTER, later=False)
    broken(BEFORE[:-1] + AFTER, later=True)  # from the proof on it is a commit in doubt, which is another test's
finally:
    lab.stop()
done()
