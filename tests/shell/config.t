#!/usr/bin/python3
"""config: settings with where they came from, one written into the file; no password on a screen, a command line or in
the history; the Tab key. What becomes of an edited file, in every form: tests/unit/test_settings.c."""

import json
import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place, Terminal  # noqa: E402
from zxlab import schema  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

SECRET = "s3cret-4711"
place = Place(f"# ours\nretention_days: 14 # two weeks\nldap:\n  password: {SECRET}\nstores:\n  mail1.lab.test:\n")


def says(words, status, text, name, **env):
    """One test: it ends so and says so; no secret."""
    result = place.run(*words, **env)
    whole = result.stdout + result.stderr
    if not ok(result.returncode == status and text in whole and SECRET not in whole, name):
        diag(f"status {result.returncode}\n{whole}")
    return result


def answer(*words):
    """The response; one test that doc/json.md has its keys."""
    found = json.loads(place.run("--json", *words).stdout)
    is_(schema.of_answer("config", found), [], f"{' '.join(words)}: doc/json.md has its keys")
    return found["response"]


# Looking.
result = says(["config", "list"], 0, f"14                              {place.conf}:3", "config list: value and origin")
ok(re.search(rf"^ldap.password +\(a password\) +{place.conf}:5$", result.stdout, re.M) and "stores.mail1.lab.test.ssh_port" in result.stdout,
   "passwords are there or not, stores one by one") or diag(result.stdout)
says(["config", "get", "admin.password"], 0, "(environment ZXMOVE_ADMIN_PASSWORD)", "one from the environment",
     ZXMOVE_ADMIN_PASSWORD=SECRET)
says(["config", "get", "lease"], 0, "lease  60s  (default)", "config get of a default")
says(["config", "get", "leese"], 64, "no setting leese, did you mean lease?", "a misspelt name")
says(["config", "get"], 64, "needs the name of a setting", "no name")
says(["config", "list", "lease"], 64, "takes no name", "too many words")
settings = {setting["name"]: setting for setting in answer("config", "list")["settings"]}
is_([settings["retention_days"]["value"], settings["ldap.password"].get("value"), settings["ldap.password"]["present"]],
    ["14", None, True], "the same as JSON")
is_(answer("config", "get", "log.level")["setting"]["values"], ["error", "warning", "info", "debug"], "what may be")

# Writing.
says(["config", "set", "retention_days", "60"], 0, "before: 14", "config set says what was before")
text = open(place.conf, encoding="utf-8").read()
ok("# ours\nretention_days: 60 # two weeks\n" in text and SECRET in text, "the file keeps its comments and the rest")
is_(stat.S_IMODE(os.stat(place.conf).st_mode), 0o600, "and its mode")
is_(answer("config", "set", "stores.mail2.lab.test.address", "10.0.0.2")["setting"]["value"], "10.0.0.2",
    "a store that was not there")
says(["config", "get", "stores.mail2.lab.test.address"], 0, "10.0.0.2", "is there now")
before = open(place.conf, encoding="utf-8").read()
says(["config", "set", "lease", "60"], 64, "lease: '60' has no unit", "a value of the wrong type")
says(["config", "set", "leese", "60s"], 64, "did you mean lease?", "a setting that is none")
says(["config", "set", "lease"], 64, "needs a value", "no value")
says(["config", "set", "ldap.password", SECRET], 64, "does not belong on a command line", "a password is refused")
says(["config", "set", "ldap.password_file", f"{place.dir}/none"], 66, "nothing was changed", "a file that would not do")
is_(open(place.conf, encoding="utf-8").read(), before, "and the file is as it was")
os.chmod(place.conf, 0o640)
says(["config", "set", "lease", "90s"], 77, "chmod 600", "a file open to others is not written either")
os.chmod(place.conf, 0o600)

fresh = Place()
is_(fresh.run("config", "set", "lease", "80s").returncode, 0, "the file that ZXMOVE_CONFIG names")
os.unlink(fresh.conf)
is_(fresh.run("--config", fresh.conf, "config", "set", "lease", "90s").returncode, 0, "a file that is not there is made")
is_([open(fresh.conf, encoding="utf-8").read(), stat.S_IMODE(os.stat(fresh.conf).st_mode)], ["lease: 90s\n", 0o600],
    "with this setting, private")

# In the shell: at once; and a line with a password is not kept.
shell = Terminal(place)
shell.expect("zxmove> ")
shell.type("config set retention_days 61\r")
shell.expect("zxmove> ")
shell.type("config get retention_days\r")
ok("retention_days  61" in (shell.expect(":3)") or "") + ":3)", "a shell takes it at once")
shell.expect("zxmove> ")
shell.type(f"config set ldap.password {SECRET}\r")
shell.expect("does not belong")
shell.expect("zxmove> ")
shell.type("quit\r")
is_(shell.wait(), 0, "quit leaves the shell")
kept = subprocess.run(["grep", "-r", "-l", SECRET, place.dir], capture_output=True, text=True, check=False).stdout
is_(kept.split(), [place.conf], "the password is in the configuration and nowhere else")

answer = place.run(stdin=b"config set retention_days 31\nconfig get admin.password\n", ZXMOVE_ADMIN_PASSWORD=SECRET)
ok(answer.returncode == 0 and "(environment ZXMOVE_ADMIN_PASSWORD)" in answer.stdout and SECRET not in answer.stdout,
   "what the environment told once still holds after a change") or diag(answer.stdout + answer.stderr)


def offered(*words):
    """What the Tab key has for the last of the words."""
    return place.run("__complete", str(len(words)), *words).stdout.splitlines()


is_(offered("config", ""), ["get", "set", "list"], "Tab: what to do")
is_(offered("config", "get", "rete"), ["retention_days"], "settings")
ok("stores.mail1.lab.test.ssh_port" in offered("config", "set", "stores.mail1."), "of each store")
ok("ldap.password_file" in offered("config", "set", "ldap.pass"), "passwords by their files")
is_(offered("config", "set", "log.target", ""), ["file", "syslog", "journald"], "values")
is_(offered("config", "set", "ldap.starttls", "f"), ["false"], "yes or no")
is_(offered("config", "set", "state_dir", f"{place.dir}/zx"), [f"{place.dir}/zxmove.yaml"], "files")
done()
