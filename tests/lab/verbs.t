#!/usr/bin/python3
"""Operations that are no moves, as processes of their own: purges, ways back and recoveries; seen, stopped, suspended,
changed, killed, told by mail, and taken up again or run again."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (Scene, exits, findings_none, home, mailbox_id, moved_clean, says, short_timeouts)  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.tmux import Window  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

lab = Lab.create("verbs", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
MAIL = "boss@lab.test"


def answer(*words, status=None, env=None, fail=None):
    """What a verb has to say; its keys are documented. One test more with a status."""
    result = lab.zxmove("--json", *words, env=env, fail=fail)
    verb = next(word for word in words if word[:2] in ("do", "ge", "mo", "se"))
    if status is not None:
        exits(result, status, f"{status}: {' '.join(word[:30] for word in words)}")
    found = json.loads(result.stdout.splitlines()[-1])
    keys = schema.of_answer(verb, found)
    if keys:
        ok(False, f"doc/json.md has the keys of {verb}: {keys}")
    return found


def going():
    """The operations that are going on."""
    return answer("getAllOperations")["response"]["operations"]


def logged(uuid):
    """One of them by the log."""
    return answer("getOperationLog", uuid)["response"]["operations"][0]


def comes(uuid, state, name):
    """One test: the operation comes to be in that state."""
    try:
        wait_for(lambda: logged(uuid)["state"] == state, 60, state, every=0.3)
    except TimeoutError:
        pass
    return is_(logged(uuid)["state"], state, name)


class Held:
    """An operation in the background (--async) that waits at a failpoint."""

    count = 0

    def __init__(self, point, *words, also=""):
        Held.count += 1
        self.gate = os.path.join(lab.dir, "run", f"gate-{Held.count}")
        found = answer("--async", *words, status=0, env={"ZX_FAIL_FILE": self.gate},
                       fail=",".join(filter(None, [f"{point}=wait", also])))["response"]
        self.operation = found["operation"]
        self.process = going()[0]["process"]

    def wait(self):
        """Until it stands there."""
        wait_for(lambda: os.path.exists(f"{self.gate}.reached"), 60, "the point to be reached")
        return self

    def go_on(self):
        """Lets it."""
        with open(self.gate, "w", encoding="ascii"):
            pass

    def killed(self):
        """Dead, and known to be."""
        os.kill(self.process, 9)
        comes(self.operation, "lost", "  killed, it is lost")


def noticed(operation, store):
    """Waits until its keeper has read the row once more: it writes a sign of life before each look."""
    def heartbeat():
        with Sql(store) as sql:
            return sql.text(f"SELECT CAST(heartbeat AS CHAR) FROM zxmove.operation WHERE uuid = '{operation}'")
    for _ in range(2):
        last = heartbeat()
        wait_for(lambda: heartbeat() != last, 20, "a sign of life")


def mails_of(operation, word):
    """Those that tell of it with this word."""
    return [mail for mail in (text.replace("=\n", "").replace("\n ", " ") for text in lab.mails())
            if operation in mail and f"[zxmove] {word}" in mail]


def mailed(operation, word, name):
    """One test: it is told by one mail; the mail."""
    try:
        wait_for(lambda: mails_of(operation, word), 40, "the mail", every=0.2)
    except TimeoutError:
        pass
    found = mails_of(operation, word)
    is_(len(found), 1, name)
    return found[0] if found else ""


def left(*names, source):
    """Mailboxes that have moved to store two, and their old ids."""
    accounts = [scene.mailbox(name, source, messages=4, rich=False) for name in names]
    olds = {account: mailbox_id(source, account) for account in accounts}
    exits(scene.move(accounts, two), 0, f"{', '.join(names)}: moved")
    return olds


def listed(*accounts):
    return ",".join(scene.addresses[account] for account in accounts)


def kept(*olds):
    """Which of the old copies on store one are there."""
    return [account for each in olds for account, old in each.items() if mailbox_id(one, account) == old]


def purge():
    """Begun from a command line: paused between two copies, asked what it cannot do, ended."""
    olds = left("ann", "ben", source=one)
    held = Held("purge:intent", "doPurgeMailboxes", "all", "ignore_retention", "true", "notifications", MAIL).wait()
    found = going()
    is_([(entry["operation"], entry["verb"], entry["state"], entry["mailboxes"]) for entry in found],
        [(held.operation, "doPurgeMailboxes", "running", 2)], "a purge in the background is listed")
    answer("setOperation", held.operation, "threads", "2", status=1)
    found = answer("setOperation", held.operation, "notifications", f"chief@{scene.domain}", status=0)
    is_(found["response"]["operations"][0]["notifications"], [f"chief@{scene.domain}"], "  whose mail goes elsewhere now")
    answer("doCompleteMove", held.operation, status=1)
    answer("doSuspend", held.operation, status=0)
    noticed(held.operation, one)
    held.go_on()
    comes(held.operation, "paused", "  it pauses")
    is_(len(kept(olds)), 1, "  between two copies")
    watch = lab.zxmove_start("monitor", held.operation)
    answer("doResume", held.operation, status=0)
    out, err = watch.communicate(timeout=600)
    ok(watch.returncode == 0 and "2 purged, 0 kept" in out, "  monitor shows its end") or diag(out + err)
    is_([len(kept(olds)), logged(held.operation)["state"]], [0, "done"], "  and both are gone")
    ok(f"To: chief@{scene.domain}" in mailed(held.operation, "PURGED", "  of which one mail tells"),
       "  to whom setOperation named")


def purge_killed():
    """It is told by mail; it is not taken up, but run again; stopped, the rest is kept."""
    olds = left("cat", "dora", "eve", source=one)
    command = ("doPurgeMailboxes", "all", "ignore_retention", "true", "notifications", MAIL)
    held = Held("purge:intent", *command).wait()
    held.killed()
    mail = mailed(held.operation, "INTERRUPTED", "a purge that is killed is told by mail")
    ok(" ".join(command) in mail and "doResume" not in mail and scene.address("eve") in mail,
       "  which says how to go on, and what is left") or diag(mail)
    found = answer("getUnfinishedOperationLog")["response"]["operations"]
    is_([(entry["id"], entry["next"]) for entry in found], [(held.operation, [" ".join(command)])],
        "  as does getUnfinishedOperationLog")
    result = lab.zxmove("doResume", held.operation)
    exits(result, 1, "1: doResume of a purge")
    says(result, f"run it again: {' '.join(command)}", "  names what to do")
    is_([logged(held.operation)["state"], answer("getUnfinishedOperationLog")["response"]["operations"]],
        ["interrupted", []], "  and it waits for nobody any more")
    result = lab.zxmove("monitor", held.operation)
    exits(result, 4, "4: monitor of what was killed")
    says(result, "3 not reached", "  knows of all three")
    is_(len(kept(olds)), 3, "  which are there")

    held = Held("purge:intent", *command).wait()
    answer("doStopOperation", held.operation, status=0)
    noticed(held.operation, one)
    held.go_on()
    comes(held.operation, "stopped", "run again, and stopped")
    is_(len(kept(olds)), 2, "  what was begun is done, the others are kept")
    exits(lab.zxmove("monitor", held.operation), 2, "2: stopped")
    exits(lab.zxmove(*command), 0, "and once more, to the end")
    is_(len(kept(olds)), 0, "  nothing is left")


def shell():
    """At the prompt: the question first, then the prompt again; --sync watches, Ctrl-C leaves it alone."""
    olds = left("fay", source=one)
    gate = os.path.join(lab.dir, "run", "gate-shell")
    keep = {name: os.environ.get(name, "") for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
    words = " ".join(f"{name}='{value}'" for name, value in
                     {**keep, "HOME": lab.dir, "ZX_FAIL": "purge:intent=wait", "ZX_FAIL_FILE": gate}.items())
    line = f"doPurgeMailboxes {scene.address('fay')} ignore_retention true"
    with Window(lab.dir, f"{words} {lab.program} --config {lab.conf_path}; echo ended $?") as window:
        window.shows(lambda screen: "zxmove>" in screen, "a prompt")
        window.keys(f"{line} dry_run true", "Enter")
        screen = window.shows(lambda screen: "would be purged" in screen, "a look")
        ok("background" not in screen, "a look stays where it was typed") or diag(screen)
        window.keys(line, "Enter")
        window.shows(lambda screen: screen.endswith("[y/N]"), "the question")
        window.keys("n", "Enter")
        screen = window.shows(lambda screen: "nothing was deleted" in screen, "the refusal")
        is_(going(), [], "a no begins nothing")
        window.type(f"--sync {line}")
        window.keys("Enter")
        window.shows(lambda screen: screen.count("[y/N]") == 2, "the question")
        window.keys("y", "Enter")
        wait_for(lambda: os.path.exists(f"{gate}.reached"), 60, "the deletion")
        window.shows(lambda screen: "prove" in screen, "its progress")
        window.keys("C-c")
        screen = window.shows(lambda screen: "goes on" in screen and screen.endswith("zxmove>"), "the prompt again")
        ok("stopping" not in screen and "stop it with:" in screen, "Ctrl-C ends the watching") or diag(screen)
        found = going()[0]
        is_(os.getsid(found["process"]), found["process"], "the purge is a process of its own")
        window.keys("quit", "Enter")
        screen = window.shows(lambda screen: "ended" in screen, "the shell's end")
        ok("goes on; watch it with: monitor" in screen, "quit says what goes on") or diag(screen)
    with open(gate, "w", encoding="ascii"):
        pass
    exits(lab.zxmove("monitor", found["operation"]), 0, "and it goes on to its end")
    is_(kept(olds), [], "  the copy is gone")


def back():
    """An operation to two stores: one row, two lanes; killed in a window of the store that has not got the row."""
    first, third = left("gus", "hal", source=one), left("ida", source=three)
    accounts = [*first, *third]
    lab.deliver(scene.address("ida"), two, n=3, size=262144)  # what bandwidth holds up until it may be more
    before = scene.snapshot(*accounts)
    exits(lab.zxmove("doRollback", "accounts", listed(*accounts), "threads", "33"), 64, "64: 32 threads at most")
    # In the order of the words: the first decides where the row is.
    held = Held("commit:applied", "doRollback", "accounts", listed(*reversed(accounts)), "threads", "2", "bandwidth",
                "1K", "max_load", "0.01", "notifications", MAIL)
    wait_for(lambda: str(going()[0].get("cause")).startswith("load "), 60, "the load that is too high")
    answer("setOperation", held.operation, "max_load", "5000", status=0)
    wait_for(lambda: str(going()[0].get("cause")).startswith("throttled, bandwidth 1.0 KB/s"), 60, "a copy that is slow")
    answer("setOperation", held.operation, "bandwidth", "900M", status=0)
    held.wait()
    found = going()
    is_([(entry["operation"], entry["mailboxes"], entry["recorded_on"]) for entry in found],
        [(held.operation, 3, three.name)], "a way back to two stores is one operation") or diag(str(found))
    found = answer("setOperation", held.operation, "threads", "?", status=0)["response"]["operations"][0]
    is_([found["threads"], found["bandwidth"], found["max_load"]], [2, "900M", 5000], "  with two mailboxes in flight")

    def claims():
        with Sql(three) as sql, Sql(two) as other:
            statement = "SELECT account_id FROM zxmove.claim"
            return {account for account, in sql.text(statement) + other.text(statement)} & set(accounts)
    wait_for(lambda: len(claims()) == 2, 60, "two of them to be claimed")
    ok(True, "  which are claimed")
    held.killed()
    mail = mailed(held.operation, "INTERRUPTED", "killed in a window, it is told by mail")
    ok(f"doResume {held.operation}" in mail and "In its window" in mail, "  which says how to go on") or diag(mail)
    found = answer("getUnfinishedOperationLog")["response"]["operations"]
    is_([(entry["id"], entry["open_windows"]) for entry in found], [(held.operation, 1)], "  one window is open")
    held = answer("--async", "doResume", held.operation, status=0)["response"]["operation"]
    result = lab.zxmove("--json", "monitor", held)
    exits(result, 0, "doResume of a way back")
    found = json.loads(result.stdout.splitlines()[-1])["response"]
    is_([found["operation"], found["totals"]["moved"], found["totals"]["failed"]], [held, 3, 0],
        "  all three are moved by this one operation")
    for account, store in [*((account, one) for account in first), *((account, three) for account in third)]:
        findings_none(check_move(lab, before, account, two, store), f"  {scene.addresses[account]} to {store.name}")
    mailed(held, "DONE 3 moved", "  and its mail says so")
    result = lab.zxmove("doRollback", "accounts", listed(*accounts))
    exits(result, 0, "again")
    is_(sum("@" in line.split()[0] for line in result.stdout.splitlines() if "skipped: rolled back already" in line), 3,
        "  none is taken there again, of either store")


def back_left():
    """What changed while it was dead: an account that moved on stays where it is; stopped is resumed, too."""
    olds = left("jon", "kim", "lou", source=one)
    jon, kim, lou = olds
    before = scene.snapshot(jon, kim, lou)
    held = Held("copy:applied", "doRollback", "accounts", listed(jon, kim, lou)).wait()
    answer("doStopOperation", held.operation, status=0)
    noticed(held.operation, one)
    held.go_on()
    comes(held.operation, "stopped", "a way back that is stopped")
    for account in olds:
        findings_none(check_unmoved(lab, before, account), f"  {scene.addresses[account]} is where it was")
    exits(scene.move(kim, three), 0, "one moves on meanwhile")
    result = lab.zxmove("--json", "doResume", held.operation)
    exits(result, 5, "5: resumed, and one is another matter by now")
    found = json.loads(result.stdout.splitlines()[-1])["response"]
    outcomes = {mailbox["account"]: (mailbox["outcome"], mailbox.get("reason", "")) for mailbox in found["mailboxes"]}
    is_([outcomes[scene.addresses[account]][0] for account in olds], ["moved", "failed", "moved"], "  the two others went")
    ok(f"doMailboxMove {one.name} accounts" in outcomes[scene.addresses[kim]][1], "  and the reason says what to do") \
        or diag(str(outcomes))
    is_([home(lab, account).name for account in olds], [one.name, three.name, one.name], "  each is where it belongs")
    is_(logged(held.operation)["state"], "partial", "  and the log has it")


def recovery():
    """In the background; it does not pause, and is stopped between two mailboxes."""
    accounts = [scene.mailbox(name, one, messages=4, rich=False) for name in ("mia", "ned")]
    before = scene.snapshot(*accounts)
    for account in accounts:
        is_(scene.move(account, two, fail="commit:done=kill").returncode, -9, f"{scene.addresses[account]}: killed")
    words = ("doRecover", "accounts", listed(*accounts), "dry_run", "false")
    held = Held("open:flushed", *words).wait()
    is_([(entry["verb"], entry["mailboxes"]) for entry in going() if entry["operation"] == held.operation],
        [("doRecover", 2)], "a recovery in the background is listed")
    result = lab.zxmove("doSuspend", held.operation)
    exits(result, 1, "1: it does not pause")
    says(result, "does not pause", "  and says so")
    answer("doStopOperation", held.operation, status=0)
    noticed(held.operation, next(store for store in lab.stores if store.name == logged(held.operation)["recorded_on"]))
    held.go_on()
    comes(held.operation, "stopped", "  stopped")
    exits(lab.zxmove("monitor", held.operation), 2, "2: monitor says so")
    result = lab.zxmove("doResume", held.operation)
    exits(result, 1, "1: it is not taken up")
    says(result, f"run it again: {' '.join(words)}", "  but run again")
    result = lab.zxmove(*words)
    exits(result, 0, "run again")
    says(result, "1 finished", "  one was left")
    for account in accounts:
        moved_clean(result, before, account, one, two, scene.addresses[account])


try:
    short_timeouts(lab, lease=10, timeout=5)
    one, two, three = lab.stores
    scene = Scene(lab, strangers=False)
    for case in (purge, purge_killed, shell, back, back_left, recovery):
        case()
finally:
    lab.stop()
done()
