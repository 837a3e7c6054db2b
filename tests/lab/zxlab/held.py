"""held.py - moves that stand still at a point of their way while a test breaks something.

    held = Held(scene, account, destination, "fence:applied")
    held.wait()
    store.mariadb_kill()
    held.go_on()
    result = held.finish()"""

import contextlib
import os
import subprocess

from .check import Expect
from .tap import SLOW, wait_for


class Held:
    """A move waiting at one of the product's failpoints (core/base/failpoint.h), each time or the nth; `also` names
    others and what they do, `words` are more of its line."""

    _count = 0

    def __init__(self, scene, account, destination, point, also=None, words=(), nth="", **options):
        Held._count += 1
        # A shared laboratory sees many tests, one after the other and side by side.
        self.gate = os.path.join(scene.lab.dir, "run", f"gate-{os.getpid()}-{Held._count}")
        self.account, self.destination, self.point = account, destination, point
        self.process = scene.start_move(account, destination, *words, fail=",".join(filter(None, [f"{point}=wait{nth}", also])),
                                        env={"ZX_FAIL_FILE": self.gate}, **options)

    def wait(self, seconds=60):
        """Until it stands there; its words if it ended instead."""
        def there():
            if self.process.poll() is not None:
                raise RuntimeError(f"the move to be held at {self.point} ended: {self.process.communicate()}")
            return os.path.exists(f"{self.gate}.reached")
        wait_for(there, seconds, f"a move to reach {self.point}")

    def go(self):
        """Lets it go on, to its end; CompletedProcess."""
        self.go_on()
        return self.finish()

    def go_on(self):
        """Lets it go on."""
        with open(self.gate, "w", encoding="ascii"):
            pass

    def finish(self, seconds=240):
        """Waits for its end; CompletedProcess."""
        out, err = self.process.communicate(timeout=SLOW * seconds)
        for path in (self.gate, f"{self.gate}.reached"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, out, err)


def durable(lab):
    """What the test itself wrote so far survives the killing of a database."""
    for store in lab.stores:
        with store.db() as connection:
            store.flush(connection)


def take_all(lab):
    """A store takes as many mailboxes at a time as a test may hold there."""
    with open(lab.conf_path, "r+", encoding="utf-8") as conf:
        if "max_in_flight" not in conf.read():
            conf.write("max_in_flight: 64\n")


def hold_all(scene, ways, points, word):
    """A small mailbox for each of `ways` {what: (from, to)} and each of `points`, its move held there:
    (snapshot of all, [(name, way, Held)])."""
    take_all(scene.lab)
    found = []
    for way, (source, destination) in ways.items():
        for point in points:
            account = scene.mailbox(f"held{len(scene.addresses)}", source, messages=4)
            found.append((f"{way} gone at {point}, {word}", way, account, point))
    durable(scene.lab)
    before = scene.snapshot(*(account for _, _, account, _ in found))
    held = [(name, way, Held(scene, account, ways[way][1], point)) for name, way, account, point in found]
    for _, _, move in held:
        move.wait()
    return before, held


class BrokenEnds:
    """Store one loses its database, store three its mailboxd: `ways` names, by what is broken for them, the
    moves between these and store two."""

    def __init__(self, one, two, three):
        self.one, self.three = one, three
        self.ways = {"database of the source": (one, two), "database of the destination": (two, one),
                     "mailboxd of the source": (three, two), "mailboxd of the destination": (two, three)}

    def broken(self):
        """Both end."""
        self.one.mariadb_kill()
        self.three.mailboxd_kill()

    def mended(self):
        """Both come back."""
        self.one.mariadb_start()
        self.three.mailboxd_start()

    @staticmethod
    def expected(way):
        """A source whose mailboxd was started anew has no lock-out any more: it is not home, and opens nothing."""
        return Expect(locked="mailboxd of the source" not in way)
