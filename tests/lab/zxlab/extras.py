"""What a mailbox holds besides messages: one function a subject, each with the edges of its table
(doc/platform.md 2.1, 2.2, 2.7, 5.6)."""

import os
import struct

from .blobs import make_directory, new_file
from .content import EMOJI, NASTY_NAMES, SENDERS, bencode, metadata

SEARCH, MESSAGE, CONTACT, DOCUMENT, NOTE, APPOINTMENT = 2, 5, 6, 8, 9, 11
MOUNTPOINT, WIKI, TASK, CHAT, COMMENT, LINK = 13, 14, 15, 16, 17, 18
CONTACTS, CALENDAR, NOTEBOOK, CHATS, TASKS, BRIEFCASE, SHARED_WITH_ME = 7, 10, 12, 14, 15, 16, 20
DRAFTS, TRASH, COMMENTS = 6, 3, 17
VERSIONED, DRAFT = 1 << 12, 1 << 6
FAR = 1_900_000_000  # scheduled things must not fall due while a test runs

# The first and last moments that the type and the clock have, a night without 02:30, open ends.
TIMES = (("1970-01-01 00:00:00", "1970-01-01 00:00:01"), ("1000-01-01 00:00:00", None),
         ("2021-03-28 02:30:00", "2021-03-28 03:30:00"), ("2020-02-29 23:59:59", "9999-12-31 23:59:59"),
         ("2038-01-19 03:14:08", "2038-01-20 00:00:00"))


def everything_else(mailbox, messages):
    """All of it; the more messages, the more of the rest."""
    many = max(1, messages // 100)
    places(mailbox)
    contacts(mailbox, 10 + 2 * many)
    calendar(mailbox, 8 + many)
    documents(mailbox, 6 + many // 4)
    chats_and_old_kinds(mailbox)
    dumpster(mailbox, 8 + many)
    data_sources(mailbox)
    if mailbox.tracking:
        tombstones(mailbox)
    events(mailbox, 20 + many)
    side_tables(mailbox)
    scheduled(mailbox)
    volume_blobs(mailbox)
    index_files(mailbox)
    calendar_cache(mailbox)


def places(mailbox):
    """Searches and folders of other people."""
    mailbox.item(SEARCH, 1, parent_id=1, name="unread from Ann", subject="unread from Ann", unread=0,
                 metadata=metadata({"q": f"from:ann is:unread {EMOJI}", "v": 10}))
    mailbox.item(MOUNTPOINT, 1, parent_id=1, name="Ann's calendar", subject="Ann's calendar",
                 unread=0, metadata=metadata({"zid": mailbox.content.uuid(), "rid": 10, "v": 10}))


def contacts(mailbox, count):
    """Contacts; every fourth has a photo, which is a blob."""
    for number in range(count):
        name = SENDERS[number % len(SENDERS)]
        fields = {"firstName": name, "email": f"contact{number}@outside.example",
                  "notes": EMOJI if number % 3 == 0 else ""}
        photo = mailbox.rng.randbytes(3000) if number % 4 == 0 else None
        mailbox.item(CONTACT, CONTACTS if number % 5 else 13, data=photo, sender=name[:128],
                     subject=name, metadata=metadata({"fld": fields, "v": 10}),
                     index_id=mailbox.last_id + 1)
        mailbox.contacts += 1


def calendar(mailbox, count):
    """Appointments and tasks; their times touch the edges of DATETIME."""
    for number in range(count):
        kind, folder, name = ((TASK, TASKS, "VTODO") if number % 4 == 3
                              else (APPOINTMENT, CALENDAR, "VEVENT"))
        uid = f"{'U' if number % 2 else 'u'}id-{number}-{mailbox.content.uuid()}"
        if number == 0:
            uid = uid.ljust(255, "x")
        row = mailbox.item(kind, folder, data=mailbox.content.calendar(uid, name),
                           subject=f"{name} {number}", index_id=mailbox.last_id + 1,
                           prev_folders="12:10;40:3" if number == 2 else None,
                           metadata=metadata({"u": uid, "tzm": {"Europe/Berlin": "x"}, "v": 10}))
        start, end = TIMES[number % len(TIMES)]
        mailbox.row("appointment", uid=uid, item_id=row["id"], start_time=start, end_time=end)


def documents(mailbox, count):
    """Files with older versions and comments; a gzip file, an empty one, one of somebody else."""
    for number in range(count):
        name = f"{NASTY_NAMES[number % len(NASTY_NAMES)].strip()[:200]} {number}.txt"
        data = (mailbox.gzip_document() if number == 1 else b"" if number == 2
                else mailbox.content.body(4 + number % 30))
        versions = number % 4
        item_id = mailbox.new_id()
        older = [_older_version(mailbox, item_id, name, version) for version in range(1, versions + 1)]
        mailbox.item(DOCUMENT, BRIEFCASE, item_id=item_id, data=data, name=name, subject=name,
                     sender=mailbox.address, flags=VERSIONED if older else 0, old=number == 3,
                     metadata=metadata({"ct": "text/plain", "ver": versions + 1, "v": 10}),
                     index_id=item_id)
        for text in range(number % 3):
            mailbox.item(COMMENT, COMMENTS, parent_id=item_id, subject=f"comment {text} {SENDERS[2]}",
                         sender=mailbox.address, metadata=metadata({"t": EMOJI, "v": 10}))
    mailbox.item(LINK, BRIEFCASE, name="link to Ann's file", subject="link to Ann's file",
                 metadata=metadata({"zid": mailbox.content.uuid(), "rid": 300}))
    mailbox.item(DOCUMENT, SHARED_WITH_ME, name="Ann's plan.odt", subject="Ann's plan.odt",
                 metadata=metadata({"owner": mailbox.content.uuid()}))


def _older_version(mailbox, item_id, name, version, table="revision"):
    """A row of the versions table with a blob of its own, under an old change number."""
    change = mailbox.next_change()
    blob = mailbox.writer.write(mailbox.old_volume if version == 1 else mailbox.message_volume, item_id,
                                change, mailbox.content.body(3 + version))
    return mailbox.row(table, item_id=item_id, version=version, date=mailbox.clock, name=name,
                       metadata=metadata({"ver": version}), mod_metadata=change,
                       change_date=mailbox.clock, mod_content=change, **blob.columns())


def chats_and_old_kinds(mailbox):
    """Kinds that few mailboxes still have."""
    content = mailbox.content
    mailbox.item(CHAT, CHATS, data=content.message(0, "chat", "chat", mailbox.clock),
                 subject="chat", unread=0, index_id=mailbox.last_id + 1)
    mailbox.item(WIKI, NOTEBOOK, data=content.body(2), name="_Index", subject="_Index")
    mailbox.item(NOTE, NOTEBOOK, subject="sticky", metadata=metadata({"b": "0,0,100,100"}))


def dumpster(mailbox, count):
    """Deleted things that can still be recovered: rows of their own tables, blobs in the same
    place. Nothing forbids parents and folders that are long gone."""
    for number in range(count):
        kind = (MESSAGE, CONTACT, DOCUMENT, APPOINTMENT, TASK, CHAT, LINK, COMMENT)[number % 8]
        item_id = mailbox.new_id()
        uid = f"deleted-{mailbox.content.uuid()}"
        data = {MESSAGE: mailbox.content.message(number, SENDERS[1], "gone", mailbox.clock),
                DOCUMENT: mailbox.content.body(5), CHAT: b"chat", TASK: b"task",
                APPOINTMENT: mailbox.content.calendar(uid, "VEVENT")}.get(kind)
        mailbox.item(kind, 999_000 + number if number % 2 else TRASH, item_id=item_id, data=data,
                     table="mail_item_dumpster", parent_id=999_999 if kind == COMMENT else None,
                     subject=f"gone {number}", name=f"gone {number % 3}", old=number % 3 == 0,
                     unread=0 if kind == MESSAGE else None, tag_names="\0gone\0",
                     index_id=item_id if number % 2 else 0, imap_id=item_id,
                     metadata=metadata({"f": EMOJI if number % 4 == 0 else "gone", "v": 10}))
        if kind == DOCUMENT:
            for version in (1, 2):
                _older_version(mailbox, item_id, "gone", version, "revision_dumpster")
        if kind == APPOINTMENT:
            mailbox.row("appointment_dumpster", uid=uid, item_id=item_id,
                        start_time="2019-10-27 02:30:00", end_time=None)


def data_sources(mailbox):
    """What polling of external mailboxes remembers. Their keys are binary: case counts."""
    messages = [row["id"] for row in mailbox.items.values() if row["type"] == MESSAGE][:40]
    pop, imap = mailbox.content.uuid(), mailbox.content.uuid()
    mailbox.pop_source = pop
    for number, item_id in enumerate(messages[:12]):
        mailbox.row("pop3_message", data_source_id=pop, item_id=item_id,
                    uid=("uidl-%d" if number % 2 else "UIDL-%d") % (number // 2))
    folders = {}
    for number, (local, remote) in enumerate((("/Inbox", "INBOX"), ("/far/\u00e4", "INBOX.&AOQ-"),
                                              ("/" + "deep/" * 60, "x" * 900))):
        folder = (2, DRAFTS, TRASH)[number]
        folders[number] = folder
        mailbox.row("imap_folder", item_id=folder, data_source_id=imap, local_path=local,
                    remote_path=remote, uid_validity=None if number == 2 else 4_294_967_295)
    for number, item_id in enumerate(messages[12:30]):
        mailbox.row("imap_message", imap_folder_id=folders[number % 3], uid=2 ** 40 + number,
                    item_id=item_id, flags=-2_147_483_648 if number == 0 else number)
    for number, item_id in enumerate(messages[30:]):
        mailbox.row("data_source_item", data_source_id=imap, item_id=item_id, folder_id=2,
                    remote_id=("remote\\%d'" if number % 2 else "REMOTE\\%d'") % (number // 2),
                    metadata=metadata({"conv": number}) if number % 3 else None)
    for number in range(3):
        mailbox.row("purged_conversations", data_source_id=imap, item_id=900 + number,
                    hash=("Hash" if number % 2 else "hASH").ljust(27, str(number // 2)) + "=")
        mailbox.row("purged_messages", data_source_id=imap, item_id=950 + number,
                    parent_id=900 if number else None, remote_id=f"purged {number}",
                    remote_folder_id="Folder" if number else "folder",
                    purge_date=mailbox.clock if number == 1 else None)


def tombstones(mailbox):
    """Deletes that a syncing device still has to hear of; two rows are alike, one is long."""
    for number in range(6):
        change = mailbox.next_change()
        ids = (",".join(f"{200_000 + n}:{mailbox.content.uuid()}" for n in range(1200))
               if number == 3 else "100001,100002,100003")
        mailbox.row("tombstone", sequence=change, date=mailbox.clock, type=None if number == 5 else 5,
                    ids=ids)
    twin = dict(mailbox.rows["tombstone"][0])
    mailbox.row("tombstone", **twin)


def events(mailbox, count):
    """Events (equal rows are legal) and watches (a table without a foreign key)."""
    some = [row["id"] for row in mailbox.items.values() if row["type"] == MESSAGE][:count]
    for item_id in some or [2]:
        mailbox.row("event", account_id=mailbox.account_id, item_id=item_id, folder_id=2, op=item_id % 7,
                    ts=mailbox.clock, version=None, user_agent="ZimbraWebClient - FF", arg=None)
    first = mailbox.rows["event"][0]
    for _ in range(3):
        mailbox.row("event", **first)
    mailbox.row("event", account_id=mailbox.account_id, item_id=-1, folder_id=-2_147_483_648, op=-128,
                ts=2_147_483_647, version=0, user_agent="", arg="\u20ac" * 10240)
    for target in (mailbox.account_id, mailbox.content.uuid()):
        mailbox.row("watch", target=target, item_id=2)


def side_tables(mailbox):
    """The store-wide tables that know mailboxes."""
    content = mailbox.content
    mailbox.side("mailbox_metadata", [
        {"section": "zwc:implicit", "metadata": metadata({"a": 1})},
        {"section": "big", "metadata": bencode({"blob": mailbox.rng.randbytes(100_000).hex()})},
        {"section": "emoji", "metadata": metadata({"note": EMOJI})},
        {"section": "empty", "metadata": ""},
        {"section": "null", "metadata": None}])
    mailbox.side("out_of_office", [
        {"sent_to": "boss@outside.example", "sent_on": "2021-03-28 02:30:00"},
        {"sent_to": "x" * 243 + "@example.com", "sent_on": "9999-12-31 23:59:59"}])
    mailbox.side("mobile_devices", [
        {"device_id": f"device{number}", "device_type": "iPhone" if number else "Android",
         "user_agent": None if number else "Android/13", "protocol_version": "16.1",
         "provisionable": 1, "status": 255 if number else 1, "policy_key": 4_294_967_295,
         "recovery_password": "s'e\\cret" if number else None, "first_req_received": mailbox.clock,
         "last_used_date": "0000-00-00" if number else "2024-02-29", "friendly_name": SENDERS[2],
         "unapproved_appl_list": "a\nb" if number else None,
         "last_updated_by": "User" if number else "Admin",
         "update_time": "2021-03-28 01:30:00" if number else "2038-01-19 03:14:07"}
        for number in range(2)])
    mailbox.side("zmg_devices", [
        {"app_id": f"app{number}", "reg_id": content.uuid(), "push_provider": "gcm" if number else "apns",
         "os_name": None if number else "iOS", "os_version": "17", "max_payload_size": 4096}
        for number in range(2)])


def scheduled(mailbox):
    """Tasks that a restart of mailboxd would load, and share advertisements not yet pushed."""
    draft = mailbox.item(MESSAGE, DRAFTS, data=mailbox.content.message(0, "me", "later", 0),
                         flags=DRAFT, subject="later", unread=0, index_id=0,
                         metadata=metadata({"f": "later", "ast": FAR * 1000, "v": 10}))["id"]
    appointment = mailbox.rows["appointment"][0]["item_id"]
    package = "com.zimbra.cs."

    def task(class_name, name, interval=None, **properties):
        return {"class_name": package + class_name, "name": name, "interval_millis": interval,
                "exec_time": "2030-03-17 17:46:40",
                "metadata": bencode({key: str(value) for key, value in properties.items()})}

    mailbox.side("scheduled_task", [
        task("mailbox.AutoSendDraftTask", f"autoSendDraftTask{draft}", draftId=draft),
        task("datasource.DataSourceTask", mailbox.pop_source, 300_000, account=mailbox.account_id),
        task("mailbox.alerts.CalItemEmailReminderTask", f"emailReminderTask{appointment}",
             calItemId=appointment),
        task("mailbox.acl.ExpireGrantsTask", "expireGrantsTask16", itemId=16)])
    mailbox.side("pending_acl_push", [{"item_id": item_id, "date": mailbox.clock * 1000 + item_id}
                                      for item_id in (2, CALENDAR, BRIEFCASE)])


def volume_blobs(mailbox):
    """The work table of the blob deduper, partly worked through."""
    some = list(mailbox.blob_of.items())[:10]
    mailbox.side("volume_blobs", [
        {"volume_id": blob.volume, "item_id": item_id, "blob_digest": blob.digest if item_id % 3 else None,
         "revision": mailbox.items[item_id]["mod_content"] if item_id in mailbox.items else 0,
         "processed": item_id % 2} for item_id, blob in some])


def index_files(mailbox):
    """A search index of two committed segments, in the stand-in's form of Lucene's files: write-once
    _x files, then the segments file that names them."""
    indexed = [row["id"] for row in mailbox.items.values() if (row.get("index_id") or 0) > 1]
    directory = os.path.join(mailbox.volumes[mailbox.index_volume].mailbox_dir(mailbox.id), "index", "0")
    make_directory(directory)
    half = len(indexed) // 2
    names = []
    for items in (indexed[:half], indexed[half:]):
        name = f"_{len(names)}"
        names.append(name)
        new_file(f"{directory}/{name}.cfs", struct.pack(f">{len(items)}I", *items))
        new_file(f"{directory}/{name}.fdt", mailbox.rng.randbytes(160 * len(items)))
    new_file(f"{directory}/segments_2",
             "".join(f"{line}\n" for line in ["lucene stand-in", *names]).encode())
    new_file(f"{directory}/segments.gen", b"2")


def calendar_cache(mailbox):
    """mailboxd's disk cache of the calendar, keyed by mailbox id (5.4)."""
    group = str((mailbox.id >> 12) & 8)
    directory = mailbox.store.path(f"data/tmp/calcache/{group}/{mailbox.id}/{group}")
    make_directory(directory)
    new_file(f"{directory}/{CALENDAR}.dat", f"calendar cache of {mailbox.id}".encode())

