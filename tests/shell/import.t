#!/usr/bin/python3
"""importConf: the script's configuration becomes ours; no password is shown, the file is private, and what is wrong is
told by its line. doc/from-the-script.md knows every key and option."""

import json
import os
import re
import stat
import sys

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import ROOT, Place  # noqa: E402
from zxlab import schema  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

place = Place()
SECRETS = ("ldap&secret'1", "admin # 2", "maria\"3")
# The published example, with its uneven indents and all its quotes, and passwords.
SAMPLE = f"""[global]
log_file='/tmp/mailbox_move.log'
[zimbra-config]   # here
offset_mailbox_id=90000
ldap_server = 'ldap://172.16.0.4'
ldap_port=389
ldap_user = 'uid=zimbra,cn=admins,cn=zimbra'
ldap_password = "{SECRETS[0]}"
ZADMIN_USERNAME = 'admin_service@example.com'
ZADMIN_PASSWORD = '{SECRETS[1]}'
ZSTORE = "localhost"   # its own

# the stores
[store-config]
    [[zimbra.priv.example.com]]
        host='127.0.0.1'
        user='zimbra'
        password='{SECRETS[2]}'
        port='17306'
   [[ mail2.example.com ]]
        host='127.0.0.1'
        user='zimbra'
        password=''
        port='17307'
"""
conf = place.file("mailboxmove.conf", SAMPLE)
made = f"{place.dir}/new.yaml"


def run(*words, status=0):
    """One test: it ends so, and shows no password."""
    result = place.run(*words)
    whole = result.stdout + result.stderr
    if not ok(result.returncode == status and not any(secret in whole for secret in SECRETS), " ".join(words)[:70]):
        diag(f"status {result.returncode}\n{whole}")
    return result


result = run("importConf", conf)
ok("nothing is written" in result.stdout and "ldap.master" in result.stdout, "without output it only tells")
result = run("importConf", conf, "output", made)
for words in ("offset_mailbox_id: a mailbox gets the next id", "port of mail2.example.com: the near end of a tunnel",
              "password of mail2.example.com: empty: each store's own", "mailbox_metadata", "FOREIGN_KEY_CHECKS",
              f"zxmove --config {made} trust"):
    ok(words in result.stdout, f"it says: {words}") or diag(result.stdout)
is_(stat.S_IMODE(os.stat(made).st_mode), 0o600, "the new file is private")
with open(made, encoding="utf-8") as file:
    text = file.read()
is_(yaml.safe_load(text), {
    "stores": {"zimbra.priv.example.com": {"address": "zimbra.priv.example.com", "mariadb_password": SECRETS[2]},
               "mail2.example.com": {"address": "mail2.example.com"}},
    "ldap": {"master": "ldap://172.16.0.4:389", "bind_dn": "uid=zimbra,cn=admins,cn=zimbra", "password": SECRETS[0]},
    "admin": {"user": "admin_service@example.com", "password": SECRETS[1]}}, "what it has")
result = run("--config", made, "config", "get", "ldap.password")
ok("(a password)" in result.stdout, "and zxmove reads it")
run("importConf", conf, "output", made, status=66)
is_(open(made, encoding="utf-8").read(), text, "an older file is left alone")
found = json.loads(run("--json", "importConf", conf).stdout)
is_(schema.of_answer("importConf", found), [], "doc/json.md has its keys")

for content, line, why in (
        ("hello\n", 1, "neither a section nor key = value"), ("[a\n", 1, "a section is written"),
        ("[[a]]\n", 1, "a store stands below"), ("[a]\nb = 'c\n", 2, "open quote"), ("[a]\nb = 'c' d\n", 2, "behind it"),
        ("[a]\nb = '''c\n", 2, "several lines"), (b"[a]\nb = \xff\n", None, "not a text file"),
        ("[zimbra-config]\n[store-config]\n", None, "no mailboxmove.conf"),
        (SAMPLE.replace("ldap_server", "server"), None, "no ldap_server"),
        (SAMPLE.replace("mail2.example.com", "mail 2"), None, "is not the name of a server"),
        (SAMPLE.replace("mail2.example.com", "mail*2"), None, "is not the name of a server")):
    bad = place.file("bad.conf", content)
    run("importConf", bad, status=66)
    result = run("importConf", bad, "output", f"{place.dir}/bad.yaml", status=66)
    ok(why in result.stderr and (line is None or f"{bad}:{line}: " in result.stderr), f"  {why}") or diag(result.stderr)
    ok(not os.path.exists(f"{place.dir}/bad.yaml"), "  nothing is left")
for server, port, master in (("ldap.example.com", "389", "ldap://ldap.example.com:389"),
                             ("ldaps://10.0.0.1", "636", "ldaps://10.0.0.1:636"),
                             ("ldap://10.0.0.1:3890", "389", "ldap://10.0.0.1:3890")):
    path = place.file("ldap.conf", SAMPLE.replace("ldap://172.16.0.4", server).replace("ldap_port=389", f"ldap_port={port}"))
    taken = json.loads(place.run("--json", "importConf", path).stdout)["response"]["taken"]
    is_([row["value"] for row in taken if row["setting"] == "ldap.master"], [master], f"{server} and {port}")

# The document: every option, every key, and only settings and parameters that there are.
with open(os.path.join(ROOT, "doc/from-the-script.md"), encoding="utf-8") as file:
    page = file.read()
keys = re.findall(r"^\s*(\w+)\s*=", SAMPLE, re.M)
is_([word for word in ["`-a ", "`-d ", "`-f ", "`-l`", "`-s`", *keys] if word not in page], [],
    "doc/from-the-script.md names every option and key")
settings = {row["name"].replace("zimbra.priv.example.com", "name") for row in
            json.loads(place.run("--config", made, "--json", "config", "list").stdout)["response"]["settings"]}
named = set(re.findall(r"`((?:ldap|admin|stores|ssh|mariadb|log)\.[a-z_.]+)", page))
is_({name for name in named if name.removesuffix("_file") not in settings | {"log"} and name not in settings}, set(),
    "and only settings that there are")
moved = place.run("--parse", "--json", *"doMailboxMove mail2.example.com input_file users.csv separate_logs true".split())
is_(json.loads(moved.stdout)["response"]["parameters"]["separate_logs"], True, "its example is a command")
done()
