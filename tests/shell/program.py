"""What the tests of the shell share: a place of their own and the built program in it."""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
from zxlab.tap import diag, wait_for  # noqa: E402

PROGRAM = os.path.join(ROOT, "build", os.environ.get("MODE", "asan"), "zxmove")


class Place:
    """A directory with a configuration; gone at the end."""

    def __init__(self, settings=""):
        self._directory = tempfile.TemporaryDirectory(prefix="zxmove-shell-")
        self.dir = self._directory.name
        self.conf = self.file("zxmove.yaml", f"state_dir: {self.dir}/state\n{settings}")
        self.env = {**os.environ, "HOME": self.dir, "ZXMOVE_CONFIG": self.conf, "TERM": "dumb"}

    def file(self, name, content, mode=0o600):
        """A file of this content in it; its path."""
        path = os.path.join(self.dir, name)
        with open(path, "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def run(self, *words, stdin=b"", timeout=300, **env):
        """Runs the program to its end; text comes as str."""
        result = subprocess.run([PROGRAM, *words], input=stdin, capture_output=True, timeout=timeout,
                                env={**self.env, **env}, check=False)
        result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()
        return result


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, place, *words, **env):
        # Leaks of libedit are told apart by their callers, which only the slow unwinder sees.
        env = {**place.env, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":fast_unwind_on_malloc=0", **env}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, ["zxmove", *words], env)
        self.seen = ""
        self.status = None

    def expect(self, text, seconds=120):
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
        """Keys. libedit shows its prompt just before it takes the terminal over: until then Ctrl-C and Ctrl-D would
        be the kernel's."""
        if text in "\x03\x04":
            wait_for(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, 10, "the prompt to read keys")
        os.write(self.fd, text.encode())

    def wait(self, seconds=120):
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
