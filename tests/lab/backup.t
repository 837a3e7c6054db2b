#!/usr/bin/python3
"""Stage backup: the account's entries in the backup of its store, incrementally, whatever lies beside them; and what is
said where there is no backup, or nobody asked for it."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import yaml  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, home, mailbox_id, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402


def root(store):
    return os.path.join(lab.dir, "backups", store.name)


def write(store, account, name, text, mtime=None):
    """An entry of an account's backup."""
    path = os.path.join(root(store), "accounts", account, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if mtime:
        os.utime(path, (mtime, mtime))
    return path


def entries(store, account):
    """{name: (content, mtime)} of what an account has there."""
    base = os.path.join(root(store), "accounts", account)
    found = {}
    for directory, _, names in os.walk(base):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                with open(path, encoding="utf-8") as file:
                    found[os.path.relpath(path, base)] = (file.read(), os.stat(path).st_mtime_ns)
    return found


def configure(*stores):
    """backup_path of these, and of no other."""
    with open(lab.conf_path, encoding="utf-8") as file:
        conf = yaml.safe_load(file)
    for name, store in conf["stores"].items():
        store.pop("backup_path", None)
        for backed in stores:
            if backed.name == name:
                store["backup_path"] = root(backed)
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        yaml.safe_dump(conf, file, sort_keys=False)


def report(result):
    """The one mailbox of the report that a run has kept."""
    path = next(line.split()[-1] for line in result.stdout.splitlines() if line.startswith("report "))
    with open(path, encoding="utf-8") as file:
        return json.load(file)["mailboxes"][0]


def seeded(name):
    """An account with a mailbox, and a backup of it."""
    account = scene.mailbox(name, one, messages=6, rich=False)
    write(one, account, "account_info", "all about " + name)
    write(one, account, "backupstat", "{}")
    for item in range(257, 300):
        write(one, account, f"items/{item % 100:02}/{item}", f"item {item}\n" * 50)
    return account


def without():
    """No backup store: said, and a success."""
    account = scene.mailbox("without", one, messages=3, rich=False)
    result = scene.move(account, two, stages="backup")
    exits(result, 0, "stage backup alone, without a backup store")
    says(result, f"backup: no backup store on {one.name}, nothing to copy", "it says so")
    is_(mailbox_id(two, account), None, "nothing was reserved or copied")
    is_(report(result)["blobs_copied"], 0, "no blob either")


def incremental():
    """Once all, then what is new or changed; nothing of another account; nothing is removed."""
    account = seeded("incremental")
    stranger = seeded("beside")
    os.symlink("account_info", os.path.join(root(one), "accounts", account, "link"))
    configure(one)
    result = scene.move(account, two, stages="backup")
    exits(result, 1, "no backup store at the destination")
    says(result, f"set backup_path of {two.name}", "it says what to set")
    configure(one, two)
    os.makedirs(root(two))
    os.chmod(root(two), 0o750)
    result = scene.move(account, two, stages="data")
    exits(result, 0, "stages data")
    is_(entries(two, account), entries(one, account), "every entry is there, with its time")
    is_(entries(two, stranger), {}, "another account's are not")
    is_(report(result)["backup_files"], 45, "the report counts them")
    says(result, "1 names on", "a link is left out, and told")
    path = os.path.join(root(two), "accounts", account, "items/57/257")
    is_((os.stat(path).st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777), (0o640, 0o750),
        "files and directories are as those of the backup there")
    is_(report(scene.move(account, two, stages="backup"))["backup_files"], 0, "a second run copies nothing")
    write(one, account, "items/57/257", "changed")
    write(one, account, "items/00/300", "new")
    write(two, account, "items/58/258", "written there since", mtime=4000000000)
    write(two, account, "items/99/999", "of an earlier time")
    result = scene.move(account, two, stages="backup")
    exits(result, 0, "a third run")
    is_(report(result)["backup_files"], 2, "copies the two that differ")
    there = entries(two, account)
    is_([there[name][0] for name in ("items/57/257", "items/00/300", "items/58/258", "items/99/999")],
        ["changed", "new", "written there since", "of an earlier time"], "and leaves what is newer or more there")
    says(result, "1 files on", "what was left alone is told")


def failing():
    """A stage that fails: the mailbox is not moved without its backup."""
    account = seeded("failing")
    before = scene.snapshot(account)
    outside = os.path.join(lab.dir, "outside")
    os.mkdir(outside)
    os.symlink(outside, os.path.join(root(two), "accounts", account))
    result = scene.move(account, two, stages="data,account")
    exits(result, 1, "a link where the account's directory should be")
    says(result, "links below", "it is not followed")
    is_((os.listdir(outside), home(lab, account).name), ([], one.name), "nothing is written, and the mailbox stays")
    os.unlink(os.path.join(root(two), "accounts", account))
    result = scene.move(account, two, stages="data,account")
    moved_clean(result, before, account, one, two, "data,account")
    is_(len(entries(two, account)), 45, "with its backup")


def not_asked():
    """Said in one line, and left alone."""
    account = seeded("notasked")
    result = scene.move(account, two)
    exits(result, 0, "the default stages")
    says(result, f"backup: {one.name} has a backup store, and stage backup was not asked for", "it says so")
    is_(entries(two, account), {}, "nothing of it is copied")


lab = Lab.create("backup", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab, strangers=False)
    for test in (without, incremental, failing, not_asked):
        test()
    ok(not [name for store in lab.stores for _, _, names in os.walk(root(store)) for name in names
            if name.endswith(".zxmove")], "nothing half written is left")
finally:
    lab.stop()
done()
