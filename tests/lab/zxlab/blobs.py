"""Blobs on a store's volumes, as the store itself would write them: place, name, compression, digest
and hard links by doc/platform.md 3."""

import base64
import gzip
import hashlib
import os
from dataclasses import dataclass


def make_directory(path):
    """A directory as mailboxd makes them: every new level 0750."""
    try:
        os.mkdir(path, 0o750)
    except FileNotFoundError:
        make_directory(os.path.dirname(path))
        os.mkdir(path, 0o750)
    except FileExistsError:
        pass


def new_file(path, data):
    """A file that must not be there yet, as mailboxd makes them: 0640."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
        file.write(data)


@dataclass(frozen=True)
class Volume:
    """A row of zimbra.volume as it is now."""

    id: int
    type: int
    path: str
    file_bits: int
    file_group_bits: int
    mailbox_bits: int
    mailbox_group_bits: int
    compress: bool
    threshold: int

    def mailbox_dir(self, mailbox_id):
        """The mailbox's directory on this volume."""
        group = (mailbox_id >> self.mailbox_bits) & ((1 << self.mailbox_group_bits) - 1)
        return os.path.join(self.path, str(group), str(mailbox_id))

    def blob(self, mailbox_id, item_id, mod_content):
        """The path of a blob."""
        group = (item_id >> self.file_bits) & ((1 << self.file_group_bits) - 1)
        return os.path.join(self.mailbox_dir(mailbox_id), "msg", str(group),
                            f"{item_id}-{mod_content}.msg")


def read_volumes(cursor):
    """({id: Volume}, message id, secondary id or None, index id)"""
    cursor.execute("SELECT id, type, path, file_bits, file_group_bits, mailbox_bits,"
                   " mailbox_group_bits, compress_blobs, compression_threshold FROM zimbra.volume")
    volumes = {row[0]: Volume(row[0], row[1], row[2].decode(), *row[3:7], bool(row[7]), row[8])
               for row in cursor.fetchall()}
    cursor.execute("SELECT message_volume_id, secondary_message_volume_id, index_volume_id"
                   " FROM zimbra.current_volumes")
    return (volumes, *cursor.fetchone())


def digest(data, sha1=False):
    """blob_digest: base64 with a comma for the slash; SHA-1 in rows of before 8.0."""
    raw = (hashlib.sha1 if sha1 else hashlib.sha256)(data).digest()
    return base64.b64encode(raw, b"+,").decode()


@dataclass(frozen=True)
class Blob:
    """What a row says of its blob, and where it is."""

    volume: int
    size: int
    digest: str
    path: str

    def columns(self):
        """The columns of mail_item and revision that belong to it."""
        return {"locator": str(self.volume), "size": self.size, "blob_digest": self.digest}


class BlobWriter:
    """Writes the blobs of one mailbox."""

    def __init__(self, volumes, mailbox_id):
        self.volumes = volumes
        self.mailbox_id = mailbox_id
        self._made = set()

    def _place(self, volume_id, item_id, mod_content, old_name):
        path = self.volumes[volume_id].blob(self.mailbox_id, item_id, mod_content)
        directory = os.path.dirname(path)
        if directory not in self._made:
            make_directory(directory)
            self._made.add(directory)
        return os.path.join(directory, f"{item_id}.msg") if old_name else path

    def write(self, volume_id, item_id, mod_content, data, sha1=False, old_name=False):
        """A new blob."""
        path = self._place(volume_id, item_id, mod_content, old_name)
        volume = self.volumes[volume_id]
        stored = data
        if volume.compress and len(data) > volume.threshold:
            stored = gzip.compress(data, 6, mtime=0)
        new_file(path, stored)
        return Blob(volume_id, len(data), digest(data, sha1), path)

    def link(self, blob, item_id, mod_content):
        """The same blob for another item: a hard link on the same volume."""
        path = self._place(blob.volume, item_id, mod_content, False)
        os.link(blob.path, path)
        return Blob(blob.volume, blob.size, blob.digest, path)
