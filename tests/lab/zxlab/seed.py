"""Fills a store with a mailbox: N messages and, if it is to be rich, everything else that the tables
of doc/platform.md 2 can hold. The same address and seed give the same mailbox.

    mailbox = seed_mailbox(lab, account_id, lab.stores[0], messages=1000)

Written behind mailboxd's back: one that runs finds the mailbox at its first creating access (5.1)."""

import base64
import gzip
import hashlib
import math
import os
import random
import unicodedata

from . import blobs, extras
from .content import NASTY_NAMES, SENDERS, SUBJECTS, Content, metadata

FOLDER, SEARCH, CONVERSATION, MESSAGE, CONTACT, DOCUMENT = 1, 2, 4, 5, 6, 8
NOTE, APPOINTMENT, MOUNTPOINT, WIKI, TASK, CHAT, COMMENT, LINK = 9, 11, 13, 14, 15, 16, 17, 18
INBOX, TRASH, JUNK, SENT, DRAFTS = 2, 3, 4, 5, 6
SYSTEM_FOLDERS = {11: (11, "ROOT"), 1: (11, "USER_ROOT"), 8: (11, "Tags"),
                  9: (11, "Conversations"), 17: (11, "Comments"), 2: (1, "Inbox"), 3: (1, "Trash"),
                  4: (1, "Junk"), 5: (1, "Sent"), 6: (1, "Drafts"), 7: (1, "Contacts"),
                  10: (1, "Calendar"), 12: (1, "Notebook"), 13: (1, "Emailed Contacts"),
                  14: (1, "Chats"), 15: (1, "Tasks"), 16: (1, "Briefcase"),
                  20: (1, "Files shared with me")}
FLAGS = {-1: "Sent", -2: "Attached", -3: "Answered", -4: "Forwarded", -5: "Copied", -6: "Flagged",
         -7: "Draft", -8: "Deleted", -9: "Notified", -10: "Unread", -11: "Urgent", -13: "Versioned",
         -15: "Popped", -16: "Note", -17: "Priority", -18: "Post", -19: "Muted", -24: "Invite"}
UNREAD = -10
FIRST_USER_ID = 256
EPOCH = 1_560_000_000  # when the oldest item arrived; fixed, so that a seed gives the same rows
ID_STEP = 20

ITEM_COLUMNS = ("mailbox_id", "id", "type", "parent_id", "folder_id", "prev_folders", "index_id",
                "imap_id", "date", "size", "locator", "blob_digest", "unread", "flags", "tags",
                "tag_names", "sender", "recipients", "subject", "name", "metadata", "mod_metadata",
                "change_date", "mod_content", "uuid")
COLUMNS = {
    "mail_item": ITEM_COLUMNS,
    "mail_item_dumpster": ITEM_COLUMNS,
    "revision": ("mailbox_id", "item_id", "version", "date", "size", "locator", "blob_digest", "name",
                 "metadata", "mod_metadata", "change_date", "mod_content"),
    "tag": ("mailbox_id", "id", "name", "color", "item_count", "unread", "listed", "sequence",
            "policy"),
    "tagged_item": ("mailbox_id", "tag_id", "item_id"),
    "open_conversation": ("mailbox_id", "hash", "conv_id"),
}
COLUMNS["revision_dumpster"] = COLUMNS["revision"]
NOT_NULL = {"size": 0, "flags": 0, "tags": 0, "item_count": 0, "unread": 0, "listed": 0}
# Parents before children (2.3); foreign keys stay on, so a seed that hangs together is proven so.
ORDER = ("mail_item", "revision", "appointment", "open_conversation", "tag", "tagged_item",
         "mail_item_dumpster", "revision_dumpster", "appointment_dumpster", "tombstone",
         "pop3_message", "imap_folder", "imap_message", "data_source_item", "purged_conversations",
         "purged_messages", "event", "watch")


def seed_mailbox(lab, account_id, store, messages=100, rich=True, seed=1, tracking_sync=None,
                 damage=None, mean_size=None):
    """A new mailbox of the account on the store; returns its mailbox id. `tracking_sync` 0 means
    that nobody syncs and there are no tombstones; None: on in a rich mailbox. `damage` is
    {"missing": 2, "wrong": 1, ...}, see plant_damage. `mean_size` is that of a message in bytes:
    most are far smaller, some far larger, as in a real mailbox; None: small ones, for tests."""
    address = lab.directory.account(account_id)[1]["zimbraMailDeliveryAddress"][0]
    with store.db() as db:
        mailbox = MailboxSeed(store, db, account_id, address, seed, mean_size)
        mailbox.begin(rich if tracking_sync is None else bool(tracking_sync))
        folders = mailbox.folders(rich)
        mailbox.tags(rich)
        mailbox.messages(messages, folders)
        if rich:
            extras.everything_else(mailbox, messages)
        mailbox.finish(rich)
    for how, count in (damage or {}).items():
        for _ in range(count):
            plant_damage(store, mailbox.id, how)
    return mailbox.id


def grow_metadata(store, mailbox_id, size):
    """Makes the metadata of one item so many bytes long, up to the 16777215 of MEDIUMTEXT: rows of
    that size do not fit into one packet, and CONCAT of their columns is NULL (2.7). Returns the
    item's id."""
    with store.db() as db, db.cursor() as cursor:
        cursor.execute("SELECT group_id FROM zimbra.mailbox WHERE id = %s", (mailbox_id,))
        table = f"mboxgroup{cursor.fetchone()[0]}.mail_item"
        cursor.execute(f"SELECT MAX(id) FROM {table} WHERE mailbox_id = %s", (mailbox_id,))
        item = cursor.fetchone()[0]
        cursor.execute(f"UPDATE {table} SET metadata = REPEAT('m', %s) WHERE mailbox_id = %s AND id = %s",
                       (size, mailbox_id, item))
        store.flush(db)
    return item


def plant_damage(store, mailbox_id, how, item=None):
    """Damages the blob of a message (`item`, or one not yet damaged) as the field does: "missing",
    "wrong" (same length, other bytes), "short". Returns the item's id."""
    with store.db() as db, db.cursor() as cursor:
        volumes = blobs.read_volumes(cursor)[0]
        cursor.execute("SELECT group_id FROM zimbra.mailbox WHERE id = %s", (mailbox_id,))
        group = cursor.fetchone()[0]
        cursor.execute(f"SELECT id, mod_content, locator FROM mboxgroup{group}.mail_item"
                       " WHERE mailbox_id = %s AND type = 5 AND blob_digest IS NOT NULL"
                       " AND (id = %s OR %s IS NULL) ORDER BY id DESC", (mailbox_id, item, item))
        for item_id, mod_content, locator in cursor.fetchall():
            path = volumes[int(locator)].blob(mailbox_id, item_id, mod_content)
            # One with other links must stay: the damage would be another item's, too.
            if os.path.exists(path) and os.stat(path).st_nlink == 1 and not _damaged(path):
                _damage(path, how)
                return item_id
    raise LookupError(f"mailbox {mailbox_id} has no blob to damage")


_MARK = b"damaged"


def _damaged(path):
    with open(path, "rb") as file:
        return file.read(len(_MARK)) == _MARK


def _damage(path, how):
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)
    if how == "missing":
        return
    if how not in ("wrong", "short"):
        raise ValueError(f"no such damage: {how}")
    data = _MARK + data[len(_MARK):]
    blobs.new_file(path, data if how == "wrong" else data[:-1])


STATUSES = ("active", "maintenance", "locked", "closed", "lockout", "pending")


def seed_company(lab, domain, store):
    """A domain with an account of every status and kind, aliases, lists, an alias domain and
    virtual hosts; nobody has a mailbox yet. Returns {local part: account id}."""
    lab.new_domain(domain, virtual_hosts=[f"mail.{domain}", f"webmail.{domain}"],
                   virtual_ips=["192.0.2.1"])
    lab.new_domain(f"alias-{domain}", alias_of=domain)
    ids = {status: lab.new_account(f"{status}@{domain}", store, status=status)
           for status in STATUSES}
    for kind in ("admin", "resource", "guest", "system"):
        ids[kind] = lab.new_account(f"{kind}@{domain}", store, kind=kind)
    ids["ann"] = lab.new_account(f"ann@{domain}", store, aliases=[f"ann.example@{domain}",
                                                                  f"a+b@{domain}"])
    lab.new_list(f"all@{domain}", [f"{name}@{domain}" for name in ids if name != "closed"])
    lab.new_list(f"some@{domain}", [f"ann@{domain}", "friend@outside.example"])
    return ids


def _folded(name):
    """A name as the server's collation compares it, roughly: no case, accents, trailing blanks."""
    plain = unicodedata.normalize("NFD", name.rstrip().casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


class MailboxSeed:
    """A mailbox in the making: rows are collected and written at the end, blobs at once."""

    def __init__(self, store, db, account_id, address, seed, mean_size=None):
        self.store = store
        self.mean_size = mean_size
        self.db = db
        self.account_id = account_id.lower()
        self.address = address
        self.rng = random.Random(f"{seed}/{address}")
        self.content = Content(self.rng)
        self.rows = {table: [] for table in ORDER}
        self.side_rows = []  # (statement, rows) of schema zimbra
        self.items = {}      # id -> row of mail_item
        self.blob_of = {}    # id -> Blob
        self.change = 1
        self.last_id = FIRST_USER_ID - 1
        self.clock = EPOCH
        self.user_tags = []
        self.contacts = 0

    # Beginning and end

    def begin(self, tracking_sync):
        """Takes a mailbox id as mailboxd does and makes what every mailbox has."""
        self.tracking = tracking_sync
        with self.db.cursor() as cursor:
            self.db.begin()
            cursor.execute("SELECT 1 FROM zimbra.mailbox WHERE account_id = %s", (self.account_id,))
            if cursor.fetchone():
                raise RuntimeError(f"{self.address} has a mailbox on {self.store.name} already")
            cursor.execute("UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id + 1")
            cursor.execute("SELECT next_mailbox_id - 1 FROM zimbra.current_volumes")
            self.id = int(cursor.fetchone()[0])
            self.db.commit()
            found = blobs.read_volumes(cursor)
        self.volumes, self.message_volume, self.secondary, self.index_volume = found
        self.group = (self.id - 1) % self.store.groups + 1
        self.store.ensure_group(self.db, self.group)
        self.writer = blobs.BlobWriter(self.volumes, self.id)
        others = [v.id for v in self.volumes.values() if v.type == 1 and v.id != self.message_volume]
        self.old_volume = self.secondary or (others[0] if others else self.message_volume)
        for folder, (parent, name) in SYSTEM_FOLDERS.items():
            self.item(FOLDER, parent, item_id=folder, parent_id=parent, name=name, subject=name,
                      unread=0, change=1)
        for flag, name in FLAGS.items():
            self.row("tag", id=flag, name="\\" + name, sequence=1)

    def finish(self, rich):
        """Counts, checkpoints that lag as far as they may (2.5), and everything into the
        database; mailbox first."""
        self._let_checkpoints_lag()
        self._count()
        self.rows["mail_item"] = self._folders_first()
        size = sum(row["size"] for row in self.items.values() if row.get("blob_digest"))
        with self.db.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            self.db.begin()
            cursor.execute("DELETE FROM zimbra.deleted_account WHERE email = %s", (self.address,))
            cursor.execute(
                "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id,"
                " item_id_checkpoint, contact_count, size_checkpoint, change_checkpoint,"
                " tracking_sync, tracking_imap, last_backup_at, comment, last_soap_access,"
                " new_messages, version, last_purge_at, itemcache_checkpoint) VALUES"
                " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '2.7', %s, %s)",
                (self.id, self.group, self.account_id, self.index_volume, self.id_checkpoint,
                 self.contacts, size, self.change_checkpoint, 2 if self.tracking else 0, int(rich),
                 self.clock - 86400 if rich else None, self.address, self.clock,
                 self.rng.randint(0, 9), self.clock - 3600, self.rng.randint(0, 5)))
            for table in ORDER:
                self._insert(cursor, table)
            for statement, rows in self.side_rows:
                cursor.executemany(statement, rows)
            self.db.commit()
        self.store.flush(self.db)

    def _insert(self, cursor, table):
        rows = self.rows[table]
        if not rows:
            return
        columns = COLUMNS.get(table) or tuple(rows[0])
        values = [[self._value(row, column) for column in columns] for row in rows]
        cursor.executemany(
            f"INSERT INTO mboxgroup{self.group}.{table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))})", values)

    def _value(self, row, column):
        if column == "mailbox_id":
            return self.id
        value = row.get(column)
        if value is None and not (column == "unread" and "type" in row):
            return NOT_NULL.get(column)
        return value

    def _folders_first(self):
        """Rows in an order in which foreign keys hold: folders by depth, then what has no parent,
        then the rest."""
        containers = {FOLDER, SEARCH, MOUNTPOINT}

        def depth(row):
            steps, at = 0, row
            while at["id"] != 11 and at["type"] in containers:
                steps, at = steps + 1, self.items[at["parent_id"]]
            return steps

        def rank(row):
            if row["type"] in containers:
                return (0, depth(row), row["id"])
            return (1 if row["type"] == CONVERSATION or not row.get("parent_id") else 2, 0, row["id"])

        return sorted(self.items.values(), key=rank)

    def _let_checkpoints_lag(self):
        """Ids and change numbers go on to the end of their blocks with nothing that would make
        mailboxd write the mailbox row; that holds the values of the blocks' beginning."""
        step = int(self.store.kind.localconfig.get("zimbra_mailbox_change_checkpoint_frequency", 100))
        while self.last_id >= FIRST_USER_ID and self.last_id % ID_STEP != ID_STEP - 1:
            link = self.new_id()
            self.item(LINK, 16, item_id=link, name=f"link {link}", subject="link")
        touchable = [row for row in self.items.values() if row["type"] in (MESSAGE, CONTACT)]
        while touchable and self.change % step != step - 1:
            row = self.rng.choice(touchable)
            row["mod_metadata"], row["change_date"] = self.next_change(), self.clock
        self.id_checkpoint = max(FIRST_USER_ID - 1, self.last_id - self.last_id % ID_STEP)
        self.change_checkpoint = max(1, self.change - self.change % step)

    def _count(self):
        """Counters that mailboxd keeps in folder and tag rows without a change number (2.7 B)."""
        tag_rows = {row["id"]: row for row in self.rows["tag"]}
        sizes = {}
        for row in self.items.values():
            if row["type"] in (FOLDER, SEARCH, MOUNTPOINT, CONVERSATION):
                continue
            folder = self.items[row["folder_id"]]
            folder["size"] = folder.get("size", 0) + 1
            folder["unread"] = (folder.get("unread") or 0) + (row.get("unread") or 0)
            sizes[folder["id"]] = sizes.get(folder["id"], 0) + row.get("size", 0)
            sizes_of = row.get("parent_id") and self.items.get(row["parent_id"])
            if sizes_of and sizes_of["type"] == CONVERSATION:
                sizes_of["size"] = sizes_of.get("size", 0) + 1
                sizes_of["unread"] = (sizes_of.get("unread") or 0) + (row.get("unread") or 0)
        for tagged in self.rows["tagged_item"]:
            tag = tag_rows[tagged["tag_id"]]
            tag["item_count"] = tag.get("item_count", 0) + 1
            tag["unread"] = tag.get("unread", 0) + (self.items[tagged["item_id"]].get("unread") or 0)
        for row in self.items.values():
            if row["type"] == FOLDER:
                row["metadata"] = metadata({"a": 1, "mseq": self.change, "unxt": self.last_id + 1,
                                            "i4l": self.last_id, "sz": sizes.get(row["id"], 0),
                                            "v": 10, "vt": 0})

    # Numbers, rows, items

    def new_id(self):
        """The next item id."""
        self.last_id += 1
        return self.last_id

    def next_change(self):
        """The next change number; time goes on with it."""
        self.change += 1
        self.clock += self.rng.randint(1, 4000)
        return self.change

    def row(self, table, **values):
        """Collects a row of the group's schema."""
        values.setdefault("mailbox_id", self.id)
        self.rows[table].append(values)
        return values

    def side(self, table, rows):
        """Collects rows of a table of schema zimbra: dicts of the same columns."""
        columns = list(rows[0])
        self.side_rows.append((
            f"INSERT INTO zimbra.{table} (mailbox_id, {', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * (len(columns) + 1))})",
            [[self.id, *row.values()] for row in rows]))

    def item(self, kind, folder, item_id=None, data=None, blob=None, change=None, tag_ids=(),
             flags=0, old=False, sha1=False, old_name=False, table="mail_item", **values):
        """An item with its blob (`data` written, or `blob` linked), flags and tags; returns its
        row."""
        item_id = item_id or self.new_id()
        change = change or self.next_change()
        row = {"id": item_id, "type": kind, "folder_id": folder, "date": self.clock,
               "flags": flags, "mod_metadata": change, "mod_content": change,
               "change_date": self.clock, "uuid": self.content.uuid(), **values}
        row["mod_content"] = values.get("mod_content", change)
        if data is not None:
            volume = self.old_volume if old else self.message_volume
            blob = self.writer.write(volume, item_id, row["mod_content"], data, sha1, old_name)
        elif blob is not None:
            blob = self.writer.link(blob, item_id, row["mod_content"])
        if blob is not None:
            row.update(blob.columns())
            self.blob_of[item_id] = blob
        if tag_ids:
            names = [name for tag_id, name in self.user_tags if tag_id in tag_ids]
            row["tag_names"] = "\0" + "\0".join(names) + "\0"
        if table == "mail_item":
            self.items[item_id] = row
            for tag_id in [*tag_ids, *(f for f in FLAGS if flags & (1 << (-f - 1)))]:
                self.row("tagged_item", tag_id=tag_id, item_id=item_id)
            if row.get("unread") and kind == MESSAGE:
                self.row("tagged_item", tag_id=UNREAD, item_id=item_id)
        else:
            self.row(table, **row)
        return row

    # What is in it

    def folders(self, rich):
        """Folders of the user's own in a tree, with names that have broken programs before;
        returns ids of those that hold messages."""
        below = {1: set()}  # parent -> names that the server would take for the same
        for name in NASTY_NAMES if rich else ("Projects",):
            parents = self.rng.sample(list(below), len(below))
            parent = next(p for p in parents if _folded(name) not in below[p])
            below[parent].add(_folded(name))
            folder = self.item(FOLDER, parent, parent_id=parent, name=name, subject=name, unread=0)
            below[folder["id"]] = set()
        return list(below)[1:]

    def tags(self, rich):
        """Tags of the user's own."""
        names = ("later", "Caf\u00e9", "a;b,c", "\u5de5\u4f5c", "quote'\"\\", "unused")
        for name in names if rich else names[:1]:
            tag_id = self.new_id()
            change = self.next_change()
            self.user_tags.append((tag_id, name))
            self.row("tag", id=tag_id, name=name, color=self.rng.choice((None, 0, 7, 0x1FF00FF)),
                     listed=1, sequence=change, policy=None if len(name) > 4 else "d1:ki30ee")

    def messages(self, count, folders):
        """Messages, conversations, copies; the oldest ones on the old volume, under old names and
        with old digests."""
        rng = self.rng
        threads = {}
        places = [INBOX] * 10 + [SENT] * 3 + [TRASH, JUNK, DRAFTS] + folders
        shared = self._neighbours()
        for number in range(count):
            subject = rng.choice(SUBJECTS) + (f" {rng.randint(1, max(2, count // 6))}"
                                              if rng.random() < 0.8 else "")
            thread = subject.removeprefix("Re: ").removeprefix("Fwd: ")
            self._message(number, count, subject, rng.choice(places), shared)
            self._thread(threads, thread, self.last_id)
        for thread, first in threads.items():
            if rng.random() < 0.7:
                conversation = self.items[first].get("parent_id") or first
                digest = base64.b64encode(hashlib.sha1(thread.encode()).digest()).decode()
                self.row("open_conversation", hash=digest, conv_id=conversation)

    def _message(self, number, count, subject, folder, shared):
        rng = self.rng
        sender = rng.choice(SENDERS)
        old = number < count * 0.15
        flags = 0
        size = "small"
        for chance, bit in ((0.1, -6), (0.15, -3), (0.05, -4), (0.02, -8), (0.03, -11), (0.02, -17)):
            if rng.random() < chance:
                flags |= 1 << (-bit - 1)
        if folder == SENT:
            flags |= 1
        if folder == DRAFTS:
            flags |= 1 << 6
        if rng.random() < 0.06 or number == 4:  # one under its old name, and large enough to be compressed elsewhere
            size, flags = "attachment", flags | 2
        elif number % 997 == 5:
            size = "huge" if number % 1994 == 5 else "odd"
        if self.mean_size:
            size = self._any_size()
        item_id = self.new_id()
        source = {"data": None}
        if shared and rng.random() < 0.3:
            source = {"blob": shared.pop()}
        elif number > 20 and rng.random() < 0.03:
            copied = rng.randint(FIRST_USER_ID, item_id - 1)
            if copied in self.blob_of:
                source = {"blob": self.blob_of[copied]}
        if source.get("blob") is None:
            source = {"data": self.content.message(number, sender, subject, self.clock, size),
                      "old": old, "sha1": old and number % 3 == 0, "old_name": number in (1, 2, 4)}
        tags = [t for t, _ in self.user_tags[:-1] if rng.random() < 0.05]
        chance = rng.random()
        self.item(MESSAGE, folder, item_id=item_id, flags=flags, tag_ids=tags, **source,
                  sender=sender, recipients=self.address if number % 5 else None, subject=subject,
                  unread=int(rng.random() < 0.2), imap_id=0 if chance < 0.05 else item_id,
                  index_id=None if chance < 0.01 else 0 if chance < 0.03 else 1 if chance < 0.04
                  else item_id,
                  prev_folders=self._previous(folder),
                  metadata=metadata({"f": self._fragment(number), "s": sender, "v": 10}))
        if rng.random() < 0.1:  # read, flagged or moved since: the row is newer than the content
            self.items[item_id].update(mod_metadata=self.next_change(), change_date=self.clock)

    def _any_size(self):
        """Log-normal, up to what an MTA takes: half of the messages are below a quarter of the mean."""
        spread = 1.7
        size = self.rng.lognormvariate(math.log(self.mean_size) - spread * spread / 2, spread)
        return int(min(max(size, 600), 10 << 20))

    def _previous(self, folder):
        if folder != TRASH:
            return None
        return ";".join(f"{max(1, self.change - n)}:{INBOX}" for n in range(self.rng.randint(1, 9), 0, -1))

    def _fragment(self, number):
        text = self.content.paragraphs[number % 64][:80].decode(errors="ignore").strip()
        return text + ("\U0001f600" if number % 50 == 7 else "")

    def _thread(self, threads, thread, item_id):
        """The second message of a subject makes the conversation; a first one alone has none."""
        if not thread.strip():
            return
        first = threads.setdefault(thread, item_id)
        if first == item_id:
            return
        conversation = self.items[first].get("parent_id")
        if not conversation:
            conversation = self.item(CONVERSATION, 9, subject=thread, unread=0,
                                     metadata=metadata({"n": thread, "v": 10}))["id"]
            self.items[first]["parent_id"] = conversation
            self.items[first]["mod_metadata"] = self.change
        self.items[item_id]["parent_id"] = conversation

    def _neighbours(self):
        """Blobs of the store's other mailboxes on the current volume, as if the same delivery had
        gone to them too: hard links across mailboxes (3.6)."""
        with self.db.cursor() as cursor:
            cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE id <> %s ORDER BY id DESC"
                           " LIMIT 1", (self.id,))
            other = cursor.fetchone()
            if not other:
                return []
            cursor.execute(f"SELECT id, mod_content, size, blob_digest FROM mboxgroup{other[1]}"
                           ".mail_item WHERE mailbox_id = %s AND type = 5 AND locator = %s"
                           " ORDER BY id DESC LIMIT 5", (other[0], str(self.message_volume)))
            found = []
            for item_id, mod_content, size, digest in cursor.fetchall():
                path = self.volumes[self.message_volume].blob(other[0], item_id, mod_content)
                if os.path.exists(path) and not _damaged(path):
                    found.append(blobs.Blob(self.message_volume, size, digest.decode(), path))
            return found

    def gzip_document(self):
        """A document that is a gzip file itself: its magic must not be taken for our compression."""
        return gzip.compress(self.content.body(12), 9, mtime=0)
