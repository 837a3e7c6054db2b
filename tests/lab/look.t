#!/usr/bin/python3
"""Looking around: what getServers, getAllVolumes, getVolumeStats, getServices, getNonLocalMailboxes and status say after
a move, while another stands in its window, and when a store is down; and that a look leaves everything as it was."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, mailbox_id  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402


def look(status, *words):
    """Two tests: the status, and the keys of the answer; the response."""
    result = lab.zxmove("--json", *words)
    verb = words[2] if words[0] == "--host" else words[0]
    exits(result, status, f"{status}: {' '.join(words)}")
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer(verb, answer)
    ok(not findings, "doc/json.md has its keys") or diag("\n".join(findings))
    return answer.get("response", {})


def of(items, name, key="store"):
    """The one that is of this store."""
    return next((item for item in items if item.get(key) == getattr(name, "name", name)), {})


def unreached(response):
    """[(server, part)] that could not be asked."""
    return [(item["server"], item["part"]) for item in response.get("unreached", [])]


def verdict(name):
    """The sentence that status says of an account of the scene."""
    answer = json.loads(lab.zxmove("--json", "status", "account", scene.address(name)).stdout)
    return answer["response"]["accounts"][0]["verdict"]


lab = Lab.create("look", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    one, two, three = lab.stores
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("net_timeout: 8s\nlease: 10s\n")
    scene = Scene(lab)

    anna = scene.mailbox("anna", one, messages=8)
    held = scene.mailbox("held", one, messages=4)
    lost = scene.mailbox("lost", two, messages=3)
    empty = scene.account("empty", three)

    # Nothing has moved yet, and no store has records.
    servers = look(0, "getServers")["servers"]
    is_([server["name"] for server in servers], [store.name for store in lab.stores], "getServers: all of them")
    ok(all(server["reachable"] and server["configured"] and server["in_directory"] and server["version"]
           and 0 < server["free_bytes"] < server["total_bytes"] for server in servers), "all of them well")
    is_([(server["accounts"], server["mailboxes"], server["old_copies"]) for server in servers],
        [(3, 3, 0), (2, 2, 0), (2, 1, 0)], "how many accounts, mailboxes, and no old copies")
    is_(verdict("anna"), f"lives on {one.name}", "status: at home")
    is_(verdict("empty"), f"lives on {three.name} and has no mailbox yet", "status: without a mailbox")
    is_(mailbox_id(three, empty), None, "and asking made none")
    is_(look(0, "getNonLocalMailboxes")["mailboxes"], [], "getNonLocalMailboxes: none")
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'zxmove'")
        is_(cursor.fetchone()[0], 0, "and a look makes no records")

    services = look(0, "getServices")["services"]
    is_([service["service"] for service in services],
        ["directory"] + [f"{store.name} {part}" for store in lab.stores for part in ("agent", "database", "soap")] +
        ["memcached", "memcached", "smtp"], "getServices: all there is") or diag(str(services))
    ok(all(service["running"] and service["could_start"] for service in services), "all of it well") \
        or diag(str(services))

    # After a move.
    was = mailbox_id(one, anna)
    scene.plant_routes(anna)
    exits(scene.move(anna, two), 0, "a move")
    server = of(look(0, "--host", one.name, "getServers")["servers"], one, "name")
    is_([server["old_copies"], server["accounts"], server["mailboxes"], server["windows_out"]], [1, 2, 3, 0],
        "getServers: it left a copy")
    response = look(0, "status", "account", scene.addresses[anna])["accounts"][0]
    ok(response["verdict"].startswith(f"lives on {two.name}; an old copy on {one.name} until 2"), "status: where it is") \
        or diag(response["verdict"])
    source, target = of(response["stores"], one), of(response["stores"], two)
    is_([source["mailbox_id"], target["mailbox_id"]], [was, mailbox_id(two, anna)], "the rows of every store")
    is_([source["mailboxd"], target["mailboxd"]], ["has the mailbox locked", "serves the mailbox"],
        "what mailboxd answers")
    is_([source["old_copies"][0]["state"], response["last_move"]["from"], response["last_move"]["to"]],
        ["kept", one.name, two.name], "the old copy, and the last move")
    is_({cache["routes"] for cache in response["caches"]}, {0}, "the move took the routes")
    scene.plant_routes(anna)
    caches = look(0, "status", "account", scene.addresses[anna])["accounts"][0]["caches"]
    ok(all(cache["routes"] > 0 and cache["mailboxd_keys"] > 0 and cache["points_to"] == f"{two.name}:8080"
           for cache in caches), "and those that are there are seen") or diag(str(caches))
    operation = response["last_move"]["operation"]
    trace = look(0, "status", "operation_uuid", operation[:13])["operations"][0]
    is_([trace["operation"], trace["verb"], trace["state"], trace["verdict"]],
        [operation, "doMailboxMove", "done", "ended, nothing is left to do"], "status of the operation")
    is_(sorted((entry["store"], entry["record"], entry["state"]) for entry in trace["records"]),
        [(one.name, "old copy", "kept"), (one.name, "window", "done"), (two.name, "window", "done")], "and its records")

    # Mailboxes that lie elsewhere, each kind.
    dn = lab.directory.account(lost)[0]
    lost_id = mailbox_id(two, lost)
    exits(scene.move(held, three, stages="data"), 0, "a copy ahead")
    lab.ldap().delete_s(dn)
    wrong = lab.directory.account(scene.mailbox("wrong", three, messages=2))[0]
    lab.directory.set(wrong, zimbraMailHost=one.name)
    mailboxes = look(0, "getNonLocalMailboxes")["mailboxes"]
    is_(sorted((m["store"], m["account_id"], m["reason"], m.get("home")) for m in mailboxes),
        sorted([(one.name, anna, "moved", two.name), (three.name, held, "partial", one.name),
                (two.name, lost, "orphan", None),
                (three.name, of(mailboxes, "unknown", "reason").get("account_id"), "unknown", one.name)]),
        "getNonLocalMailboxes: moved, partial, orphan, unknown")
    is_(verdict("wrong"), f"two homes disagree: the directory says {one.name}, where it has no mailbox; {three.name} has "
        f"mailbox {of(mailboxes, 'unknown', 'reason').get('mailbox_id')} of it, which no record of zxmove explains; "
        f"its mail is delivered elsewhere, to lmtp:{three.name}:7025", "status: two homes")
    is_(look(0, "status", "account_id", lost)["accounts"][0]["verdict"],
        f"not in the directory; a mailbox is left on {two.name} ({lost_id})", "status: an orphan")
    exits(lab.zxmove("status", "account", "nobody@nowhere.test"), 1, "status: an address that nobody has")

    # Volumes.
    volumes = look(0, "getAllVolumes")["volumes"]
    is_({volume["store"] for volume in volumes}, {store.name for store in lab.stores}, "getAllVolumes: of every store")
    ok(all(0 < volume["free_bytes"] <= volume["total_bytes"] and volume["shared_with"] == "not asked"
           for volume in volumes), "with their space") or diag(str(volumes))
    name = next(v for v in volumes if v["store"] == two.name and v["type"] == "primary" and v["current"])["name"]
    stats = of(look(0, "getVolumeStats", name)["volumes"], two)
    is_([stats["bytesSaved"], "totSize" in stats, "blobNumber" in stats], ["n/a", False, False],
        "getVolumeStats: without counting")
    result = lab.zxmove("getVolumeStats", name, "show_volume_size", "true")
    ok("hard on its disk" in result.stderr, "it says that counting is hard on the disk")
    stats = look(0, "--host", two.name, "getVolumeStats", name, "show_volume_size", "true", "show_blob_num", "true")
    stats = stats["volumes"]
    path = next(v for v in volumes if v["store"] == two.name and v["name"] == name)["path"]
    sizes = [os.path.getsize(os.path.join(top, file)) for top, _, files in os.walk(path) for file in files]
    is_([(s["totSize"], s["blobNumber"]) for s in stats], [(sum(sizes), len(sizes))], "and counts what is there")
    exits(lab.zxmove("getVolumeStats", "nosuch"), 1, "a volume that no store has")

    # A window that is open.
    move = Held(scene, held, three, "fence:applied")
    move.wait()
    response = look(0, "status", "account", scene.addresses[held])["accounts"][0]
    ok(response["verdict"].startswith("in a window of operation ") and f"process {move.process.pid} on" in
       response["verdict"] and "doRecover" not in response["verdict"], "status: in a window, at work") \
        or diag(response["verdict"])
    is_([of(response["stores"], store).get("window", {}).get("state") for store in (one, two, three)],
        ["fenced", None, "fenced"], "both ends say so")
    is_([of(look(0, "getServers")["servers"], store, "name")["windows_out"] for store in lab.stores], [1, 0, 0],
        "getServers: a window from one")
    operation = of(response["stores"], one)["window"]["operation"]
    is_(look(0, "status", "operation_uuid", operation)["operations"][0]["verdict"], "at work", "status of the operation")
    move.process.kill()
    move.finish()
    wait_for(lambda: "nobody works on it any more, run doRecover accounts" in verdict("held"), 90,
             "the dead mover's claim to end", every=1)
    wait_for(lambda: json.loads(lab.zxmove("--json", "status", "operation_uuid", operation).stdout)
             ["response"]["operations"][0]["state"] == "lost", 30, "its row to be nobody's any more")
    trace = look(0, "status", "operation_uuid", operation)["operations"][0]
    ok("ended in a window: run doRecover operation" in trace["verdict"], "and the operation says so")

    # A store that is down.
    two.mariadb_kill()
    two.mailboxd_kill()
    servers = look(5, "getServers")
    is_([server["reachable"] for server in servers["servers"]], [True, False, True], "getServers: one is down")
    is_(unreached(servers), [(two.name, "database"), (two.name, "soap")], "and which parts of it")
    is_([service["service"] for service in look(5, "getServices")["services"] if not service["running"]],
        [f"{two.name} database", f"{two.name} soap"], "getServices: what does not run")
    response = look(5, "status", "account", scene.addresses[anna])["accounts"][0]
    ok(response["verdict"].startswith(f"by the directory it lives on {two.name}, which could not be asked; an old copy"),
       "status: home could not be asked") or diag(response["verdict"])
    is_({m["store"] for m in look(5, "getNonLocalMailboxes")["mailboxes"]}, {one.name, three.name},
        "getNonLocalMailboxes: of the others")
    is_({v["store"] for v in look(5, "getAllVolumes")["volumes"]}, {one.name, three.name}, "getAllVolumes: of the others")
    is_(look(5, "getVolumeStats", "nosuch")["volumes"], [], "what the others have not is no reason to say that none answered")
    is_(unreached(look(69, "--host", two.name, "getAllVolumes")), [(two.name, "database")], "and of it alone, none")
    for words in (["getAllOperations"], ["getUnfinishedOperationLog"], ["getOperationLog"], ["getNotification"],
                  ["getMovedMailboxes"], ["doStopAllOperations"], ["doCheckBlobs", "start"]):
        look(5, *words)

    # All stores are gone, and then everything.
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read()
    for store in lab.stores:
        text = text.replace(f"address: {store.address}", "address: 127.63.255.9")
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        file.write(text)
    for words in (["getAllVolumes"], ["getVolumeStats", "nosuch"], ["getNonLocalMailboxes"],
                  ["getAllOperations"], ["getUnfinishedOperationLog"], ["getMovedMailboxes"], ["doCheckBlobs", "start"]):
        look(69, *words)
    look(5, "trust")
    look(5, "getServers")
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        file.write(text.replace(f"127.{lab.net}.", "127.63.255."))
    look(69, "getServices")
    look(69, "getServers")
    look(69, "trust")
finally:
    lab.stop()
done()
