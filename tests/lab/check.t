#!/usr/bin/python3
"""doCheck: a healthy laboratory is OK in everything; whatever can be broken in it is told by its test, with a remedy;
what FAILs, doMailboxMove refuses before anybody is locked out; nothing is changed; silence costs its timeout once."""

import contextlib
import json
import os
import re
import subprocess
import sys

import ldap

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import network, schema, servers, truth  # noqa: E402
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, mailbox_id  # noqa: E402
from zxlab.snapshot import own_tables  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402
from zxlab.template import ROOT  # noqa: E402

with open(os.path.join(ROOT, "doc/checks.md"), encoding="utf-8") as doc:
    TESTS = re.findall(r"^\| (\w+) \|", doc.read(), re.M)[1:]
TIMEOUT = 10
provoked = {"WARN": set(), "FAIL": set()}


def check(status, *words, accounts=None):
    """The answer of doCheck, one test: its exit status and keys."""
    accounts = accounts or [scene.address("ann")]
    result = lab.zxmove("--json", "doCheck", two.name, "accounts", ",".join(accounts), *words)
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer("doCheck", answer)
    ok(result.returncode == status and not findings, f"{status}: doCheck {' '.join(words)}") \
        or diag(f"status {result.returncode}\n" + "\n".join(findings) + result.stdout + result.stderr)
    return answer["response"]


def unheard(address, port):
    """How many have called a server that stands still since it was last heard to take a call: the kernel keeps them."""
    local = "".join(f"{int(part):02X}" for part in reversed(address.split("."))) + f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        fields = next(f for f in map(str.split, table) if f[1] == local and f[3] == "0A")
    return int(fields[4].partition(":")[2], 16)


def results(response):
    """{test: worst result} of what is not OK and could be looked at."""
    found = {}
    for finding in response["findings"]:
        if finding["result"] in ("WARN", "FAIL") and found.get(finding["test"]) != "FAIL":
            found[finding["test"]] = finding["result"]
    return found


def text_of(response, test):
    """All that is said by a test."""
    return "\n".join(f"{f.get('subject')}: {f['finding']} ({f.get('remedy')})" for f in response["findings"]
                     if f["test"] == test)


def locks():
    """How often a mailbox was locked out at either store."""
    return sum(json.dumps(store.log()).count("LockoutMailbox") for store in lab.stores if store.mailboxd.pid)


def broken(name, expected, accounts=None, move=False, args=()):
    """What is found as things are now, {test: (result, words in what it says)}; with `move` a move refuses it."""
    wanted = {test: result for test, (result, _) in expected.items()}
    response = check(1 if "FAIL" in wanted.values() else 5, *args, accounts=accounts)
    is_(results(response), wanted, name) or diag(json.dumps(response["findings"], indent=1))
    for test, (result, words) in expected.items():
        provoked[result].add(test)
        said = text_of(response, test)
        if words not in said:
            ok(False, f"{name}: {test} says {words}") or diag(said)
    if not move:
        return
    before = locks()
    result = lab.zxmove("doMailboxMove", two.name, "accounts", ",".join(accounts or [scene.address("ann")]), *args)
    ok(result.returncode != 0 and locks() == before and home(lab, ann) is one and
       account_status(lab, ann)[0] == "active", f"{name}: a move refuses before anybody is locked out") \
        or diag(result.stdout + result.stderr)


@contextlib.contextmanager
def attributes(dn, **changed):
    """Attributes of an entry, for a while."""
    entry = lab.ldap().search_s(dn, 0)[0][1]
    lab.directory.set(dn, **changed)
    yield
    lab.directory.set(dn, **{name: entry.get(name) for name in changed})


@contextlib.contextmanager
def unreadable(attribute):
    """Nobody may read an attribute of any entry, for a while."""
    database, rule = "olcDatabase={1}mdb,cn=config", f"{{0}}to attrs={attribute} by * none".encode()
    connection = servers.connect_ldap(lab.ldap_master, "cn=config", lab.ldap_password)
    connection.modify_s(database, [(ldap.MOD_ADD, "olcAccess", [rule])])
    yield
    connection.modify_s(database, [(ldap.MOD_DELETE, "olcAccess", [rule])])
    connection.unbind_s()


@contextlib.contextmanager
def sql(store, *statements, undo):
    """Statements, and what undoes them."""
    with store.db() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        yield
        for statement in undo:
            cursor.execute(statement)


@contextlib.contextmanager
def localconfig(store, **changed):
    """Keys of localconfig, for a while; mailboxd is not told."""
    path = store.path("conf/localconfig.xml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    new = text.replace("</localconfig>", "".join(f'<key name="{name}"><value>{value}</value></key>'
                                                for name, value in changed.items()) + "</localconfig>")
    servers.write(path, new, 0o640)
    yield
    servers.write(path, text, 0o640)


@contextlib.contextmanager
def settings(old, new, count=-1):
    """The configuration of zxmove, for a while."""
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    servers.write(lab.conf_path, text.replace(old, new, count), 0o600)
    yield
    servers.write(lab.conf_path, text, 0o600)


lab = Lab.create("check", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    one, two, three = lab.stores
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write(f"net_timeout: {TIMEOUT}s\n")
    scene = Scene(lab, strangers=False)
    ann = scene.mailbox("ann", one, messages=5, rich=False)
    ben = scene.account("ben", one)
    both = [scene.address("ann"), scene.address("ben")]

    # All is well.
    before = scene.snapshot(ann)
    response = check(0, "verbose", "true", accounts=both)
    is_(sorted({f["test"] for f in response["findings"]} ^ set(TESTS)), [], "every test of doc/checks.md says something")
    is_([f for f in response["findings"] if f["result"] != "OK" and f["test"] != "sharing"], [], "all of it OK")
    is_(response["tests"], {"ok": len(TESTS) - 1, "warn": 0, "fail": 0, "not_possible": 1}, "and counted")
    is_([f["test"] for f in check(0, accounts=both)["findings"]], ["sharing"], "without verbose only what is not")
    findings_none(check_unmoved(lab, before, ann), "the world is as it was")
    for store in lab.stores:
        with truth.Sql(store) as database:
            is_(own_tables(database), set() if isinstance(own_tables(database), set) else own_tables(database)[:0],
                f"{store.name}: no records are made")
    is_(mailbox_id(one, ben), None, "nor a mailbox")
    text = lab.zxmove("doCheck", two.name, "domains", scene.domain).stdout
    ok(text.endswith(f"2 accounts to {two.name}: {len(TESTS) - 1} tests OK, 0 WARN, 0 FAIL, 1 not possible\n"),
       "the last line counts") or diag(text)
    subprocess_text = subprocess.run([lab.program, "__docs", "checks"], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(ROOT, "doc/checks.md"), encoding="utf-8") as doc:
        is_(doc.read(), subprocess_text, "doc/checks.md is what the program prints")
    exits(lab.zxmove("doCheck", two.name, "accounts", "nobody@" + scene.domain), 1, "an account that is none")
    exits(lab.zxmove("doCheck", "store9.lab.test", "accounts", both[0]), 1, "a store that is none")
    exits(lab.zxmove("doMailboxMove", two.name, "accounts", both[0], "verbose", "true"), 64, "verbose is doCheck's")

    # Accounts, each with something else; tests/lab/refuse.t has the moves that refuse them.
    def changed(name, **attributes_of):
        """An account with attributes of its own; its address."""
        lab.directory.set(lab.directory.account(scene.account(name, one))[0], **attributes_of)
        return scene.address(name)

    broken("accounts", {"transport": ("FAIL", "custom mail transport smtp:gateway"), "transport_port": ("WARN", "2525"),
                        "home": ("FAIL", "is no server of this directory")},
           accounts=[changed("transport", zimbraMailTransport="smtp:gateway.example:25"), both[0],
                     changed("port", zimbraMailTransport=f"lmtp:{one.name}:2525"),
                     changed("home", zimbraMailHost="mail9.elsewhere.test")])
    with settings("user: zimbra\n", f"user: {scene.address('ann')}\n"):
        broken("our own login", {"own_login": ("FAIL", "log in as another"), "soap": ("FAIL", "cannot log in"),
                                 "admin": ("WARN", "no global"), "other_stores": ("WARN", "cannot log in")})
    domain = lab.directory.domain(scene.domain)[0]
    cos = lab.directory.find("(&(objectClass=zimbraCOS)(cn=default))")[0][0]
    with attributes(domain, zimbraDomainStatus="suspended"):
        broken("a suspended domain", {"domain": ("FAIL", "zmprov md")}, move=True)
    with attributes(domain, zimbraDomainStatus="closed"), attributes(cos, zimbraMailHostPool=one.server_id):
        broken("a pool without the destination", {"host_pool": ("WARN", "of 1 of these")})
        ok("1 are closed" in text_of(check(5, "verbose", "true"), "closed_domain"), "a closed domain is noted")
    with attributes(cos, zimbraMailHostPool=[one.server_id, two.server_id]):
        check(0)

    # Mailboxes, the same way.
    def row(account):
        """Id and group of its mailbox, and its last item with a blob."""
        with one.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
            mailbox, group = cursor.fetchone()
            cursor.execute(f"SELECT MAX(id) FROM mboxgroup{group}.mail_item WHERE mailbox_id = {mailbox}"
                           " AND blob_digest IS NOT NULL")
            return mailbox, group, cursor.fetchone()[0]

    ids = {name: scene.mailbox(name, one, messages=2, rich=False) for name in ("size", "version", "leftover", "external")}
    rows = {name: row(account) for name, account in ids.items()}
    (size, size_group, item), (external, external_group, object_item) = rows["size"], rows["external"]
    nobody = "f0f0f0f0-0000-4000-8000-000000000009"
    with sql(one, f"UPDATE mboxgroup{size_group}.mail_item SET size = size + 1 WHERE mailbox_id = {size} AND id = {item}",
             f"UPDATE zimbra.mailbox SET version = '2.10' WHERE id = {rows['version'][0]}",
             "INSERT INTO zimbra.scheduled_task (class_name, name, mailbox_id, exec_time) VALUES ('com.zimbra.cs.mailbox"
             f".AutoSendDraftTask', 'autoSendDraftTask300', {rows['version'][0]}, '2031-01-01')",
             "INSERT INTO zimbra.volume (id, type, name, path, file_bits, file_group_bits, mailbox_bits,"
             " mailbox_group_bits, compress_blobs, compression_threshold, store_type) VALUES (99, 2, 'bucket',"
             f" '{one.path('hsm')}', 12, 8, 12, 8, 0, 4096, 2)",
             f"UPDATE mboxgroup{external_group}.mail_item SET locator = '99' WHERE mailbox_id = {external}"
             f" AND id = {object_item}", undo=["UPDATE zimbra.volume SET store_type = 1 WHERE id = 99"]):
        with sql(two, "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id, version) SELECT 3, 3,"
                 f" '{ids['leftover']}', index_volume_id, '2.7' FROM zimbra.current_volumes",
                 undo=["DELETE FROM zimbra.mailbox WHERE id = 3"]):
            broken("mailboxes", {"blobs": ("WARN", f"item {item}"), "mailbox_version": ("FAIL", "upgrade"),
                                 "sleepers": ("WARN", "1 delayed send"),
                                 "leftover": ("FAIL", "already has a mailbox 3"),
                                 "mailbox": ("FAIL", "external storage"), "volumes": ("WARN", "bucket")},
                   accounts=[scene.address(name) for name in ids])

    one.configure(mailboxd={"network_moves": [scene.address("ann")]})
    broken("another mover", {"other_mover": ("FAIL", "own mover is at work")}, move=True)
    one.configure(mailboxd={"network_moves": [], "reindexing": [ann]})
    broken("a mailbox that is indexed anew", {"reindex": ("WARN", "is indexing it anew")})
    one.configure(mailboxd={"reindexing": []})
    with unreadable("zimbraAccountStatus"):
        broken("a status that cannot be read", {"account_status": ("FAIL", "cannot be read")})
    check(0)

    # What two stores have in common: all of it is told at once, and each alone is refused.
    entry = lab.directory.find("(&(objectClass=zimbraServer)(cn=%s))", two.name)[0][0]
    wrong = sql(two, "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT next_mailbox_id, 1 +"
                f" next_mailbox_id % {two.groups}, '{nobody}', index_volume_id FROM zimbra.current_volumes",
                undo=[f"DELETE FROM zimbra.mailbox WHERE account_id = '{nobody}'"])
    newer = sql(one, "UPDATE zimbra.config SET value = '119' WHERE name = 'db.version'",
                "UPDATE zimbra.config SET value = '3' WHERE name = 'index.version'",
                undo=["UPDATE zimbra.config SET value = '118' WHERE name = 'db.version'",
                      "UPDATE zimbra.config SET value = '2' WHERE name = 'index.version'"])
    with attributes(entry, zimbraServiceEnabled=["proxy"]), localconfig(two, debug_disable_mailbox_group="true"), \
            wrong, newer, subprocess.Popen(["/bin/sh", "-c", "read end", "mailboxd", one.dir,
                                            "-Duser.timezone=Asia/Tokyo"], stdin=subprocess.PIPE):
        broken("two stores", {"destination": ("FAIL", "no mailbox service"), "versions": ("FAIL", "upgrade"),
                              "layout": ("FAIL", "debug_disable_mailbox_group"), "time_zone": ("FAIL", "Asia/Tokyo"),
                              "groups": ("FAIL", "newest mailbox"), "ids": ("FAIL", "next_mailbox_id"),
                              "index": ("WARN", "index.version 3 and 2")}, move=True)
    with sql(two, "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT next_mailbox_id, 1 +"
             f" (next_mailbox_id - 1) % {two.groups}, '{nobody}', index_volume_id FROM zimbra.current_volumes",
             undo=[f"DELETE FROM zimbra.mailbox WHERE account_id = '{nobody}'"]):
        broken("an id counter that is too low", {"ids": ("FAIL", "next_mailbox_id")}, move=True)
    with localconfig(two, debug_external_mailbox_directory="true"):
        broken("a debug_ key", {"layout": ("FAIL", "debug_external_mailbox_directory")}, move=True)
    with sql(two, "REVOKE DROP ON *.* FROM zimbra@'%'", undo=["GRANT ALL PRIVILEGES ON *.* TO zimbra@'%'"
                                                              " WITH GRANT OPTION"]):
        broken("a right that is missing", {"database_rights": ("FAIL", "DROP")}, move=True)
    # Whose sessions begin with a clock of their own is only who may not do everything.
    with sql(two, "REVOKE SUPER, CONNECTION ADMIN ON *.* FROM zimbra@'%'",
             "SET GLOBAL init_connect = 'SET TIMESTAMP = UNIX_TIMESTAMP() + 60'",
             undo=["SET GLOBAL init_connect = ''", "GRANT ALL PRIVILEGES ON *.* TO zimbra@'%' WITH GRANT OPTION"]):
        broken("a clock that is a minute ahead", {"clocks": ("FAIL", "apart: set them")}, move=True)
    statvfs = os.statvfs(two.dir)
    percent = 1 + 100 * statvfs.f_bavail // statvfs.f_blocks
    provoked["FAIL"].add("space")
    if percent <= 50:
        broken("a disk that is too full", {"space": ("FAIL", "min_free")}, accounts=[scene.address("ann")], move=True,
               args=("min_free", str(percent)))
    else:
        ok(True, "a disk that is too full # SKIP more than half of it is free")

    # Settings, what a window needs, and this host.
    lab.memcached.stop()
    with sql(two, "CREATE TABLE zimbra.surprise (mailbox_id INT UNSIGNED NOT NULL, x INT)",
             "SET GLOBAL max_allowed_packet = 8388608",
             undo=["DROP TABLE zimbra.surprise", "SET GLOBAL max_allowed_packet = 16777216"]), \
            localconfig(one, zimbra_mailbox_lock_timeout="soon", zimbra_user="somebody",
                        ldap_master_url="ldap://192.0.2.1:389", ldap_url=f"ldap://{lab.host(9)}:1"), \
            settings(f"  {three.name}:\n", "  unused.lab.test:\n"), settings("starttls: true", "starttls: false"):
        broken("settings", {"tables": ("FAIL", "surprise"), "database_settings": ("WARN", "max_allowed_packet"),
                            "checkpoints": ("WARN", "soon"), "ssh_user": ("WARN", "somebody"),
                            "master": ("WARN", "192.0.2.1"), "ldap_servers": ("WARN", f"{lab.host(9)}:1"),
                            "memcached": ("WARN", "connect"), "other_stores": ("WARN", "not in the configuration"),
                            "directory_tls": ("WARN", "in clear"), "notifications": ("WARN", "being moved itself")},
               args=("notifications", f"{scene.address('ann')},admin@elsewhere.test"))
    lab.memcached.start()
    with settings(f"  {two.name}:\n", "  unused.lab.test:\n"):
        broken("the destination is not configured", {"configured": ("FAIL", "not in the configuration")}, move=True)
    result = subprocess.run(["/bin/sh", "-c", 'ulimit -n 100; exec "$@"', "sh", lab.program, "--config", lab.conf_path,
                             "--json", "doCheck", two.name, "accounts", both[0]], capture_output=True, text=True,
                            check=False)
    is_(results(json.loads(result.stdout)["response"]), {"file_handles": "WARN"}, "few files may be open")
    provoked["WARN"].add("file_handles")

    small = 'mkdir -p "$0" && mount -t tmpfs -o size=16m none "$0" && exec "$@"'
    provoked["WARN"].add("state_dir")
    words = ["unshare", "-m", "sh", "-c", small, os.path.join(lab.dir, "state")]
    if os.geteuid() == 0 and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        result = subprocess.run([*words, lab.program, "--config", lab.conf_path, "--json", "doCheck", two.name, "accounts",
                                 both[0]], capture_output=True, text=True, check=False)
        response = json.loads(result.stdout)["response"]
        is_(results(response), {"state_dir": "WARN"}, "a state_dir without room") or diag(result.stdout + result.stderr)
        ok("16.0 MB are free" in text_of(response, "state_dir"), "which is told") or diag(text_of(response, "state_dir"))
    else:
        ok(True, "a state_dir without room # SKIP no file system can be mounted here")

    # First contact, and servers that are away.
    master = lab.ldap_master.partition("//")[2].partition(":")[0]
    known = os.path.join(lab.dir, "ssh", "known_hosts")
    with settings(known, known + "-none"):
        response = check(1)
        is_(results(response), {"host_key": "FAIL", "ssh": "FAIL"}, "unknown host keys")
        ok(f"trust {one.name}" in text_of(response, "host_key"), "name the command")
        ok({"tables", "clocks", "leftover"} <= {f["test"] for f in response["findings"] if f["result"] == "not possible"},
           "what could not be looked at is told") or diag(str(response))
    with settings(os.path.join(lab.dir, "ca", "ca.pem"), "/etc/ssl/certs/ca-certificates.crt"):
        response = check(1)
        is_(results(response), {"certificate": "FAIL", "directory": "FAIL"}, "another CA")
    provoked["FAIL"] |= {"host_key", "ssh", "certificate", "directory"}
    lab.slapd.stop()
    response = check(1)
    is_(results(response), {"directory": "FAIL"}, "a directory that is down")
    ok(master in text_of(response, "directory") and "certificate" in {f["test"] for f in response["findings"]
       if f["result"] == "not possible"}, "is named") or diag(str(response["findings"])[:2000])
    lab.slapd.start()
    two.mariadb.kill()
    two.mailboxd_kill()
    response = check(1)
    is_(results(response), {"database": "FAIL", "soap": "FAIL"}, "a database and a mailboxd that are down")
    provoked["FAIL"] |= {"database", "soap"}
    text = lab.zxmove("doCheck", two.name, "accounts", both[0]).stdout
    ok(f"not possible: {two.name} could not be asked:\n" in text and text.count("could not be asked") == 1,
       "in the text once, for all its tests") or diag(text)
    two.mariadb_start()
    two.mailboxd_start()
    check(0)
    two.pause("sshd")
    two.pause("mailboxd")
    response = check(1)
    calls = {port: unheard(two.address, port) for port in (network.SSH_PORT, network.SOAP_PORT)}
    two.cont("sshd")
    two.cont("mailboxd")
    is_({"ssh", "soap"} <= set(results(response)), True, "a store that is silent fails")
    is_(set(calls.values()), {1}, "and is asked once, which costs its timeout once") or diag(str(calls))
    check(0)
    is_(scene.move(ann, two, fail="fence:applied=kill").returncode, -9, "a mover is killed in the window")
    response = check(1)
    is_(results(response), {"unfinished": "FAIL"}, "which is told") or diag(json.dumps(response["findings"], indent=1))
    ok("doRecover" in text_of(response, "unfinished"), "with the command") or diag(text_of(response, "unfinished"))
    provoked["FAIL"].add("unfinished")
    exits(lab.zxmove("doRecover", "accounts", scene.address("ann"), "dry_run", "false"), 0, "it is recovered")
    with sql(one, "INSERT INTO zxmove.step (operation, account_id, name, intent) SELECT operation, account_id, 'doubt',"
             f" UTC_TIMESTAMP(3) FROM zxmove.fence WHERE account_id = '{ann}'",
             undo=["DELETE FROM zxmove.step WHERE name = 'doubt'"]):
        broken("a commit that may still land", {"late_commit": ("FAIL", "stays there until")}, move=True)
    is_(sorted(set(TESTS) - provoked["FAIL"] - provoked["WARN"]), ["closed_domain", "sharing"],
        "every test was provoked but those that only tell")
finally:
    lab.stop()
done()
