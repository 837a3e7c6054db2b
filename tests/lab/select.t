#!/usr/bin/python3
"""Who is moved, in which order and how many: exclude, order, max_accounts, max_bytes, strict."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab, strangers=False)
SIZES = {"anna": 3, "ben": 12, "cat": 1, "dora": 7}  # messages
ids = {name: scene.mailbox(name, one, messages=number, rich=False) for name, number in SIZES.items()}
for name, when in (("anna", "20260101000000Z"), ("dora", "20250101000000.123Z")):
    lab.directory.set(lab.directory.account(ids[name])[0], zimbraLastLogonTimestamp=when)


def of_domain(name, status, *words, stages="data"):
    """One test: a move of the domain ends so; {account: reason or outcome}, in order, and the whole answer."""
    result = lab.zxmove("--json", "doMailboxMove", two.name, "domains", scene.domain, "stages", stages, *words)
    exits(result, status, name)
    answer = json.loads(result.stdout.splitlines()[-1])
    return {mailbox["account"].partition("@")[0]: mailbox.get("reason", mailbox["outcome"])
            for mailbox in answer["response"]["mailboxes"]}, answer


def size(name):
    """What the home's row says."""
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT size_checkpoint FROM zimbra.mailbox WHERE account_id = %s", (ids[name],))
        return int(cursor.fetchone()[0])


found, answer = of_domain("exclude and max_accounts", 0, "order", "size_desc", "max_accounts", "1", "exclude",
                          f"CAT.alias@{scene.domain},*ora@{scene.domain.upper()},nobody@{scene.domain}")
is_(list(found.items()), [("ben", "staged"), ("dora", "excluded"), ("anna", "over max_accounts 1"),
                          ("cat", "excluded")], "largest first; excluded by an alias and by a glob")
is_(answer["response"].get("notes"), [f"exclude nobody@{scene.domain} matches none of these accounts"],
    "an exclude that matches nothing is noted")

limit = size("cat") + size("anna")
found, _ = of_domain("max_bytes", 0, "order", "size_asc", "max_bytes", f"{limit}B")
is_([list(found), list(found.values())[:2]], [["cat", "anna", "dora", "ben"], ["staged", "staged"]],
    "smallest first, while they fit")
ok(all("max_bytes" in found[name] for name in ("dora", "ben")), "the rest is skipped by name") or diag(str(found))

found, _ = of_domain("order last_login, strict", 5, "order", "last_login", "max_accounts", "3", "strict", "true")
is_(list(found.items()), [("ben", "staged"), ("cat", "staged"), ("dora", "staged"), ("anna", "over max_accounts 3")],
    "who never logged in first, then who has not for longest; strict: 5")
found, answer = of_domain("strict with nothing to do", 5, "exclude", "*", "strict", "true")
is_([set(found.values()), answer["response"]["result"], answer["error"]["code"]],
    [{"excluded"}, "PARTIAL", "PARTIAL"], "strict: all were skipped")
found, answer = of_domain("the same without strict", 0, "exclude", "*")
is_(answer["response"]["result"], "DONE", "is done: nothing to move")
done()
