#!/usr/bin/python3
"""doc/tutorial.md is true: its commands run, one after the other, and say what it shows. Numbers, times, ids and paths
may differ; "..." stands for anything."""

import os
import re
import subprocess
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "shell")]
from program import Terminal  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

LAB = "tutorial-test"  # somebody may be reading the tutorial on this machine
END = "\001 "
environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
environment |= {"MODE": os.environ.get("MODE", "asan"), "TERM": "dumb"}


def blocks(text):
    """(what is typed at $, the lines typed at the prompt of zxmove with what each says, what is said) of the page."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        heredoc = False
        for line in block.splitlines():
            if heredoc:
                found[-1][0] += "\n" + line
                heredoc = line != "END"
            elif line.startswith("$ "):
                found.append([line[2:], [], []])
                heredoc = "<<END" in line
            elif re.match(r"zxmove [\w.]+> ", line):
                found[-1][1].append((line.split("> ", 1)[1], []))
            elif found[-1][1]:
                found[-1][1][-1][1].append(line)
            else:
                found[-1][2].append(line)
    return found


def plain(text):
    """Without what differs from one run to the next."""
    for pattern, instead in ((r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID"), (r"/[\w/.-]*/", "PATH/"),
                             (r"\d[\d,.:-]*( (ms|s|B|KB|MB)\b|m\d+s)?", "N"), (r"\s+", " ")):
        text = re.sub(pattern, instead, text)
    return text.strip()


def agrees(said, shown):
    """True if the lines said are those shown."""
    pattern = ""
    for line in shown:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(plain(line)).replace(r"\.\.\.", ".*") + "\n"
    return re.fullmatch(pattern, "".join(plain(line) + "\n" for line in said)) is not None


def check(typed, said, shown):
    """One test: what was said is what the page shows."""
    if not ok(agrees(said, shown), typed.splitlines()[0]):
        diag("\n".join(["said:", *said, "shown:", *shown]))


def without_progress(lines):
    """Without what zxmove says every ten seconds, for on a busy machine there may be some: the line of the operation,
    and below it those of mailboxes that have not ended."""
    found, below = [], False
    for line in lines:
        mailbox = re.match(r"\[\d+/\d+\] \S+ +(\w+)", line)
        if re.match(r"[0-9a-f]{8}  \d+/\d+ done", line):
            below = True
        elif not (below and mailbox and mailbox[1] not in ("moved", "staged", "failed", "skipped", "purged", "kept")):
            found.append(line)
            below = False
    return found


class Bash:
    """A shell that stays, as a reader's does."""

    def __init__(self):
        self.process = subprocess.Popen(["bash"], cwd=ROOT, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, command):
        """What it says, by lines."""
        # Its stdin is the script: commands must not read it.
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\necho; echo '{END}'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(END):
                break
            lines.append(line.rstrip("\n"))
        return lines[:-1] if lines and not lines[-1] else lines

    def variables(self):
        """Its environment."""
        return dict(line.split("=", 1) for line in self.run("env") if "=" in line)


def at_prompt(bash, command, steps):
    """The steps in the shell of zxmove."""
    terminal = Terminal(types.SimpleNamespace(env=bash.variables()), *command.split()[1:])
    prompt = "> "
    terminal.expect(prompt)
    for typed, shown in steps:
        terminal.type(typed + "\r")
        if typed == "quit":
            is_(terminal.wait(), 0, "quit")
        else:
            said = (terminal.expect("\r\nzxmove store1.lab.test> ") or "").splitlines()
            check(typed, [line for line in said if line.strip() != typed], shown)


with open(os.path.join(ROOT, "doc", "tutorial.md"), encoding="utf-8") as page:
    commands = blocks(page.read())
ok(len(commands) > 15, f"the page has {len(commands)} commands")
ok(not agrees(["a 1", "b"], ["a 2"]) and not agrees(["a"], ["b"]) and agrees(["a 1", "x", "b"], ["a 2", "...", "b"]),
   "and a difference would be seen")
is_(without_progress(["a", "0cfa633e  0/2 done  5%", "[1/2] a@x  copy  9%", "[1/2] a@x    moved   b", "[2/2] b@x  moved"]),
    ["a", "[1/2] a@x    moved   b", "[2/2] b@x  moved"], "what a slow machine says beside is left out")
shell = Bash()
try:
    for command, steps, shown in commands:
        command = re.sub(r"\btutorial\b", LAB, command)
        if steps:
            at_prompt(shell, command, steps)
        else:
            check(command, without_progress([line.replace(LAB, "tutorial") for line in shell.run(command)]), shown)
finally:
    shell.process.stdin.close()
    shell.process.wait(300)
    subprocess.run([os.path.join(HERE, "lab"), "stop", LAB], capture_output=True, check=False)
done()
