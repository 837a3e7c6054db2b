#!/usr/bin/python3
"""What the shell remembers, for whom, and what never: lines it did not understand, lines that begin with a blank."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place, Terminal  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

UP = "\x1b[A"
place = Place()
HISTORY = f"{place.dir}/state/history"
os.umask(0)  # the program must not rely on it


def session(*lines, words=(), **env):
    """What a shell says to these lines, one after the other, and its exit status."""
    shell = Terminal(place, *words, **env)
    said = [shell.expect("zxmove> ")]
    for line in lines:
        shell.type(line + "\r")
        said.append(shell.expect("zxmove> ") if line != "quit" else "")
    if "quit" not in lines:
        shell.type("\x04")
    return said, shell.wait()


def kept():
    """The lines of the file."""
    with open(HISTORY, encoding="utf-8") as file:
        return file.read().splitlines()


said, status = session("version", "zmprov sp anna@x.com s3cret1", "  version", "doMailboxMove m2 passwrd s3cret2",
                       "'s3cret3", "help # s3cret4", "zxsuite powerstore doMailboxMove m2 domains x.com stages data, account",
                       "version\\\r", "quit")
is_(status, 0, "a shell with lines of all kinds")
is_(kept(), ["version", "help", "zxsuite powerstore doMailboxMove m2 domains x.com stages data, account", "version",
             "quit"], "the file has the lines that were understood, without comments, and no others")
is_(os.stat(HISTORY).st_mode & 0o777, 0o600, "it is private")
ok(os.stat(f"{place.dir}/state").st_mode & 0o077 == 0, "and its directory")

# Arrow-up has what the file has not.
shell = Terminal(place)
shell.expect("zxmove> ")
shell.type("zmprov sp anna@x.com s3cret5\r")
shell.expect("unknown command zmprov")
shell.expect("zxmove> ")
shell.type(UP)
ok(shell.expect("zmprov sp anna@x.com s3cret5") is not None, "arrow-up brings back a line that was not understood")
shell.type("\x03")
shell.expect("zxmove> ")
shell.type(" version\r")
shell.expect("zxmove 0")
shell.expect("zxmove> ")
shell.type(UP)
ok(shell.expect("s3cret5") is not None, "but none that began with a blank")
shell.type("\x03")
shell.expect("zxmove> ")
shell.type("history 3\r")
is_(re.findall(r"^ +[0-9]+  (.*?)\r?$", shell.expect("zxmove> ") or "", re.M),
    ["quit", "zmprov sp anna@x.com s3cret5", "history 3"], "history N lists the last of them, with those of earlier shells")
shell.type("--json history 1\r")
answer = next(line for line in (shell.expect("zxmove> ") or "").splitlines() if line.startswith("{"))
is_(json.loads(answer)["response"]["history"][0]["line"], "--json history 1", "and as JSON")

# Another shell of the same user, at the same time.
other = Terminal(place)
other.expect("zxmove> ")
other.type("help quit\r")
other.expect("zxmove> ")
ok("help quit" in kept(), "a line is in the file at once")
shell.type("help help\r")
shell.expect("zxmove> ")
is_(kept()[-2:], ["help quit", "help help"], "two shells at once lose nothing of each other")
for terminal in (shell, other):
    terminal.type("\x04")
    is_(terminal.wait(), 0, "Ctrl-D leaves")
ok("s3cret" not in open(HISTORY, encoding="utf-8").read(), "no secret has come into the file")

# A file that others can read, and files that are not ours to write.
os.chmod(HISTORY, 0o644)
said, status = session()
ok("was open to others (mode 0644), now private" in said[0], "a file that was open to others is told")
is_(os.stat(HISTORY).st_mode & 0o777, 0o600, "and closed")
os.rename(HISTORY, f"{HISTORY}.real")
os.symlink(f"{HISTORY}.real", HISTORY)
before = open(f"{HISTORY}.real", encoding="utf-8").read()
said, status = session("version", "version")
is_("".join(said).count("a symbolic link; the history is not kept"), 1, "a symbolic link is told, once")
ok(status == 0 and "zxmove 0" in said[2], "and the shell goes on")
is_(open(f"{HISTORY}.real", encoding="utf-8").read(), before, "and nothing is written through it")
os.unlink(HISTORY)
os.mkdir(HISTORY)
said, status = session("version")
is_(status, 0, "a directory is no obstacle")
ok("history: Is a directory; the history is not kept" in (said[0] or ""), "and is told")
os.rmdir(HISTORY)
os.link(f"{HISTORY}.real", HISTORY)
said, status = session("version")
ok("not a file of this user alone" in said[0], "nor a file with another name")
os.unlink(HISTORY)

# It does not grow for ever.
with open(HISTORY, "w", encoding="utf-8") as file:
    file.write("".join(f"help {n}\n" for n in range(3000)))
session("version")
ok(os.stat(HISTORY).st_size and len(kept()) == 1001 and kept()[0] == "help 2000", "a long file is shortened")

# The prompt.
ok("\033" not in session(words=())[0][0], "the prompt is plain")
for name, env, bold in (("stands out on a terminal", {"TERM": "xterm"}, True),
                        ("does not with NO_COLOR", {"TERM": "xterm", "NO_COLOR": "1"}, False)):
    shell = Terminal(place, "--host", "m1.test", **env)
    before = shell.expect("m1.test") or ""
    is_(before.endswith("\033[1m"), bold, f"a store in the prompt {name}")
    shell.type("\x04")
    shell.wait()
result = place.run("history")
ok(result.returncode == 64 and "only the interactive shell" in result.stderr, "a batch has no history")
done()
