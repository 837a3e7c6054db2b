"""compare.py - two copies of a mailbox, row by row and file by file, in Python: every row of the one is
looked for in the other as it is, so a row that is missing, altered by a byte or there twice shows.

Columns that a move translates (doc/platform.md 2.1, 2.5) are taken out of the comparison and each held
against its own rule."""

import os
import re
from collections import Counter, namedtuple

from . import truth
from .snapshot import BLOB_TABLES

Finding = namedtuple("Finding", "kind text")

# what: "missing", "extra", "doubled", "altered"; rows are dicts, None where there is none
Difference = namedtuple("Difference", "table what source target columns")

# Compared by rules of their own.
TRANSLATED_TABLES = {"zimbra.mailbox", "zimbra.pending_acl_push", "zimbra.volume_blobs"}

ITEM_INCREMENT = 20
MAILBOX_RULES = {"id", "group_id", "account_id", "index_volume_id", "item_id_checkpoint", "change_checkpoint",
                 "itemcache_checkpoint", "last_backup_at"}


def differences(source, target):
    """Every row of every table but the translated ones, both ways."""
    for table in sorted(set(source.tables) | set(target.tables)):
        if table not in TRANSLATED_TABLES:
            yield from table_differences(table, source.table(table), target.table(table))


def table_differences(table, source, target, exact=False):
    """Rows of one table, as multisets; what has the same key on both sides is one altered row.
    exact: the two are the same copy at two times, so nothing is translated."""
    have, want = _plain(table, target, source, exact), _plain(table, source, target, exact)
    missing, extra = want - have, have - want
    doubled = {row for row in extra if row in want}
    key = (source or target).key
    by_key = {}
    if key and not set(key) >= set((source or target).columns):
        by_key = {tuple(dict(row)[c] for c in key): row for row in extra if row not in doubled}
    paired = set()
    for row, count in missing.items():
        fields = dict(row)
        other = by_key.get(tuple(fields[c] for c in key)) if by_key else None
        if other is None:
            yield from [Difference(table, "missing", fields, None, ())] * count
            continue
        paired.add(other)
        changed = tuple(c for c, value in other if fields.get(c) != value)
        yield Difference(table, "altered", fields, dict(other), changed)
    for row, count in extra.items():
        if row not in paired:
            what = "doubled" if row in doubled else "extra"
            yield from [Difference(table, what, None, dict(row), ())] * count


def _plain(table, rows, other, exact):
    """Counter of rows as tuples of (column, value): the columns both have, and those only one has where the
    value is not the default; a locator counts as there or not there."""
    if rows is None:
        return Counter()
    common = set(rows.columns) & set((other or rows).columns)

    def value(column, raw):
        if column == "locator" and table in BLOB_TABLES and not exact and raw is not None:
            return b"*"
        return raw

    def kept(column, raw):
        if column in common:
            return True
        default = rows.defaults.get(column)
        return raw is not None and (default is None or raw.decode(errors="replace") != default.strip("'"))

    return Counter(tuple((c, value(c, raw)) for c, raw in zip(rows.columns, row) if kept(c, raw))
                   for row in rows.rows)


def name_of(table, row, key=("id", "item_id", "section", "name", "sent_to", "device_id", "sequence", "hash")):
    parts = [f"{c}={_short(row[c])}" for c in key if row.get(c) is not None]
    return f"{table} {' '.join(parts) or _short(repr(row).encode())}"


def _short(raw):
    text = raw.decode(errors="backslashreplace")
    return text if len(text) <= 60 else text[:57] + "..."


def row_finding(difference):
    row = difference.source or difference.target
    name = name_of(difference.table, row)
    if difference.what == "altered":
        values = "; ".join(f"{c}: {_value(difference.source.get(c))} is now {_value(difference.target.get(c))}"
                           for c in difference.columns)
        return Finding("row-altered", f"{name}: {values}")
    return Finding(f"row-{difference.what}", name)


def _value(raw):
    return "NULL" if raw is None else repr(_short(raw))


# ---- the mailbox row and the checkpoints

LOGIN_COLUMNS = {"last_soap_access", "new_messages"}


def logged_in(row, since_ms):
    """A log-in since then shows in the row, and accounts for LOGIN_COLUMNS."""
    return int(row["last_soap_access"]) >= since_ms // 1000

def round_up(value, increment):
    """What mailboxd makes of a stored checkpoint: the end of its block."""
    return value // increment * increment + increment - 1


def maxima(copy):
    """(largest id, largest change number) in use."""
    def biggest(pairs):
        values = [int(v) for table, column in pairs if copy.table(table)
                  for v in copy.table(table).values(column) if v is not None]
        return max(values, default=0)

    items = ("group.mail_item", "group.mail_item_dumpster")
    revisions = ("group.revision", "group.revision_dumpster")
    ids = [(t, c) for t in items for c in ("id", "index_id", "imap_id")]
    ids += [("group.tag", "id")] + [(t, "item_id") for t in revisions]
    changes = [(t, c) for t in items + revisions for c in ("mod_metadata", "mod_content")]
    changes += [("group.tombstone", "sequence"), ("group.tag", "sequence")]
    return biggest(ids), biggest(changes)


def mailbox_row(source, target, groups, increment, index_volume, since_ms, gone_on=None):
    """The zimbra.mailbox row. `groups`: of the target store; `increment`: of change numbers at the source;
    `since_ms`: of the snapshot; `gone_on`: the increment of the target if it was used since, so that its counters
    have gone on."""
    old, new = source.mailbox(), target.mailbox()

    def wrong(column, want):
        return Finding("mailbox-row", f"mailbox.{column} is {_value(new[column])}, should be {want}")

    if int(new["group_id"]) != (int(new["id"]) - 1) % groups + 1:
        yield wrong("group_id", (int(new["id"]) - 1) % groups + 1)
    if new["account_id"] != old["account_id"].lower():
        yield wrong("account_id", old["account_id"].lower())
    if int(new["index_volume_id"]) != index_volume:
        yield wrong("index_volume_id", index_volume)
    if new["last_backup_at"] is not None:
        yield wrong("last_backup_at", "NULL")
    if int(new["itemcache_checkpoint"]) != int(old["itemcache_checkpoint"]) + 1:
        yield wrong("itemcache_checkpoint", int(old["itemcache_checkpoint"]) + 1)
    yield from checkpoints(source, target, increment, gone_on)
    going = {"contact_count", "size_checkpoint", "last_soap_access", "new_messages", "last_purge_at",
             "tracking_sync", "tracking_imap"} if gone_on else set()
    going |= LOGIN_COLUMNS if logged_in(new, since_ms) else set()
    for column in sorted(set(old) & set(new) - MAILBOX_RULES - going):
        if old[column] != new[column]:
            yield wrong(column, _value(old[column]))


def checkpoints(source, target, increment, gone_on):
    """Not below anything the source gave out or may have given out; what the target gave out since may lag
    within its block, as always (doc/platform.md 2.5)."""
    old, new, of_source, of_target = source.mailbox(), target.mailbox(), maxima(source), maxima(target)
    for column, step, lag, source_top, target_top in (
            ("item_id_checkpoint", ITEM_INCREMENT, ITEM_INCREMENT, of_source[0], of_target[0]),
            ("change_checkpoint", increment, gone_on, of_source[1], of_target[1])):
        value = int(new[column])
        floor = max(source_top, round_up(int(old[column]), step), target_top if gone_on is None else 0)
        if value < floor or gone_on is not None and round_up(value, lag) < target_top:
            yield Finding("checkpoint", f"mailbox.{column} is {value}, below {max(floor, target_top)}: numbers would"
                          " be given out twice")


# ---- blobs, index, what else lies in the directory

class Blobs:
    """The blobs of a copied mailbox. `style`: {volume: (of files, of directories)} of the target store;
    `compress`: whether a plain blob was to be gzipped on a compressing volume, None if either will do;
    `older`: a copy the target store had before, whose files may have been linked instead of copied."""

    def __init__(self, source, target, volumes, style, compress=True, older=None):
        self.source, self.target, self.volumes = source, target, volumes
        self.style, self.compress = style, compress
        self.linked = {(volume, path_name(path)): file.raw
                       for (volume, path), file in (older.files.items() if older else ())}
        self.expected = set()
        self.sources = {(table, row[column], row["mod_content"]): row for table, column in BLOB_TABLES.items()
                        for row in source.dicts(table)}

    def findings(self):
        for table, column in BLOB_TABLES.items():
            for row in self.target.dicts(table):
                if row["blob_digest"] is not None and row["locator"] is not None:
                    yield from self._blob(table, row, int(row[column]), int(row["mod_content"]))
                elif row["locator"] is not None:
                    yield from self._locator(table, row)

    def _locator(self, table, row):
        """Of a row without a blob: translated or left alone."""
        if not row["locator"].isdigit() or int(row["locator"]) not in self.target.volumes:
            yield Finding("locator", f"{name_of(table, row)}: no volume {_short(row['locator'])} here")

    def _blob(self, table, row, item, mod):
        name = name_of(table, row)
        if not row["locator"].isdigit() or int(row["locator"]) not in self.volumes:
            yield Finding("locator", f"{name}: locator {_short(row['locator'])}, should be one of"
                          f" {sorted(self.volumes)}")
            if not row["locator"].isdigit() or int(row["locator"]) not in self.target.volumes:
                return
        volume = self.target.volumes[int(row["locator"])]
        place = (volume.id, volume.blob(item, mod))
        before = self._before(table, row, item, mod)
        sound = before is None or _is(before, row)
        file = self.target.files.get(place)
        if file is None:
            yield from self._absent(name, place, sound)
            return
        self.expected.add(place)
        if file.kind != "f":
            yield Finding("blob-altered", f"{name}: {place[1]} is no file")
            return
        if not (_is(file, row) and _same_content(file, before, row)) and (sound or file.raw != before.raw):
            yield Finding("blob-altered", f"{name}: {place[1]} on volume {volume.id} is not what the row says")
        elif sound and before is not None and before.kind == "f":
            name_here = path_name(place[1])
            kept = (self.linked.get((volume.id, older)) for older in (name_here, ancient_name(name_here)))
            if file.raw not in kept:
                yield from self._encoding(name, row, volume, file, before)
        yield from style_findings("blob", f"{name}: {place[1]}", file, self.style[volume.id][0])

    def _before(self, table, row, item, mod):
        """The same blob's file at the source; None for a row that is not from there."""
        old = self.sources.get((table, row[dict(BLOB_TABLES)[table]], row["mod_content"]))
        if old is None or old["locator"] is None or not old["locator"].isdigit():
            return None
        volume = self.source.volumes[int(old["locator"])]
        path = volume.blob(item, mod)
        return (self.source.files.get((volume.id, path)) or
                self.source.files.get((volume.id, ancient_name(path))) or ABSENT)

    def _absent(self, name, place, sound):
        elsewhere = [v for v, path in self.target.files if path == place[1]]
        if elsewhere:
            self.expected.update((v, place[1]) for v in elsewhere)
            yield Finding("blob-volume", f"{name}: {place[1]} is on volume {elsewhere}, the row says {place[0]}")
        elif sound:
            yield Finding("blob-missing", f"{name}: {place[1]} is not on volume {place[0]}")

    def _encoding(self, name, row, volume, file, before):
        """Bytes as they were; or gzipped where the volume asks for it and it is not ambiguous."""
        size = int(row["size"])
        was_plain = before.plain is None or before.size == size
        may_pack = was_plain and volume.compress_blobs and size > volume.compression_threshold
        packed = file.raw != before.raw
        if packed and (not may_pack or self.compress is False):
            yield Finding("blob-encoding", f"{name}: other bytes on the disk than at the source")
        elif may_pack and self.compress and not packed:
            yield Finding("blob-encoding", f"{name}: plain on volume {volume.id}, which compresses")


def path_name(path):
    return path.rsplit("/", 1)[-1]


def ancient_name(path):
    """The same blob's as very old versions named it (doc/platform.md 3.2)."""
    return re.sub(r"-\d+\.msg$", ".msg", path)


ABSENT = truth.File("-", 0, 0, 0, 0, 0, 0, None, None, None)


def _is(file, row):
    """The file holds what the row says. A digest of 28 characters is of the time before SHA-256: then the
    length must do, and the comparison with the source's bytes."""
    if file.kind != "f":
        return False
    digest, length = truth.blob_content(file, int(row["size"]))
    return length == int(row["size"]) and (len(row["blob_digest"]) != 44 or digest == row["blob_digest"].decode())


def _same_content(file, before, row):
    """As at the source, where it has the blob: all that can be asked of an old digest."""
    if before is None or before.kind != "f" or not _is(before, row):
        return True
    return truth.blob_content(file, int(row["size"])) == truth.blob_content(before, int(row["size"]))


def style_findings(what, name, file, style):
    mode, uid, gid = style
    if (file.uid, file.gid) != (uid, gid):
        yield Finding(f"{what}-owner", f"{name} belongs to {file.uid}:{file.gid}, the volume's to {uid}:{gid}")
    if file.mode != mode:
        yield Finding(f"{what}-mode", f"{name} has mode {file.mode:o}, the volume's have {mode:o}")


def index_findings(source, target, volume, style):
    """File by file, on the volume of the mailbox row."""
    old = source.index_files()
    new = {path[6:]: file for (v, path), file in target.files.items()
           if v == volume and path.startswith("index/") and file.kind != "d"}
    for path in sorted(set(old) | set(new)):
        if path not in new:
            yield Finding("index-missing", f"index/{path} is not on volume {volume}")
        elif path not in old:
            yield Finding("index-extra", f"index/{path} is not at the source")
        else:
            if new[path].raw != old[path].raw:
                yield Finding("index-altered", f"index/{path} differs from the source's")
            yield from style_findings("index", f"index/{path}", new[path], style[volume][0])


def stray_findings(target, expected, index_volume, style):
    """What lies in the mailbox's directories and is neither a blob of a row nor index."""
    parents = {(v, up) for v, path in expected for up in _parents(path)}
    for (volume, path), file in sorted(target.files.items()):
        if volume == index_volume and (path == "index" or path.startswith("index/")):
            if file.kind == "d":
                yield from style_findings("dir", path, file, style[volume][1])
        elif file.kind == "d":
            if (volume, path) not in parents and not re.fullmatch(r"msg(/\d+)?", path):
                yield Finding("file-extra", f"directory {path} on volume {volume}")
            yield from style_findings("dir", path, file, style[volume][1])
        elif (volume, path) not in expected:
            yield Finding("file-extra", f"{path} on volume {volume}: no row calls for it")
    used = {v for v, _ in expected} | {index_volume}
    for volume in target.volumes.values():
        directory = volume.mailbox_dir(target.mailbox_id)
        if not os.path.lexists(directory):
            continue
        if volume.id not in used and not target_has_blob_row(target, volume.id):
            yield Finding("leftover", f"{directory}: nothing of the mailbox belongs on volume {volume.id}")
        for level in (directory, os.path.dirname(directory)):
            file = truth.stat_file(level)
            yield from style_findings("dir", level, file, style[volume.id][1])


def target_has_blob_row(target, volume):
    return any(str(volume).encode() in (target.table(t).values("locator") if target.table(t) else ())
               for t in BLOB_TABLES)


def _parents(path):
    while "/" in path:
        path = path.rsplit("/", 1)[0]
        yield path


def same_files(before, now, with_index=True):
    """The files of one copy at two times; without the index where its segments_N shows that mailboxd itself
    merged it meanwhile."""
    for place in sorted(set(before.files) | set(now.files)):
        if not with_index and place[1].startswith("index"):
            continue
        old, new = before.files.get(place), now.files.get(place)
        if old is None or new is None:
            yield f"{place[1]} on volume {place[0]} {'appeared' if old is None else 'vanished'}"
        elif (old.kind, old.mode, old.uid, old.gid, old.raw) != (new.kind, new.mode, new.uid, new.gid, new.raw):
            yield f"{place[1]} on volume {place[0]} changed"
