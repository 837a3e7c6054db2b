#!/usr/bin/python3
"""The stand-in for mailboxd keeps the rules that a mover must live with: what it has in memory, where requests are
executed, what it answers to mail, and the writes that leave no trace (doc/platform.md 1.4, 2.5-2.7, 5, 6)."""

import hashlib
import http.client
import os
import smtplib
import sys
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from zxlab import network  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.seed import seed_mailbox  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

NAME = f"mailboxd-t-{os.getpid()}"
STORES = ("store1.lab.test", "store2.lab.test", "store3.lab.test")
DOMAIN = "mailboxd.test"


class Soap(Admin):
    """Requests with or without targetServer; the fault's code instead of an exception."""

    def ask(self, body, here=True):
        """(answer element or None, fault code or None)."""
        envelope = self.call_raw(body, here)
        code = envelope.find(".//{*}Error/{*}Code")
        return envelope.find("{*}Body")[0], None if code is None else code.text

    def call_raw(self, body, here=True, timeout=90):
        """The envelope of the answer or fault."""
        target = f"<targetServer>{self.store.server_id}</targetServer>" if here else ""
        text = ('<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header>'
                f'<context xmlns="urn:zimbra">{self.token}<nosession/>{target}</context></soap:Header>'
                f"<soap:Body>{body}</soap:Body></soap:Envelope>")
        request = urllib.request.Request(self.url, text.encode(), {"Content-Type": "text/xml"})
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.context) as answer:
                return ElementTree.fromstring(answer.read())
        except urllib.error.HTTPError as error:
            return ElementTree.fromstring(error.read())

    def code(self, body, here=True):
        """The fault code, None for success."""
        return self.ask(body, here)[1]

    def modify(self, account, here=True, **attributes):
        """ModifyAccountRequest; the fault code."""
        a = "".join(f'<a n="{name}">{value}</a>' for name, value in attributes.items())
        return self.code(f'<ModifyAccountRequest xmlns="urn:zimbraAdmin" id="{account}">{a}</ModifyAccountRequest>',
                         here)

    def probe(self, account):
        """The probe of 5.1: fault code or status."""
        answer, code = self.ask('<ReIndexRequest xmlns="urn:zimbraAdmin" action="status">'
                                f'<mbox id="{account}"/></ReIndexRequest>')
        return code or answer.get("status")

    def mailbox(self, account):
        """GetMailboxRequest: the id, or the fault code."""
        answer, code = self.ask(f'<GetMailboxRequest xmlns="urn:zimbraAdmin"><mbox id="{account}"/></GetMailboxRequest>')
        return code or int(answer.find("{*}mbox").get("mbxid"))

    def lock(self, account, op="start"):
        """LockoutMailboxRequest; the fault code."""
        return self.code(f'<LockoutMailboxRequest xmlns="urn:zimbraAdmin" op="{op}">'
                         f'<account by="id">{account}</account></LockoutMailboxRequest>')

    def host_seen(self, account):
        """zimbraMailHost as this server's cache has it."""
        answer, _ = self.ask('<GetAccountInfoRequest xmlns="urn:zimbraAdmin">'
                             f'<account by="id">{account}</account></GetAccountInfoRequest>')
        return next(a.text for a in answer.findall("{*}a") if a.get("n") == "zimbraMailHost")

    def flush(self, account):
        """FlushCacheRequest for one account."""
        return self.code('<FlushCacheRequest xmlns="urn:zimbraAdmin"><cache type="account">'
                         f'<entry by="id">{account}</entry></cache></FlushCacheRequest>')


def delete_request(account):
    return f'<DeleteMailboxRequest xmlns="urn:zimbraAdmin"><mbox id="{account}"/></DeleteMailboxRequest>'


def lmtp(store, address, text="Subject: a message\r\n\r\nHello\r\n", between=None):
    """(answer to RCPT, answer to the message or None) as codes."""
    session = smtplib.LMTP(store.address, network.LMTP_PORT, timeout=60)
    try:
        session.ehlo_or_helo_if_needed()
        session.mail("sender@outside.example")
        rcpt = session.rcpt(address)[0]
        if rcpt != 250:
            return rcpt, None
        if between:
            between()
        return rcpt, session.data(text)[0]
    finally:
        session.close()


def one(store, sql, *values):
    """First column of the first row."""
    with store.db() as db, db.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
        return row[0] if row else None


def rows(store, sql, *values):
    with store.db() as db, db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def group(store, mailbox):
    return f"mboxgroup{(mailbox - 1) % store.groups + 1}"


def test_map_and_cache(lab, first, second, soap, soap2):
    account = lab.new_account(f"map@{DOMAIN}", first)
    is_(soap.probe(account), "service.FAILURE", "an account never opened is not in the map")
    reason = soap.call_raw('<ReIndexRequest xmlns="urn:zimbraAdmin" action="status">'
                           f'<mbox id="{account}"/></ReIndexRequest>').find(".//{*}Text").text
    ok(f"system failure: mailbox not found for account ID {account}" == reason, f"and it says so: {reason}")
    is_(one(first, "SELECT COUNT(*) FROM zimbra.mailbox WHERE account_id = %s", account), 0, "the probe creates nothing")
    is_(soap2.mailbox(account), "service.WRONG_HOST", "another store does not create it")
    mailbox = soap.mailbox(account)
    is_(one(first, "SELECT id FROM zimbra.mailbox WHERE account_id = %s", account), mailbox, "GetMailbox creates one")
    is_(soap.probe(account), "idle", "now the object is cached")
    first.mailboxd_kill()
    first.mailboxd_start()
    state = first.state(account)
    is_((state["mapped"], state["cached"]), (mailbox, False), "a start maps the row and loads nothing")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=second.name,
                      zimbraMailTransport=f"lmtp:{second.name}:7025")
    is_(Soap(first).probe(account), "service.WRONG_HOST", "mapped, not cached, homed elsewhere")
    with first.db() as db, db.cursor() as cursor:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("DELETE FROM zimbra.mailbox WHERE id = %s", (mailbox,))
    is_(soap.probe(account), "mail.NO_SUCH_MBOX", "the row purged behind its back")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=first.name,
                      zimbraMailTransport=f"lmtp:{first.name}:7025")
    soap.flush(account)
    is_(lmtp(first, f"map@{DOMAIN}"), (250, 554), "and mail for it bounces")


def test_foreign_row(lab, first, soap):
    account = lab.new_account(f"foreign@{DOMAIN}", first)
    number = seed_mailbox(lab, account, first, messages=5, rich=False)
    is_(soap.probe(account), "service.FAILURE", "a row inserted behind its back is not in the map")
    is_(soap.mailbox(account), number, "a creating access finds it")
    is_(soap.probe(account), "idle", "and maps it")


def test_lockout(lab, first, second, soap):
    address = f"lock@{DOMAIN}"
    account = lab.new_account(address, first)
    is_(soap.lock(account, "end"), "service.NOT_FOUND", "end without a lock")
    is_(soap.lock(account), None, "start")
    is_(soap.lock(account), "mail.MAINTENANCE", "a second start")
    is_(soap.probe(account), "mail.MAINTENANCE", "the probe sees it")
    is_(lmtp(first, address), (250, 451), "mail waits")
    is_(first.user(account, "login")["code"], "mail.MAINTENANCE", "the user is out")
    is_(soap.code(delete_request(account)), "mail.MAINTENANCE", "no deletion under a lock")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=second.name,
                      zimbraMailTransport=f"lmtp:{second.name}:7025")
    soap.flush(account)
    is_(soap.lock(account, "end"), None, "end asks nobody where the account lives")
    is_(soap.probe(account), "idle", "and revives the old object")
    is_(soap.lock(account), None, "which can be locked, wherever it lives")
    is_(lmtp(first, address), (250, 250), "mail goes to the new home meanwhile")
    ok(one(second, "SELECT id FROM zimbra.mailbox WHERE account_id = %s", account), "which made a mailbox for it")
    batch, _ = soap.ask('<BatchRequest xmlns="urn:zimbra" onerror="stop">'
                        '<LockoutMailboxRequest xmlns="urn:zimbraAdmin" op="end">'
                        f'<account by="id">{account}</account></LockoutMailboxRequest>'
                        f"{delete_request(account)}</BatchRequest>")
    old = batch[1].find("{*}mbox").get("mbxid")
    is_(one(first, "SELECT COUNT(*) FROM zimbra.mailbox WHERE id = %s", old), 0, "end and delete in one batch")
    is_(soap.probe(account), "service.FAILURE", "the map forgot it")
    answer, _ = soap.ask(delete_request(account))
    is_(answer.find("{*}mbox"), None, "deleting nothing succeeds with an empty body")
    batch, _ = soap.ask('<BatchRequest xmlns="urn:zimbra" onerror="stop">'
                        '<LockoutMailboxRequest xmlns="urn:zimbraAdmin" op="end">'
                        f'<account by="id">{account}</account></LockoutMailboxRequest>'
                        f"{delete_request(account)}</BatchRequest>")
    is_(len(batch), 1, "a batch stops at the first fault")


def test_abandoned_start(lab, first, soap):
    account = lab.new_account(f"abandoned@{DOMAIN}", first)
    soap.mailbox(account)
    first.fault("LockoutMailboxRequest", "close-after", op="start", account=account)
    try:
        soap.lock(account)
        ok(False, "close-after closes")
    except (http.client.HTTPException, OSError):
        ok(True, "close-after closes")
    is_(soap.probe(account), "mail.MAINTENANCE", "but the mailbox is locked")
    is_(soap.lock(account, "end"), None, "and can be freed")
    first.fault("LockoutMailboxRequest", "fault", op="start", account=account, code="service.TEMPORARILY_UNAVAILABLE")
    is_(soap.lock(account), "service.TEMPORARILY_UNAVAILABLE", "an injected fault")
    is_(soap.probe(account), "idle", "does nothing")
    first.fault("GetMailboxRequest", "silence", ms=300)
    try:
        soap.mailbox(account)
        ok(False, "silence gives no answer")
    except (http.client.HTTPException, OSError):
        ok(True, "silence gives no answer")
    first.fault("GetMailboxRequest", "delay", ms=300)
    began = time.monotonic()
    ok(isinstance(soap.mailbox(account), int) and time.monotonic() - began > 0.3, "delay delays")
    entry = [e for e in first.log() if e["account"] == account and e["request"] == "LockoutMailboxRequest"][-1]
    is_((entry["op"], entry["executed"], entry["fault"]), ("start", False, "service.TEMPORARILY_UNAVAILABLE"),
        "the log tells")


def test_late_lock(lab, first, soap):
    """A start whose client hung up locks the mailbox all the same, once the running transaction ends."""
    address = f"late@{DOMAIN}"
    account = lab.new_account(address, first)
    mailbox = soap.mailbox(account)
    lab.deliver(address, first)
    with first.db() as db, db.cursor() as cursor:
        db.begin()
        cursor.execute(f"SELECT id FROM {group(first, mailbox)}.mail_item WHERE mailbox_id = %s FOR UPDATE", (mailbox,))
        writer = threading.Thread(target=first.user, args=(account, "flag"))
        writer.start()
        wait_for(lambda: rows(first, "SELECT 1 FROM INFORMATION_SCHEMA.INNODB_LOCK_WAITS"), 10, "the writer to wait",
                 every=0.3)  # asked more often than every 100 ms, InnoDB repeats its last answer
        try:
            soap.call_raw('<LockoutMailboxRequest xmlns="urn:zimbraAdmin" op="start">'
                          f'<account by="id">{account}</account></LockoutMailboxRequest>', timeout=5)
            ok(False, "start waits for the writer")
        except OSError:
            ok(True, "start waits for the writer")
        is_(first.state(account)["locked"], False, "nothing is locked yet")
        is_(soap.lock(account, "end"), "service.NOT_FOUND", "so there is nothing to end")
        db.rollback()
    writer.join()
    wait_for(lambda: first.state(account)["locked"], 10, "the abandoned start to lock the mailbox")
    ok(True, "the abandoned start locks the mailbox later")
    is_(soap.lock(account, "end"), None, "end")


def test_database_killed(lab, first, soap):
    address = f"killed@{DOMAIN}"
    account = lab.new_account(address, first)
    mailbox = soap.mailbox(account)
    lab.deliver(address, first, n=2)
    with first.db() as db:
        first.flush(db)  # a kill takes the last second's commits, and mailboxd believes in them
    first.mariadb_kill()
    is_(lmtp(first, address), (250, 451), "without its database mail waits")
    is_(first.user(account, "flag")["code"], "service.FAILURE", "and a click fails")
    is_(soap.probe(account), "idle", "the cached object does not notice")
    other = lab.new_account(f"unknown@{DOMAIN}", first)
    is_(soap.mailbox(other), "service.FAILURE", "nothing can be created")
    first.mariadb_start()
    is_(lmtp(first, address), (250, 250), "afterwards it goes on")
    ok(first.user(account, "flag")["ok"], "and so do clicks")
    is_(soap.mailbox(account), mailbox, "in the same mailbox")


def test_status(lab, first, soap):
    answers = {"active": 250, "locked": 250, "lockout": 250, "maintenance": 450, "closed": 550, "pending": 550}
    for status, expected in answers.items():
        address = f"status-{status}@{DOMAIN}"
        lab.new_account(address, first, status=status)
        is_(lmtp(first, address)[0], expected, f"mail for an account that is {status}")
    is_(lmtp(first, f"nobody@{DOMAIN}")[0], 550, "mail for nobody")
    lab.new_domain(f"alias.{DOMAIN}", alias_of=DOMAIN)
    is_(lmtp(first, f"status-active@alias.{DOMAIN}")[0], 250, "mail by an alias domain")
    lost = f"lost@{DOMAIN}"
    lab.new_account(lost, "gone.lab.test")
    is_(lmtp(first, lost)[0], 450, "mail for an account of an unknown host")
    account = lab.new_account(f"restore@{DOMAIN}", first, status="active", mail_status="disabled",
                              zimbraPasswordLockoutLockedTime="20200101000000Z")
    first.user(account, "login")
    is_(soap.modify(account, zimbraAccountStatus="maintenance"), None, "into maintenance")
    is_(lab.directory.account(account)[1]["zimbraMailStatus"], ["enabled"], "which enables the mail")
    is_(first.user(account, "login")["code"], "account.MAINTENANCE_MODE", "no login")
    is_(first.user(account, "flag")["code"], "service.AUTH_EXPIRED", "and no token")
    is_(soap.modify(account, zimbraAccountStatus="active", zimbraMailStatus="disabled"), None, "and back")
    attributes = lab.directory.account(account)[1]
    is_((attributes["zimbraMailStatus"], "zimbraPasswordLockoutLockedTime" in attributes), (["disabled"], False),
        "lockout counters are cleared, the mail status is as given")
    is_(soap.modify(account, zimbraAccountStatus="nonsense"), "account.INVALID_ATTR_VALUE", "no such status")


def test_lists_and_domains(lab, first, soap):
    address = f"member@{DOMAIN}"
    account = lab.new_account(address, first)
    lab.new_list(f"list@{DOMAIN}", [address, f"other@{DOMAIN}"])
    soap.modify(account, zimbraAccountStatus="closed")
    is_((lab.directory.lists_of(address), lab.directory.account(account)[1]["zimbraMailStatus"]), ([], ["disabled"]),
        "closed takes the account off its lists and disables its mail")
    for status in ("suspended", "shutdown"):
        lab.new_domain(f"{status}.test", status=status)
        other = lab.new_account(f"ann@{status}.test", first)
        codes = [soap.modify(other, zimbraAccountStatus="active"), soap.lock(other), soap.mailbox(other),
                 soap.code(delete_request(other)), soap.probe(other)]
        is_(set(codes), {"service.PERM_DENIED"}, f"nothing can be done in a domain that is {status}")
    lab.new_domain("closed.test", status="closed")
    other = lab.new_account("ann@closed.test", first)
    lab.new_list("list@closed.test", ["ann@closed.test"])
    is_(lmtp(first, "ann@closed.test")[0], 550, "mail into a closed domain bounces")
    is_(soap.modify(other, zimbraAccountStatus="maintenance"), None, "a status write in a closed domain")
    is_(lab.directory.lists_of("ann@closed.test"), [], "takes the account off its lists whatever was written")
    lab.new_domain("locked.test", status="locked")
    other = lab.new_account("ann@locked.test", first)
    is_(first.user(other, "login")["code"], "account.AUTH_FAILED", "no login in a locked domain")


def test_flip(lab, first, second, third, soap, soap2):
    address = f"flip@{DOMAIN}"
    account = lab.new_account(address, first)
    soap3 = Soap(third)
    mailbox = soap.mailbox(account)
    for admin in (soap2, soap3):
        is_(admin.host_seen(account), first.name, f"{admin.store.name} caches the home")
    is_(soap.modify(account, zimbraMailHost=second.name, zimbraMailTransport="lmtp:x:1"), "service.INVALID_REQUEST",
        "host and transport in one request")
    is_(soap.modify(account, zimbraMailHost="nowhere.test"), "service.INVALID_REQUEST", "a host that is no server")
    is_(soap.modify(account, zimbraMailHost="proxy.lab.test"), "service.INVALID_REQUEST", "a server without service")
    custom = lab.new_account(f"custom@{DOMAIN}", first, transport="smtp:archive.test:25")
    is_(soap.modify(custom, zimbraMailHost=second.name), "service.INVALID_REQUEST", "a custom transport")
    is_(soap.modify(account, zimbraMailHost=second.name), None, "the flip")
    is_(lab.directory.account(account)[1]["zimbraMailTransport"], [f"lmtp:{second.name}:{network.LMTP_PORT}"],
        "the transport follows")
    is_([a.host_seen(account) for a in (soap, soap2, soap3)], [second.name, second.name, first.name],
        "the old home knows, the new home was flushed, the third is stale")
    is_(soap.probe(account), "idle", "the old home still has the object")
    is_(lmtp(third, address), (250, 250), "a stale store relays to the old home, which relays on")
    new = soap2.mailbox(account)
    is_([one(first, f"SELECT COUNT(*) FROM {group(first, mailbox)}.mail_item WHERE mailbox_id = %s AND type = 5",
             mailbox),
         one(second, f"SELECT COUNT(*) FROM {group(second, new)}.mail_item WHERE mailbox_id = %s AND type = 5", new)],
        [0, 1], "the message is at the new home and nowhere else")
    answer, code = soap3.ask(f'<GetMailboxRequest xmlns="urn:zimbraAdmin"><mbox id="{account}"/></GetMailboxRequest>',
                             here=False)
    is_(code or int(answer.find("{*}mbox").get("mbxid")), new, "without targetServer a request goes to the home")
    is_(soap3.flush(account), None, "flush")
    is_(soap3.host_seen(account), second.name, "and the third sees it")
    is_(soap.lock(account), None, "the old object can still be locked")
    second.mailboxd_stop()
    is_(soap.code(delete_request(account), here=False), "mail.MAINTENANCE",
        "a home that cannot be reached: the request is executed here")
    second.mailboxd_start()
    first.fault("ModifyAccountRequest", "close-after", account=account)
    flushes = len([e for e in second.log() if e["request"] == "FlushCacheRequest"])
    second.fault("FlushCacheRequest", "delay", ms=700)
    began = time.monotonic()
    try:
        Soap(first).modify(account, zimbraMailHost=second.name)
    except (http.client.HTTPException, OSError):
        pass
    ok(time.monotonic() - began > 0.7, "a slow new home delays the answer to the change")
    is_(len([e for e in second.log() if e["request"] == "FlushCacheRequest"]), flushes + 1, "which flushes it once")


def test_replica(lab, first, second, soap, soap2):
    account = lab.new_account(f"replica@{DOMAIN}", first)
    lab.replica_sync()
    soap2.host_seen(account)
    lab.replica_lag()
    is_(soap.modify(account, zimbraMailHost=second.name), None, "the flip while the replica lags")
    is_([soap.host_seen(account), soap2.host_seen(account)], [second.name, first.name],
        "the new home was flushed too early and cached the old value again")
    soap.flush(account)
    is_(soap.host_seen(account), first.name, "a flush too early makes even the old home wrong")
    lab.replica_sync()
    soap2.flush(account)
    is_(soap2.host_seen(account), second.name, "after the replica caught up a flush helps")
    is_(soap.modify(account, here=False, zimbraMailHost=first.name), None, "clean up")


def test_numbers(lab, first, soap):
    account = lab.new_account(f"numbers@{DOMAIN}", first)
    mailbox = soap.mailbox(account)
    schema = group(first, mailbox)
    lab.deliver(f"numbers@{DOMAIN}", first, n=3)
    item = one(first, f"SELECT MAX(id) FROM {schema}.mail_item WHERE mailbox_id = %s AND type = 5", mailbox)
    before = one(first, "SELECT change_checkpoint FROM zimbra.mailbox WHERE id = %s", mailbox)
    first.user(account, "flag", item)
    first.user(account, "read", item)
    number = one(first, f"SELECT mod_metadata FROM {schema}.mail_item WHERE mailbox_id = %s AND id = %s", mailbox, item)
    is_(number, before + 2, "each change takes a number")
    is_(one(first, "SELECT change_checkpoint FROM zimbra.mailbox WHERE id = %s", mailbox), before,
        "and the row of the mailbox lags behind")
    inbox = "SELECT unread, size, mod_metadata FROM {}.mail_item WHERE mailbox_id = %s AND id = 2"
    is_(rows(first, inbox.format(schema), mailbox)[0], (2, 3, 1), "counts change without a change number")
    lab.directory.set(lab.directory.account(account)[0], zimbraDumpsterEnabled="FALSE")
    soap.flush(account)
    first.user(account, "delete", item)
    is_(one(first, f"SELECT COUNT(*) FROM {schema}.tombstone WHERE mailbox_id = %s", mailbox), 0,
        "a delete leaves no tombstone")
    first.user(account, "sync")
    first.user(account, "delete")
    is_(one(first, f"SELECT COUNT(*) FROM {schema}.tombstone WHERE mailbox_id = %s", mailbox), 1, "unless somebody syncs")
    first.mailboxd_kill()
    first.mailboxd_start()
    stored = one(first, "SELECT change_checkpoint FROM zimbra.mailbox WHERE id = %s", mailbox)
    first.user(account, "flag")
    number = one(first, f"SELECT MAX(mod_metadata) FROM {schema}.mail_item WHERE mailbox_id = %s", mailbox)
    step = 100
    is_(number, stored + step - 1 - stored % step + 1, "after a restart numbers go on in the next block")


def test_everything(lab, first, soap):
    account = lab.new_account(f"everything@{DOMAIN}", first)
    seed_mailbox(lab, account, first, messages=40)
    for do in ("login", "flag", "flag", "unread", "read", "tag", "untag", "move", "move", "soft-delete", "draft",
               "schedule-send", "contact", "appointment", "document", "index", "rename-folder", "acl-push", "delete",
               "empty-dumpster", "sync", "delete", "imap", "move"):
        answer = first.user(account, do)
        ok(answer["ok"], f"{do}: {answer}")
    draft = first.user(account, "draft")["item"]
    ok(first.user(account, "draft", draft)["ok"], "a draft saved again")
    document = first.user(account, "document")["item"]
    ok(first.user(account, "document", document)["ok"], "a document saved again")
    found, code = soap.ask(f'<CheckBlobConsistencyRequest xmlns="urn:zimbraAdmin" checkSize="1"><mbox id="'
                           f'{soap.mailbox(account)}"/></CheckBlobConsistencyRequest>')
    is_((code, [ElementTree.tostring(mbox) for mbox in found]), (None, []), "rows and blobs fit each other")
    first.tick()
    is_(one(first, "SELECT COUNT(*) FROM zimbra.pending_acl_push"), 0, "the push deletes every entry")
    task = first.tasks()["tasks"]
    ok([t for t in task if t["name"].startswith("autoSendDraftTask")], "a scheduled send waits in memory")
    first.user(account, "index")
    item = one(first, f"SELECT MAX(id) FROM {group(first, soap.mailbox(account))}.mail_item WHERE mailbox_id = %s"
               " AND index_id > 1", soap.mailbox(account))
    ok(first.user(account, "search", item)["found"], "what is indexed is found")
    is_(soap.ask(f'<ReIndexRequest xmlns="urn:zimbraAdmin" action="start"><mbox id="{account}"/></ReIndexRequest>')[0]
        .get("status"), "started", "re-index")
    wait_for(lambda: soap.probe(account) == "idle", 20, "the re-index to end")
    ok(first.user(account, "search", item)["found"], "and found again")


def test_memcached(lab, first, soap):
    account = lab.new_account(f"memcached@{DOMAIN}", first)
    soap.mailbox(account)
    lab.deliver(f"memcached@{DOMAIN}", first)
    key = hashlib.sha256(f"zmFldrsTags:{account}".encode()).hexdigest()
    stale = lab.memcached_get(key)
    ok(stale, "folders and tags are in memcached, under the hashed key")
    lab.deliver(f"memcached@{DOMAIN}", first)
    first.mailboxd_kill()
    lab.memcached_set(key, stale)
    first.mailboxd_start()
    lab.deliver(f"memcached@{DOMAIN}", first)
    mailbox = soap.mailbox(account)
    is_(one(first, f"SELECT size FROM {group(first, mailbox)}.mail_item WHERE mailbox_id = %s AND id = 2", mailbox), 2,
        "a stale value is believed at open, and written over the truth")


def test_mail(lab, first, soap):
    addresses = [f"mail{n}@{DOMAIN}" for n in range(3)]
    accounts = [lab.new_account(address, first) for address in addresses]
    text = f"Message-ID: <{os.getpid()}@x>\r\nSubject: to all\r\n\r\n" + ".dot\r\n" * 3000
    session = smtplib.LMTP(first.address, network.LMTP_PORT, timeout=60)
    session.ehlo_or_helo_if_needed()
    session.mail("a@b.test")
    for address in addresses:
        session.rcpt(address)
    is_([session.data(text)[0], session.getreply()[0], session.getreply()[0]], [250] * 3,
        "one message to three is answered three times")
    session.close()
    is_(lmtp(first, addresses[0], text), (250, 250), "the same message again")
    ids = [soap.mailbox(account) for account in accounts]
    found = [rows(first, f"SELECT id, mod_content, locator, blob_digest, size FROM {group(first, m)}.mail_item"
                  " WHERE mailbox_id = %s AND type = 5", m) for m in ids]
    is_([len(f) for f in found], [1, 1, 1], "each has it once: the duplicate was swallowed")
    is_(len({f[0][3] for f in found}), 1, "under one digest")
    path = {row[0]: row[1] for row in rows(first, "SELECT id, path FROM zimbra.volume")}
    volume = [v for v in first.kind.volumes if v.id == int(found[0][0][2])][0]
    links = []
    for m, f in zip(ids, found):
        bits = volume.bits
        file = (f"{path[volume.id].decode()}/{(m >> bits[2]) & (1 << bits[3]) - 1}/{m}/msg/"
                f"{(f[0][0] >> bits[0]) & (1 << bits[1]) - 1}/{f[0][0]}-{f[0][1]}.msg")
        links.append(os.stat(file).st_nlink)
    is_(links, [3, 3, 3], "one file, linked")
    lab.directory.set(lab.directory.account(accounts[0])[0], zimbraMailQuota="10")
    soap.flush(accounts[0])
    is_(lmtp(first, addresses[0]), (250, 452), "over quota")


def test_threads(lab, first, soap):
    address = f"thread@{DOMAIN}"
    account = lab.new_account(address, first)
    for subject in ("Plans", "Re: Plans", "Re: Fwd: Plans", "Other"):
        lmtp(first, address, f"Subject: {subject}\r\n\r\ntext\r\n")
    mailbox = soap.mailbox(account)
    schema = group(first, mailbox)
    is_(rows(first, f"SELECT c.size, COUNT(*) FROM {schema}.mail_item c JOIN {schema}.mail_item m ON m.mailbox_id ="
             " c.mailbox_id AND m.parent_id = c.id WHERE c.mailbox_id = %s AND c.type = 4 GROUP BY c.id", mailbox),
        ((3, 3),), "replies make a conversation, a lone message none")
    for _ in range(4):
        ok(first.user(account, "delete")["ok"], "a message deleted")
    is_(one(first, f"SELECT COUNT(*) FROM {schema}.mail_item WHERE mailbox_id = %s AND type IN (4, 5)", mailbox), 0,
        "the conversation went with its last message")
    is_(rows(first, f"SELECT size, unread FROM {schema}.mail_item WHERE mailbox_id = %s AND id = 2", mailbox), ((0, 0),),
        "nothing is counted any more")
    is_(rows(first, f"SELECT item_count, unread FROM {schema}.tag WHERE mailbox_id = %s AND id = -10", mailbox),
        ((0, 0),), "nor as unread")
    is_(one(first, f"SELECT COUNT(*) FROM {schema}.mail_item_dumpster WHERE mailbox_id = %s", mailbox), 4,
        "the dumpster has them")


def test_tasks(lab, first, second, soap):
    account = lab.new_account(f"tasks@{DOMAIN}", first)
    mailbox = soap.mailbox(account)
    task = "SELECT COUNT(*) FROM zimbra.scheduled_task WHERE mailbox_id = %s"

    def schedule(seconds):
        return first._control("user", account=account, do="schedule-send", **{"in": seconds})["item"]

    def sent():
        return [entry["item"] for entry in first.tasks()["sent"]]
    draft = schedule(0)
    wait_for(lambda: draft in sent(), 10, "the draft to be sent")
    wait_for(lambda: one(first, task, mailbox) == 0, 10, "its task's row to go")
    is_(rows(first, f"SELECT folder_id FROM {group(first, mailbox)}.mail_item WHERE mailbox_id = %s AND type = 5",
             mailbox), ((5,),), "it is in Sent")
    draft = schedule(10)  # longer than a lock-out takes
    soap.lock(account)
    wait_for(lambda: not [t for t in first.tasks()["tasks"] if t["mailbox"] == mailbox], 10, "the task to have run")
    is_((one(first, task, mailbox), draft in sent()), (1, False), "a task that meets a lock keeps its row")
    soap.lock(account, "end")
    first.tick()
    is_(draft in sent(), False, "and sleeps")
    first.mailboxd_kill()
    first.mailboxd_start()
    wait_for(lambda: draft in sent(), 10, "the overdue task to run after the next start")
    ok(True, "until the next start")
    first.user(account, "acl-push")
    soap.lock(account)
    first.tick()
    is_((one(first, "SELECT COUNT(*) FROM zimbra.pending_acl_push WHERE mailbox_id = %s", mailbox),
         [p for p in first.tasks()["pushed"] if p["mailbox"] == mailbox]), (0, []),
        "the push skips a locked mailbox and deletes its entries all the same")


def test_broken_answers(lab, first, soap):
    account = lab.new_account(f"broken@{DOMAIN}", first)
    soap.mailbox(account)
    for mode, status in (("garbage", "maintenance"), ("drop", "maintenance"), ("silence-after", "locked")):
        first.fault("ModifyAccountRequest", mode, account=account, ms=200)
        try:
            soap.modify(account, zimbraAccountStatus="maintenance" if mode != "silence-after" else "locked")
            ok(False, f"{mode} is no answer")
        except (http.client.HTTPException, OSError, ElementTree.ParseError):
            ok(True, f"{mode} is no answer")
        is_(lab.directory.account(account)[1]["zimbraAccountStatus"], [status], f"after {mode}")
        if mode == "garbage":
            lab.directory.set(lab.directory.account(account)[0], zimbraAccountStatus="maintenance")
    for body, code in (("<NonsenseRequest xmlns='urn:zimbraAdmin'/>", "service.UNKNOWN_DOCUMENT"),
                       ("<PingRequest xmlns='urn:zimbraMail'/>", "service.UNKNOWN_DOCUMENT"),
                       ("<LockoutMailboxRequest xmlns='urn:zimbraAdmin' op='start'/>", "service.INVALID_REQUEST"),
                       ("<GetMailboxRequest xmlns='urn:zimbraAdmin'><mbox id='x'/></GetMailboxRequest>",
                        "account.NO_SUCH_ACCOUNT"), ("", "service.INVALID_REQUEST")):
        is_(soap.code(body), code, f"{body or 'an empty body'}: {code}")
    token, soap.token = soap.token, ""
    is_(soap.code("<NoOpRequest xmlns='urn:zimbraAdmin'/>"), "service.AUTH_REQUIRED", "no token")
    is_(soap.code("<PingRequest xmlns='urn:zimbraAdmin'/>"), None, "ping needs none")
    soap.token = "<authToken>0_abc_def</authToken>"
    is_(soap.code("<NoOpRequest xmlns='urn:zimbraAdmin'/>"), "service.AUTH_EXPIRED", "a token nobody gave")
    soap.token = token
    is_(soap.code("<AuthRequest xmlns='urn:zimbraAdmin' name='zimbra' password='wrong'/>"), "account.AUTH_FAILED",
        "a wrong password")
    admin = lab.new_account(f"boss@{DOMAIN}", first, kind="admin")
    is_(soap.code(f"<AuthRequest xmlns='urn:zimbraAdmin' name='boss@{DOMAIN}' password='laboratory'/>"), None,
        "an admin account logs in")
    soap.modify(admin, zimbraAccountStatus="maintenance")
    is_(soap.code(f"<AuthRequest xmlns='urn:zimbraAdmin' name='boss@{DOMAIN}' password='laboratory'/>"),
        "service.PERM_DENIED", "but not in maintenance")


def test_load(lab, first, soap):
    address = f"load@{DOMAIN}"
    account = lab.new_account(address, first)
    mailbox = soap.mailbox(account)
    lab.deliver(address, first, n=20)
    stop = threading.Event()
    counts = [0]
    problems = []

    def click():
        while not stop.is_set():
            for do in ("flag", "unread", "tag", "read", "move"):
                answer = first.user(account, do)
                if not answer["ok"]:
                    problems.append(answer)
                counts[0] += 1

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    lab.deliver(address, first, n=300)
    seconds = time.monotonic() - began
    is_(soap.lock(account), None, "a lockout gets through the crowd")
    problems_before = list(problems)
    is_(soap.lock(account, "end"), None, "and leaves again")
    stop.set()
    for thread in threads:
        thread.join()
    is_([p for p in problems_before if p["code"] != "mail.MAINTENANCE"], [], "all changes went through")
    print(f"# {300 / seconds:.0f} deliveries and {counts[0] / seconds:.0f} changes a second", flush=True)
    is_(one(first, f"SELECT COUNT(*) FROM {group(first, mailbox)}.mail_item WHERE mailbox_id = %s AND type = 5",
            mailbox), 320, "every message is there")


def main():
    with Lab.create(NAME, stores=STORES, replica=True) as lab:
        first, second, third = lab.stores
        if not first.has_mailboxd:
            print("1..0 # SKIP the stand-in is not built")
            return
        lab.new_domain(DOMAIN)
        soap, soap2 = Soap(first), Soap(second)
        test_map_and_cache(lab, first, second, soap, soap2)
        test_foreign_row(lab, first, soap)
        test_lockout(lab, first, second, soap)
        test_abandoned_start(lab, first, soap)
        test_late_lock(lab, first, soap)
        test_status(lab, first, soap)
        test_lists_and_domains(lab, first, soap)
        test_flip(lab, first, second, third, soap, soap2)
        test_replica(lab, first, second, soap, soap2)
        test_numbers(lab, first, soap)
        test_everything(lab, first, soap)
        test_memcached(lab, first, soap)
        test_mail(lab, first, soap)
        test_threads(lab, first, soap)
        test_tasks(lab, first, second, soap)
        test_broken_answers(lab, first, soap)
        test_load(lab, first, soap)
        test_database_killed(lab, first, soap)
    done()


main()
