#!/usr/bin/python3
"""A line for each kind of mistake, and what is said about it, to the letter: what is wrong, what was expected, and the
nearest word that would be right."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

PAGE = object()  # the verb's whole page follows
M = "doMailboxMove m2 accounts a@x.com"  # nothing wrong so far
STAGES = "is none of blobs, backup, data, account"
LINES = [
    # verbs
    ("bogus", "unknown command bogus", "see: help"),
    ("doMailboxMov m2", "unknown command doMailboxMov, did you mean doMailboxMove?"),
    ("movedMailboxes", "unknown command movedMailboxes, did you mean getMovedMailboxes?"),
    ("zmprov ma anna@x.com zimbraMailHost m2", "unknown command zmprov", "see: help"),
    ("zxsuite powerstore doMoveBlobs start", "doMoveBlobs belongs to volume management, not part of zxmove",
     "the Zimbra tool for it: zmhsm"),
    ("zxsuite powerstore getAllOperations verbose maybe", "verbose: 'maybe' is neither true nor false"),
    ("zxsuite powerstore", "a verb is missing", "see: help"),
    ("help doMailboxMve", "unknown command doMailboxMve, did you mean doMailboxMove?"),
    ("help doMoveBlobs", "doMoveBlobs belongs to volume management, not part of zxmove",
     "the Zimbra tool for it: zmhsm"),
    ("help doMailboxMove stage", "doMailboxMove has no parameter stage, did you mean stages?"),
    ("help doMailboxMove colour", "doMailboxMove has no parameter colour", "see: help doMailboxMove"),
    # switches
    ("--jsn version", "unknown switch --jsn, did you mean --json?"),
    ("--colour=red version", "unknown switch --colour", "see: zxmove --help"),
    ("--host", "--host needs a value: STORE"),
    ("--host m1 zxsuite --hostname=m2 getMovedMailboxes", "--host is given twice"),
    ("--json=yes version", "--json takes no value"),
    ("--keep-going version", "--keep-going belongs to the command line of zxmove itself"),
    ("--async doVerify accounts a@x", "--async: doVerify only looks here, and answers who waits for it",
     "leave --async away; to go on meanwhile, let your shell wait: zxmove doVerify accounts a@x >FILE 2>&1 &"),
    ("--async --sync version", "--sync and --async: one of them"),
    (M + " --json", "--json stands behind the verb", "write: zxmove --json doMailboxMove ..."),
    # what is missing
    ("doMailboxMove", "command doMailboxMove requires more parameters", PAGE),
    ("doMailboxMove accounts a@x.com", "command doMailboxMove requires more parameters", PAGE),
    ("doMailboxMove m2 stages data", "doMailboxMove needs accounts, domains or input_file", PAGE),
    ("doPurgeMailboxes", "command doPurgeMailboxes requires more parameters", PAGE),
    ("doRecover dry_run false", "doRecover needs accounts or operation", PAGE),
    (M + " stages", "stages needs a value: blobs, backup, data, account"),
    (M + " threads", "threads needs a value: 1-32"),
    ("doMailboxMove m2 input_file stages data", "input_file needs a value, and stages is another parameter",
     "if it is the value: input_file=stages"),
    (M + " notifications=", "notifications: the value is empty"),
    # names of parameters
    (M + " thread 2", "unknown parameter thread, did you mean threads?"),
    (M + " checkdigest true", "unknown parameter checkdigest, did you mean checkDigest?"),
    (M + " stage=data", "unknown parameter stage, did you mean stages?"),
    (M + " colour red", "unknown parameter colour", "see: help doMailboxMove"),
    (M + " b@x.com", "unknown parameter b@x.com", "if it belongs to accounts: items are joined by commas, as in ...,b@x.com"),
    (M + " stages data account", "unknown parameter account, did you mean accounts?",
     "if it belongs to stages: items are joined by commas, as in ...,account"),
    (M + " stages data stages account", "stages is given twice"),
    ("doMailboxMove m2 destinationHost m3 accounts a@x.com", "destinationHost is given twice"),
    (M + " max_load high", "max_load: 'high' is not a number from 0 to 10000, or off"),
    (M + " max_replica_lag 8s", "max_replica_lag: '8s' is not in this version of zxmove, only off is"),
    (M + " hooks_dir /x", "hooks_dir is not in this version of zxmove"),
    (M + " priority high", "priority: 'high' is not in this version of zxmove, only normal is"),
    (M + " bad_item_limit 51", "bad_item_limit 51: so much may only be left behind with accept_data_loss true"),
    (M + " verify none", "verify: 'none' is none of size, digest, full"),
    # lists
    ("doMailboxMove m2 accounts a@x.com, stages data", "accounts: empty item after the last comma, before stages"),
    ("doMailboxMove m2 accounts a@x.com,", "accounts: empty item after the last comma"),
    ("doMailboxMove m2 accounts ,a@x.com", "accounts: empty item before the first comma"),
    ("doMailboxMove m2 accounts a@x.com , ,b@x.com", "accounts: empty item between two commas"),
    # values
    (M + " stages blob", f"stages: 'blob' {STAGES}; did you mean blobs?"),
    (M + " stages DATA", f"stages: 'DATA' {STAGES}; did you mean data?"),
    (M + " stages everything", f"stages: 'everything' {STAGES}"),
    (M + " stages account,blobs", "stages: blobs cannot come after account; the order is blobs, backup, account"),
    (M + " stages data,data", "stages: data is there twice"),
    (M + " compress ture", "compress: 'ture' is neither true nor false; did you mean true?"),
    (M + " compress 2", "compress: '2' is neither true nor false"),
    (M + " threads many", "threads: 'many' is not a whole number from 1 to 32"),
    (M + " threads -1", "threads: '-1' is not a whole number from 1 to 32"),
    (M + " threads 0", "threads: 0 is below 1"),
    (M + " threads 33", "threads: 33 is above 32"),
    (M + " max_syncs 101", "max_syncs: 101 is above 100"),
    (M + " min_free 60%", "min_free: 60 is above 50"),
    (M + " cutover_timeout 60", "cutover_timeout: '60' has no unit; write it like 500ms, 30s or 15m"),
    (M + " cutover_timeout 3w", "cutover_timeout: '3w' has no unit that a duration can have; write it like 500ms, 30s or"
     " 15m"),
    (M + " cutover_timeout 1s", "cutover_timeout: 1s is not between 5s and 1h"),
    ("doMailboxMove m2 accounts anna", "accounts: 'anna' is not an address such as john@example.com"),
    ("doMailboxMove m2 domains @x.com", "domains: '@x.com' is not a domain such as example.com"),
    ("doMailboxMove m2:7071 accounts a@x.com",
     "destinationHost: 'm2:7071' is not the name of a server such as mail2.example.com"),
    ("doMailboxMove a@x.com m2", "the destination comes first", "the same today: doMailboxMove m2 accounts a@x.com"),
    ("doMailboxMove a@x.com", "'a@x.com' is an account, the destination comes first",
     "for example: doMailboxMove mail2.example.com accounts a@x.com"),
    ("doRecover operation last", "operation: 'last' is not the uuid of an operation or how it begins, such as 6f0c2c1e"),
    ("doRecover operation 6f0c force true", "force true needs dry_run false as well"),
    (M + " batch_name 12", "batch_name: '12' would be something else to doPurgeMailboxes; a name such as night1 is wanted"),
    (M + " save x", "save is for a plan: add dry_run true, or use plan"),
    # text
    (M + " notifications a\\nb@x.com", "notifications: the value holds a control character"),
    (b"doMailboxMove m2 accounts \xff@x.com", "accounts: the value is not UTF-8"),
    (M + " notifications 'a@x.com", "the quote ' in column 49 is never closed"),
]

place = Place()
batch = b"\n".join(line[0] if isinstance(line[0], bytes) else line[0].encode() for line in LINES)
result = place.run("--keep-going", stdin=batch)
is_(result.returncode, 64, "all of it is usage")
is_(result.stdout, "", "and nothing is a result")
said = {}
number = None
for line in result.stderr.splitlines():
    if line.startswith("stdin:"):
        _, number, line = line.split(":", 2)
        line = line[1:]
    said.setdefault(number, []).append(line)
for number, (line, message, *rest) in enumerate(LINES, 1):
    lines = said.get(str(number), [""])
    name = line if isinstance(line, str) else repr(line)
    if rest == [PAGE]:
        ok(lines[:3] == [message, "", "Syntax:"] and "PARAMETER LIST" in lines, f"{name}: the message, and the page")
    else:
        is_(lines, [message, *rest], name)
done()
