"""tmux.py - a real terminal to look at: tmux, on a server of its own.

    with Window(directory, "zxmove help", columns=60) as window:
        window.shows(lambda screen: "doMailboxMove" in screen)"""

import os
import subprocess
import tempfile

from .tap import diag, wait_for


class Window:
    """A terminal with one command in it; stays when that ends, until `close`."""

    def __init__(self, directory, command, columns=100, rows=30):
        self._socket = tempfile.mktemp(prefix="tmux", dir=directory)  # the directory is ours alone
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), f"{command}; read end")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def tmux(self, *words, check=True):
        """One command of tmux; its output."""
        return subprocess.run(["tmux", "-S", self._socket, *words], check=check, capture_output=True, text=True,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}, timeout=120).stdout

    def keys(self, *names):
        """Keys by name: C-c, Enter."""
        self.tmux("send-keys", *names)

    def type(self, text):
        """Letters, as they are."""
        self.tmux("send-keys", "-l", "--", text)

    def resize(self, columns, rows=30):
        """Gives it another size."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, *options):
        """What is on it, without the blank end."""
        return self.tmux("capture-pane", "-p", *options).rstrip("\n")

    def history(self):
        """The same, and all that has scrolled out of it."""
        return self.screen("-S", "-")

    def shows(self, condition, what, seconds=30):
        """Waits until the screen is so; that screen, not one that came after it."""
        seen = []
        try:
            wait_for(lambda: seen.append(self.screen()) or condition(seen[-1]), seconds, what)
        except TimeoutError as error:
            diag(f"{error}\n{seen[-1]}")
        return seen[-1]

    def close(self):
        """Ends the command and the server."""
        self.tmux("kill-server", check=False)
