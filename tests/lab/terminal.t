#!/usr/bin/python3
"""The shell in a real terminal (tmux): type, Tab, choose, run, Ctrl-C, resize; with the directory standing still, gone
and back in the middle, while typing goes on. The same completion in a real bash."""

import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.tap import comes, diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.template import ROOT  # noqa: E402


class Terminal:
    """A terminal of tmux's with one program in it, on a server of our own."""

    def __init__(self, directory, command, env):
        self.socket = os.path.join(directory, f"tmux-{len(terminals)}")
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", f"exec env {words} {command}")

    def tmux(self, *words):
        """One command of tmux; its output."""
        return subprocess.run(["tmux", "-S", self.socket, *words], check=True, capture_output=True, text=True,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}, timeout=120).stdout

    def type(self, text):
        """Letters, as they are."""
        self.tmux("send-keys", "-l", text)

    def keys(self, *names):
        """Keys by name: Tab, Enter, C-c."""
        self.tmux("send-keys", *names)

    def screen(self):
        """What is on it, without what is blank at the end."""
        return self.tmux("capture-pane", "-p").rstrip("\n")

    def shows(self, condition, seconds=20):
        """Waits until the screen is so; that screen, not one that came after it."""
        seen = []
        try:
            wait_for(lambda: seen.append(self.screen()) or condition(seen[-1]), seconds, "the screen")
        except TimeoutError:
            diag(seen[-1])
        return seen[-1]

    def ends(self, text, seconds=20):
        """Whether the screen comes to end so (blanks at the end are not seen)."""
        return self.shows(lambda screen: screen.endswith(text), seconds).endswith(text)

    def has_line(self, text, columns=80):
        """The same for a whole line, broken where the terminal ends."""
        return self.ends("\n" + "\n".join(text[i:i + columns] for i in range(0, len(text), columns)))

    def resize(self, columns, rows=24):
        """Gives it another size; tmux tells the program in its own time."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        tty = self.tmux("list-panes", "-F", "#{pane_tty}").strip()
        wait_for(lambda: subprocess.run(["stty", "-F", tty, "size"], check=True, capture_output=True, text=True,
                                        timeout=30).stdout.split() == [str(rows), str(columns)], 10, "the size")

    def close(self):
        """Ends the program and the server."""
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, capture_output=True, timeout=120)


def clear(terminal):
    """Gives the line up."""
    terminal.keys("C-c")
    ok(terminal.ends("^C\n" + PROMPT), "Ctrl-C gives the line up")


def tabs_until(condition):
    """Presses Tab, as a person who waits for a server does, until the screen is so; that screen."""
    screens = []
    for _ in range(60):
        shell.keys("Tab")
        if comes(lambda: screens.append(shell.screen()) or condition(screens[-1]), 1):
            return screens[-1]
    diag(screens[-1])
    raise TimeoutError("Tab never led to that screen")


def tab_until_completed(typed):
    """The same until the line that ends so, once it is shown, is another."""
    before = shell.shows(lambda screen: screen.endswith(typed))
    tabs_until(lambda screen: screen != before)


PROMPT = "zxmove>"
lab = Lab.create("terminal", mode=os.environ.get("MODE", "asan"), mailboxd=False)
one, two = (store.name for store in lab.stores)
env = {"ZXMOVE_CONFIG": lab.conf_path, "HOME": lab.dir, "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"],
       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""), "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", ""),
       "LSAN_OPTIONS": os.environ.get("LSAN_OPTIONS", "")}
terminals = []
try:
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("net_timeout: 10m\n")  # who waits for a server is not back before a test gives it up
    lab.new_domain("company.test")
    for number, name in enumerate(("anna", "annabel", "anton", "boris")):
        lab.new_account(f"{name}@company.test", lab.stores[number % 2])
    for number in range(60):
        lab.new_account(f"user{number:03}@company.test", lab.stores[0])
    shell = Terminal(lab.dir, f"sh -c '{lab.program}; echo ended $?; read end'", env)
    terminals.append(shell)
    ok(shell.ends(PROMPT), "a prompt")

    # Type, Tab, choose, run
    shell.type("help dom")
    shell.keys("Tab")
    ok(shell.ends(f"{PROMPT} help doMailboxMove"), "a verb")
    shell.type("sta")
    shell.keys("Tab", "Tab")
    shell.shows(lambda screen: "start_after" in screen)
    shell.type("g")
    shell.keys("Tab", "Enter")
    screen = shell.shows(lambda s: "what to run" in s and s.endswith(PROMPT))
    ok("doMailboxMove stages: what to run" in screen, "chosen and run")

    # Accounts by prefix, with their homes
    shell.type(f"doMailboxMove {two[:6]}")
    shell.keys("Tab")
    ok(shell.ends(f"doMailboxMove {two}"), "a store")
    shell.type("acco")
    shell.keys("Tab")
    shell.type("an")
    screen = tabs_until(lambda s: "anton@company.test" in s and s.endswith("accounts an"))
    for name, home in (("anna", one), ("annabel", two), ("anton", one)):
        ok(re.search(rf"^{name}@company\.test +{re.escape(home)}$", screen, re.M), f"{name} is listed with its home")
    ok(shell.ends(f"{PROMPT} doMailboxMove {two} accounts an"), "and the line stands below")
    shell.type("nab")
    shell.keys("Tab")
    ok(shell.ends("accounts annabel@company.test"), "one is completed")
    shell.keys("BSpace")
    shell.type(",ant")
    shell.keys("Tab")
    line = f"{PROMPT} doMailboxMove {two} accounts annabel@company.test,anton@company.test"
    ok(shell.has_line(line), "and the next item of the list")
    line += " "

    # Another size
    for columns, more in ((40, "stages"), (100, " "), (60, "blo"), (80, "bs")):
        shell.resize(columns)
        shell.type(more)
        line += more
        ok(shell.has_line(line.rstrip(), columns), f"{columns} columns")
    is_(shell.screen().count("accounts annabel"), 1, "it was never drawn twice")
    clear(shell)

    # More than fits
    shell.type(f"doMailboxMove {two} accounts user")
    screen = tabs_until(lambda s: "user000@company.test" in s and s.endswith("accounts user0"))
    listed = set(re.findall(r"user\d{3}@", screen))
    more = re.search(r"^\.\.\. and (\d+) more$", screen, re.M)
    is_(len(listed) + (int(more[1]) if more else 0), 60, "sixty are listed or counted")
    ok(max(len(line) for line in screen.splitlines() if line.startswith(("user", "..."))) < 80, "within the width")
    clear(shell)

    # The directory stands still: what it said is known for a minute, in which a busy machine may do nothing else.
    for _ in range(5):
        shell.type(f"doMailboxMove {two} accounts user")
        tabs_until(lambda s: "user000@company.test" in s and s.endswith("accounts user0"))
        lab.slapd.pause()
        shell.type("12")
        shell.keys("Tab")
        if comes(lambda: shell.screen().endswith("accounts user012@company.test"), 20):
            break
        lab.slapd.cont()
        clear(shell)
    ok(shell.ends("accounts user012@company.test"), "a directory that stands still: what was answered before is completed")
    clear(shell)
    shell.type(f"doMailboxMove {two} accounts bor")
    shell.keys("Tab")
    shell.type("x")
    ok(shell.ends("accounts borx"), "typing goes on")
    shell.keys("BSpace", "Tab", "Tab", "Tab", "Tab", "Tab")
    shell.type("y")
    ok(shell.ends("accounts bory"), "however often Tab is pressed")
    shell.keys("BSpace")
    clear(shell)
    shell.type("help dopurge")
    shell.keys("Tab")
    ok(shell.ends("help doPurgeMailboxes"), "what needs no directory is completed")
    clear(shell)
    lab.slapd.cont()
    shell.type(f"doMailboxMove {two} accounts bor")
    tab_until_completed("accounts bor")
    ok(shell.ends("accounts boris@company.test"), "it goes on: its answer is there")
    clear(shell)

    # The directory is gone
    lab.slapd.kill()
    shell.type(f"doMailboxMove {two} accounts ax")
    shell.keys("Tab", "Tab")
    shell.type("z")
    ok(shell.ends("accounts axz"), "a directory that is gone: no candidates, and no error on the screen")
    clear(shell)
    lab.slapd.start()
    shell.type(f"doMailboxMove {two} domains comp")
    tab_until_completed("domains comp")
    ok(shell.ends("domains company.test"), "it is back")
    clear(shell)

    # Nobody waits for a thread that does
    lab.slapd.pause()
    shell.type(f"doMailboxMove {two} accounts qq")
    shell.keys("Tab")
    shell.type("q")
    shell.ends("accounts qqq")
    clear(shell)
    shell.type("quit")
    shell.keys("Enter")
    ok(shell.ends("ended 0"), "quit does not wait for it either")
    lab.slapd.cont()

    # A store's database stands still: the other form does not wait either, and leaves nothing behind
    places = os.path.join(lab.dir, "places")
    os.makedirs(places)
    lab.stores[1].mariadb.pause()
    result = subprocess.run([lab.program, "__complete", "4", "doMailboxMove", two, "blob_destination_volume", ""],
                            env={**os.environ, **env, "TMPDIR": places}, text=True, capture_output=True, timeout=300,
                            check=False)
    lab.stores[1].mariadb.cont()
    is_((result.returncode, result.stdout, result.stderr), (0, "current_primary\ncurrent_secondary\n", ""),
        "a store whose database stands still has no volumes to offer")
    is_(os.listdir(places), [], "no socket is left behind")

    # bash
    with open(os.path.join(lab.dir, "bashrc"), "w", encoding="ascii") as file:
        file.write(f"PS1='$ '; PATH={os.path.dirname(lab.program)}:$PATH\n"
                   f". {os.path.join(ROOT, 'completion', 'zxmove.bash')}\n")
    os.makedirs(os.path.join(lab.dir, "my lists"))
    with open(os.path.join(lab.dir, "my lists", "first one.txt"), "w", encoding="ascii"):
        pass
    os.makedirs(os.path.join(lab.dir, "second"), exist_ok=True)
    bash = Terminal(lab.dir, f"sh -c 'cd {lab.dir} && exec bash --noprofile --rcfile bashrc'", env)
    terminals.append(bash)
    ok(bash.ends("$"), "a prompt of bash")
    bash.type("zxmove powerstore doMail")
    bash.keys("Tab")
    ok(bash.ends("$ zxmove powerstore doMailboxMove"), "bash: a verb behind a prefix")
    bash.type(f"{two} accounts=anto")
    bash.keys("Tab")
    ok(bash.ends("accounts=anton@company.test"), "bash: an account behind an =")
    bash.type("input_file my")
    bash.keys("Tab")
    bash.keys("Tab")
    ok(bash.shows(lambda s: s.replace("\n", "").endswith("my\\ lists/first\\ one.txt"))
       .replace("\n", "").endswith("my\\ lists/first\\ one.txt"), "bash: a file, its blanks quoted")
finally:
    for terminal in terminals:
        terminal.close()
    lab.slapd.cont()
    lab.stores[1].mariadb.cont()
    lab.stop()
done()
