#!/usr/bin/python3
"""Operations as processes of their own: begun in the shell of a terminal and not ended with it, --async, a terminal that
goes away, Ctrl-C; killed, found, told by mail, and taken up again."""

import contextlib
import json
import os
import re
import signal
import sys
from uuid import uuid4

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, moved_clean, says, short_timeouts  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.tmux import Window  # noqa: E402

lab = Lab.create("background", mode=os.environ.get("MODE", "asan"))
LEASE = 10


def answer(*words, env=None):
    """What a verb has to say; its keys are documented."""
    result = lab.zxmove("--json", *words, env=env)
    found = json.loads(result.stdout.splitlines()[-1])
    keys = schema.of_answer(words[1] if words[0].startswith("--") else words[0], found)
    if keys:
        ok(False, f"doc/json.md has the keys of {words[0]}: {keys}")
    return found


def state_of(uuid):
    """By the log."""
    return answer("getOperationLog", uuid)["response"]["operations"][0]["state"]


def comes(uuid, state, name, seconds=60):
    """One test: the operation comes to be in that state."""
    try:
        wait_for(lambda: state_of(uuid) == state, seconds, state, every=0.3)
    except TimeoutError:
        pass
    return is_(state_of(uuid), state, name)


def gate(name):
    """A file that a process waits for."""
    return os.path.join(lab.dir, "run", f"gate-{name}")


def opened(name):
    """It is there."""
    with open(gate(name), "w", encoding="ascii"):
        pass


def reached(name):
    """Waits until a process stands there."""
    wait_for(lambda: os.path.exists(f"{gate(name)}.reached"), 60, f"{name} to be reached")


def newest():
    """The one operation that goes on."""
    return wait_for(lambda: answer("getAllOperations")["response"]["operations"], 30, "an operation")[0]


def result_of(uuid):
    """Its end, as monitor tells it."""
    return lab.zxmove("monitor", uuid)


def variables(process):
    """What /proc shows of a process's environment and arguments, to those whom it shows anything."""
    found = ""
    for name in ("environ", "cmdline"):
        with contextlib.suppress(PermissionError), \
                open(f"/proc/{process}/{name}", encoding="utf-8", errors="replace") as file:
            found += file.read()
    return found


def directory_of(process):
    """Where it works; / for those who may not know."""
    try:
        return os.readlink(f"/proc/{process}/cwd")
    except PermissionError:
        return "/"


try:
    short_timeouts(lab, lease=LEASE, timeout=5)
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    ids = {name: scene.mailbox(name, one, messages=4, rich=False)
           for name in ("anna", "ben", "cat", "dora", "eve", "fay", "gus", "hal", "ida")}

    # The passwords come from the environment, and go nowhere.
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    bare = os.path.join(lab.dir, "bare.yaml")
    with open(bare, "w", encoding="utf-8") as file:
        file.write(text.replace(f"password: {lab.ldap_password}", "user: zimbra")
                   .replace("  user: zimbra\n  user: zimbra\n", "  user: zimbra\n")
                   .replace(f"bind_dn: {lab.ldap_dn}\n  user: zimbra\n", f"bind_dn: {lab.ldap_dn}\n"))
    secret = {"ZXMOVE_LDAP_PASSWORD": lab.ldap_password, "ZXMOVE_ADMIN_PASSWORD": lab.ldap_password}
    keep = {name: os.environ.get(name, "") for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
    words = " ".join(f"{name}='{value}'" for name, value in
                     {**secret, **keep, "HOME": lab.dir, "ZX_FAIL": "copy:applied=wait",
                      "ZX_FAIL_FILE": gate("anna")}.items())

    # Begun in a shell, in a directory that it leaves, from a list beside it.
    with open(os.path.join(lab.dir, "list.txt"), "w", encoding="ascii") as file:
        file.write(scene.address("anna") + "\n")
    before = scene.snapshot(ids["anna"], ids["ben"], ids["cat"])
    with Window(lab.dir, f"cd {lab.dir} && {words} {lab.program} --config bare.yaml; echo ended $?") as window:
        window.shows(lambda screen: "zxmove>" in screen, "a prompt")
        window.keys(f"doMailboxMove {two.name} input_file none.txt", "Enter")
        window.shows(lambda screen: "none.txt" in screen.replace("input_file none.txt", "", 1), "an error")
        window.keys(f"doMailboxMove {two.name} input_file list.txt", "Enter")
        screen = window.shows(lambda screen: "stop it with:" in screen and screen.endswith("zxmove>"), "the prompt again")
        ok("goes on in the background" in screen and "watch it with: monitor" in screen, "the shell says how to watch it") \
            or diag(screen)
        found = newest()
        uuid = found["operation"]
        ok(uuid in screen.replace("\n", ""), "  and its uuid")
        seen = variables(found["process"])
        is_([lab.ldap_password in seen, scene.address("anna") in seen], [False, False],
            "neither password nor words are in its arguments or environment")
        is_([directory_of(found["process"]), os.getsid(found["process"]) == found["process"]], ["/", True],
            "it is a session of its own, and keeps no directory")
        window.keys("quit", "Enter")
        screen = window.shows(lambda screen: "ended" in screen, "the shell's end")
        ok("goes on; watch it with: monitor" in screen, "quit says what goes on") or diag(screen)
    reached("anna")
    opened("anna")
    moved_clean(result_of(uuid), before, ids["anna"], one, two, "and it goes on to its end")
    with open(os.path.join(lab.dir, "state", "log", f"{uuid}.out"), encoding="utf-8") as file:
        is_(file.read(), "", "  and had nothing to say to nobody")

    # --sync: watched; Ctrl-C leaves it alone.
    words = words.replace(gate("anna"), gate("ben"))
    with Window(lab.dir, f"cd {lab.dir} && {words} {lab.program} --config bare.yaml; echo ended $?") as window:
        window.shows(lambda screen: "zxmove>" in screen, "a prompt")
        window.type(f"--sync doMailboxMove {two.name} accounts {scene.address('ben')}")
        window.keys("Enter")
        reached("ben")
        window.shows(lambda screen: "running" in screen or "copy" in screen, "its progress")
        window.keys("C-c")
        screen = window.shows(lambda screen: "goes on" in screen and screen.endswith("zxmove>"), "the prompt again")
        ok("stopping" not in screen, "Ctrl-C ends the watching") or diag(screen)
        uuid = newest()["operation"]
        window.keys(f"monitor {uuid[:8]}", "Enter")
        opened("ben")
        screen = window.shows(lambda screen: "1 moved, 0 failed" in screen, "its end")
        ok(f"{scene.address('ben')}  moved" in screen, "monitor shows the rest") or diag(screen)
    moved_clean(result_of(uuid), before, ids["ben"], one, two, "watched in the shell")

    # --async: from the command line; the uuid at once.
    found = answer("--async", *scene.words(ids["cat"], two))["response"]
    ok(found["state"] in ("queued", "running"), "--async answers with an operation that goes on") or diag(str(found))
    moved_clean(result_of(found["operation"]), before, ids["cat"], one, two, "--async")
    result = lab.zxmove("--async", *scene.words(ids["cat"], two))
    exits(result, 0, "--async with nothing to move")
    says(result, "nothing to move", "  says so itself")
    exits(lab.zxmove("--async", "doMailboxMove", "nowhere.test", "accounts", scene.address("cat")), 1,
          "1: --async of what cannot begin, as if it were in the foreground")
    exits(lab.zxmove("--async", "doVerify", "accounts", scene.address("cat")), 64, "64: what cannot go to the background")
    exits(lab.zxmove("--async", "--sync", *scene.words(ids["cat"], two)), 64, "64: both")

    # A terminal that goes away: the move goes on.
    before = scene.snapshot(*(ids[name] for name in ("dora", "eve", "fay", "gus")))
    words = words.replace(gate("ben"), gate("dora"))
    with Window(lab.dir, f"cd {lab.dir} && exec env {words} {lab.program} --config bare.yaml doMailboxMove {two.name}"
                         f" accounts {scene.address('dora')}") as window:
        reached("dora")
        found = newest()
        os.kill(found["process"], signal.SIGHUP)  # and once more, from the terminal itself
    opened("dora")
    moved_clean(result_of(found["operation"]), before, ids["dora"], one, two, "a terminal that went away")

    # Killed in the window of the second of three: lost, told by mail, resumed; the totals add up.
    mails = [f"admin@{scene.domain}"]
    process = scene.start_move([ids["gus"], ids["eve"], ids["fay"]], two, "notifications", mails[0],
                               fail="commit:applied=wait", env={"ZX_FAIL_FILE": gate("gus")})
    reached("gus")
    uuid = newest()["operation"]
    process.kill()
    process.communicate(timeout=600)
    try:
        wait_for(lambda: any(uuid in mail for mail in lab.mails()), 40, "the mail", every=0.2)
    except TimeoutError:
        pass
    mail = [mail.replace("\n ", " ") for mail in lab.mails() if uuid in mail]
    ok(len(mail) == 1 and "[zxmove] INTERRUPTED" in mail[0] and f"doResume {uuid}" in mail[0]
       and "getUnfinishedOperationLog" in mail[0], "who asked for it gets a mail of the crash") or diag(str(mail)[:2000])
    found = answer("getUnfinishedOperationLog")["response"]["operations"]
    is_([(entry["id"], entry["state"], entry["open_windows"]) for entry in found], [(uuid, "lost", 1)],
        "getUnfinishedOperationLog has it")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO zxmove.operation (uuid, verb, parameters, host, pid, who, state, started, heartbeat,"
                           " ended) VALUES (%s, 'plan', '', 'later', 1, '', 'done', '2099-01-01', '2099-01-01', '2099-01-01')",
                           [(str(uuid4()),) for _ in range(501)])
        found = answer("getUnfinishedOperationLog")["response"]["operations"]
        is_([(entry["id"], entry["state"]) for entry in found], [(uuid, "lost")], "  whatever was done since")
        cursor.execute("SELECT state FROM zxmove.fence WHERE operation = %s AND state <> 'done'", (uuid,))
        state, = cursor.fetchone()
        cursor.execute("UPDATE zxmove.fence SET state = 'undone' WHERE operation = %s AND state = %s", (uuid, state))
        cursor.execute("UPDATE zxmove.operation SET state = 'partial', ended = heartbeat WHERE uuid = %s", (uuid,))
        found = answer("getUnfinishedOperationLog")["response"]["operations"]
        is_([(entry["id"], entry["state"], entry["open_windows"]) for entry in found], [(uuid, "partial", 1)],
            "  and with a window that only the other store knows of")
        cursor.execute("UPDATE zxmove.fence SET state = %s WHERE operation = %s AND state = 'undone'", (state, uuid))
        cursor.execute("UPDATE zxmove.operation SET state = 'running', ended = NULL WHERE uuid = %s", (uuid,))
        cursor.execute("DELETE FROM zxmove.operation WHERE host = 'later'")
    is_(result_of(uuid).returncode, 4, "4: monitor of what was lost")
    exits(lab.zxmove("doStopOperation", uuid), 1, "1: there is nobody to stop")
    result = lab.zxmove("--json", "doResume", uuid)
    exits(result, 0, "doResume")
    found = json.loads(result.stdout.splitlines()[-1])
    is_(schema.of_answer("doResume", found), [], "  doc/json.md has its keys")
    is_([found["response"]["operation"], found["response"]["totals"]["selected"], found["response"]["totals"]["moved"],
         found["response"]["totals"]["skipped"]], [uuid, 3, 3, 0], "  all three are moved by this one operation")
    for name in ("gus", "eve", "fay"):
        moved_clean(result, before, ids[name], one, two, f"resumed: {name}")
    is_([state_of(uuid), answer("getUnfinishedOperationLog")["response"]["operations"]], ["done", []], "nothing is left")
    subject = [line for text in lab.mails() if uuid in text for line in text.splitlines() if "Subject:" in line]
    ok(any("DONE 3 moved" in line for line in subject), "and its mail says so") or diag(str(subject))

    # Killed in a copy: doRecover ends it, for no window is open; of two that resume it at once, one does.
    before = scene.snapshot(ids["hal"], ids["ida"])
    process = scene.start_move([ids["hal"], ids["ida"]], two, fail="copy:applied=wait",
                               env={"ZX_FAIL_FILE": gate("hal")})
    reached("hal")
    uuid = newest()["operation"]
    process.kill()
    process.communicate(timeout=600)
    comes(uuid, "lost", "killed in its copy")
    exits(lab.zxmove("doRecover", "operation", uuid, "dry_run", "false"), 0, "doRecover")
    is_(state_of(uuid), "interrupted", "  ends it")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), MAX(expires)) FROM zxmove.claim")
        left = cursor.fetchone()[0] or 0
    both = [lab.zxmove_start("--async", "doResume", uuid) for _ in range(2)]
    ends = [process.communicate(timeout=600) for process in both]
    ok(sorted(process.returncode for process in both) in ([0, 1], [0, 75]), "of two that resume it, one does") \
        or diag(f"lease {left}: {[process.returncode for process in both]} {ends}")
    ok(any("goes on in the background" in out for out, _ in ends), "  in the background") or diag(str(ends))
    result = result_of(uuid)
    for name in ("hal", "ida"):
        moved_clean(result, before, ids[name], one, two, f"resumed: {name}")

    # Who began it in the shell is told of its end, unless it was watched.
    # The first one waits until its monitor is on its way.
    fail = f"ZX_FAIL=copy:applied=wait ZX_FAIL_FILE={gate('watched')}"
    with Window(lab.dir, f"env {fail} {lab.program} --config {lab.conf_path}; echo ended $?") as window:
        def told(uuid):
            """A line about its end is on the screen; each Enter may bring it."""
            window.keys("Enter")
            return f"operation {uuid} has ended: done; see: report {uuid}" in window.shows(
                lambda screen: screen.endswith("zxmove>"), "a prompt")

        def begun(screen):
            """Another one goes on, and the prompt is there."""
            found = re.findall(r"stop it with:  doStopOperation (\w+)", screen)
            return screen.endswith("zxmove>") and found and found[-1] not in seen

        window.shows(lambda screen: "zxmove>" in screen, "a prompt")
        seen = []
        for words in ("monitor {}", "version"):
            window.keys(f"doMailboxMove {one.name} accounts {scene.address('hal')} stages data", "Enter")
            seen.append(re.findall(r"doStopOperation (\w+)", window.shows(begun, "the prompt again"))[-1])
            window.keys(words.format(seen[-1]), "Enter")
            opened("watched")
            comes(seen[-1], "done", f"{words.split()[0]}: it ends")
        wait_for(lambda: told(seen[1]), 60, "the shell to tell of the end")
        ok(True, "the shell tells of the end")
        is_(told(seen[0]), False, "  not of one that was watched to its end")
finally:
    lab.stop()
done()
