"""A network of its own for every laboratory: 127.X.Y.0/24, taken by a file in /tmp, so that
laboratories of several checkouts and users run side by side with the same ports."""

import errno
import fcntl
import os
import random
import socket

MASTER, REPLICA, MEMCACHED, SINK = 2, 3, 4, 5
STORES = (11, 12, 13)
LDAP_PORT, MEMCACHED_PORT, SMTP_PORT = 3890, 11211, 2525
SSH_PORT, MARIADB_PORT, SOAP_PORT, LMTP_PORT, CONTROL_PORT = 2222, 7306, 7071, 7025, 7099

_FIRST, _LAST = 64, 250  # X of the networks given out; the others are left to whoever names one


def _claim_path(net):
    return f"/tmp/zxlab-net-{net}"  # wherever TMPDIR leads: all laboratories of the machine look here


def _busy(net):
    """Whether somebody already serves there, with or without a claim."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((f"127.{net}.{MASTER}", LDAP_PORT))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def _claim(net, directory):
    """Takes `net` for the laboratory in `directory`; a claim whose laboratory is gone is void."""
    path = _claim_path(net)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        return False  # another user's
    with os.fdopen(file, "r+", encoding="utf-8") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        owner = claim.read()
        if owner and owner != directory and os.path.isdir(owner):
            return False
        if _busy(net):
            return False
        claim.seek(0)
        claim.truncate()
        claim.write(directory)
    return True


def take(directory, net=None):
    """The network for a laboratory ("X.Y"): `net` if given, else a free one."""
    if net is not None:
        if not _claim(net, directory):
            raise RuntimeError(f"network 127.{net}.0/24 is taken (see {_claim_path(net)})")
        return net
    chance = random.Random(directory)  # the same laboratory tends to get the same network
    for _ in range(1000):
        net = f"{chance.randint(_FIRST, _LAST)}.{chance.randint(0, 255)}"
        if _claim(net, directory):
            return net
    raise RuntimeError("no free network among 127.64.0.0 to 127.250.255.0")


def give_back(net, directory):
    """Ends the claim of a laboratory that was stopped."""
    try:
        with open(_claim_path(net), "r+", encoding="utf-8") as claim:
            fcntl.flock(claim, fcntl.LOCK_EX)
            if claim.read() == directory:
                os.unlink(claim.name)
    except (FileNotFoundError, PermissionError):
        pass
