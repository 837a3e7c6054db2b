"""A server process that outlives whoever started it: found again by its pid file, and only if pid
and start time still name the same process, so that a recycled pid is never signalled."""

import os
import signal
import subprocess
import time


# The process writes its pid file itself before it becomes the server: whoever started it may be killed
# at any moment, and the next one must still find it. Fields of stat: 1 pid, 22 start time.
_RECORD_AND_RUN = """cut -d' ' -f1,22 "/proc/$$/stat" >"$0.new" && mv "$0.new" "$0" && exec "$@" """


class ServerError(RuntimeError):
    """A server that did not start, or did not become ready in time; quotes the end of its log."""


def start_time(pid):
    """Start of a process in clock ticks since boot, None if there is none (or only a zombie)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def descendants(pid):
    """All processes below `pid`. sshd's sessions leave its process group, so the group is no guide."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


class Process:
    """One server: `argv` is run in a session of its own, output to `log`, identity in `pid_file`.
    `ready()` answers whether it serves."""

    def __init__(self, name, argv, pid_file, log, ready, seconds=20):
        self.name = name
        self.argv = argv
        self.pid_file = pid_file
        self.log = log
        self.ready = ready
        self.seconds = seconds

    def _identity(self):
        """(pid, start time) from the pid file if that process is alive, else None."""
        try:
            with open(self.pid_file, encoding="ascii") as file:
                pid, started = (int(word) for word in file.read().split())
        except (FileNotFoundError, ValueError):
            return None
        return (pid, started) if self._alive(pid, started) else None

    @staticmethod
    def _alive(pid, started):
        try:
            os.waitpid(pid, os.WNOHANG)  # our own child would stay a zombie
        except ChildProcessError:
            pass
        return start_time(pid) == started

    @property
    def pid(self):
        """Its pid, None if it does not run."""
        identity = self._identity()
        return identity[0] if identity else None

    def launch(self):
        """Starts it without waiting until it serves; a running one is left alone."""
        if self.pid:
            return
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)
        with open(self.log, "ab") as log:
            child = subprocess.Popen(["/bin/sh", "-c", _RECORD_AND_RUN, self.pid_file, *self.argv()],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True, cwd="/")
        while not os.path.exists(self.pid_file) and child.poll() is None:
            time.sleep(0.001)

    def wait_ready(self):
        """Waits until it serves."""
        deadline = time.monotonic() + self.seconds
        while not self.ready():
            if not self.pid:
                raise ServerError(f"{self.name} ended: {self._log_end()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} does not serve: {self._log_end()}")
            time.sleep(0.02)

    def start(self):
        """Starts it and waits until it serves."""
        self.launch()
        self.wait_ready()

    def signal(self, number):
        """Sends one signal, if it runs."""
        if self.pid:
            os.kill(self.pid, number)

    def pause(self):
        """Stops it in mid-step: connections stay open, nothing is answered."""
        self.signal(signal.SIGSTOP)

    def cont(self):
        """Lets a paused one go on."""
        self.signal(signal.SIGCONT)

    def stop(self, seconds=30):
        """Asks it to end, with everything below it, and waits; whatever is left then is killed."""
        self._end(signal.SIGTERM, seconds)

    def kill(self):
        """As a crash: SIGKILL, sessions included."""
        self._end(signal.SIGKILL, 10)

    def _end(self, number, seconds):
        identity = self._identity()
        if identity:
            victims = [(pid, start_time(pid)) for pid in descendants(identity[0])]
            victims.insert(0, identity)
            self._signal_all(victims, number)
            self._signal_all(victims, signal.SIGCONT)  # a paused one could not end
            if not self._gone(victims, seconds):
                self._signal_all(victims, signal.SIGKILL)
                if not self._gone(victims, 10):
                    raise ServerError(f"{self.name} cannot be killed")
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)

    def _signal_all(self, victims, number):
        for pid, started in victims:
            if started is not None and self._alive(pid, started):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass

    def _gone(self, victims, seconds):
        deadline = time.monotonic() + seconds
        while any(s is not None and self._alive(p, s) for p, s in victims):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _log_end(self):
        with open(self.log, "rb") as file:
            return file.read()[-2000:].decode("utf-8", "replace").strip() or "its log is empty"
