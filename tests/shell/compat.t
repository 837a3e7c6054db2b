#!/usr/bin/python3
"""compat_defaults: what is left out of doMailboxMove means what it did in other versions of the same commands;
what is typed always means what it says."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

OURS = {"stages": "blobs,account", "checkDigest": True, "overwrite": True, "hsm": False}
OTHERS = {"none": {}, "zextras3": {"checkDigest": False},
          "zextras2": {"stages": "blobs,backup,account", "overwrite": False, "hsm": True}}


def understood(place, *words):
    """How doMailboxMove reads these parameters, of those that differ between versions."""
    result = place.run("--parse", "--json", "doMailboxMove", "m2", "accounts", "a@x.test", *words)
    parameters = json.loads(result.stdout)["response"]["parameters"]
    stages = parameters["stages"]
    return {**{name: parameters[name] for name in OURS if name != "stages"},
            "stages": ",".join(stages) if isinstance(stages, list) else stages}


for compat, differing in OTHERS.items():
    site = Place(f"compat_defaults: {compat}\n")
    is_(understood(site), {**OURS, **differing}, f"{compat}: what is left out")
    is_(understood(site, "stages", "data", "checkDigest", "true", "overwrite", "true", "hsm", "false"),
        {**OURS, "stages": "blobs,backup"}, f"{compat}: what is typed")
is_(understood(Place("no_such_setting: 1\n")), OURS, "a broken configuration is said by the verb, not by its parser")
result = Place("compat_defaults: zextras4\n").run("doMailboxMove", "m2", "accounts", "a@x.test")
ok(result.returncode != 0 and "zextras3" in result.stderr, "another value is refused, with those there are")
done()
