#!/usr/bin/python3
"""Rows between two real MariaDB servers: starts them and runs tests/unit/test_rows on them. They are
stores of two kinds, so that the same columns stand in different orders."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from zxlab import servers, template  # noqa: E402

MODE = os.environ.get("MODE", "asan")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers stop, nothing stays
    program = os.path.join(template.ROOT, "build", MODE, "tests", "unit", "test_rows")
    kinds = {kind.name: kind for kind in template.KINDS}
    scratch = tempfile.mkdtemp(prefix="rows-", dir="/tmp")
    try:
        data = []
        for name in ("fresh", "upgraded"):
            home = os.path.join(scratch, name)
            os.makedirs(home)
            shutil.copytree(template.data_directory(kinds[name]), os.path.join(home, "data"))
            data.append(home)
        with servers.private_mariadb(data[0], os.path.join(data[0], "data")), \
                servers.private_mariadb(data[1], os.path.join(data[1], "data")):
            return subprocess.run(
                [program], check=False,
                env={**os.environ, "ZX_ROWS_SOURCE": os.path.join(data[0], "s"),
                     "ZX_ROWS_TARGET": os.path.join(data[1], "s")}).returncode
    finally:
        shutil.rmtree(scratch)


sys.exit(main())
