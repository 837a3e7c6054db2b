#!/usr/bin/python3
"""A running move in a real terminal (tmux): its lines, a window that shrinks and grows, Ctrl-C once and twice, and what
stands there in the end. The layouts themselves: tests/unit/test_progress.c."""

import os
import shlex
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene  # noqa: E402
from zxlab.tap import diag, done, ok, wait_for  # noqa: E402
from zxlab.tmux import Window  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
files = tempfile.TemporaryDirectory(prefix="zxmove-progress-")
gates = iter(range(100))


def move(scene, columns, **env):
    """A window with a move of the domain that waits after its first copy; and how to let it go on."""
    gate = os.path.join(files.name, f"gate{next(gates)}")
    env = {"LC_ALL": "C.UTF-8", "ZX_FAIL": "copy:applied=wait", "ZX_FAIL_FILE": gate, **env}
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
    line = f"env {words} {lab.program} --config {lab.conf_path} doMailboxMove {two.name} domains {scene.domain}"
    window = Window(files.name, f"{line}; echo ended $?", columns)
    wait_for(lambda: os.path.exists(f"{gate}.reached"), 60, "the first copy to end")
    return window, lambda: open(gate, "w", encoding="ascii").close()


def good(condition, name, screen):
    """One test; the screen if it fails."""
    if not ok(condition, name):
        diag(screen)


scene = Scene(lab, strangers=False)
for number in range(3):
    scene.mailbox(f"user{number}", one, messages=20)
first = scene.address("user0")
window, go = move(scene, 100)
with window:
    # A screen may be looked at while it is drawn: what is asked of it is waited for.
    def lines_of(screen):
        lines = screen.splitlines()
        return ("100.0%" in screen and len(lines) > 1 and lines[-2][8:].startswith("  0/3 done")
                and lines[-1].startswith("[1/3] ") and "█" in lines[-1])
    screen = window.shows(lines_of, "the lines of a move")
    good(lines_of(screen), "a line for the operation, and one for the mailbox with a bar, at the end", screen)

    for columns in (60, 100):
        window.resize(columns)
        def anew(screen, columns=columns):
            lines = screen.splitlines()
            return (screen.count("0/3 done") == 1 and len(lines) > 1 and len(lines[-1]) < columns
                    and ("[1/3] " in screen) == (columns == 100) and screen.count("  copy") == 1
                    and "0/3 done" in lines[-2])
        screen = window.shows(anew, f"{columns} columns")
        good(anew(screen), f"{columns} columns: the lines are drawn anew, in the place of the old ones", screen)
    window.keys("C-c")
    screen = window.shows(lambda s: "stopping; what is begun is finished or undone first\n" in s and " done " in s, "Ctrl-C")
    good(screen.count("stopping; what is begun is finished or undone first\n") == 1 and "^C" not in screen,
         "Ctrl-C is answered above the lines", screen)
    window.keys("C-c")
    screen = window.shows(lambda s: f"\nstill waiting for: copy of {first}\n" in s and " done " in s, "a second Ctrl-C")
    good(f"\nstill waiting for: copy of {first}\n" in screen, "the second says what it waits for", screen)
    go()
    window.shows(lambda s: s.endswith("ended 130"), "the end")
    screen = window.history()
    good("3 not reached" in screen and "\nagain      doMailboxMove " in screen, "the summary stands at the end", screen)
    # Above it may stand what tmux put out of the window when it made it narrower: nobody can take that back.
    after = screen.partition("stopping;")[2]
    good(after and not [part for part in ("█", "░", "0/3 done", "ETA", "^C") if part in after],
         "and nothing of the lines is left", screen)

# A terminal without UTF-8, and without colour.
window, go = move(scene, 60, LC_ALL="C", NO_COLOR="1")
with window:
    window.shows(lambda s: "0/3 done" in s and "100.0%" in s and "]" in s.splitlines()[-1], "the lines")
    screen = window.screen("-e")
    good("\033" not in screen, "NO_COLOR: none", screen)
    good(screen.isascii() and "]" in screen.splitlines()[-1], "no UTF-8: an ASCII bar", screen)
    go()
    window.shows(lambda s: s.endswith("ended 0"), "the end")
    good("3 moved, 0 failed" in window.history() and "0/3 done" not in window.history(), "moved", window.history())
files.cleanup()
done()
