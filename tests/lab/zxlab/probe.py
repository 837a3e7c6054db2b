"""probe.py - how long one user, and this user's mail, was really refused: every 10 ms a log-in at the home
that the directory names, and a message offered to the store that the directory names. Confirms, from
outside, the window that the product prints."""

import threading
import time
from collections import namedtuple

from .load import Directory, Lmtp, Mail

Sample = namedtuple("Sample", "begin end ok why")

PERIOD = 0.01
SLOW = 0.1  # an attempt that hangs longer is a refusal as far as the user can tell


class Probe:
    """mail: "rcpt" offers up to RCPT and takes it back, "data" delivers (Mail's accounts of it in .mail, for
    load.check_accepted), None leaves mail alone."""

    def __init__(self, lab, account_id, mail="rcpt", login=True):
        self.lab, self.account_id, self.how = lab, account_id, mail
        self.samples = {}
        self.mail = Mail(lab, account_id) if mail == "data" else None
        attempts = [("login", self._login)] if login else []
        attempts += [("mail", self._data if mail == "data" else self._rcpt)] if mail else []
        self._stop, self._errors = threading.Event(), []
        self._threads = [threading.Thread(target=self._run, args=a, daemon=True) for a in attempts]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(360)
        if kind is None and self._errors:
            raise self._errors[0]

    def _run(self, name, prepare):
        samples = self.samples[name] = []
        try:
            attempt, due = prepare(), time.monotonic()
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                begin = time.monotonic()
                ok, why = attempt()
                end = time.monotonic()
                samples.append(Sample(begin, end, ok, why))
                due = max(due + PERIOD, end)
        except Exception as error:  # raised in the test when the probe ends
            self._errors.append(error)

    def _login(self):
        directory = Directory(self.lab, self.account_id)

        def attempt():
            try:
                answer = directory.home().user(self.account_id, "login")
            except OSError as error:
                return False, repr(error)
            return bool(answer.get("ok")), answer.get("code")
        return attempt

    def _rcpt(self):
        directory, lmtp = Directory(self.lab, self.account_id), Lmtp()
        recipient = directory.address()

        def attempt():
            code, text = lmtp.offer(directory.transport(), recipient)
            return code == 250, f"{code} {text}"
        return attempt

    def _data(self):
        waiting = []

        def attempt():
            if not waiting:
                waiting.append(self.mail.next())
            if self.mail.offer(waiting[0]):
                return self.mail.accepted.get(waiting.pop()) is not None, "5xx"
            return False, "4xx"
        return attempt

    def refusals(self):
        """[(begin, end)]: from the first attempt that was refused or hung to the end of the next that was
        not, log-in and mail together, merged where they overlap."""
        spans = sorted(span for samples in self.samples.values() for span in _spans(samples))
        merged = []
        for begin, end in spans:
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def longest_ms(self):
        return max(((end - begin) * 1000 for begin, end in self.refusals()), default=0.0)

    def surely_ms(self):
        """The longest time from the answer to an attempt that was refused to the beginning of the last of those that
        followed it and were: so long, at the least, whatever kept the probe itself waiting."""
        longest = 0.0
        for samples in self.samples.values():
            first = None
            for sample in samples:
                if sample.ok:
                    first = None
                    continue
                first = first or sample
                longest = max(longest, sample.begin - first.end)
        return longest * 1000

    def attempts(self):
        return {name: len(samples) for name, samples in self.samples.items()}

    def reasons(self):
        """Why, how often."""
        counts = {}
        for name, samples in self.samples.items():
            for sample in samples:
                if not sample.ok:
                    counts[name, sample.why] = counts.get((name, sample.why), 0) + 1
        return counts


def _spans(samples):
    begin = None
    for sample in samples:
        refused = not sample.ok or sample.end - sample.begin > SLOW
        if refused and begin is None:
            begin = sample.begin
        if sample.ok and begin is not None:
            yield begin, sample.end
            begin = None
    if begin is not None:
        yield begin, samples[-1].end
