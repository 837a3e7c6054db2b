"""connections.py - the product's connections to the stores' MariaDB, told from the laboratory's own by their user."""

import threading
from collections import Counter
from contextlib import ExitStack

from .truth import Sql

USER, PASSWORD = "mover", "laboratory"


def user_of_its_own(lab):
    """From now on the product logs in as somebody who is nobody else."""
    for store in lab.stores:
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO {USER}@'%' WITH GRANT OPTION")
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write(f"mariadb:\n  user: {USER}\n  password: {PASSWORD}\n")


def connections(sql):
    """How many it has at this moment."""
    return int(sql.text(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{USER}'")[0][0])


class Most:
    """The most that were seen at once while it was looked, by what was counted: connections by the store's name, and
    what the functions in `also` count with the stores' Sql."""

    def __init__(self, stores, **also):
        self.most = Counter()
        self._stores = stores
        self._also = also
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        with ExitStack() as stack:
            asked = {store.name: stack.enter_context(Sql(store)) for store in self._stores}
            while not self._over.wait(0.01):
                seen = {name: connections(sql) for name, sql in asked.items()}
                seen |= {name: count(asked) for name, count in self._also.items()}
                for name, number in seen.items():
                    self.most[name] = max(self.most[name], number)
