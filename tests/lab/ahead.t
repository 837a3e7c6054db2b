#!/usr/bin/python3
"""What a window knows of the blobs from before it: whatever happens between the last look at them and the window is
seen, by the rows' fingerprints or by the records of what was staged, and what happens to neither costs nothing."""

import glob
import gzip
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.blobs import digest, read_volumes  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, mailbox_id, moved_clean  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

MESSAGES = 900  # several buckets of records


class Box:
    """A mailbox whose move stands between the last look ahead and its window."""

    def __init__(self, name):
        self.account = scene.mailbox(name, one, messages=MESSAGES)
        self.held = Held(scene, self.account, two, "copy:applied")
        self.held.wait(seconds=200)
        self.mailbox = mailbox_id(one, self.account)
        self.reserved = self.execute(two, "SELECT mailbox_id FROM zxmove.reservation WHERE account_id = %s",
                                     self.account)[0][0]
        with one.db() as connection, connection.cursor() as cursor:
            self.volumes, self.primary, self.secondary = read_volumes(cursor)[:3]
            cursor.execute("SELECT group_id FROM zimbra.mailbox WHERE id = %s", (self.mailbox,))
            self.table = f"mboxgroup{cursor.fetchone()[0]}.mail_item"
        with two.db() as connection, connection.cursor() as cursor:
            there, message = read_volumes(cursor)[:2]
            self.there = there[message]

    @staticmethod
    def execute(store, statement, *values):
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def change(self, columns, item, *values):
        """Of one row, without a new number."""
        self.execute(one, f"UPDATE {self.table} SET {columns} WHERE mailbox_id = %s AND id = %s", *values, self.mailbox,
                     item)

    def blobs(self):
        """[(item id, mod_content, path)] of plain messages at the source, each with a file of its own."""
        rows = self.execute(one, f"SELECT id, mod_content FROM {self.table} WHERE mailbox_id = %s AND type = 5"
                            " AND locator = %s AND blob_digest IS NOT NULL ORDER BY id", self.mailbox,
                            str(self.primary))
        found = [(item, mod, self.volumes[self.primary].blob(self.mailbox, item, mod)) for item, mod in rows]
        return [(item, mod, path) for item, mod, path in found if os.path.isfile(path) and os.stat(path).st_nlink == 1]

    def staged(self, item, mod):
        """Where the blob lies at the destination."""
        return self.there.blob(self.reserved, item, mod)

    def go(self, name):
        """To its end; True if the window went by what was known."""
        before = scene.snapshot(self.account)
        moved_clean(self.held.go(), before, self.account, one, two, name)
        for path in glob.glob(os.path.join(lab.dir, "state", "log", "*.log")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if scene.addresses[self.account] in text:
                return "blobs: those that may have changed" in text
        return None


def content(path):
    """By its digest; the destination may have compressed it."""
    with open(path, "rb") as file:
        data = file.read()
    return digest(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)


def source_changes():
    """Everything that rows and blobs can do at the source without a change number."""
    box = Box("changes")
    found = box.blobs()
    row, number, other, moved = (found[i * len(found) // 4] for i in range(4))
    box.change("change_date = change_date + 1", row[0])
    renamed = box.volumes[box.primary].blob(box.mailbox, number[0], number[1] - 1)
    os.rename(number[2], renamed)
    box.change("mod_content = mod_content - 1", number[0])
    with open(other[2], "wb") as file:
        file.write(b"other content under the same numbers")
    box.change("size = %s, blob_digest = %s", other[0], os.stat(other[2]).st_size, content(other[2]))
    target = box.volumes[box.secondary].blob(box.mailbox, moved[0], moved[1])
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.move(moved[2], target)
    box.change("locator = %s", moved[0], str(box.secondary))
    lab.deliver(scene.addresses[box.account], one, n=3)
    one.user(box.account, "delete")
    ok(box.go("changes at the source after the last look"), "the window looked only where rows had changed")
    is_([os.path.exists(box.staged(*number[:2])), os.path.exists(box.staged(number[0], number[1] - 1))], [False, True],
        "a blob that changed its number only has the new one")
    is_(content(box.staged(*other[:2])), content(other[2]), "one that changed under its number came again")
    is_(content(box.staged(*moved[:2])), content(target), "one on another volume is what it was")


def nothing():
    """Nothing happened."""
    ok(Box("nothing").go("nothing happened after the last look"), "the window looked nowhere")


def lost_record():
    """The destination lost a record and its file, of rows that did not change."""
    box = Box("lost")
    item, mod, path = box.blobs()[20]
    box.execute(two, "DELETE FROM zxmove.staged WHERE account_id = %s AND item_id = %s", box.account, item)
    os.unlink(box.staged(item, mod))
    ok(box.go("a record lost at the destination") is False, "the window compared every blob")
    is_(content(box.staged(item, mod)), content(path), "and the blob is there again")


def altered_record():
    """A record says something else: what it stands for is not believed."""
    box = Box("altered")
    item, mod, path = box.blobs()[20]
    box.execute(two, "UPDATE zxmove.staged SET blob_digest = %s WHERE account_id = %s AND item_id = %s", digest(b"x"),
                box.account, item)
    with open(box.staged(item, mod), "wb") as file:
        file.write(b"x")
    ok(box.go("a record altered at the destination") is False, "the window compared every blob")
    is_(content(box.staged(item, mod)), content(path), "and the blob is what it was")


lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab)
for case in (source_changes, nothing, lost_record, altered_record):
    case()
done()
