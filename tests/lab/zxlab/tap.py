"""A test script's output in TAP, and how it waits: for a condition, with a deadline, never a sleep
that hopes.

    from zxlab.tap import ok, is_, done
    is_(rows, 7, "seven rows")
    done()
"""

import os
import sys
import threading
import time
import traceback

_count = 0
_failed = 0
_lock = threading.Lock()  # cases may run side by side (moves.side_by_side)

# What somebody has set for their own zxmove is not what is tested.
for _name in [name for name in os.environ if name.startswith("ZXMOVE_") or name == "NO_COLOR"]:
    del os.environ[_name]

SLOW = 6  # so many times as long as on a quick, idle machine anything may take before it is given up


def ok(condition, name):
    """One test: passed if `condition` is true. Returns it, so that a script can stop early."""
    global _count, _failed
    with _lock:
        _count += 1
        if not condition:
            _failed += 1
        _say(f"{'ok' if condition else 'not ok'} {_count} - {name.replace('#', '')}\n")
    if not condition:
        caller = traceback.extract_stack(limit=3)
        frame = next(f for f in reversed(caller) if f.filename != __file__)
        diag(f"failed at {frame.filename} line {frame.lineno}")
    return bool(condition)


def is_(got, expected, name):
    """One test: passed if both are equal; says both if not."""
    if not ok(got == expected, name):
        diag(f"     got: {got!r}")
        diag(f"expected: {expected!r}")
        return False
    return True


def diag(text):
    """A remark for the person who reads the output."""
    with _lock:
        _say("".join(f"# {line}\n" for line in str(text).splitlines() or [""]))


def _say(lines):
    """Whole lines in one piece, under the lock: half a line of another case before an "ok" would hide it."""
    sys.stdout.write(lines)
    sys.stdout.flush()


def skip_all(reason):
    """The whole script cannot run here, and why."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def done():
    """The plan, at the end, because a script that died must not look complete."""
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed or not _count else 0)


def wait_for(condition, seconds, what, every=0.02):
    """Asks `condition()` until it is true and returns its value; TimeoutError names `what`. `seconds` is what it
    may take on a quick machine."""
    deadline = time.monotonic() + SLOW * seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {SLOW * seconds:g} s: {what}")
        time.sleep(every)


def comes(condition, seconds, every=0.02):
    """Whether the condition comes true within just so many seconds: where not to see it is no failure yet."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
