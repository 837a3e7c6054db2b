#!/usr/bin/python3
"""What the Tab key gets from real servers, asked as bash asks it: accounts, domains, servers, volumes, operations and
old copies, by prefix."""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402
from zxlab.template import ROOT  # noqa: E402

SCRIPT = os.path.join(ROOT, "completion", "zxmove.bash")
PATIENCE = 300  # half of what a server has for an answer here: nobody waits for that


def offered(*words, index=None, config=True, **env):
    """The candidates of `zxmove __complete` for the last of the words."""
    environment = {**os.environ, **env}
    if config:
        environment["ZXMOVE_CONFIG"] = CONF
    began = time.monotonic()
    result = subprocess.run([lab.program, "__complete", str(index or len(words)), *words], env=environment, text=True,
                            capture_output=True, timeout=PATIENCE, check=False)
    took.append(time.monotonic() - began)
    if result.returncode or result.stderr:
        diag(f"{words}: exit status {result.returncode}, {result.stderr}")
        return None
    return result.stdout.splitlines()


def soon(expected, ask):
    """What `ask()` answers once it is what is expected: on a machine under load a server may take longer than a press of
    the key waits."""
    deadline = time.monotonic() + 120
    while (answer := ask()) is None or not expected(answer):
        if time.monotonic() > deadline:
            break
    return answer


def offers(words, expected, name):
    """One test: just these candidates."""
    is_(soon(lambda answer: answer == expected, lambda: offered(*words)), expected, name)


def has(words, candidate, name):
    """One test: this candidate among others."""
    ok(candidate in soon(lambda answer: candidate in answer, lambda: offered(*words)), name)


def in_bash(*words):
    """The same through completion/zxmove.bash, the words as bash takes them apart."""
    script = (f'source {SCRIPT}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _zxmove 2>/dev/null;'
              ' printf "%s\\n" "${COMPREPLY[@]}"')
    result = subprocess.run(["bash", "-c", script, "bash", lab.program, *words], text=True, capture_output=True,
                            timeout=PATIENCE, check=True, env={**os.environ, "ZXMOVE_CONFIG": CONF})
    return result.stdout.splitlines()


took = []
lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
files = tempfile.TemporaryDirectory(prefix="zxmove-complete-")
CONF = os.path.join(files.name, "zxmove.yaml")
with open(lab.conf_path, encoding="utf-8") as conf, \
        open(CONF, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
    file.write(conf.read() + "net_timeout: 10m\n")
one, two = lab.stores[:2]
scene = Scene(lab, strangers=False)
ann = scene.mailbox("ann", one, messages=2, rich=False)
scene.account("annabel", two)
scene.account("x(*", one, alias=False)
move = ["doMailboxMove", two.name]

is_(offered("doMail"), ["doMailboxMove"], "a verb")
is_(offered("doMail", config=False, HOME="/nowhere"), ["doMailboxMove"], "without a configuration")
is_(offered("powerstore", "doMail"), ["doMailboxMove"], "behind a prefix")
is_(offered("--config", CONF, "doMailboxMove", "store", config=False, HOME="/nowhere"), [one.name, two.name],
    "stores, of the configuration that the line names")
mine = [scene.address("ann"), scene.address("annabel")]
for address in mine:
    has([*move, "accounts", "ann"], address, "accounts by prefix")
offers([*move, "accounts", mine[0]], mine[:1], "an account in full")
offers([*move, "accounts", f"nobody@x,{scene.address('ann')}"], [f"nobody@x,{mine[0]}"], "in a list")
offers([*move, "accounts", f"ann.alias@{scene.domain}"], [scene.address("ann.alias")], "an alias, if it is typed")
offers([*move, "accounts", scene.address("x(*")], [scene.address("x\\(\\*")], "letters that mean something to a filter")
offers([*move, "accounts", "*"], [], "a star is a star")
offers([*move, "domains", scene.domain[:-5]], [scene.domain], "domains, without their aliases")
volumes = soon(lambda found: "message1" in found, lambda: offered(*move, "blob_destination_volume", ""))
is_(volumes[:2], ["current_primary", "current_secondary"], "the volumes that have no name")
ok("message1" in volumes and "index1" not in volumes, "and those of the destination")
offers(["doMailboxMove", "nowhere.test", "blob_destination_volume", "m"], [], "none of a store that is not known")

night = f"night-{scene.domain[:-5]}"
exits(scene.move(ann, two, "batch_name", night), 0, "a move")
with two.db() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT operation FROM zxmove.step WHERE account_id = %s", (ann,))
    operation = cursor.fetchone()[0]
operation = operation.decode() if isinstance(operation, bytes) else operation
has(["doRecover", "operation", ""], operation, "its operation is offered")
offers(["doRecover", "operation", operation[:13]], [operation], "by prefix")
has(["doPurgeMailboxes", "ann"], mine[0], "and its old copy to a purge")
has(["doPurgeMailboxes", "night-"], night, "and the name of its batch")
has(["--host", one.name, "doPurgeMailboxes", "ann"], mine[0], "of the store that has it")
ok(mine[0] not in offered("--host", two.name, "doPurgeMailboxes", "ann"), "and of no other")

is_(soon(lambda found: scene.domain in found, lambda: in_bash(*move, "accounts", "ann", "@", scene.domain)),
    [scene.domain], "bash, which breaks words at @")
ok(scene.domain in soon(lambda found: scene.domain in found, lambda: in_bash(*move, "accounts", "ann", "@")),
   "and behind it")
is_(in_bash("powerstore", "doMailboxMove", two.name, "stages", "=", "blobs,ac"), ["blobs,account"], "and at =")
is_(in_bash("--host", "=", "store1"), [one.name], "and a switch")
diag(f"the slowest took {max(took):.2f} s, most of them {sorted(took)[len(took) // 2]:.2f} s")
files.cleanup()
done()
