#!/usr/bin/python3
"""Commands from a pipe, a heredoc or a file: where lines end, where errors are, what the status is."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place  # noqa: E402
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
done()
