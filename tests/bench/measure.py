"""measure.py - one run of zxmove or of a peer, timed; what zxmove's processes had in memory at most; what its own
log says of the parts of a round."""

import json
import os
import re
import statistics
import subprocess
import threading
import time

PERIOD = 0.02  # between two looks at the processes
ROUND = re.compile(r" debug .* (blobs|rows): ([0-9.]+) ms$", re.MULTILINE)


class Processor:
    """Processor time of this process and of all that it started, servers included, from a control group of its own:
    it tells what something costs where others are at work as well. Seconds since the last question; None where such
    a group cannot be had."""

    HOME = "/sys/fs/cgroup/cpuacct"

    def __init__(self):
        self.path, self.last = os.path.join(self.HOME, f"zxbench-{os.getpid()}"), 0
        try:
            os.mkdir(self.path)
            with open(os.path.join(self.path, "tasks"), "w", encoding="ascii") as tasks:
                tasks.write(str(os.getpid()))
        except OSError:
            self.path = None

    def used(self):
        if self.path is None:
            return None
        with open(os.path.join(self.path, "cpuacct.usage"), encoding="ascii") as usage:
            now = int(usage.read()) / 1e9
        used, self.last = now - self.last, now
        return used

    def end(self):
        """The group goes when nobody is left in it; this process goes back where it was."""
        if self.path is not None:
            with open(os.path.join(self.HOME, "tasks"), "w", encoding="ascii") as tasks:
                tasks.write(str(os.getpid()))
            os.rmdir(self.path)


def timed(argv, **options):
    """Seconds that a command took; RuntimeError with what it said if it failed."""
    began = time.monotonic()
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False, **options)
    took = time.monotonic() - began
    if result.returncode:
        raise RuntimeError(f"{argv}: {result.stdout.decode(errors='replace')[-2000:]}")
    return took


def median(values):
    """Rounded to what can be believed of it."""
    return float(f"{statistics.median(values):.4g}")


class Memory:
    """The largest resident sets of zxmove and of its agents while the block runs, in KiB: {program: peak}. The
    kernel keeps the peak of each process, so that looking now and then misses only what grows at the very end."""

    def __init__(self, lab):
        self.lab, self.peak = lab, {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(PERIOD):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._look(entry)

    def _look(self, pid):
        try:
            program = os.readlink(f"/proc/{pid}/exe")
            if not program.startswith((self.lab.dir, os.path.dirname(self.lab.program))):
                return
            # An agent that was uploaded has its digest in its name.
            name = {"zxmove": "zxmove", "zxmove-agent": "agent"}.get(re.sub(r"^agent-\w+$", "zxmove-agent",
                                                                            os.path.basename(program)))
            if name is None:
                return
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))
        except (OSError, AttributeError):
            return  # it ended in this moment, or is not ours
        self.peak[name] = max(self.peak.get(name, 0), peak)


class Run:
    """What one doMailboxMove took, in seconds, and what it said of itself."""

    def __init__(self, lab, destination, accounts, *words, conf=None):
        argv = [lab.program, "--config", conf or lab.conf_path, "--json", "doMailboxMove", destination.name,
                "accounts", ",".join(accounts), *words]
        with Memory(lab) as memory:
            began = time.monotonic()
            result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            self.seconds = time.monotonic() - began
        if result.returncode:
            raise RuntimeError(f"{argv}: {result.stdout[-2000:]} {result.stderr[-2000:]}")
        self.response = json.loads(result.stdout.splitlines()[-1])["response"]
        self.memory = memory.peak
        with open(os.path.join(lab.dir, "state", "log", f"{self.response['operation']}.log"), encoding="utf-8") as log:
            parts = ROUND.findall(log.read())
        # of the first round: later ones only bring what changed
        self.parts = {}
        for name, ms in parts:
            self.parts.setdefault(name, float(ms) / 1000)
