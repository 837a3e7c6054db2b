#!/usr/bin/python3
"""Commands from a pipe, a heredoc or a file: where lines end, where errors are, what the status is."""

import json
import os
import pty
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import PROGRAM, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

place = Place()
VERSION = place.run("version").stdout


def batch(text, *switches):
    """The result of a batch from stdin."""
    return place.run(*switches, stdin=text if isinstance(text, bytes) else text.encode())


def runs(text, times, name):
    """The batch says its version so often and succeeds."""
    result = batch(text)
    if not ok(result.returncode == 0 and result.stdout == VERSION * times and not result.stderr, name):
        diag(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")


runs("", 0, "an empty batch")
runs("version\nversion\n", 2, "two lines")
runs("version\nversion", 2, "a last line without its end counts")
runs("version\r\nversion\r\n", 2, "CRLF")
runs(b"\xef\xbb\xbfversion\n", 1, "a byte order mark")
runs("\n  \n# a comment\nversion # another\n", 1, "blank lines and comments")
runs("ver\\\nsion\n", 1, "a trailing backslash continues the line")
runs("ver\\\r\nsion\r\n", 1, "with CRLF, too")
runs("zxsuite powerstore version\ncarbonio powerstore version\n", 2, "lines of old runbooks")
runs("version\nquit\nversion\n", 1, "quit ends it")
runs("version\n" + "#" * 1000000 + "\nversion\n", 2, "a comment of a megabyte")

result = batch("version\n\nbogus\nversion\n")
is_(result.returncode, 64, "the first error ends the batch with its status")
is_(result.stdout, VERSION, "and nothing after it runs")
ok(result.stderr.startswith("stdin:3: unknown command bogus"), "the error has its line")
result = batch("version\nhelp \\\n\\\nnonsense\nversion\n")
ok(result.stderr.startswith("stdin:2: "), "a continued line is where it began")
result = batch("version\n'open\n")
ok(result.returncode == 64 and result.stderr.startswith("stdin:2: the quote ' in column 1"), "an open quote")

result = batch("bogus\nversion\n'open\nversion\n", "--keep-going")
is_(result.stdout, VERSION * 2, "--keep-going runs on")
is_(result.returncode, 64, "and ends with the worst")
is_([line.split(":")[1] for line in result.stderr.splitlines() if line.startswith("stdin:")], ["1", "3"],
    "every error has its line")

result = batch("version\nhelp " + "x" * (2 << 20) + "\nversion\n", "--keep-going")
is_(result.stdout, VERSION * 2, "a line that is too long is one line, not two commands")
ok("stdin:2: the line is longer than 1 MB\nput the accounts in a file: input_file FILE" in result.stderr,
   "and is refused with a hint")
result = batch(b"ver\0sion\n")
ok(result.returncode == 64 and "zero byte" in result.stderr, "a zero byte is no text")
result = batch("--keep-going version\n")
ok(result.returncode == 64 and "belongs to the command line" in result.stderr, "a switch of the process in a line")

answers = [json.loads(line) for line in batch("version\nbogus\n", "--json").stdout.splitlines()]
is_([answer["ok"] for answer in answers], [True, False], "--json: one answer a line")
is_(answers[1]["where"], "stdin:2", "with the place of the error")
answers = batch("--json version\nversion\n").stdout.splitlines()
ok(answers[0].startswith("{") and answers[1] + "\n" == VERSION, "a switch in a line is that line's alone")

path = place.file("moves.txt", "version\nbogus\n")
result = place.run("-f", path)
ok(result.stdout == VERSION and result.stderr.startswith(f"{path}:2: "), "-f FILE")
is_(place.run("-f", "-", stdin=b"version\n").stdout, VERSION, "-f - is stdin")
result = batch("doMailboxMove mail2 input_file -\n")
ok(result.returncode == 64 and "input_file" in result.stderr, "a list from stdin would eat the commands")
ok("requires more parameters" in batch("zxsuite powerstore doPurgeMailboxes\n").stderr, "a usage error in a heredoc")

# source: a file in a file.
inner = place.file("inner.txt", "version\n\nbogus\nversion\n")
outer = place.file("outer.txt", f"version\nsource {inner}\nversion\n")
result = place.run("-f", outer)
ok(result.returncode == 64 and result.stdout == VERSION * 2, "the first error in a file that is sourced ends all")
is_(result.stderr, f"{inner}:3: unknown command bogus\nsee: help\n", "and is named by file and line of that file")
result = place.run("--keep-going", "-f", outer)
ok(result.returncode == 64 and result.stdout == VERSION * 4, "--keep-going goes on in both, and ends with the worst")
result = place.run("--json", "-f", outer)
is_([(json.loads(line)["ok"], json.loads(line).get("where")) for line in result.stdout.splitlines()],
    [(True, None), (True, None), (False, f"{inner}:3")], "--json: an answer for each command, none for source itself")
good = place.file("good.txt", b"\xef\xbb\xbfversion\r\nversion # the last, without its end")
is_(place.run("source", good).stdout, VERSION * 2, "source as one command, with a byte order mark and CRLF")
result = batch(f"--json source {good}\nversion\n")
is_([line.startswith("{") for line in result.stdout.splitlines()], [True, True, False],
    "a switch before source holds for the lines of the file")
is_(batch(f"source {place.file('leaves.txt', 'version' + chr(10) + 'quit' + chr(10))}\nversion\n").stdout, VERSION,
    "quit in a file ends it all")
result = batch("version\nsource /nonexistent\nversion\n")
ok(result.returncode == 66 and result.stderr == "stdin:2: /nonexistent: No such file or directory\n",
   "a file that is not there is the error of the line that names it")
result = batch(f"source {place.dir}\n")
ok(result.returncode == 66 and "a directory" in result.stderr, "a directory is no file of commands")
is_(batch("source ~/good.txt\n").stdout, VERSION * 2, "~ is the home directory")
ok("source needs a file" in batch("source -\n").stderr, "stdin cannot be sourced")
ok("command source requires more parameters" in batch("source\n").stderr, "source without a file")
loop = place.file("loop.txt", f"version\nsource {place.dir}/round.txt\n")
place.file("round.txt", f"source {place.dir}/./loop.txt\n")
result = place.run("-f", loop)
ok(result.returncode == 64 and result.stdout == VERSION, "a file that comes to source itself is refused")
is_(result.stderr, f"{place.dir}/round.txt:1: {place.dir}/./loop.txt is being run already, and would source itself\n",
    "in the line that does it")
for depth in range(20):
    place.file(f"deep{depth}.txt", f"version\nsource {place.dir}/deep{depth + 1}.txt\n")
result = place.run("-f", f"{place.dir}/deep0.txt")
ok(result.returncode == 64 and result.stdout == VERSION * 16 and "16 deep" in result.stderr, "nor endless depth")

# Plain, whatever stdout is: no prompt and no colour. Its terminal is not where commands come from.
master, slave = pty.openpty()
with subprocess.Popen([PROGRAM, "--host", "m1.test", "-f", good], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                      env={**place.env, "TERM": "xterm"}) as process:
    status = process.wait(120)
os.close(slave)
is_(os.read(master, 4096).decode().replace("\r", ""), VERSION * 2, "on a terminal a batch has no prompt and no colour")
os.close(master)

# Continued lines: one command, whatever is wrong with one of its lines.
accounts = "".join(f"user{n}@example.com,\\\n" for n in range(20000))
result = batch(f"--parse --json doMailboxMove m2 accounts {accounts}last@example.com\nversion\n")
answer = json.loads(result.stdout.splitlines()[0])["response"]["parameters"]
ok(len(answer["accounts"]) == 20001 and result.stdout.endswith("\n" + VERSION), "a command of 20,001 lines")
result = batch("version\nhelp " + ("x" * 1000 + "\\\n") * 1100 + "\nversion\n", "--keep-going")
ok(result.stdout == VERSION * 2 and result.stderr == "stdin:2: the line is longer than 1 MB\nput the"
   " accounts in a file: input_file FILE\n",
   "one that is too long in all its lines is refused, and none of them runs")
ok(batch("version\\").stdout == VERSION, "a backslash at the very end")
done()
