#!/usr/bin/python3
"""report: what an operation did, once more, as lines, table and JSON, in part, and by mail; and the completion mail:
what it says, whose it may not be, and that it is sent when the mail server is back."""

import csv
import email
import email.policy
import io
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("report", mode=os.environ.get("MODE", "asan"))
sink = next(server for server in lab._servers() if server.name == "sink")
try:
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)
    names = ("anna", "ivan", "odd", "there", "sender")
    ids = {name: scene.mailbox(name, two if name == "there" else one, messages=2, rich=False) for name in names}
    lab.directory.set(lab.directory.account(ids["odd"])[0], zimbraMailTransport="smtp:gateway.example:25")
    admin = f"admin@{scene.domain}"
    with open(lab.conf_path, encoding="utf-8") as file:
        conf = file.read()

    def configure(**smtp):
        """The laboratory's configuration with these of smtp changed."""
        text = conf
        for key, value in smtp.items():
            lines = [f"  {key}: {value}" if line.startswith(f"  {key}:") and "smtp" in text[:text.index(line)] else line
                     for line in text.split("\n")]
            text = "\n".join(lines)
            if f"  {key}:" not in text:
                text = text.replace("\nsmtp:\n", f"\nsmtp:\n  {key}: {value}\n")
        with open(lab.conf_path, "w", encoding="utf-8") as out:
            out.write(text)

    def mails(operation):
        """Those of an operation, taken apart."""
        return [email.message_from_string(text, policy=email.policy.default)
                for text in lab.mails() if operation in text]

    def parts(mail):
        """Its text and its table."""
        text = mail.get_body(("plain",)).get_content()
        table = next(mail.iter_attachments())
        is_(table.get_content_type(), "text/csv", "a table is attached")
        return text, table.get_content()

    # The sender of notifications is no mailbox that moves; a batch goes on without it.
    configure(**{"from": scene.address("sender")})
    result = lab.zxmove("--json", "doMailboxMove", two.name, "domains", scene.domain, "notifications", admin,
                        "batch_name", "night1")
    exits(result, 5, "a domain: some move, some are skipped, some fail")
    answer = json.loads(result.stdout.splitlines()[-1])["response"]
    operation = answer["operation"]
    outcomes = {box["account"].partition("@")[0]: box["outcome"] for box in answer["mailboxes"]}
    is_(outcomes, {"anna": "moved", "ivan": "moved", "odd": "failed", "there": "skipped", "sender": "failed"},
        "the sender of the notification is refused")
    ok("smtp.from" in next(box["reason"] for box in answer["mailboxes"] if box["account"].startswith("sender")),
       "with the setting to change")

    # The completion mail.
    found = mails(operation)
    is_(len(found), 1, "one mail")
    body, table = parts(found[0])
    is_(found[0]["Subject"], f"[zxmove] PARTIAL 2 moved, 2 failed, 1 skipped: {scene.domain} -> {two.name}, batch night1",
        "its subject")
    for words, what in ((answer["command"], "the command"), (f"by         {answer['who']} on {answer['host']}", "who"),
                        ("2 moved, 2 failed, 1 skipped", "totals"), ("locked     median", "the longest lock"),
                        (f"{scene.address('odd')}  failed: custom mail transport", "what was not moved, and why"),
                        (f"next: {answer['command']}", "the next command"),
                        (f"{scene.address('there')}  skipped: already there", "what was skipped"),
                        ("Old copies are kept until ", "when the old copies go"),
                        (f"doRollback operation {operation}", "how to roll back")):
        ok(words in body.replace("\r", ""), f"the mail says {what}") or diag(body)
    rows = list(csv.DictReader(io.StringIO(table)))
    is_({row["account"].partition("@")[0]: row["outcome"] for row in rows}, outcomes, "the table has every mailbox")

    # Once more, on request.
    def report(status, *words, name=None):
        """One test: it ends so."""
        result = lab.zxmove("report", *words)
        exits(result, status, name or f"report {' '.join(words[1:])}")
        return result.stdout

    text = report(0, operation[:13])
    ok(f"operation  {operation}  doMailboxMove" in text and f"{scene.address('odd')}" in text and
       "PARTIAL".lower() in text and "old copies kept until" in text, "lines and summary") or diag(text)
    is_(report(0, operation, "format", "csv").replace("\r\n", "\n"), table.replace("\r\n", "\n"),
        "the table is the one of the mail")
    is_(json.loads(report(0, operation, "format", "json")), json.load(open(answer["report"], encoding="utf-8")),
        "JSON is what was kept")
    rows = list(csv.DictReader(io.StringIO(report(0, operation, "only", "failed", "format", "csv"))))
    is_(sorted(row["account"].partition("@")[0] for row in rows), ["odd", "sender"], "only failed")
    found = json.loads(lab.zxmove("--json", "report", operation, "only", "skipped").stdout)
    is_([box["account"] for box in found["response"]["mailboxes"]], [scene.address("there")], "only skipped")
    is_([found["response"]["totals"]["moved"], schema.of_answer("report", found)], [2, []],
        "the totals stay, doc/json.md has the keys")
    is_(report(0, operation, "mail", f"boss@{scene.domain}"), f"mail       sent to boss@{scene.domain}\n", "mail")
    again = [mail for mail in mails(operation) if mail["To"] == f"boss@{scene.domain}"]
    is_([parts(mail) for mail in again], [(body, table)], "the same again, to somebody else")
    result = lab.zxmove("report", "00000000")
    exits(result, 1, "an operation that is none")
    says(result, "has no report of an operation 00000000", "says so")

    # A way back and a purge send one, too.
    for words, subject in ((("doRollback", "accounts", scene.address("anna")), "DONE 1 moved, 0 failed, 0 skipped: "),
                           (("doPurgeMailboxes", scene.address("ivan"), "ignore_retention", "true"),
                            "PURGED 1 purged, 0 kept, 0 not due: ")):
        result = lab.zxmove("--json", *words, "notifications", admin)
        exits(result, 0, words[0])
        sent = mails(json.loads(result.stdout.splitlines()[-1])["response"]["operation"])
        ok(len(sent) == 1 and sent[0]["Subject"].startswith(f"[zxmove] {subject}{words[-1 if words[0] == 'doRollback' else 1]}"),
           "has its mail") or diag([mail["Subject"] for mail in sent])

    # From another host: what the stores recorded.
    os.rename(answer["report"], answer["report"] + ".away")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zxmove.operation SET host = 'admin9.test' WHERE uuid = %s", (operation,))
    text = report(0, operation[:9], name="of another host")
    ok("the whole report was made on admin9.test" in text.replace("\n           ", " ")
       and f"operation  {operation}  doMailboxMove" in text and "batch      night1" in text, "it says so") or diag(text)
    rows = list(csv.DictReader(io.StringIO(report(0, operation, "format", "csv"))))
    kept = {row["account"]: row for row in csv.DictReader(io.StringIO(table))}
    same = ("outcome", "reason", "source", "destination", "rows", "blobs", "bytes", "window_ms")
    is_({row["account"]: [row[key] for key in same] for row in rows},
        {row["account"]: [kept[row["account"]][key] for key in same] for row in rows}, "with the same figures")
    ok({scene.address("anna"), scene.address("ivan")} <= {row["account"] for row in rows}, "of those that were tried") \
        or diag(str(rows))
    os.rename(answer["report"] + ".away", answer["report"])

    # The mail server is away, and comes back.
    configure(retry_for="1h", retry_interval="1s")
    lab.directory.set(lab.directory.account(ids["odd"])[0], zimbraMailTransport=f"lmtp:{one.name}:7025")
    sink.stop()
    result = lab.zxmove("--json", *scene.words([ids["odd"]], two), "notifications", admin)
    exits(result, 0, "a mail that cannot be sent is no failure of the move")
    says(result, "is tried again for 1h", "it is said")
    answer = json.loads(result.stdout.splitlines()[-1])["response"]
    ok("mail_problem" in answer, "and in the report")
    queue = os.path.join(lab.dir, "state", "mail")
    is_([[name for name in os.listdir(queue) if name.endswith(".json")],
         os.stat(os.path.join(queue, f"{answer['operation']}.json")).st_mode & 0o777],
        [[f"{answer['operation']}.json"], 0o600], "it is kept, private")
    sink.launch()
    sink.wait_ready()
    wait_for(lambda: mails(answer["operation"]), 30, "the mail to be sent after all")
    ok(True, "it is sent when the mail server is back")
    wait_for(lambda: os.listdir(queue) == ["lock"], 10, "the queue to be empty")
    is_("mail_problem" in json.load(open(answer["report"], encoding="utf-8")), False, "the report knows")

    # Who tries dies; the next operation sees to what is left.
    sink.stop()
    answer = json.loads(lab.zxmove("--json", *scene.words([ids["odd"]], one), "notifications", admin).stdout)["response"]
    found = wait_for(lambda: subprocess.run(["pgrep", "-f", f"{lab.conf_path} __mailer"], capture_output=True, text=True,
                                            check=False).stdout.split(), 10, "the mailer")
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)
    sink.launch()
    sink.wait_ready()
    exits(lab.zxmove(*scene.words([ids["there"]], two)), 0, "another operation")
    wait_for(lambda: mails(answer["operation"]), 30, "the mail of the one before")
    ok(True, "what a dead process left is sent")
    wait_for(lambda: os.listdir(queue) == ["lock"], 10, "the queue to be empty")

    # It does not come back.
    configure(retry_for="2s", retry_interval="1s")
    sink.stop()
    result = lab.zxmove("--json", *scene.words([ids["odd"]], two), "notifications", admin)
    answer = json.loads(result.stdout.splitlines()[-1])["response"]
    wait_for(lambda: json.load(open(answer["report"], encoding="utf-8")).get("mail_problem", "").startswith("given up"),
             30, "it to be given up")
    wait_for(lambda: os.listdir(queue) == ["lock"], 10, "the queue to be empty again")
    exits(lab.zxmove("report", answer["operation"], "mail", admin), 69, "a mail on request that cannot be sent")
    wait_for(lambda: not subprocess.run(["pgrep", "-f", f"{lab.conf_path} __mailer"], capture_output=True,
                                        check=False).stdout, 10, "the mailer to end")
    ok(True, "no process is left")
finally:
    lab.stop()
done()
