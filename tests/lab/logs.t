#!/usr/bin/python3
"""Logs: one an operation, one a mailbox on request, none with a secret in it, old ones removed; what goes wrong and what
is recovered leaves no secret either: not in logs, reports, mails or zxmove's own records."""

import glob
import json
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import truth  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits  # noqa: E402
from zxlab.snapshot import OWN_SCHEMA, own_tables  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("logs", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    logs = os.path.join(lab.dir, "state", "log")
    scene = Scene(lab, strangers=False)
    anna, ivan, dead = (scene.mailbox(name, one, messages=3) for name in ("anna", "ivan", "dead"))
    said = []

    def zxmove(status, *words, **options):
        """One test: it ends so. Its words are kept, to be searched."""
        result = lab.zxmove(*words, **options)
        exits(result, status, f"{status}: {' '.join(words)[:60]}")
        said.append(result.stdout + result.stderr)
        return result

    # Logs of operations that ended long ago, and what only looks like them.
    os.makedirs(logs, 0o700)
    uuid = "00000000-0000-4000-8000-000000000000"
    os.mkdir(os.path.join(logs, uuid))
    names = [f"{uuid}.log", f"{uuid}.log.1", f"{uuid}/a@x.log", f"{uuid}.log.gz", "mine.log"]
    young = f"{uuid[:-1]}1.log"
    for name in [*names, young]:
        with open(os.path.join(logs, name), "w", encoding="ascii") as file:
            file.write("old\n")
    for name in [*names, uuid]:
        os.utime(os.path.join(logs, name), (1, 1))

    # One a mailbox, of two in flight side by side.
    found = json.loads(zxmove(0, "--json", *scene.words([anna, ivan], two), "separate_logs", "true", "threads", "2")
                       .stdout)["response"]
    is_(sorted(os.listdir(found["mailbox_logs"])), [f"{scene.address(name)}.log" for name in ("anna", "ivan")],
        "separate_logs: a log of each mailbox, named by its address")
    of_anna = open(os.path.join(found["mailbox_logs"], f"{scene.address('anna')}.log"), encoding="utf-8").read()
    everything = open(found["log"], encoding="utf-8").read()
    ok(len(of_anna.splitlines()) > 5 and all(scene.address("anna") in line and line in everything
                                             for line in of_anna.splitlines()),
       "with the lines of that mailbox, which the common log has, too") or diag(of_anna)
    ok("ivan" not in of_anna, "and no other's")
    for path in (found["log"], *glob.glob(os.path.join(found["mailbox_logs"], "*"))):
        is_(stat.S_IMODE(os.stat(path).st_mode), 0o600, "readable by the owner only")
    is_(sorted(name for name in os.listdir(logs) if name.startswith(uuid[:8]) or name == "mine.log"),
        sorted([f"{uuid}.log.gz", young, "mine.log"]), "logs older than log.keep_days are gone, nothing else is")

    # As the configuration wants it.
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("separate_logs: true\nlog: { level: warning, max_size: 64K, keep: 1 }\n")
    response = json.loads(zxmove(0, "--json", *scene.words(anna, one)).stdout)["response"]
    is_([line for line in open(response["log"], encoding="utf-8") if " info " in line or " debug " in line], [],
        "log.level: no more than that")
    ok("mailbox_logs" not in response or os.path.isdir(response["mailbox_logs"]), "the setting separate_logs")
    ok("mailbox_logs" not in json.loads(zxmove(0, "--json", *scene.words(anna, two), "separate_logs", "false").stdout)
       ["response"], "an operation may have it otherwise")

    # Things go wrong, with every level on; and no log, report, mail or record has a secret.
    text = open(lab.conf_path, encoding="utf-8").read().replace("level: warning", "level: debug")
    open(lab.conf_path, "w", encoding="utf-8").write(text)
    zxmove(-9, *scene.words(dead, two), fail="prove:applied=kill")
    zxmove(0, "doRecover", "accounts", scene.address("dead"))
    wait_for(lambda: lab.zxmove("doRecover", "accounts", scene.address("dead"), "dry_run", "false").returncode == 0,
             60, "the dead mover's claim to end", every=1)
    two.mailboxd_kill()
    zxmove(69, *scene.words(dead, two), "notifications", f"admin@{scene.domain}")
    two.mailboxd_start()
    wrong = os.path.join(lab.dir, "wrong.yaml")
    with open(wrong, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text.replace(lab.ldap_password, "not-the-secret-4711"))
    result = subprocess.run([lab.program, "--config", wrong, *scene.words(dead, two)], capture_output=True, text=True,
                            timeout=600, check=False, stdin=subprocess.DEVNULL)
    said.append(result.stdout + result.stderr)
    ok(result.returncode not in (0, 64), "a wrong password is refused")
    zxmove(0, "doPurgeMailboxes", scene.address("ivan"), "ignore_retention", "true")

    secrets = {"the directory's password": lab.ldap_password, "a wrong one": "not-the-secret-4711"}
    with open(os.path.join(lab.dir, "ssh", "id_zxmove"), encoding="ascii") as file:
        secrets["the ssh key"] = file.read().splitlines()[2]
    for store, facts in zip(lab.stores, lab.facts["stores"]):
        secrets[f"MariaDB's password on {store.name}"] = facts["mariadb_password"]
    ok(all(len(secret) > 8 for secret in secrets.values()), "the laboratory has secrets")
    places = {"what zxmove says": "".join(said), "mails": "".join(lab.mails())}
    for root, _, files in os.walk(os.path.join(lab.dir, "state")):
        for name in files:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                places[os.path.join(root, name)] = file.read()
    for store in lab.stores:
        with truth.Sql(store) as sql:
            places[f"records on {store.name}"] = str([sql.text(f"SELECT * FROM {OWN_SCHEMA}.{table}")
                                                      for table in own_tables(sql)])
    ok(len([path for path in places if path.startswith(logs)]) > 8, "there are logs to be searched")
    is_([(what, place) for what, secret in secrets.items() for place, text in places.items() if secret in text], [],
        "no secret in any log, report, mail or record")
    ok(secrets["the directory's password"] in text, "the search would find it")
finally:
    lab.stop()
done()
