"""load.py - a user at work and mail that arrives, while a mailbox moves; and the proof that nothing was lost.

Mail comes as from an MTA: numbered messages by LMTP to the store that the directory names at that
moment, 4xx and broken connections queued and tried again, 5xx recorded as a bounce. The user's changes go
through the control port of the home's stand-in. What was accepted is written down and must be there."""

import itertools
import random
import smtplib
import threading
import time
import uuid

from . import network, truth
from .compare import Finding
from .snapshot import BLOB_TABLES, read_copy

CHANGES = ("flag", "unread", "tag", "read", "untag", "move", "delete", "flag", "draft", "read")


class Directory:
    """Where the account lives now, on a connection of the calling thread's own."""

    def __init__(self, lab, account_id, directory=None):
        self.stores = {store.name: store for store in lab.stores}
        self.directory, self.account_id = directory or truth.Directory(lab), account_id

    def home(self):
        return self.stores[truth.one(self._entry(), "zimbraMailHost")]

    def transport(self):
        """(address, port) that an MTA would deliver to, None while the directory says nothing usable."""
        parts = truth.one(self._entry(), "zimbraMailTransport", "").split(":")
        return (self.stores[parts[1]].address, int(parts[2])) if len(parts) == 3 else None

    def address(self):
        return truth.one(self._entry(), "zimbraMailDeliveryAddress")

    def _entry(self):
        return self.directory.account(self.account_id)[1]


class Lmtp:
    """Delivers, keeping a connection to each store. Answers (code, text); a code of 0 is a broken connection,
    `sent` tells whether it broke after the message had gone out, when nobody knows."""

    def __init__(self, sender="load@elsewhere.test"):
        self.sender, self.connections, self.sent = sender, {}, False

    def offer(self, place, recipient, message=None):
        """The whole delivery; without a message only up to RCPT."""
        self.sent = False
        try:
            return self._offer(self._connection(place), recipient, message)
        except (OSError, smtplib.SMTPException) as error:
            connection = self.connections.pop(place, None)
            if connection:
                connection.close()
            return 0, repr(error)

    def _connection(self, place):
        if place not in self.connections:
            self.connections[place] = smtplib.LMTP(*place, timeout=30)
            self.connections[place].ehlo_or_helo_if_needed()
        return self.connections[place]

    def _offer(self, connection, recipient, message):
        code, text = connection.mail(self.sender)
        if code == 250:
            code, text = connection.rcpt(recipient)
        if code == 250 and message is not None:
            code, text = connection.docmd("DATA")
            if code == 354:
                self.sent = True
                connection.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                code, text = connection.getreply()
                self.sent = False
                return code, text.decode(errors="replace")
        connection.rset()
        return code, text.decode(errors="replace")

    def close(self):
        for connection in self.connections.values():
            connection.close()


class Mail:
    """Numbered messages to one account, and what became of each."""

    def __init__(self, lab, account_id, token=None, directory=None, lmtp=None):
        self.token = token or f"zxload{uuid.uuid4().hex[:10]}"
        self.directory, self.lmtp = Directory(lab, account_id, directory), lmtp or Lmtp()
        self.recipient = self.directory.address()
        self.accepted, self.bounces, self.ambiguous, self.deferred = {}, [], set(), 0
        self.number = 0

    def subject(self, number):
        return f"{self.token}-{number:06d}"

    def next(self):
        self.number += 1
        return self.number

    def offer(self, number):
        """One attempt; True when nothing is left to do for this message."""
        place = self.directory.transport()
        return self.record(number, *self.lmtp.offer(place, self.recipient, self.message(number)))

    def record(self, number, code, text):
        """What a store answered to a message; True when nothing is left to do for it."""
        if code == 250:
            self.accepted[number] = time.time()
        elif code >= 500:
            self.bounces.append((number, code, text))
        else:
            self.deferred += 1
            if self.lmtp.sent:
                self.ambiguous.add(number)
            return False
        return True

    def message(self, number):
        body = "".join(f"line {i} of message {number} of {self.token}\r\n" for i in range(3 + number * 37 % 120))
        return (f"From: load@elsewhere.test\r\nTo: {self.recipient}\r\nSubject: {self.subject(number)}\r\n"
                f"Message-ID: <{self.token}.{number}@elsewhere.test>\r\n"
                f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n\r\n{body}").encode()


class Accepted:
    """A message whose recipient a store has accepted; its text comes when the test says so."""

    def __init__(self, lab, account_id, store):
        self.mail = Mail(lab, account_id)
        self.connection = smtplib.LMTP(store.address, network.LMTP_PORT, timeout=60)
        self.connection.ehlo_or_helo_if_needed()
        self.connection.mail(self.mail.lmtp.sender)
        code, text = self.connection.rcpt(self.mail.recipient)
        if code != 250:
            raise RuntimeError(f"{self.mail.recipient}: {code} {text.decode()}")

    def send(self):
        """The text; True if it was taken."""
        number = self.mail.next()
        self.connection.docmd("DATA")
        self.connection.send(self.mail.message(number) + b".\r\n")
        code, text = self.connection.getreply()
        self.connection.close()
        self.mail.record(number, code, text.decode())
        return code == 250


class Post:
    """Mail for many accounts, each in its turn, as an MTA has it that serves a domain: what is deferred stays in
    the queue. `to` is {account id: Mail}; stop() lets the queue run empty."""

    def __init__(self, lab, accounts, rate):
        self.directory, self.lmtp, self.period = truth.Directory(lab), Lmtp(), 1.0 / rate
        self.to = {a: Mail(lab, a, directory=self.directory, lmtp=self.lmtp) for a in accounts}
        self.deleted_items = {}
        self._stop, self._errors = threading.Event(), []
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        if kind is None:
            self.stop()

    def stop(self, seconds=360):
        self._stop.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError(f"the queue did not run empty in {seconds} s")
        if self._errors:
            raise self._errors[0]

    def _guarded(self):
        try:
            self._deliver()
        except Exception as error:  # whatever it is, stop() raises it in the test
            self._errors.append(error)

    def _deliver(self):
        turn, queue, due = itertools.cycle(self.to.values()), [], time.monotonic()
        while queue or not self._stop.is_set():
            if not self._stop.is_set() and time.monotonic() >= due:
                mail = next(turn)
                queue.append((mail, mail.next()))
                due = max(due + self.period, time.monotonic() - self.period)
            queue = [(mail, number) for mail, number in queue if not mail.offer(number)]
            time.sleep(0.02 if queue else min(0.05, max(0.0, due - time.monotonic())))


class Load:
    """Runs from start() to stop(); stop() first lets the queue run empty, so that what an MTA would still
    deliver is delivered."""

    def __init__(self, lab, account_id, mails=5, changes=25, kinds=CHANGES, seed=1):
        self.lab, self.account_id, self.kinds = lab, account_id, kinds
        self.mail = Mail(lab, account_id)
        self.mails, self.changes = mails, changes
        self.done = []           # (time, what, item) of the changes that were accepted
        self.refused = {}        # code -> how often
        self.deleted_items = {}  # item id -> subject, also where the answer got lost
        self.random = random.Random(seed)
        self._stop, self._errors, self._threads = threading.Event(), [], []

    def start(self):
        for work, rate in ((self._deliver, self.mails), (self._change, self.changes)):
            if rate:
                self._threads.append(threading.Thread(target=self._guarded, args=(work, rate), daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self._stop.set()

    def stop(self, seconds=360):
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise TimeoutError(f"the queue of {self.mail.token} did not run empty in {seconds} s")
        if self._errors:
            raise self._errors[0]
        return self

    def rate(self):
        """Accepted changes a second."""
        if len(self.done) < 2:
            return 0.0
        return (len(self.done) - 1) / (self.done[-1][0] - self.done[0][0])

    def _guarded(self, work, rate):
        try:
            work(1.0 / rate)
        except Exception as error:  # whatever it is, stop() raises it in the test
            self._errors.append(error)

    def _deliver(self, period):
        queue, due = [], time.monotonic()
        while queue or not self._stop.is_set():
            if not self._stop.is_set() and time.monotonic() >= due:
                queue.append(self.mail.next())
                due = max(due + period, time.monotonic() - period)
            queue = [number for number in queue if not self.mail.offer(number)]
            wait = 0.02 if queue or self._stop.is_set() else max(0.0, due - time.monotonic())
            time.sleep(min(wait, 0.05))

    def _change(self, period):
        directory, due, turn = Directory(self.lab, self.account_id), time.monotonic(), 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + period, time.monotonic() - 4 * period)
            self._one_change(directory.home(), self.kinds[turn % len(self.kinds)])
            turn += 1

    def _one_change(self, store, what):
        item = subject = None
        if what == "delete":
            item, subject = self._victim(store)
            if item is None:
                return
        try:
            answer = store.user(self.account_id, what, item=item)
        except OSError as error:
            answer = {"ok": False, "code": type(error).__name__}
            if what == "delete":  # nobody knows: the message may be there or not
                self.deleted_items[item] = subject
        if not answer.get("ok"):
            self.refused[answer.get("code")] = self.refused.get(answer.get("code"), 0) + 1
            return
        self.done.append((time.monotonic(), what, answer.get("item", item)))
        if what == "delete":
            self.deleted_items[item] = subject

    def _victim(self, store):
        """Some message to delete, known by its subject, so that it is known later what was lost on purpose."""
        with truth.Sql(store) as sql:
            found = sql.mailbox(self.account_id)
            if found is None:
                return None, None
            rows = sql.query(f"SELECT id, subject FROM mboxgroup{found[1]}.mail_item WHERE mailbox_id = {found[0]}"
                             " AND type = 5 AND folder_id <> 6 ORDER BY id DESC LIMIT 40")
        if not rows:
            return None, None
        item, subject = self.random.choice(rows)
        return int(item), (subject or b"").decode(errors="replace")


def check_accepted(load, lab, store, deleted_by=None):
    """Every message that was accepted is at the home exactly once, row and blob, unless a load deleted it
    (`load` itself, or the Load deleted_by); none bounced. `load` is a Load or a Mail; `store` the home."""
    mail = getattr(load, "mail", load)
    deleted = set(getattr(deleted_by or load, "deleted_items", {}).values())
    findings = [Finding("bounce", f"message {n}: {code} {text}") for n, code, text in mail.bounces]
    copy = read_copy(lab, store, mail.directory.account_id)
    if copy is None:
        return findings + [Finding("mail-lost", f"no mailbox on {store.name}")]
    rows = {}
    for row in copy.dicts("group.mail_item"):
        subject = (row["subject"] or b"").decode(errors="replace")
        if subject.startswith(mail.token):
            rows.setdefault(subject, []).append(row)
    for number in mail.accepted:
        found = rows.pop(mail.subject(number), [])
        if mail.subject(number) in deleted:
            continue
        most = 2 if number in mail.ambiguous else 1
        if not found:
            findings.append(Finding("mail-lost", f"message {number} was accepted and is not there"))
        elif len(found) > most:
            findings.append(Finding("mail-twice", f"message {number} is there {len(found)} times"))
        findings += [f for row in found for f in _blob(copy, row, mail, number)]
    for subject in rows:
        number = int(subject.rsplit("-", 1)[1])
        if number not in mail.ambiguous:
            findings.append(Finding("mail-twice", f"{subject} is there and was never accepted"))
    return findings


def _blob(copy, row, mail, number):
    column = BLOB_TABLES["group.mail_item"]
    volume = copy.volumes[int(row["locator"])]
    path = f"{volume.mailbox_dir(copy.mailbox_id)}/{volume.blob(int(row[column]), int(row['mod_content']))}"
    file = copy.files.get((volume.id, volume.blob(int(row[column]), int(row["mod_content"]))))
    if file is None:
        yield Finding("mail-lost", f"message {number}: {path} is not there")
        return
    digest, length = truth.blob_content(file, int(row["size"]))
    if (digest, length) != (row["blob_digest"].decode(), int(row["size"])):
        yield Finding("mail-altered", f"message {number}: {path} is not what the row says")
    elif f"<{mail.token}.{number}@elsewhere.test>".encode() not in truth.read_blob(path):
        yield Finding("mail-altered", f"message {number}: {path} is another message")
