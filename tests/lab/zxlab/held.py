"""held.py - moves that stand still at a point of their way while a test breaks something.

    held = Held(scene, account, destination, "fence:applied")
    held.wait()
    store.mariadb_kill()
    held.go_on()
    result = held.finish()"""

import contextlib
import os
import subprocess

from .tap import wait_for


class Held:
    """A move waiting at one of the product's failpoints (core/base/failpoint.h); `also` names others and what
    they do."""

    _count = 0

    def __init__(self, scene, account, destination, point, also=None, **options):
        Held._count += 1
        # A shared laboratory sees many tests, one after the other and side by side.
        self._gate = os.path.join(scene.lab.dir, "run", f"gate-{os.getpid()}-{Held._count}")
        self.account, self.destination, self.point = account, destination, point
        self.process = scene.start_move(account, destination, fail=",".join(filter(None, [f"{point}=wait", also])),
                                        env={"ZX_FAIL_FILE": self._gate}, **options)

    def wait(self, seconds=60):
        """Until it stands there; its words if it ended instead."""
        def there():
            if self.process.poll() is not None:
                raise RuntimeError(f"the move to be held at {self.point} ended: {self.process.communicate()}")
            return os.path.exists(f"{self._gate}.reached")
        wait_for(there, seconds, f"a move to reach {self.point}")

    def go(self):
        """Lets it go on, to its end; CompletedProcess."""
        self.go_on()
        return self.finish()

    def go_on(self):
        """Lets it go on."""
        with open(self._gate, "w", encoding="ascii"):
            pass

    def finish(self, seconds=240):
        """Waits for its end; CompletedProcess."""
        out, err = self.process.communicate(timeout=seconds)
        for path in (self._gate, f"{self._gate}.reached"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, out, err)
