#!/usr/bin/python3
"""Lines of old runbooks, as typed: one after the other as a command, in a heredoc, in a file and at the prompt, every
one is understood the same way. --parse says how, from the typed request that the verb would get."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import PROGRAM, Place, Terminal  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

MOVE, PURGE = "doMailboxMove", "doPurgeMailboxes"
SAAS = {"destinationHost": "secureserver.saas.com", "domains": ["company.ru"]}
ALL = ["blobs", "backup", "account"]
# The line; its verb; what it says. The first four are the article's.
LINES = [
    ("zxsuite powerstore doMailboxMove mail2.company.com accounts user@company.com stages data,account", MOVE,
     {"destinationHost": "mail2.company.com", "accounts": ["user@company.com"], "stages": ALL}),
    ("zxsuite powerstore doMailboxMove secureserver.saas.com domains company.ru stages data", MOVE,
     {**SAAS, "stages": ["blobs", "backup"]}),
    ("zxsuite powerstore doMailboxMove secureserver.saas.com domains company.ru stages data, account notifications"
     " admin@saas.com", MOVE, {**SAAS, "stages": ALL, "notifications": ["admin@saas.com"]}),
    ("zxsuite powerstore doPurgeMailboxes ignore_retention true", PURGE, {"mailbox": "all", "ignore_retention": True}),

    ("zxsuite hsm doMailboxMove secureserver.saas.com domains company.ru stages data", MOVE,
     {**SAAS, "stages": ["blobs", "backup"]}),
    ("zxsuite --progress hsm doMailboxMove secureserver.saas.com domains company.ru", MOVE,
     {**SAAS, "stages": ["blobs", "account"]}),
    ("zxsuite --sync --progress powerstore doMailboxMove mail2 accounts a@x.com , b@x.com ,c@x.com", MOVE,
     {"destinationHost": "mail2", "accounts": ["a@x.com", "b@x.com", "c@x.com"]}),
    ("carbonio powerstore mailboxMove mail2 accounts a@x.com", MOVE,
     {"destinationHost": "mail2", "accounts": ["a@x.com"], "stages": ["blobs", "account"]}),
    ("carbonio --host mail1.company.com powerstore MailboxMove mail2 domains x.com", MOVE,
     {"destinationHost": "mail2", "domains": ["x.com"], "host": "mail1.company.com"}),
    ("zxsuite --hostname=mail1.company.com powerstore doPurgeMailboxes 27", PURGE,
     {"mailbox": "27", "host": "mail1.company.com"}),
    ("zxmove doMailboxMove mail2 accounts a@x.com stages blobs", MOVE, {"accounts": ["a@x.com"], "stages": ["blobs"]}),
    ("powerstore doMailboxMove mail2 input_file /tmp/list.txt stages account", MOVE,
     {"input_file": "/tmp/list.txt", "stages": ["account"]}),
    ("hsm domailboxmove mail2 domains x.com, y.com stages data", MOVE, {"domains": ["x.com", "y.com"]}),
    ("ZXSUITE PowerStore DOMAILBOXMOVE mail2 domains x.com", MOVE, {"domains": ["x.com"]}),
    ("zxsuite powerstore doMailboxMove destinationHost mail2 accounts a@x.com", MOVE,
     {"destinationHost": "mail2", "accounts": ["a@x.com"]}),
    ("zxsuite powerstore doMailboxMove accounts=a@x.com,b@x.com stages=data,account destinationHost=mail2", MOVE,
     {"destinationHost": "mail2", "accounts": ["a@x.com", "b@x.com"], "stages": ALL}),
    ("zxsuite powerstore doMailboxMove mail2 accounts=a@x.com, b@x.com threads 1 compress no checkDigest 0 overwrite"
     " YES", MOVE, {"accounts": ["a@x.com", "b@x.com"], "threads": 1, "compress": False, "checkDigest": False,
                    "overwrite": True}),
    ("zxsuite powerstore doMailboxMove mail2 domains x.com hsm true drop_network_backup true", MOVE,
     {"hsm": True, "drop_network_backup": True}),
    ("zxsuite powerstore doMailboxMove mail2 sourceHost mail1 domains x.com blob_destination_volume 6"
     " drive_destination_volume same_as_blob", MOVE, {"sourceHost": "mail1", "blob_destination_volume": "6"}),
    ("zxsuite powerstore doMailboxMove mail2 domains x.com ignore_partial false bandwidth off", MOVE,
     {"domains": ["x.com"]}),
    ("zxsuite powerstore doMailboxMove mail2 accounts \"john o'neill@x.com\"  # the comma was forgotten", None, None),
    ("zxsuite powerstore doMailboxMove mail2 accounts \"o'neill@x.com\",j\\@x.com stages 'data,account' # quoted", MOVE,
     {"accounts": ["o'neill@x.com", "j@x.com"], "stages": ALL}),
    ("zxsuite -y powerstore doPurgeMailboxes all notifications a@x.com ,b@x.com", PURGE,
     {"mailbox": "all", "notifications": ["a@x.com", "b@x.com"]}),
    ("zxsuite powerstore doPurgeMailboxes mailbox anna@company.ru dry_run yes retention_days 7", PURGE,
     {"mailbox": "anna@company.ru", "dry_run": True, "retention_days": 7}),
    ("zxsuite powerstore getMovedMailboxes", "getMovedMailboxes", {}),
    ("zxsuite --quiet powerstore doMailboxMove mail2 domains x.com cutover_timeout 90s max_syncs 3 min_free 10%", MOVE,
     {"cutover_timeout": "90s", "max_syncs": 3, "min_free": 10}),
]

place = Place()


def answers(text):
    """What was understood of each line: verb and parameters, the host among them; None for a refusal."""
    found = []
    for line in text.splitlines():
        answer = json.loads(line) if line.startswith("{") else {}
        if "ok" in answer:  # a note has none
            found.append(answer.get("response") if answer["ok"] else None)
    return [answer and {"verb": answer["verb"], **answer["parameters"],
                        **({"host": answer["host"]} if "host" in answer else {})} for answer in found]


def bash(script):
    """What the program prints when a shell runs it."""
    return subprocess.run(["bash", "-c", script, PROGRAM], env=place.env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, check=False).stdout


text = "".join(f"{line}\n" for line, _, _ in LINES)
forms = {
    "commands": answers("".join(bash(f'"$0" --json --parse {line}') for line, _, _ in LINES)),
    "a heredoc": answers(bash(f'"$0" --json --parse --keep-going <<"END"\n{text}END\n')),
    "a file": answers(place.run("--json", "--parse", "--keep-going", "-f", place.file("runbook", text)).stdout),
}
shell = Terminal(place, "--json", "--parse")
shell.expect("zxmove> ")
said = ""
for line, _, _ in LINES:
    shell.type(line + "\r")
    said += (shell.expect("\r\nzxmove> ") or "") + "\n"
shell.type("\x04")
is_(shell.wait(), 0, "a shell takes them all")
forms["the prompt"] = answers(said)

for form, understood in forms.items():
    ok(len(understood) == len(LINES), f"{form}: an answer for each line")
for number, (line, verb, says) in enumerate(LINES):
    understood = [form[number] for form in forms.values()]
    same = all(other == understood[0] for other in understood[1:])
    first = understood[0]
    right = first is None if verb is None else first is not None and first["verb"] == verb and \
        says.items() <= first.items() and ("host" in says) == ("host" in first)
    if not ok(same and right, line[:110]):
        diag(f"{understood}")
done()
