#!/usr/bin/python3
"""The exit statuses that need no server, and that program and documents know the same ones. The others (5, 70, 75, 130
of a move, 69 of a store): tests/lab/json.t."""

import os
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import PROGRAM, ROOT, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

MOVE = ["doMailboxMove", "mail2", "accounts", "a@x"]
place = Place()


def ends(status, name, *words, where=place, stdin=b"", **options):
    """One test: the program ends so."""
    result = where.run(*words, stdin=stdin, **options)
    if not is_(result.returncode, status, f"{status}: {name}"):
        diag(result.stdout + result.stderr)
    return result


def free_port():
    """A port where nobody listens."""
    with socket.create_server(("127.27.0.2", 0)) as server:
        return server.getsockname()[1]


def directory(port):
    """A place whose directory is at this port."""
    found = Place(f"ldap: {{master: 'ldap://127.27.0.2:{port}', starttls: false, password: x, ca_file: ca.pem}}\n"
                  "net_timeout: 5m\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=test", "-keyout", "/dev/null", "-out", f"{found.dir}/ca.pem"], check=True,
                   capture_output=True)
    return found


ends(0, "help", "help")
with open("/dev/full", "w", encoding="ascii") as full:
    is_(subprocess.run([PROGRAM, "help"], stdout=full, stderr=subprocess.DEVNULL, env=place.env, check=False).returncode,
        1, "1: the output could not be written")
ends(64, "no such verb", "bogus")
ends(64, "of a batch: that of the command that ended it", stdin=b"version\nbogus\n")
ends(64, "of a batch that goes on: the worst", "--keep-going", stdin=b"bogus\nversion\n")
ends(66, "a batch that is not there", "-f", "/nonexistent")
ends(66, "a configuration that is not there", "--config", "/nonexistent", *MOVE)
ends(69, "a directory that nobody serves", *MOVE, where=directory(free_port()))
full = Place()
full.file("zxmove.yaml", f"state_dir: {full.dir}/zxmove.yaml/state\n")
ends(73, "a state directory that cannot be", *MOVE, where=full)
opened = Place()
opened.file("zxmove.yaml", f"state_dir: {opened.dir}/state\nldap: {{password: secret}}\n", 0o644)
ends(77, "a secret that others may read", *MOVE, where=opened)

# The directory takes the connection and says nothing until it hangs up.
with socket.create_server(("127.27.0.2", 0)) as silent:
    waiting = directory(silent.getsockname()[1])
    silent.settimeout(120)
    for number in (signal.SIGTERM, signal.SIGHUP):  # SIGINT: oneshot.t
        process = subprocess.Popen([PROGRAM, *MOVE], env=waiting.env, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with silent.accept()[0]:
            process.send_signal(number)
            said = []
            wait_for(lambda: said.append(process.stderr.readline()) or "stopping" in said[-1], 10, "it to say so")
        is_(process.wait(120), 130, f"130: {signal.Signals(number).name}")
        process.stderr.close()

# One table: the program's, the document's.
with open(os.path.join(ROOT, "core/base/error.h"), encoding="utf-8") as file:
    ours = re.findall(r'X\((\d+), +"(.+?)"\)', file.read())
with open(os.path.join(ROOT, "doc/json.md"), encoding="utf-8") as file:
    theirs = re.findall(r"^\| (\d+) \| ([^|]+) \|$", file.read(), re.M)
is_(theirs, ours, "doc/json.md has the program's table")
ok([status for status, _ in ours] == "0 1 2 3 4 5 64 66 69 70 73 75 77 130".split(), "these and no others")
done()
