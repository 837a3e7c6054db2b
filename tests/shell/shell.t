#!/usr/bin/python3
"""The interactive shell on a terminal: prompt, TAB, history, Ctrl-C, quit."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place, Terminal  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

place = Place("stores: {store1.lab.test: , store2.lab.test: }\n")
os.umask(0)  # the program must not rely on it
shell = Terminal(place)
ok(shell.expect("zxmove> ") is not None, "a prompt")
shell.type("version\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "a command runs")
shell.type("bogus\r")
ok("unknown command bogus" in (shell.expect("zxmove> ") or ""), "an error is printed, and the shell goes on")
shell.type("doMa\t")
ok(shell.expect("ilboxMove ") is not None, "TAB completes a verb")
shell.type("st\t")
ok(shell.expect("ore") is not None, "as far as it is certain")
shell.type("\t")
ok(shell.expect("store1.lab.test  configured store") is not None, "and lists what there is, with meanings")
shell.expect("zxmove> doMailboxMove store")
shell.type("\x03")
shell.expect("zxmove> ")
shell.type("version\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "Ctrl-C clears the line")
shell.type("ver\\\r")
ok(not (shell.expect("> ") or "zxmove").endswith("zxmove"), "a continued line has a prompt of its own")
shell.type("sion\r")
ok("zxmove 0" in (shell.expect("zxmove> ") or ""), "a backslash continues the line")
shell.type(f"source {place.file('moves.txt', 'version' + chr(10) + 'bogus' + chr(10))}\r")
said = shell.expect("zxmove> ") or ""
ok("zxmove 0" in said and "moves.txt:2: unknown command bogus" in said, "source runs a file, and the shell goes on")
shell.type("help source\r")
ok("requires" not in (said := shell.expect("zxmove> ") or "") and "{file}" in said, "help VERB")
shell.type("help history count\r")
ok("so many of the last lines" in (shell.expect("zxmove> ") or ""), "help VERB PARAMETER")
shell.type("help\r")
ok("doMailboxMove" in (shell.expect("zxmove> ") or ""), "help")
shell.type("doPurgeMailboxes all\r")
ok(shell.expect("Delete these old copies for good? [y/N] ") is not None, "a purge asks first")
shell.type("n\r")
ok("nothing was deleted" in (shell.expect("zxmove> ") or ""), "and no means no")
shell.type("quit\r")
is_(shell.wait(), 0, "quit leaves")

history = f"{place.dir}/state/history"
is_(os.stat(history).st_mode & 0o777, 0o600, "the history is private")
ok("doPurgeMailboxes" in open(history, encoding="ascii").read(), "and holds what was typed")

shell = Terminal(place, "--host", "store1.lab.test")
ok(shell.expect("zxmove store1.lab.test> ") is not None, "the prompt shows where commands go")
shell.type("\x04")
is_(shell.wait(), 0, "Ctrl-D leaves")
done()
