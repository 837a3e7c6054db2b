#!/usr/bin/python3
"""One command a call: words in, text and exit status out. Needs no server."""

import json
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import PROGRAM, ROOT, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

place = Place()


def refused(words, status, text, name):
    """The command fails so, and says so on stderr only."""
    result = place.run(*words)
    if not ok(result.returncode == status and text in result.stderr and not result.stdout, name):
        diag(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")


# Help: from the tables alone.
result = place.run("--config", "/nonexistent", "help")
is_(result.returncode, 0, "help needs no configuration")
ok(re.search(r"^Moving +doMailboxMove ", result.stdout, re.M), "help lists the verbs")
for words in (["help", "all"], ["help", "Moving"]):
    ok(re.search(r"^  doMailboxMove +move mailboxes", place.run(*words).stdout, re.M),
       f"{' '.join(words)} says what they do")
for words in (["--help"], ["-h"], ["zxsuite", "powerstore", "help"], ["zxmove", "help"], ["help", "powerstore"]):
    is_(place.run(*words).stdout, result.stdout, f"{' '.join(words)} is help")
page = place.run("help", "doMailboxMove").stdout
ok(page.startswith("Syntax:\n   zxmove doMailboxMove {destinationHost} [attr1"), "help VERB is its page")
for words in (["domailboxmove", "help"], ["doMailboxMove", "--help"], ["help", "powerstore", "mailboxMove"],
              ["--help", "doMailboxMove"]):
    is_(place.run(*words).stdout, page, f"{' '.join(words)} is that page")
ok("default  blobs,account" in place.run("help", "doMailboxMove", "stages").stdout, "help VERB PARAMETER")
refused(["help", "doMailboxMve"], 64, "unknown command doMailboxMve", "help of an unknown verb")
refused(["help", "doMailboxMove", "stage"], 64, "has no parameter stage", "help of an unknown parameter")
ok(place.run("version").stdout.startswith("zxmove "), "version")
is_(place.run("--version").stdout, place.run("version").stdout, "--version")

# Usage errors: 64, on stderr, with what to do.
result = place.run("doPurgeMailboxes")
is_(result.returncode, 64, "a bare doPurgeMailboxes is a usage error")
ok(result.stderr.startswith("zxmove: command doPurgeMailboxes requires more parameters\n\nSyntax:"),
   "in zxsuite's words, with its page")
refused(["doMailboxMove", "mail2"], 64, "doMailboxMove needs accounts, domains or input_file", "nothing selected")
refused(["doMailboxMov", "x"], 64, "did you mean doMailboxMove?", "a misspelt verb")
refused(["doMailboxMove", "mail2", "account", "a@x"], 64, "did you mean accounts?", "names are never abbreviated")
refused(["doMailboxMove", "john@example.com", "mail2.example.com"], 64,
        "doMailboxMove mail2.example.com accounts john@example.com", "the old form names the new one")
refused(["doMailboxMove", "mail2", "accounts", "a@x,", "stages", "data"], 64,
        "accounts: empty item after the last comma, before stages", "an open list before a parameter")
refused(["doMoveBlobs", "start"], 64, "belongs to volume management, not part of zxmove", "a verb of volumes")
for looks in ("doCheckBlobs start", "doVerify accounts a@x", "doCheck mail2 accounts a@x", "plan mail2 accounts a@x",
              "doMailboxMove mail2 accounts a@x dry_run true", "doRollback accounts a@x dry_run true",
              "doPurgeMailboxes all dry_run true", "doRecover accounts a@x"):
    refused(["--async", *looks.split()], 64, f"zxmove {looks} >FILE", f"--async of what only looks: {looks}")
refused(["--bogus", "help"], 64, "unknown switch --bogus", "an unknown switch")
refused(["-f", "/nonexistent"], 66, "/nonexistent: No such file", "a batch that is not there")
refused(["-f", "x", "help"], 64, "one of them", "-f and a command")
refused(["doMailboxMove", "mail2", "accounts", "a\033[2J@x"], 64, "control character", "an escape sequence")
ok("\033" not in place.run("do\033[2JMove").stderr, "and none is printed back")

# JSON.
answer = json.loads(place.run("--json", "version").stdout)
is_([answer["ok"], answer["schema"], list(answer["response"])], [True, 1, ["version"]], "--json of a success")
result = place.run("--json", "doMailboxMove", "mail2")
answer = json.loads(result.stdout)
is_([result.returncode, answer["ok"], answer["error"]["code"], answer["schema"], result.stderr],
    [64, False, "USAGE", 1, ""], "--json of a failure")
answer = json.loads(place.run("--json", "doPurgeMailboxes").stdout)
ok(answer["error"]["message"].endswith("requires more parameters") and answer["error"]["hint"].startswith("Syntax"),
   "the page is the hint")

# The configuration: told by the first verb that needs it.
move = ["doMailboxMove", "mail2", "accounts", "a@x"]
place.file("bad.yaml", "ldap:\n  mastr: x\n")
result = place.run("--config", f"{place.dir}/bad.yaml", *move)
is_(result.returncode, 66, "a wrong configuration ends with 66")
ok(f"{place.dir}/bad.yaml:2: unknown key ldap.mastr, did you mean master?" in result.stderr, "with file and line")
place.file("open.yaml", "ldap: {password: s3cret}\n", 0o644)
result = place.run("--config", f"{place.dir}/open.yaml", *move)
is_(result.returncode, 77, "a secret open to others ends with 77")
ok(f"chmod 600 {place.dir}/open.yaml" in result.stderr and "s3cret" not in result.stderr, "with the remedy")
is_(place.run("__docs", "config").stdout, open(os.path.join(ROOT, "conf/zxmove.yaml"), encoding="ascii").read(),
    "conf/zxmove.yaml is what the table prints")

# Nothing said is nothing done.
with open("/dev/full", "w", encoding="ascii") as full:
    status = subprocess.run([PROGRAM, "version"], stdout=full, stderr=subprocess.DEVNULL, env=place.env,
                            check=False).returncode
is_(status, 1, "output that cannot be written is no success")

# Signals: the first asks to stop, the second says what is waited for. The directory does not answer until both were.
with socket.create_server(("127.27.0.1", 0)) as silent:
    waiting = Place(f"ldap: {{master: 'ldap://127.27.0.1:{silent.getsockname()[1]}', starttls: false,"
                    " password: x, ca_file: ca.pem}\nnet_timeout: 5m\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=test", "-keyout", "/dev/null", "-out", f"{waiting.dir}/ca.pem"], check=True,
                   capture_output=True)
    process = subprocess.Popen([PROGRAM, *move], env=waiting.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        silent.settimeout(120)
        held = silent.accept()[0]  # not answered
        os.set_blocking(process.stderr.fileno(), False)
        said = b""

        def says(text):
            """True once stderr has it."""
            global said
            said += process.stderr.read() or b""
            return text in said

        process.send_signal(2)
        wait_for(lambda: says(b"stopping"), 10, "the first Ctrl-C to be answered")
        process.send_signal(2)
        wait_for(lambda: says(b"still waiting for: "), 10, "the second Ctrl-C to be answered")
        ok(True, "Ctrl-C: the first stops, the second says what is waited for")
        held.close()
        is_(process.wait(120), 130, "and the status says so")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        held.close()
    ok(os.stat(f"{waiting.dir}/state").st_mode & 0o77 == 0, "the state directory is private")

# Nothing is asked of any server before it is needed.
with socket.create_server(("127.27.0.1", 0)) as listening:
    listening.setblocking(False)
    offline = Place(f"ldap: {{master: 'ldap://127.27.0.1:{listening.getsockname()[1]}', starttls: false, password: x}}\n")
    for words in (["help"], ["help", "doMailboxMove"], ["version"], ["--parse", *move], ["bogus"]):
        offline.run(*words)
    try:
        listening.accept()[0].close()
        asked = True
    except BlockingIOError:
        asked = False
    ok(not asked, "help, version, --parse and errors open no connection")

# Completion for bash.
stores = Place("stores: {store1.lab.test: , store2.lab.test: }\n")
is_(stores.run("__complete", "1", "doM").stdout, "doMailboxMove\n", "bash completes a verb")
is_(stores.run("__complete", "2", "doMailboxMove", "").stdout, "store1.lab.test\nstore2.lab.test\n", "and stores")
is_(stores.run("__complete", "9", "doM").stdout, "", "and nothing for nonsense")
script = (f"source {ROOT}/completion/zxmove.bash; COMP_WORDS=({PROGRAM} doMailboxMove store1.lab.test stages data,a);"
          " COMP_CWORD=4; _zxmove; printf '%s|' \"${COMPREPLY[@]}\"")
is_(subprocess.run(["bash", "-c", script], env=stores.env, capture_output=True, text=True, check=False).stdout,
    "data,account|", "through its script")
done()
