"""What the tests of the shell share: a place of their own and the built program in it."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
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

    def run(self, *words, stdin=b"", timeout=30, **env):
        """Runs the program to its end; text comes as str."""
        result = subprocess.run([PROGRAM, *words], input=stdin, capture_output=True, timeout=timeout,
                                env={**self.env, **env}, check=False)
        result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()
        return result
