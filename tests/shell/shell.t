#!/usr/bin/python3
"""The interactive shell on a terminal: prompt, TAB, history, Ctrl-C, quit."""

import os
import pty
import select
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import PROGRAM, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, place, *words):
        # Leaks of libedit are told apart by their callers, which only the slow unwinder sees.
        env = {**place.env, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":fast_unwind_on_malloc=0"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, ["zxmove", *words], env)
        self.seen = ""
        self.status = None

    def expect(self, text, seconds=20):
        """Reads until `text` comes; what came before it and itself."""
        deadline = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
        before, found, self.seen = self.seen.partition(text)
        if not found:
            diag(f"no {text!r} in {before!r}")
        return before if found else None

    def type(self, text):
        """Keys."""
        os.write(self.fd, text.encode())

    def wait(self, seconds=30):
        """The exit status, once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


place = Place("stores: {store1.lab.test: , store2.lab.test: }\n")
os.umask(0)  # the program must not rely on it
shell = Terminal(place)
ok(shell.expect("zxmove> ") is not None, "a prompt")
shell.type("version\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "a command runs")
shell.type("bogus\r")
ok("unknown command bogus" in (shell.expect("zxmove> ") or ""), "an error is printed, and the shell goes on")
shell.type("doMa\t")
ok(shell.expect("ilboxMove ") is not None, "TAB completes a verb")
shell.type("st\t")
ok(shell.expect("ore") is not None, "as far as it is certain")
shell.type("\t\t")
ok(shell.expect("store1.lab.test  store2.lab.test") is not None, "and lists what there is")
shell.expect("zxmove> doMailboxMove store")
shell.type("\x03")
shell.expect("zxmove> ")
shell.type("version\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "Ctrl-C clears the line")
shell.type("ver\\\r")
ok(not (shell.expect("> ") or "zxmove").endswith("zxmove"), "a continued line has a prompt of its own")
shell.type("sion\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "a backslash continues the line")
shell.type("doPurgeMailboxes all\r")
ok(shell.expect("Delete these old copies for good? [y/N] ") is not None, "a purge asks first")
shell.type("n\r")
ok("nothing was deleted" in (shell.expect("zxmove> ") or ""), "and no means no")
shell.type("quit\r")
is_(shell.wait(), 0, "quit leaves")

history = f"{place.dir}/state/history"
is_(os.stat(history).st_mode & 0o777, 0o600, "the history is private")
ok("doPurgeMailboxes" in open(history, encoding="ascii").read(), "and holds what was typed")

shell = Terminal(place, "--host", "store1.lab.test")
ok(shell.expect("zxmove store1.lab.test> ") is not None, "the prompt shows where commands go")
shell.type("\x04")
is_(shell.wait(), 0, "Ctrl-D leaves")
done()
