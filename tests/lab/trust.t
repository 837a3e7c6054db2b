#!/usr/bin/python3
"""First contact: what trust shows and stores, that nobody but a person who says so (or names the fingerprint) makes
zxmove believe anything, that a change is a change, and that every other verb names trust in what it refuses."""

import json
import os
import ssl
import stat
import subprocess
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../shell")]
from program import Terminal  # noqa: E402
from zxlab import schema, servers  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import exits, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402


def trust(status, *words):
    """Two tests: the status, and the keys of the answer; {(server, kind): item}, and the sentence of the error."""
    result = lab.zxmove("--json", "trust", *words)
    exits(result, status, f"{status}: trust {' '.join(words)}"[:90])
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer("trust", answer)
    ok(not findings, "doc/json.md has its keys") or diag("\n".join(findings))
    items = {(item["server"], item["kind"].split()[0]): item for item in answer.get("response", {}).get("trust", [])}
    return items, answer.get("error", {}).get("message", "")


def states(items):
    """The states alone, in order."""
    return [item["state"] for item in items.values()]


def settings(**changed):
    """The configuration with other files to believe by."""
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        text = original
        for name, value in changed.items():
            text = text.replace({"known_hosts": known_hosts, "ca_file": ca_file}[name], value)
        file.write(text)


def written(path):
    """Contents of a file, None without one."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def openssl_print(path):
    """A certificate's fingerprint as the command that trust names prints it."""
    line = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path], check=True,
                          capture_output=True, text=True).stdout
    return line.strip().partition("=")[2]


def key_print(path):
    """A host key's fingerprint as ssh-keygen prints it."""
    return subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout.split()[1]


lab = Lab.create("trust", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    known_hosts, ca_file = os.path.join(lab.dir, "ssh", "known_hosts"), os.path.join(lab.dir, "ca", "ca.pem")
    original = written(lab.conf_path)
    master = lab.ldap_master.partition("//")[2].partition(":")[0]

    # What the laboratory believes already.
    items, _ = trust(0)
    is_(list(items), [(master, "LDAP"), (one.name, "ssh"), (one.name, "SOAP"), (two.name, "ssh"), (two.name, "SOAP")],
        "the directory, then every store")
    is_(states(items), ["known"] * 5, "all known")
    is_(items[one.name, "ssh"]["fingerprint"], key_print(one.path("conf/ssh_host_ed25519_key.pub")),
        "a host key's fingerprint is what ssh-keygen says")
    before = written(known_hosts), written(ca_file)
    is_(list(trust(0, two.name)[0]), [(master, "LDAP"), (two.name, "ssh"), (two.name, "SOAP")], "of one store")
    exits(lab.zxmove("trust", "store9.lab.test"), 1, "a store that is none")

    # Nothing is known yet, and nobody is there.
    own = {"known_hosts": os.path.join(lab.dir, "own", "known_hosts"), "ca_file": os.path.join(lab.dir, "own", "ca.pem")}
    settings(**own)
    items, message = trust(77)
    is_(states(items), ["new"] * 5, "all new")
    says(subprocess.CompletedProcess([], 0, message, ""), "not believed", "it says so")
    is_(lab.zxmove("--yes", "trust").returncode, 77, "--yes is no answer")
    is_([written(path) for path in own.values()], [None, None], "and nothing was written")
    ca_print, key = openssl_print(ca_file), key_print(two.path("conf/ssh_host_ed25519_key.pub"))
    is_([items[master, "LDAP"]["fingerprint"], items[two.name, "SOAP"]["fingerprint"]],
        [ca_print, openssl_print(two.path("conf/mailboxd.pem"))],
        "a signer that is shown is the one to believe, else the server's own certificate")
    ok(two.path("ssl/zimbra/server/server.crt") in items[two.name, "SOAP"]["compare_with"], "and where to compare it") \
        or diag(str(items))
    for words, name in ((["getServices"], "getServices"), (["plan", two.name, "domains", "lab.test"], "a plan")):
        result = lab.zxmove(*words)
        ok(result.returncode != 0, f"{name} fails")
        says(result, "with: trust", "and names the command")
    is_([written(path) for path in own.values()], [None, None], "nothing was written by other verbs")

    def agents():
        """Which agents can be had where everything is believed but what `own` says of host keys."""
        settings(known_hosts=own["known_hosts"])
        services = json.loads(lab.zxmove("--json", "getServices").stdout)["response"]["services"]
        settings(**own)
        return {s["service"].partition(" ")[0]: s["could_start"] for s in services if s["service"].endswith(" agent")}

    is_(agents(), {one.name: False, two.name: False}, "a host whose key nobody stored is not logged in to")
    is_(written(own["known_hosts"]), None, "and none was stored")

    # Fingerprints that were compared.
    items, _ = trust(77, two.name, "fingerprints", f"{key}, AA:BB:CC")
    is_(states(items), ["new", "stored", "new"], "fingerprints: the one that is named, and no other")
    is_(stat.S_IMODE(os.stat(own["known_hosts"]).st_mode), 0o600, "known_hosts is private")
    is_(agents(), {one.name: False, two.name: True}, "and that host alone is logged in to")
    items, _ = trust(0, two.name, "fingerprints", ca_print)
    is_(states(items), ["stored", "known", "known"], "a signer serves for all that it signed")
    is_(stat.S_IMODE(os.stat(own["ca_file"]).st_mode), 0o644, "the CA file is for everybody")
    ssl.create_default_context(cafile=own["ca_file"])
    ok(True, "and OpenSSL reads it")

    # A person at a terminal.
    os.unlink(own["ca_file"])
    place = types.SimpleNamespace(env={**os.environ, "ZXMOVE_CONFIG": lab.conf_path, "TERM": "dumb", "HOME": lab.dir})

    def person(*answers, words=("trust", two.name)):
        """The questions that were asked, answered so; and the exit status."""
        terminal, seen = Terminal(place, *words), []
        for answer in answers:
            seen.append(terminal.expect("[y/N] "))
            terminal.type(answer)
        return seen, terminal.wait()

    seen, status = person("n\r", "y\r")
    is_(status, 77, "a no is a no")
    ok(ca_print in seen[0] and "openssl x509" in seen[0] and openssl_print(two.path("conf/mailboxd.pem")) in seen[1],
       "the questions have fingerprint and command") or diag(str(seen))
    is_(states(trust(77, two.name)[0]), ["new", "known", "known"], "a server's own certificate can be believed alone")
    with open(lab.conf_path, "a+", encoding="utf-8") as file:  # the directory as before, SOAP by what is stored
        file.seek(0)
        text = file.read().replace(own["ca_file"], ca_file, 1)
        file.truncate(0)
        file.write(text)
    services = json.loads(lab.zxmove("--json", "getServices").stdout)["response"]["services"]
    is_({s["service"]: s["could_start"] for s in services if s["service"].endswith("soap")},
        {f"{one.name} soap": False, f"{two.name} soap": True}, "and work is done over it")
    settings(**own)
    seen, status = person("y\r", words=("trust", two.name))
    is_(status, 0, "a yes is a yes")
    is_(states(trust(0, two.name)[0]), ["known"] * 3, "and is kept")
    terminal = Terminal(place, "trust", one.name)
    terminal.expect("[y/N] ")
    os.write(terminal.fd, b"\x03")
    is_(terminal.wait(), 130, "Ctrl-C at a question ends it")

    # Changes.
    lines = written(own["known_hosts"])
    with open(own["known_hosts"], "w", encoding="utf-8") as file:
        other = written(known_hosts).splitlines()[0].split()[2]
        file.write("# a remark\n" + lines.replace(lines.split()[2], other))
    planted = written(own["known_hosts"])
    items, message = trust(77, two.name)
    is_([items[two.name, "ssh"]["state"], items[two.name, "ssh"]["believed_until_now"]],
        ["CHANGED", key_print(one.path("conf/ssh_host_ed25519_key.pub"))], "another host key")
    items, _ = trust(77, two.name, "fingerprints", key)
    is_([items[two.name, "ssh"]["state"], written(own["known_hosts"])], ["CHANGED", planted],
        "is not replaced by its fingerprint alone")
    seen, status = person("y\r", "n\r")
    is_([status, written(own["known_hosts"])], [77, planted], "nor by one yes")
    ok("HAS CHANGED" in seen[0] and key in seen[1] and "Replace" in seen[1], "the second question names both") \
        or diag(str(seen))
    result = lab.zxmove("getServices")
    says(result, "THE HOST KEY HAS CHANGED", "other verbs say it, too")
    says(result, f"trust {two.name}", "with the command")
    seen, status = person("y\r", "y\r")
    is_([status, written(own["known_hosts"])], [0, "# a remark\n" + lines], "by two it is, and remarks stay")

    another = servers.Authority(os.path.join(lab.dir, "another"))
    _, certificate, private = another.issue(two.path("conf"), two.name, [two.address], "renewed")
    two.configure(mailboxd={"certificate": certificate, "key": private})
    items, _ = trust(77, two.name)
    is_(items[two.name, "SOAP"]["state"], "CHANGED", "another certificate of the same server")
    own_before = written(own["ca_file"])
    trust(77, two.name, "fingerprints", openssl_print(certificate))
    is_(written(own["ca_file"]), own_before, "is not replaced by its fingerprint alone")
    items, _ = trust(0, two.name, "fingerprints", openssl_print(certificate), "replace", "true")
    is_(states(items), ["known", "known", "stored"], "replace true: it is")
    ok(openssl_print(own["ca_file"]) == ca_print and written(own["ca_file"]).count("BEGIN") == 2,
       "and the old one is believed no more") or diag(written(own["ca_file"]))

    _, certificate, private = another.issue(two.path("conf"), "store9.lab.test", stem="strange")
    two.configure(mailboxd={"certificate": certificate, "key": private})
    items, _ = trust(77, two.name, "fingerprints", openssl_print(certificate), "replace", "true")
    item = items[two.name, "SOAP"]
    is_([item["state"], "mismatch" in item["reason"]], ["unfit", True], "a certificate for another name is never believed")

    # Files that are not ours, and servers that are not there.
    theirs = two.path("conf/ca.pem")
    settings(known_hosts=own["known_hosts"], ca_file=theirs)
    result = lab.zxmove("trust", one.name, "fingerprints", ca_print)
    exits(result, 1, "a file of Zimbra's")
    says(result, "belongs to Zimbra", "is not written to, and what to do is said")
    is_(written(theirs), None, "not made either")
    settings()
    two.sshd.stop()
    two.mailboxd_kill()
    items, _ = trust(5)
    is_(states(items), ["known"] * 3 + ["unreached"] * 2, "servers that are not there")
    is_((written(known_hosts), written(ca_file)), before, "what was believed before is as it was")
finally:
    lab.stop()
done()
