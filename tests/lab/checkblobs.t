#!/usr/bin/python3
"""doCheckBlobs: one fault of each kind is planted on a mailbox's files and rows, and each is found, with nothing else and
nothing changed; volumes, mailbox_ids, missing_blobs_crosscheck, check_digests, traced; what only reports is said."""

import gzip
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, says  # noqa: E402
from zxlab.snapshot import read_copy  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402
from zxlab.truth import Sql, scan  # noqa: E402

LONG_AGO = 1_600_000_000


def check(status, *words, store=None):
    """One test: the status and the keys; the stores of the answer by name."""
    host = ["--host", store.name] if store else []
    result = lab.zxmove("--json", *host, "doCheckBlobs", "start", *words)
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer("doCheckBlobs", answer)
    if not ok(result.returncode == status and not findings, f"{status}: doCheckBlobs {' '.join(words)}"):
        diag("\n".join(findings) + result.stdout + result.stderr)
    return {entry["store"]: entry for entry in answer.get("response", {}).get("stores", [])}


def found(entry, mailbox=None):
    """[(fault, file's name or item)] of a store's answer."""
    return sorted((f["fault"], os.path.basename(f["file"]) if "file" in f else f["item"]) for f in entry["found"]
                  if mailbox in (None, f["mailbox_id"]))


class Files:
    """A mailbox's messages on a store, to be damaged one after the other."""

    def __init__(self, store, account):
        self.store, self.copy = store, read_copy(lab, store, account)
        self.rows = iter(row for row in self.copy.dicts("group.mail_item") if row["type"] == b"5" and
                         os.path.exists(self.place(row)) and os.stat(self.place(row)).st_nlink == 1)

    def place(self, row, volume=None, mod=None):
        """Where the blob of a row is, or would be."""
        volume = self.copy.volumes[volume or int(row["locator"])]
        return os.path.join(volume.mailbox_dir(self.copy.mailbox_id),
                            volume.blob(int(row["id"]), mod or int(row["mod_content"])))

    def take(self, plain=True):
        """The next message: its row, and the path of its file."""
        for row in self.rows:
            if not plain or os.path.getsize(self.place(row)) == int(row["size"]):
                return row, self.place(row)
        raise AssertionError("no message left")


def write(path, data, old=True):
    """A file as it may lie there for long."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))


lab = Lab.create("checkblobs", stores=["store1.lab.test", "store2.lab.test"], mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab, strangers=False)
    anna = scene.mailbox("anna", one, messages=40)
    scene.mailbox("boris", one, messages=5, rich=False)
    carla = scene.mailbox("carla", two, messages=30)
    exits(lab.zxmove("doCheckBlobs"), 64, "it wants its action")
    for option in ("fix_incorrect_compressed_digests", "missing_blob_delete_item"):
        result = lab.zxmove("doCheckBlobs", "start", option, "true")
        exits(result, 1, f"{option} is refused")
        says(result, "not in 1.0", "by name")
    exits(lab.zxmove("doCheckBlobs", "start", "mailbox_ids", "2"), 64, "ids are per store")
    exits(lab.zxmove("doCheckBlobs", "start", "volumes", "nosuch"), 1, "a volume that no store has")
    exits(lab.zxmove("--host", one.name, "doCheckBlobs", "start", "mailbox_ids", "4242"), 1, "a mailbox that is not there")

    # As it is seeded: some files have the name of old, and nothing else is wrong.
    stores = check(5)
    is_(sorted(stores), [one.name, two.name], "every store")
    is_({fault for store in stores.values() for fault, _ in found(store)}, {"wrong_name"}, "old names only")
    is_([stores[one.name]["checked"], "mailboxes" in stores[one.name]], [2, False], "each mailbox, none by itself")
    was = {name: set(found(store)) for name, store in stores.items()}

    files = Files(one, anna)
    mailbox = files.copy.mailbox_id
    expected, details = set(), {}

    def plant(fault, path, detail=None):
        """One more that is to be found."""
        expected.add((fault, os.path.basename(path) if isinstance(path, str) else path))
        details[os.path.basename(path) if isinstance(path, str) else path] = detail

    row, path = files.take()
    os.remove(path)
    plant("missing", path)
    gone = os.path.basename(path)

    row, path = files.take()
    other = next(v.id for v in files.copy.volumes.values() if v.type in (1, 2) and v.id != int(row["locator"]))
    os.makedirs(os.path.dirname(files.place(row, volume=other)), exist_ok=True)
    os.rename(path, files.place(row, volume=other))
    os.utime(files.place(row, volume=other), (LONG_AGO, LONG_AGO))
    plant("elsewhere", path, "its content is on volume")
    expected.add(("unexpected", os.path.basename(path)))
    carried = os.path.basename(path)

    row, path = files.take()
    wrong = files.place(row, mod=int(row["mod_content"]) + 7)
    os.rename(path, wrong)
    os.utime(wrong, (LONG_AGO, LONG_AGO))
    plant("wrong_name", path, f"its content is there as {os.path.basename(wrong)}")
    plant("unexpected", wrong)

    row, path = files.take()
    with open(path, "rb") as file:
        data = file.read()
    write(path, data[:-1])
    plant("wrong_size", path)

    row, path = files.take()
    with open(path, "rb") as file:
        data = file.read()
    write(path, gzip.compress(data + b"more"))
    plant("wrong_size", path)

    row, path = files.take()
    with open(path, "rb") as file:
        data = file.read()
    write(path, gzip.compress(data))  # as mailboxd might have stored it: nothing is wrong

    row, flipped = files.take()
    with open(flipped, "rb") as file:
        data = file.read()
    write(flipped, data[:-1] + bytes([data[-1] ^ 1]))

    row, path = files.take()
    with Sql(one) as sql, sql.connection.cursor() as cursor:
        cursor.execute(f"UPDATE mboxgroup{files.copy.group}.mail_item SET locator = '77' WHERE mailbox_id = {mailbox}"
                       f" AND id = {int(row['id'])}")
    plant("no_volume", int(row["id"]), "its row has the locator '77'")
    expected.add(("unexpected", os.path.basename(path)))
    os.utime(path, (LONG_AGO, LONG_AGO))

    row, path = files.take()
    os.remove(path)
    os.symlink("/etc/hostname", path)
    plant("unreadable", path)

    message = os.path.dirname(os.path.dirname(files.place(row)))
    write(os.path.join(message, "0", "99-7.msg"), b"of nobody")
    plant("unexpected", "99-7.msg")
    row, path = files.take()
    write(os.path.join(message, "200", os.path.basename(path)), b"in the wrong directory")
    plant("unexpected", os.path.basename(path), "mailboxd looks for it elsewhere")
    young = os.path.join(message, "0", "98-7.msg")
    write(young, b"just being delivered", old=False)
    os.utime(young, (time.time() + 3600,) * 2)  # and so it stays, however long the rest of the test takes
    write(os.path.join(message, "0", "97-7.msg.bak"), b"no blob by its name")

    volume = files.copy.volumes[1]
    write(os.path.join(volume.mailbox_dir(4000), "msg", "0", "300-1.msg"), b"of no mailbox")

    hsm = next(volume for volume in files.copy.volumes.values() if volume.path.endswith("hsm/first"))
    before = {volume.id: scan(volume.path) for volume in files.copy.volumes.values()}
    store = check(5, store=one)[one.name]
    is_(set(found(store, mailbox)) - was[one.name], expected, "every fault is found, and no other")
    ok(all(detail is None or any(detail in f.get("detail", "") for f in store["found"]
                                 if (os.path.basename(f["file"]) if "file" in f else f["item"]) == name)
           for name, detail in details.items()), "with what there is to say of it") or diag(str(store["found"]))
    is_([(h["mailbox_id"], h["volume"], h["files"]) for h in store["homeless"]], [(4000, 1, 1)],
        "and the directory of no mailbox")
    is_({volume.id: scan(volume.path) for volume in files.copy.volumes.values()} == before, True, "nothing was changed")
    is_(sum(volume.get("faults", {}).get("elsewhere", 0) for volume in store["volumes"]), 1, "told by volume")
    is_(store["faults"]["wrong_size"], 2, "and all together")

    on_hsm = [entry for entry in store["found"] if entry.get("volume") == hsm.id]

    # Parameters.
    store = check(5, "check_digests", "true", "mailbox_ids", str(mailbox), store=one)[one.name]
    is_(set(found(store)) - was[one.name], expected | {("wrong_digest", os.path.basename(flipped))},
        "check_digests finds a changed byte")
    is_([store["checked"], "homeless" in store], [1, False], "mailbox_ids: only this one")
    store = check(5, "missing_blobs_crosscheck", "false", "mailbox_ids", str(mailbox), store=one)[one.name]
    is_({f for f in found(store) if f[1] in (gone, carried) and f[0] != "unexpected"}, {("missing", gone), ("missing", carried)},
        "without crosscheck it is missing")
    store = check(5, "volumes", "hsm1", "traced", "true", store=one)[one.name]
    is_([volume["name"] for volume in store["volumes"]], ["hsm1"], "volumes: only this one")
    keys = [sorted((f["fault"], f["mailbox_id"], f["file"]) for f in entries) for entries in (store["found"], on_hsm)]
    ok(on_hsm, "something was planted there")
    is_(*keys, "and what is there")
    is_([m["account"] for m in store["mailboxes"]], [scene.addresses[anna], scene.address("boris")], "traced: each mailbox")
    is_(check(0, "items", "drive"), {}, "of Drive there is nothing")
    result = lab.zxmove("--host", one.name, "doCheckBlobs", "start", "items", "mail")
    exits(result, 5, "for people")
    says(result, "hard on the disks", "it says that it is hard on the disks")
    says(result, f"{gone}: missing", "and names the files")
    two_files = Files(two, carla)
    plain = {row["id"] for row in two_files.copy.dicts("group.mail_item") if row["locator"] == b"3"}
    ok(plain, "of a volume that compresses")
    is_(set(found(check(5, "check_digests", "true", store=two)[two.name])), was[two.name], "nothing is wrong but old names")

    # A store that is half down.
    two.sshd_kill()
    stores = check(5)
    is_(sorted(stores), [one.name], "a store that cannot be reached")
finally:
    lab.stop()
done()
