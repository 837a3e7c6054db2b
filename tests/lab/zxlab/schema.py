"""schema.py - doc/json.md as a table of keys, and what an answer of the program has beside it.

    undocumented("doMailboxMove", answer["response"])   -> ["mailboxes[].foo: string is not in doc/json.md"]
"""

import os
import re

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../doc/json.md")
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array", type(None): "null"}


def read():
    """{heading: {key: type}}; a heading of several verbs counts for each."""
    found, keys = {}, None
    with open(DOC, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#"):
                keys = {}
                for name in line.lstrip("#").strip().split(", "):
                    found[name] = keys
            row = re.match(r"\| ([^ |]+) \| ([^|]+) \| ", line)
            if row and keys is not None and row[1] not in ("Key", "Status"):
                keys[row[1]] = row[2].strip()
    return found


SECTIONS = read()


def fits(value, kind):
    """Whether a value is of a type as the document writes it."""
    kinds = kind.split(" or ")
    if kind == "any" or TYPES[type(value)] in kinds:
        return True
    return "number" in kinds and type(value) is int


def undocumented(section, value, path="", keys=None):
    """What the value has that the section does not, or of another type."""
    keys = SECTIONS[section] if keys is None else keys
    if path and path not in keys and path.rpartition(".")[0] + ".*" not in keys:
        return [f"{section}: {path} ({TYPES[type(value)]}) is not in doc/json.md"]
    kind = keys.get(path, "any" if path else "object")
    if not fits(value, kind):
        return [f"{section}: {path} is {TYPES[type(value)]}, doc/json.md says {kind}"]
    found = []
    if isinstance(value, dict) and (not path or path in keys):
        nested = f"{path}." if path else ""
        if not path or any(key.startswith(nested) for key in keys):
            for key, member in value.items():
                found += undocumented(section, member, nested + key, keys)
    if isinstance(value, list) and kind != "any":
        for member in value:
            if isinstance(member, dict):  # its keys are listed with the path of the list
                for key, inner in member.items():
                    found += undocumented(section, inner, f"{path}[].{key}", keys)
            else:
                found += undocumented(section, member, f"{path}[]", keys)
    return found


def of_answer(verb, answer):
    """The same of a whole answer: the envelope, and the response of this verb."""
    envelope = {key: value for key, value in answer.items() if key != "response"}
    found = undocumented("Every answer", envelope)
    if "response" in answer:
        found += undocumented(verb, answer["response"])
    return found


def of_event(event):
    """The same of an event."""
    kind = event.get("type")
    if kind not in ("selected", "state", "progress", "note", "mailbox"):
        return [f"an event of type {kind}"]
    keys = {**SECTIONS["Every event"], **SECTIONS[kind]}
    found = undocumented(kind, event, keys=keys)
    if kind == "mailbox":
        found += undocumented("doMailboxMove", {"mailboxes": [event["mailbox"]]})
    return found
