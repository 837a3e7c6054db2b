"""A test script's output in TAP, and how it waits: for a condition, with a deadline, never a sleep
that hopes.

    from zxlab.tap import ok, is_, done
    is_(rows, 7, "seven rows")
    done()
"""

import sys
import threading
import time
import traceback

_count = 0
_failed = 0
_lock = threading.Lock()  # cases may run side by side (moves.side_by_side)


def ok(condition, name):
    """One test: passed if `condition` is true. Returns it, so that a script can stop early."""
    global _count, _failed
    with _lock:
        _count += 1
        if not condition:
            _failed += 1
        print(f"{'ok' if condition else 'not ok'} {_count} - {name.replace('#', '')}", flush=True)
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
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def skip_all(reason):
    """The whole script cannot run here, and why."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def done():
    """The plan, at the end, because a script that died must not look complete."""
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed or not _count else 0)


def wait_for(condition, seconds, what, every=0.02):
    """Asks `condition()` until it is true and returns its value; TimeoutError names `what`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(every)
