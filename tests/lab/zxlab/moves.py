"""moves.py - what tests of moves share: a domain of the test's own with accounts, mailboxes, lists, keys and
strangers in it, a move in one line, and the checker's verdict as TAP.

    scene = Scene(lab)
    ann = scene.mailbox("ann", lab.stores[0], messages=50)
    before = scene.snapshot(ann)
    moved_clean(scene.move(ann, lab.stores[1]), before, ann, lab.stores[0], lab.stores[1], "a plain move")
"""

import queue
import threading
import uuid

import yaml

from . import truth
from .check import check_move, check_purged, check_unmoved
from .seed import seed_mailbox
from .snapshot import OWN_SCHEMA, Snapshot, memcached_servers, own_tables
from .tap import comes, diag, is_, ok


class Scene:
    """A domain with an alias domain, virtual hosts and addresses, so that every route key exists; in it, on
    every store, an account that nobody moves."""

    def __init__(self, lab, exclusive=False, strangers=True, **domain_options):
        self.lab, self.exclusive = lab, exclusive
        self.domain = f"d{uuid.uuid4().hex[:8]}.test"
        options = {"virtual_hosts": [f"mail.{self.domain}"], "virtual_ips": [f"192.0.2.{hash(self) % 250 + 1}"]}
        lab.new_domain(self.domain, **{**options, **domain_options})
        lab.new_domain(f"alias-{self.domain}", alias_of=self.domain)
        self.keys, self.addresses = [], {}
        if strangers:
            for store in lab.stores:
                self._stranger(store)

    def address(self, name):
        """A test may name an account by what befalls it, in several words."""
        return f"{name.replace(' ', '.')}@{self.domain}"

    def account(self, name, store, alias=True, **options):
        """An account without a mailbox; answers its id."""
        if alias:
            local = self.address(name).partition("@")[0]
            options.setdefault("aliases", [self.address(f"{local}.alias"), f"{local}@alias-{self.domain}"])
        account = self.lab.new_account(self.address(name), store, **options)
        self.addresses[account] = self.address(name)
        return account

    def mailbox(self, name, store, messages=10, rich=True, **options):
        """An account with a seeded mailbox on the store; answers its id."""
        account = self.account(name, store, **options)
        seed_mailbox(self.lab, account, store, messages=messages, rich=rich)
        return account

    def mail_list(self, name, members):
        """A distribution list of accounts (ids)."""
        self.lab.new_list(self.address(name), [self.addresses[m] for m in members])

    def _stranger(self, store):
        name = f"stranger{self.lab.stores.index(store)}"
        account = self.mailbox(name, store, messages=3)
        for key in (f"route:proto=http;user={self.address(name)}", f"zmFldrsTags:{account}",
                    f"test:{self.domain}:{name}"):
            self.key(key, f"{store.name}:of {name}")

    def key(self, key, value):
        """A key of somebody else's, in both forms on every memcached; it must stay."""
        for form in truth.key_forms(key):
            self.keys.append(form)
            for server in memcached_servers(self.lab):
                with truth.Memcached(*server) as memcached:
                    memcached.set(form, value)

    def plant_routes(self, *accounts):
        """Everything a proxy and mailboxd may have cached of the accounts, in both forms."""
        directory = truth.Directory(self.lab)
        for account in accounts:
            dn, entry = directory.account(account)
            keys = truth.route_keys(directory, dn, entry) + truth.cache_keys(account, self._folders(account))
            for server in memcached_servers(self.lab):
                with truth.Memcached(*server) as memcached:
                    for key in keys:
                        for form in truth.key_forms(key):
                            memcached.set(form, f"{truth.one(entry, 'zimbraMailHost')}:8080")

    def _folders(self, account):
        found = set()
        for store in self.lab.stores:
            with truth.Sql(store) as sql:
                mailbox = sql.mailbox(account)
                if mailbox:
                    found.update(int(i) for i, in sql.text(
                        f"SELECT id FROM mboxgroup{mailbox[1]}.mail_item WHERE mailbox_id = {mailbox[0]}"
                        " AND type IN (1, 2, 13)"))
        return sorted(found)

    def snapshot(self, *accounts, plant=True):
        """The laboratory before a move of these; with their routes planted, so that removing them shows."""
        if plant:
            self.plant_routes(*accounts)
        # Under load one merge follows the other.
        comes(lambda: not any(self._merges(account) for account in accounts), 30)
        return Snapshot(self.lab, list(accounts), keys=self.keys, exclusive=self.exclusive)

    def _merges(self, account):
        """Whether an index is being merged: its files change a while after the last change of the mailbox."""
        return any(store.mailboxd.pid and store.state(account)["merging"] for store in self.lab.stores)

    def move(self, accounts, destination, *words, stages=None, timeout=300, **options):
        """doMailboxMove of one account or several (ids), run to its end; CompletedProcess."""
        return self.lab.zxmove(*self.words(accounts, destination, *words, stages=stages), timeout=timeout, **options)

    def start_move(self, accounts, destination, *words, stages=None, **options):
        """The same, left running; Popen."""
        return self.lab.zxmove_start(*self.words(accounts, destination, *words, stages=stages), **options)

    def words(self, accounts, destination, *words, stages=None):
        accounts = [accounts] if isinstance(accounts, str) else list(accounts)
        line = ["doMailboxMove", getattr(destination, "name", destination), "accounts",
                ",".join(self.addresses.get(a, a) for a in accounts)]
        return line + (["stages", stages] if stages else []) + list(words)


def side_by_side(lab, cases, lanes=2, **scene_options):
    """Runs case(scene) for each of the cases, `lanes` at a time, each lane in a domain of its own, so that one
    works while another waits; accounts still need names of their own, for a proxy may know them without a domain.
    The first exception is raised when all have ended."""
    waiting, errors = queue.SimpleQueue(), []
    for case in cases:
        waiting.put(case)
    for store in lab.stores:  # one lane must not see another's group schema half made
        with store.db() as connection:
            for group in range(1, min(store.groups, 7) + 1):
                store.ensure_group(connection, group)

    def work(scene):
        try:
            while not errors:
                waiting.get_nowait()(scene)
        except queue.Empty:
            pass
        except Exception as error:  # whatever it is, it is raised below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(Scene(lab, **scene_options),)) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def short_timeouts(lab, lease=None, timeout=None, admin=None):
    """So that silence is soon noticed, of any server (`timeout`) or only of mailboxd (`admin`): an abandoned `start` may
    lock for as long as the server waits for the write lock, and undo and recovery wait for that."""
    with open(lab.conf_path, encoding="utf-8") as file:
        conf = yaml.safe_load(file)
    for key, seconds in (("net_timeout", timeout), ("lease", lease)):
        if seconds:
            conf[key] = f"{seconds}s"
    if admin:
        conf["admin"]["timeout"] = f"{admin}s"
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        yaml.safe_dump(conf, file, sort_keys=False)
    for store in lab.stores:
        store.configure(localconfig={"zimbra_mailbox_lock_timeout": 1}, mailboxd={"lock_timeout_ms": 1000})


def fence_row(store, account, columns="state"):
    """The account's last fence row on the store as text; None without one."""
    with truth.Sql(store) as sql:
        if "fence" not in own_tables(sql):
            return None
        rows = sql.text(f"SELECT {columns} FROM {OWN_SCHEMA}.fence WHERE account_id = '{account}'"
                        " ORDER BY made DESC LIMIT 1")
        return (rows[0][0] if len(rows[0]) == 1 else tuple(rows[0])) if rows else None


def claimed(store, account):
    """Whether a mover has taken the account on this store."""
    with truth.Sql(store) as sql:
        return "claim" in own_tables(sql) and bool(
            sql.text(f"SELECT 1 FROM {OWN_SCHEMA}.claim WHERE account_id = '{account}'"))


# ---- verdicts

def findings_none(findings, name):
    """One test: the checker found nothing; else what it found is said."""
    findings = list(findings)
    if not ok(not findings, name):
        for finding in findings[:20]:
            diag(f"{finding.kind}: {finding.text}")
        if len(findings) > 20:
            diag(f"... {len(findings)} findings")
    return not findings


def exits(result, status, name):
    """One test: the program ended with this status; else its output is said."""
    if not is_(result.returncode, status, name):
        for line in (result.stdout or "").splitlines()[-20:] + (result.stderr or "").splitlines()[-20:]:
            diag(line)
        return False
    return True


def says(result, words, name):
    """One test: the output (both kinds) holds these words, upper or lower case."""
    text = f"{result.stdout or ''}\n{result.stderr or ''}"
    if not ok(words.lower() in text.lower(), name):
        diag(text)
        return False
    return True


def moved_clean(result, before, account, source, destination, name, expect=None):
    """Two tests: exit 0, and the checker accepts the move."""
    done = exits(result, 0, f"{name}: exit status")
    return findings_none(check_move(before.lab, before, account, source, destination, expect),
                         f"{name}: the checker finds nothing") and done


def led_back(result, before, account, name, status=None, changing=False):
    """Two tests: it failed (with this status), and everything is as it was."""
    if status is None:
        failed = ok(result.returncode != 0, f"{name}: exit status tells of the failure")
    else:
        failed = exits(result, status, f"{name}: exit status")
    return findings_none(check_unmoved(before.lab, before, account, changing=changing),
                         f"{name}: everything is as it was") and failed


def purged_clean(result, before, account, store, mailbox_id, name, live=None):
    """Two tests: exit 0, and nothing is left of the old copy."""
    done = exits(result, 0, f"{name}: exit status")
    return findings_none(check_purged(before.lab, before, account, store, mailbox_id, live),
                         f"{name}: nothing is left, the live mailbox is whole") and done


def home(lab, account):
    """The store that the directory names."""
    name = truth.one(truth.Directory(lab).account(account)[1], "zimbraMailHost")
    return next(s for s in lab.stores if s.name == name)


def mailbox_id(store, account):
    """The id the database of a store has for an account, None without a row."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        row = cursor.fetchone()
        return row[0] if row else None


def account_status(lab, account):
    """(zimbraAccountStatus, zimbraMailStatus) as they are stored."""
    entry = truth.Directory(lab).account(account)[1]
    return truth.one(entry, "zimbraAccountStatus"), truth.one(entry, "zimbraMailStatus")
