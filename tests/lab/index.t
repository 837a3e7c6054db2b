#!/usr/bin/python3
"""A search index that does not hold still, as in the middle of a merge, for longer than index_settle: it is left out
rather than copied half, and made anew at the destination before the user is let in."""

import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import Expect  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, fence_row, mailbox_id, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402


def index_directory(store, mailbox):
    """Where the store has the index of a mailbox id."""
    with Sql(store) as sql:
        volume = sql.volumes()[sql.current_volumes()["index_volume_id"]]
    return os.path.join(volume.mailbox_dir(mailbox), "index", "0")


class Merge:
    """A new segment and the file that names it, then the old ones away, over and over: what a merge does to the
    directory. A lock-out stops mailboxd's own, so it is ours; the segment is so large that to copy it takes longer
    than until the next."""

    SEGMENT = 16 * 1024 * 1024

    def __init__(self, directory):
        self.directory = directory
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        with open(self._path("_merged.cfs"), "wb") as file:
            file.truncate(self.SEGMENT)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _work(self):
        last, number = ["segments_2"], 100
        while not self._over.wait(0.005):
            files = [f"_m{number}.cfs", f"segments_{number}"]
            os.link(self._path("_merged.cfs"), self._path(files[0]))
            with open(self._path(files[1]), "w", encoding="ascii") as file:
                file.write(f"lucene stand-in\n_0\n_1\n_m{number}\n")
            for name in last:
                os.unlink(self._path(name))
            last, number = files, number + 1


lab = Lab.create("index", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab)
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("index_settle: 0ms\n")
    account = scene.mailbox("merging", one, messages=30)
    message = one.user(account, "flag")["item"]
    before = scene.snapshot(account)
    with Merge(index_directory(one, mailbox_id(one, account))):
        held = Held(scene, account, two, "commit:done")
        held.wait()
        ok(not os.path.exists(index_directory(two, mailbox_id(two, account))), "a part of the index is no index: it is"
           " left out")
        asked = len(two.log())
        is_((fence_row(one, account, "reindex"), fence_row(two, account, "reindex")), ("1", "1"),
            "both records say that it is to be made anew")
        result = held.go()
    moved_clean(result, before, account, one, two, "an index that does not hold still", Expect(index="rebuilt"))
    says(result, f"is rebuilt on {two.name}", "the report says so")
    requests = [(entry["request"], entry["op"]) for entry in two.log()[asked:] if entry["account"] == account]
    ok(("ReIndexRequest", "start") in requests[:requests.index(("ModifyAccountRequest", None))],
       "it is begun before the user is let in")
    wait_for(lambda: two.user(account, "search", message)["found"], 30, "the index to be made anew")
    ok(any(name.startswith("segments_") for name in os.listdir(index_directory(two, mailbox_id(two, account)))),
       "and search finds what was there")
finally:
    lab.stop()
done()
