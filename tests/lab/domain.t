#!/usr/bin/python3
"""A provider's domain on three stores: many mailboxes, most of them small, some of every kind that stays where it is,
moved under live delivery; interrupted, killed, recovered on the way. In the end every healthy mailbox is proven by
the checker, every other one is reported with its cause, and the totals add up. Then A to B to C to A, and two
administrators on two hosts at once. DOMAIN=300 is `make domain`; CI moves 60 with the same mix.

The ways in which a mailbox can be broken, or have nowhere to go (commands.md 4 and 9, zimbra.md 9), and who is so here:

    a blob cannot be read (EIO)            x-eio         home is no server of the directory    x-stranger
    a blob is a link                       x-link        custom transport                      x-transport
    a blob on external storage             x-locator     no home: an external account          v-external
    a blob on a volume that is not there   x-volume      lives at the destination already      v-there
    a blob is missing, another, or short   y-...         locked out by somebody else           x-lock
    a version that is too new              x-version     another operation left it unfinished  x-fence
    somebody else's mailbox row there      x-foreign     Network Edition's mover is at work    x-mover
    no mailbox row                         n-...         a status of its own, all of them      s-...

What is of a whole store, domain or operation stops all of it, and has tests of its own: an unknown table (rows.t), stores that
do not fit, a domain that is suspended, our own login, the notification's sender (refuse.t), a full disk (copying.t), items over
the limits, 5 % of the operation, overwrite false (items.t), a name excluded (select.t)."""

import contextlib
import email
import email.policy
import errno
import glob
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.blobs import read_volumes  # noqa: E402
from zxlab.check import Expect, check_move, check_surroundings, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Load, Post, check_accepted  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, mailbox_id, short_timeouts  # noqa: E402
from zxlab.process import Process  # noqa: E402
from zxlab.seed import plant_damage  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

MAILBOXES = int(os.environ.get("DOMAIN", "60"))
STATUSES = ("locked", "lockout", "maintenance", "closed", "pending")
KINDS = ("resource", "guest", "system", "admin")
DAMAGE = ("missing", "wrong", "short")
TO = "admin@elsewhere.test"
# In the order of their making: mailboxd of store one is started anew for x-mover, and forgets who is locked out.
BROKEN = {"x-mover": "own mover is at work", "x-eio": "Input/output error",
          "x-fence": "is not finished with this account", "x-foreign": "already has a mailbox 1",
          "x-link": "links below a volume are not followed", "x-locator": "external storage is not supported",
          "x-lock": "locked out by somebody else", "x-stranger": "is no server of this directory",
          "x-transport": "custom mail transport", "x-version": "upgrade", "x-volume": "which is no volume of files there"}
SKIPPED = {"v-external": "external account", "v-there": "already there"}


def unreadable():
    """A file of the kernel's whose reading fails as a dying disk's does; None if there is none here."""
    for path in glob.glob("/sys/devices/*/power/autosuspend_delay_ms"):
        try:
            with open(path, "rb") as file:
                file.read(1)
        except OSError as error:
            if error.errno == errno.EIO:
                return path
    return None


def blob_of(store, account):
    """The path of the account's last blob on the store's current message volume."""
    with store.db() as connection, connection.cursor() as cursor:
        volumes, message, _, _ = read_volumes(cursor)
        cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox, group = cursor.fetchone()
        cursor.execute(f"SELECT id, mod_content FROM mboxgroup{group}.mail_item WHERE mailbox_id = %s AND type = 5"
                       " AND locator = %s ORDER BY id DESC LIMIT 1", (mailbox, str(message)))
        return volumes[message].blob(mailbox, *cursor.fetchone())


class Domain:
    """Its accounts by name, and what is expected of each."""

    def __init__(self, lab):
        self.lab, (self.one, self.two, self.three) = lab, lab.stores
        Scene(lab)  # somebody else's domain
        self.scene = Scene(lab, exclusive=True, strangers=False)
        self.ids, self.came_from = {}, {}
        for name in (*BROKEN, *SKIPPED):
            self._broken(name)
        for status in STATUSES:
            self._add(f"s-{status}", 4, status=status)
        self._add("s-disabled", 4, mail_status="disabled")
        for kind in KINDS:
            self._add(f"k-{kind}", 4, kind=kind)
        for how in DAMAGE:
            account = self._add(f"y-{how}", 12, rich=True)
            plant_damage(self.one, mailbox_id(self.one, account), how)
        for number in range(2):
            self._keep(f"n-{number}", self.scene.account(f"n-{number}", self.one), self.one)
        self.plain = []
        for number in range(MAILBOXES - len(self.ids)):
            large = 150 if number % 40 == 7 else 20 if number % 10 == 0 else 0
            self.plain.append(self._add(f"a{number:03}", large or number % 4, rich=large > 0,
                                        store=self.three if number % 5 == 1 else self.one))
        self.scene.mail_list("everybody", list(self.ids.values())[:50])

    def _keep(self, name, account, store):
        self.ids[name], self.came_from[account] = account, store
        return account

    def _add(self, name, messages, store=None, rich=False, **options):
        store = store or self.one
        return self._keep(name, self.scene.mailbox(name, store, messages=messages, rich=rich, alias=len(self.ids) % 7 == 0,
                                                   **options), store)

    def _broken(self, name):
        """An account that cannot go, or has nowhere to go."""
        options = {"x-transport": {"transport": "smtp:gateway.example:25"}}.get(name, {})
        store = self.two if name == "v-there" else self.one
        account = self._add(name, 6, store=store, **options)
        dn = self.lab.directory.account(account)[0]
        with self.one.db() as connection, connection.cursor() as cursor, self.two.db() as other, other.cursor() as there:
            if name == "x-foreign":
                there.execute("INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT 1, 1, %s,"
                              " index_volume_id FROM zimbra.current_volumes", (account,))
            elif name in ("x-locator", "x-volume"):
                locator = "1@@elsewhere/object" if name == "x-locator" else "77"
                cursor.execute("SELECT group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
                cursor.execute(f"UPDATE mboxgroup{cursor.fetchone()[0]}.mail_item SET locator = %s"
                               " WHERE mailbox_id = %s AND type = 5", (locator, mailbox_id(self.one, account)))
            elif name == "x-version":
                cursor.execute("UPDATE zimbra.mailbox SET version = '2.10' WHERE account_id = %s", (account,))
            elif name == "x-link":
                os.remove(blob_of(self.one, account))
                os.symlink("nowhere", blob_of(self.one, account))
            elif name == "x-mover":
                self.one.configure(mailboxd={"network_moves": [self.scene.address(name)]})
            elif name == "x-fence":
                self.scene.move(account, self.two, fail="fence:applied=kill")
            elif name == "x-lock":
                Admin(self.one).lockout(account, "start")
            elif name == "x-stranger":
                self.lab.directory.set(dn, zimbraMailHost="mail.elsewhere.example")
            elif name == "v-external":
                self.lab.directory.set(dn, zimbraMailHost=None, zimbraMailTransport="smtp:gateway.example:25")

    def failing_disk(self):
        """The agent of store one finds a blob on a bad sector; False where that cannot be arranged."""
        path = unreadable()
        if (path is None or os.geteuid() != 0
                or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0):
            diag("no failing disk can be had here: left out")
            os.remove(blob_of(self.one, self.ids["x-eio"]))
            os.symlink("nowhere", blob_of(self.one, self.ids["x-eio"]))
            BROKEN["x-eio"] = "links below a volume are not followed"
            return
        sshd, argv = self.one.sshd, self.one.sshd.argv
        sshd.stop()
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        Process(sshd.name, lambda: ["unshare", "-m", "sh", "-c", script, path, blob_of(self.one, self.ids["x-eio"]),
                                    *argv()], sshd.pid_file, sshd.log, sshd.ready).start()

    def name(self, address):
        return address.partition("@")[0]

    def words(self, *more):
        """The command for the whole domain."""
        return ["doMailboxMove", self.two.name, "domains", self.scene.domain, "order", "name", "threads", "4", *more]

    def moved(self):
        """How many have left."""
        return self._count(self.one, "moved") + self._count(self.three, "moved")

    @staticmethod
    def _count(store, table):
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'zxmove'"
                           " AND TABLE_NAME = %s", (table,))
            if not cursor.fetchone()[0]:
                return 0
            cursor.execute(f"SELECT COUNT(*) FROM zxmove.{table}")
            return cursor.fetchone()[0]

    def process(self):
        """The one that carries the newest operation."""
        with self.two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM zxmove.operation WHERE verb = 'doMailboxMove' ORDER BY started DESC LIMIT 1")
            return cursor.fetchone()[0]

    def heartbeat(self):
        """When the newest last gave a sign of life."""
        with self.two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT heartbeat FROM zxmove.operation WHERE verb = 'doMailboxMove' ORDER BY started DESC LIMIT 1")
            return cursor.fetchone()[0]

    def operation(self):
        """The uuid of the newest."""
        with self.two.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT uuid FROM zxmove.operation WHERE verb = 'doMailboxMove' ORDER BY started DESC LIMIT 1")
            return cursor.fetchone()[0].decode()


def begun(*words, fail=None, gate=""):
    """The command, begun. One whose process was killed counts as running for as long as its lease."""
    if words[0] == "doResume":
        wait_for(lambda: "running" not in lab.zxmove("getOperationLog", words[1]).stdout, 60, "the lease to be over", 0.5)
    return lab.zxmove_start(*words, fail=fail, env={"ZX_FAIL_FILE": gate})


def stopped(domain, words, point, name):
    """doStopOperation when so much is done, which has to wait for its being heard: it ends in good order."""
    gate = os.path.join(lab.dir, "run", f"gate-{point}")
    process = begun(*words, fail=point, gate=gate)
    wait_for(lambda: os.path.exists(f"{gate}.reached") or process.poll() is not None, 120, name)
    exits(lab.zxmove("doStopOperation", domain.operation()), 0, f"{name}: doStopOperation")
    for _ in range(2):  # its keeper gives a sign of life before each look at what is wanted
        last = domain.heartbeat()
        wait_for(lambda last=last: domain.heartbeat() != last, 30, "a sign of life")
    with open(gate, "w", encoding="ascii"):
        pass
    out, err = process.communicate(timeout=600)
    exits(subprocess.CompletedProcess(words, process.returncode, out, err), 2, name)


def killed(domain, words, reached, name, fail=None):
    """As a power cut to the process of the operation; what stood in a window is recovered."""
    process = begun(*words, fail=fail, gate=os.path.join(lab.dir, "run", "gate-killed"))
    wait_for(lambda: (reached and reached()) or process.poll() is not None, 120, name)
    if reached and process.poll() is None:
        os.kill(domain.process(), signal.SIGKILL)
    process.communicate(timeout=600)
    ok(process.returncode != 0, name)
    exits(lab.zxmove("doRecover", "operation", domain.operation(), "dry_run", "false"), 0, f"{name}: doRecover")


def whole_way(domain):
    """Staged, then moved by one operation, with everything that befalls it; its answer in the end."""
    share = MAILBOXES // 6
    stopped(domain, domain.words("stages", "data"), f"copy:applied=wait{share}", "staging, stopped")
    exits(lab.zxmove("doResume", domain.operation(), timeout=600), 5, "staging, resumed to its end")
    killed(domain, domain.words("stages", "data,account", "notifications", TO), None,
           "killed when the first commit was sent", fail="commit:sent=kill")
    resume = ("doResume", domain.operation())
    killed(domain, resume, lambda: domain.moved() >= 2 * share, "resumed, and killed when a third had moved",
           fail=f"commit:done=wait{3 * share}")  # and goes no further than this
    stopped(domain, resume, f"commit:done=wait{share}", "resumed, and stopped when more had moved")
    result = lab.zxmove("--json", *resume, timeout=900)
    exits(result, 5, "resumed, to its end")
    return json.loads(result.stdout.splitlines()[-1])["response"]


def judge_report(domain, response):
    """Every broken one with its cause, nothing else failed, and the totals add up."""
    boxes = {domain.name(box["account"]): box for box in response["mailboxes"]}
    is_(sorted(boxes), sorted(domain.ids), "every account of the domain has its line")
    is_(sorted(name for name, box in boxes.items() if box["outcome"] == "failed"), sorted(BROKEN),
        "the broken ones failed, and no other") \
        or diag(str({name: box["reason"] for name, box in boxes.items() if box["outcome"] == "failed"}))
    for name, words in {**BROKEN, **SKIPPED}.items():
        ok(words in boxes[name].get("reason", ""), f"{name}: {words}") or diag(str(boxes[name]))
    outcomes = [box["outcome"] for box in boxes.values()]
    totals = response["totals"]
    is_([totals[key] for key in ("selected", "moved", "skipped", "failed")],
        [len(boxes), *(outcomes.count(key) for key in ("moved", "skipped", "failed"))], "the totals add up")
    for how in DAMAGE:
        bad = boxes[f"y-{how}"].get("bad_items", [])
        is_([item["damaged_before"] for item in bad], [True], f"y-{how} moved, and its blob is listed as damaged before")
    return boxes


def judge_mail(response):
    """One mail of its end, which names each that did not go; before it those that told of its deaths."""
    mails = [email.message_from_string(text, policy=email.policy.default) for text in lab.mails()]
    diag("; ".join(mail["Subject"] for mail in mails))
    ends = [mail for mail in mails if "PARTIAL" in mail["Subject"]]
    is_(len(ends), 1, "one mail of the end")
    body = ends[0].get_body(("plain",)).get_content() if ends else ""
    ok(response["operation"] in body and all(f"{name}@" in body for name in BROKEN), "which names every broken one") \
        or diag(body)


def judge_mailboxes(domain, before, post, loads):
    """The checker has the last word on every mailbox; and every mail that was accepted is there, once."""
    bad, unmoved = {}, {}
    for name, account in domain.ids.items():
        source = domain.came_from[account]
        if name in BROKEN or name in SKIPPED:
            found = check_unmoved(lab, before, account, expect=Expect(surroundings=False))
            wanted = {"x-lock": {"lock"}, "x-fence": {"lock", "own-leftover"}}.get(name, set())
            unmoved.update({name: found for f in found if f.kind not in wanted})
            continue
        load = loads.get(account) or (post if account in post.to else None)
        expect = Expect(load=load, surroundings=False, compress=None if load else True)
        found = check_move(lab, before, account, source, domain.two, expect)
        for mail in [loads[account]] if account in loads else []:
            found += check_accepted(mail, lab, domain.two)
        if account in post.to:
            found += check_accepted(post.to[account], lab, domain.two, deleted_by=loads.get(account, post))
        if found:
            bad[name] = found
    for which, name in ((bad, "every healthy mailbox is proven, with every mail that was accepted"),
                        (unmoved, "every broken one is as it was")):
        ok(not which, name) or diag("\n".join(f"{who}: {f.kind}: {f.text}" for who, all in which.items() for f in all[:5]))
    statuses = {name: account_status(lab, account) for name, account in domain.ids.items() if name.startswith("s-")}
    expected = {f"s-{s}": (s, "disabled" if s in ("closed", "pending") else "enabled") for s in STATUSES}
    is_(statuses, {**expected, "s-disabled": ("active", "disabled")}, "everybody has the status they had")
    accepted = sum(len(mail.accepted) for mail in post.to.values()) + sum(len(l.mail.accepted) for l in loads.values())
    diag(f"{accepted} mails were accepted meanwhile, {sum(m.deferred for m in post.to.values())} times one had to wait")


def all_proven(before, accounts, source, destination, name):
    """One test: the checker accepts the move of each."""
    expect = Expect(surroundings=False)
    findings_none([f for a in accounts for f in check_move(lab, before, a, source, destination, expect)],
                  f"{name}: the checker finds nothing")


def triangle(domain, accounts):
    """From two on to three, and home to one, where the first copies are still retained."""
    for source, destination in ((domain.two, domain.three), (domain.three, domain.one)):
        before = domain.scene.snapshot(*accounts)
        result = domain.scene.move(accounts, destination)
        exits(result, 0, f"{source.name} to {destination.name}")
        all_proven(before, accounts, source, destination, f"{source.name} to {destination.name}")


@contextlib.contextmanager
def administrator(name):
    """The words before zxmove of somebody on a host of that name, with a home and a configuration of their own."""
    directory = os.path.join(lab.dir, name)
    os.makedirs(directory)
    conf = os.path.join(directory, "zxmove.yaml")
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    with open(os.open(conf, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(text.replace(os.path.join(lab.dir, "state"), os.path.join(directory, "state")))
    words = [lab.program, "--config", conf]
    unshare = ["unshare", "--uts"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--uts"]
    if subprocess.run([*unshare, "hostname", name], check=False, capture_output=True).returncode == 0:
        words = [*unshare, "sh", "-c", f'hostname {name} && exec "$@"', "sh", *words]
    else:
        diag("a host name of one's own cannot be had here")
    yield lambda *args: subprocess.Popen([*words, *args], env={**os.environ, "HOME": directory},
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def two_at_once(domain, accounts):
    """Both want the same mailboxes moved: each goes once, and who comes second is told."""
    before = domain.scene.snapshot(*accounts)
    words = ["--json", *domain.scene.words(accounts, domain.three)]
    with administrator("admin1") as first, administrator("admin2") as second:
        both = [first(*words), second(*words[:-1], ",".join(reversed(words[-1].split(","))))]
        answers = [json.loads(process.communicate(timeout=600)[0].splitlines()[-1])["response"] for process in both]
    boxes = [{box["account_id"]: box for box in answer["mailboxes"]} for answer in answers]
    hosts = {answer["host"] for answer in answers}
    diag(f"{hosts}: {[[box['outcome'] for box in b.values()] for b in boxes]}")
    wrong = {a: [(b[a]["outcome"], b[a].get("reason")) for b in boxes] for a in accounts
             if [b[a]["outcome"] for b in boxes].count("moved") != 1
             or not any(words in b[a].get("reason", "") for b in boxes
                        for words in ("already there", "worked on by operation", "is not finished with"))}
    is_(wrong, {}, "two administrators: each mailbox was moved by one of them, the other is told")
    all_proven(before, accounts, domain.two, domain.three, "two administrators")


def timed(name, work, *args):
    began = time.monotonic()
    answer = work(*args)
    diag(f"{name}: {time.monotonic() - began:.1f} s")
    return answer


lab = Lab.create("domain", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    short_timeouts(lab, lease=10, timeout=15)  # doRecover waits for a lock-out that the dead mover may have sent
    domain = timed("seeding", Domain, lab)
    domain.failing_disk()
    before = timed("snapshot", lambda: domain.scene.snapshot(*domain.ids.values()))
    active = [a for n, a in domain.ids.items() if n[0] in "ak"]
    with Post(lab, active, rate=20) as post, contextlib.ExitStack() as work:
        loads = {a: work.enter_context(Load(lab, a, mails=2, changes=3)) for a in domain.plain[5:8]}
        response = timed("the move", whole_way, domain)
    judge_report(domain, response)
    judge_mail(response)
    timed("the checker", judge_mailboxes, domain, before, post, loads)
    findings_none(check_surroundings(lab, before), "nothing else changed on any store")
    timed("A to B to C to A", triangle, domain, domain.plain[10:13])
    timed("two administrators", two_at_once, domain, domain.plain[13:19])
finally:
    lab.stop()
done()
