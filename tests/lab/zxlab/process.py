"""A server process that outlives whoever started it: found again by its pid file, and only if pid
and start time still name the same process, so that a recycled pid is never signalled."""

import glob
import os
import signal
import subprocess
import time

from .tap import SLOW


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


def _alive(pid, started):
    try:
        os.waitpid(pid, os.WNOHANG)  # our own child would stay a zombie
    except ChildProcessError:
        pass
    return start_time(pid) == started


def _signal(victims, number):
    for pid, started in victims:
        if _alive(pid, started):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def _states(pid):
    """What its threads do, as in proc(5)."""
    states = []
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path, "rb") as file:
                states.append(file.read().rpartition(b")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return states


def _stands_still(pid):
    """Whether every thread is stopped: SIGSTOP reaches them one by one."""
    return all(state in (b"T", b"t", b"Z", b"X") for state in _states(pid))


def _is_paused(pid):
    """Whether somebody has stopped it with a signal: not a debugger, which does so for a moment."""
    return b"T" in _states(pid)


def _gone(victims, seconds):
    deadline = time.monotonic() + seconds
    while any(_alive(pid, started) for pid, started in victims):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def stop_all(processes, number=signal.SIGTERM, seconds=30):
    """Ends several at once with a signal, everything below them too; what is left then is killed."""
    victims = [victim for process in processes for victim in process._victims()]
    _signal(victims, number)
    # A paused one could not end. Nobody else gets this signal: it would take the SIGSTOP away by which a sanitizer
    # at its end holds the program it looks through for leaks, and the two would wait for each other.
    _signal([victim for victim in victims if _is_paused(victim[0])], signal.SIGCONT)
    if not _gone(victims, SLOW * seconds):
        _signal(victims, signal.SIGKILL)
        if not _gone(victims, SLOW * 10):
            raise ServerError(f"cannot be killed: {victims}")
    for process in processes:
        if os.path.exists(process.pid_file):
            os.unlink(process.pid_file)


def found_in(directory):
    """The processes that have a pid file in a directory, whoever started them; only to be stopped."""
    return [Process(os.path.basename(path), None, path, None, None)
            for path in sorted(glob.glob(os.path.join(directory, "*.pid")))]


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
        return (pid, started) if _alive(pid, started) else None

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
        deadline = time.monotonic() + SLOW * self.seconds
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
        """Sends one signal to it alone, if it runs."""
        if self.pid:
            os.kill(self.pid, number)

    def pause(self):
        """Stops it and what is below it in mid-step: connections stay open, nothing is answered.
        Returns when no thread runs any more."""
        victims = self._victims()
        _signal(victims, signal.SIGSTOP)
        deadline = time.monotonic() + SLOW * 10
        while not all(_stands_still(pid) for pid, _ in victims):
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} does not stop")
            time.sleep(0.001)

    def cont(self):
        """Lets a paused one go on."""
        _signal(self._victims(), signal.SIGCONT)

    def stop(self, seconds=30):
        """Asks it to end, with everything below it, and waits; whatever is left then is killed."""
        stop_all([self], signal.SIGTERM, seconds)

    def kill(self):
        """As a crash: SIGKILL, sessions included."""
        stop_all([self], signal.SIGKILL)

    def _victims(self):
        """It and everything below it, as (pid, start time). To be asked before it gets a signal:
        children of the dead are nobody's."""
        identity = self._identity()
        if not identity:
            return []
        below = [(pid, start_time(pid)) for pid in descendants(identity[0])]
        return [identity, *(victim for victim in below if victim[1] is not None)]

    def _log_end(self):
        with open(self.log, "rb") as file:
            return file.read()[-2000:].decode("utf-8", "replace").strip() or "its log is empty"
