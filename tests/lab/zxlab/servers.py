"""The real servers of a laboratory: how each is configured, started and known to serve."""

import os
import pwd
import shutil
import socket
import subprocess
import urllib.request
from contextlib import contextmanager

import ldap
import ldap.ldapobject
import pymysql

from . import network
from .process import Process, ServerError

INNODB_LOG_SIZE = "16M"
SLAPD_MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/libexec/openldap")
SLAPD_SCHEMAS = ("/etc/ldap/schema", "/etc/openldap/schema")


def program(name):
    """Where a program is; ordinary users do not have sbin in their PATH."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise ServerError(f"{name} is not installed: make deps")
    return path


def user():
    """The user that everything in the laboratory runs as."""
    return pwd.getpwuid(os.getuid()).pw_name


def write(path, text, mode=0o644):
    """Writes a file that has `mode` from the first byte on."""
    if os.path.exists(path):
        os.unlink(path)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w",
                   encoding="utf-8") as file:
        file.write(text)


def _greets(address, port, expected, say=b""):
    """Whether a server answers with a line that begins as `expected`."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            if say:
                connection.sendall(say)
            return connection.recv(64).startswith(expected)
    except OSError:
        return False


# MariaDB


# Small, for many laboratories run at once; whoever measures a large mailbox wants what a store has (1G).
BUFFER_POOL = os.environ.get("LAB_BUFFER_POOL", "64M")


def _mariadb_argv(data, mariadb_socket, extra):
    # A tmpdir of its own: a server that starts deletes every server's temporary tables in /tmp.
    argv = [program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={mariadb_socket}",
            f"--pid-file={data}.pid", f"--tmpdir={os.path.dirname(data)}", "--skip-name-resolve", "--character-set-server=utf8",
            "--innodb-file-per-table=1", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=O_DIRECT", "--max-allowed-packet=16777216",
            "--max-connections=110", f"--innodb-log-file-size={INNODB_LOG_SIZE}",
            f"--innodb-buffer-pool-size={BUFFER_POOL}", "--innodb-autoextend-increment=4",
            "--aria-pagecache-buffer-size=8M",
            "--key-buffer-size=1M", "--innodb-buffer-pool-dump-at-shutdown=0", *extra]
    if os.getuid() == 0:
        argv.append("--user=root")
    return argv


def mariadb(name, home, address, password, pid_file, log):
    """The store's MariaDB with the settings that Zimbra writes (doc/platform.md 1.6), as user
    `zimbra` once `first_start.sql` of its directory was run."""
    data = os.path.join(home, "db", "data")
    first = os.path.join(home, "db", "first_start.sql")

    def argv():
        extra = [f"--bind-address={address}", f"--port={network.MARIADB_PORT}"]
        if os.path.exists(first):
            extra.append(f"--init-file={first}")
        return _mariadb_argv(data, mariadb_socket(home), extra)

    def ready():
        try:
            connect_mariadb(address, password).close()
        except pymysql.err.OperationalError:
            return False
        if os.path.exists(first):
            os.unlink(first)  # it holds passwords
        return True

    return Process(name, argv, pid_file, log, ready, seconds=60)


def mariadb_socket(home):
    """Where Zimbra has it below the store's directory; the kernel takes 107 characters."""
    path = os.path.join(home, "data", "tmp", "mysql", "mysql.sock")
    if len(path) > 107:
        raise ServerError(f"the laboratory's directory has too long a name for a socket: {path}")
    return path


def connect_mariadb(address, password, **options):
    """A connection as Zimbra's user; bytes come and go as they are."""
    return pymysql.connect(host=address, port=network.MARIADB_PORT, user="zimbra",
                           password=password, charset="utf8mb4", autocommit=True,
                           init_command="SET NAMES binary", connect_timeout=5, max_allowed_packet=16777216, **options)


@contextmanager
def private_mariadb(scratch, data):
    """A server without network for the making of templates; yields root's connection to it."""
    path = os.path.join(scratch, "s")
    server = Process("mariadbd of the template",
                     lambda: _mariadb_argv(data, path, ["--skip-networking"]),
                     os.path.join(scratch, "pid"), os.path.join(scratch, "log"),
                     lambda: _private_connection(path) is not None, seconds=60)
    server.start()
    try:
        yield _private_connection(path)
    finally:
        server.stop()


def _private_connection(path):
    try:
        return pymysql.connect(unix_socket=path, user="root", charset="utf8", autocommit=True)
    except pymysql.err.OperationalError:
        return None


# sshd


def sshd(name, home, address, pid_file, log):
    """The store's sshd: keys only, one user, forwarding allowed, as zxmove needs it."""
    conf = os.path.join(home, "conf")
    host_key = os.path.join(conf, "ssh_host_ed25519_key")
    config = os.path.join(conf, "sshd_config")
    if os.getuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # its jail; Debian's unit makes it
    if not os.path.exists(host_key):
        make_ssh_key(host_key)
    write(config, "\n".join([
        f"ListenAddress {address}:{network.SSH_PORT}",
        f"HostKey {host_key}",
        f"AuthorizedKeysFile {conf}/authorized_keys",
        f"AllowUsers {user()}",
        "PidFile none",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "StrictModes no",
        "AllowTcpForwarding yes",
        "AcceptEnv none",
        # Neither the real user's .bashrc nor an agent in their ~/.cache.
        f"SetEnv HOME={os.path.join(os.path.dirname(home), 'home')}",
        "MaxStartups 100",
        "PrintMotd no",
        "LogLevel INFO",
    ]) + "\n", 0o600)
    return Process(name, lambda: [program("sshd"), "-D", "-e", "-f", config], pid_file, log,
                   lambda: _greets(address, network.SSH_PORT, b"SSH-2.0-"))


def make_ssh_key(path):
    """A key pair without passphrase."""
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "zxlab",
                    "-f", path], check=True)


# slapd

_SLAPD_CONF = """\
{includes}
pidfile {home}/slapd.pid
argsfile {home}/slapd.args
{modules}
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}

database config
rootpw {config_password}

# Zimbra's directory is the whole tree, below an empty suffix.
database mdb
suffix ""
directory {home}/data
maxsize 1073741824
dbnosync
rootdn "cn=config"
limits dn.children="cn=admins,cn=zimbra" size=unlimited time=unlimited
limits * size=500
access to attrs=userPassword
    by dn.children="cn=admins,cn=zimbra" write by anonymous auth by * none
access to *
    by dn.children="cn=admins,cn=zimbra" write by dn.children="cn=appaccts,cn=zimbra" read by * none
index objectClass eq
index entryUUID,entryCSN eq
index uid,cn,mail eq,pres,sub
index zimbraId,zimbraMailHost,zimbraMailTransport,zimbraMailDeliveryAddress,zimbraMailAlias eq
index zimbraDomainName,zimbraVirtualHostname,zimbraVirtualIPAddress,zimbraDomainAliasTargetId eq
index zimbraServiceEnabled,zimbraServiceHostname,zimbraCOSId,zimbraAliasTargetId eq
index zimbraMailForwardingAddress,zimbraDomainType eq
{role}
"""

PROVIDER = "overlay syncprov\nsyncprov-checkpoint 100 10"


def _first_existing(paths, what):
    for path in paths:
        if os.path.isdir(path):
            return path
    raise ServerError(f"{what} not found in any of {', '.join(paths)}")


def slapd(name, home, address, tls, bind_dn, password, config_password, role, pid_file, log):
    """A slapd with Zimbra's schema; `tls` is (ca, certificate, key), `role` the configuration of
    master or replica. Its own cn=config stays open at run time, to cut a replica off."""
    schemas = _first_existing(SLAPD_SCHEMAS, "OpenLDAP's schemas")
    ours = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "slapd",
                        "zimbra.schema")
    includes = [f"include {schemas}/{s}.schema" for s in ("core", "cosine", "inetorgperson")]
    modules = next((m for m in SLAPD_MODULES if os.path.exists(f"{m}/back_mdb.so")), None)
    os.makedirs(os.path.join(home, "data"), exist_ok=True)
    config = os.path.join(home, "slapd.conf")
    write(config, _SLAPD_CONF.format(
        includes="\n".join(includes + [f"include {ours}"]), home=home, role=role,
        modules=f"modulepath {modules}\nmoduleload back_mdb\nmoduleload syncprov" if modules else "",
        ca=tls[0], certificate=tls[1], key=tls[2], config_password=config_password), 0o600)
    url = f"ldap://{address}:{network.LDAP_PORT}"

    def ready():
        try:
            connect_ldap(url, bind_dn, password).unbind_s()
        except ldap.INVALID_CREDENTIALS:
            return "syncrepl" in role  # serves, though the admin has not been replicated yet
        except ldap.LDAPError:
            return False
        return True

    return Process(name, lambda: [program("slapd"), "-f", config, "-h", url, "-d", "none"],
                   pid_file, log, ready)


def slapadd(home, ldif):
    """Fills a slapd that does not run yet."""
    result = subprocess.run([program("slapadd"), "-q", "-w", "-f", os.path.join(home, "slapd.conf")],
                            input=ldif.encode(), capture_output=True, check=False)
    if result.returncode:
        raise ServerError(f"slapadd: {result.stderr.decode(errors='replace')}")


def connect_ldap(url, bind_dn, password):
    """A bound connection; it survives a restart of the server."""
    connection = ldap.ldapobject.ReconnectLDAPObject(url, retry_max=1)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
    connection.set_option(ldap.OPT_TIMEOUT, 30)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.simple_bind_s(bind_dn, password)
    return connection


# The small ones


def memcached(name, address, pid_file, log):
    """memcached, TCP only."""
    argv = [program("memcached"), "-l", address, "-p", str(network.MEMCACHED_PORT), "-U", "0",
            "-m", "16", "-t", "1"]
    if os.getuid() == 0:
        argv += ["-u", "root"]
    return Process(name, lambda: argv, pid_file, log,
                   lambda: _greets(address, network.MEMCACHED_PORT, b"VERSION", b"version\r\n"))


def smtp_sink(name, address, mails, pid_file, log):
    """postfix's mail sink: one file a message in `mails`."""
    argv = [program("smtp-sink"), "-d", os.path.join(mails, "%Y%m%d-%H%M%S.")]
    if os.getuid() == 0:
        argv += ["-u", "root"]
    argv += [f"{address}:{network.SMTP_PORT}", "100"]
    return Process(name, lambda: argv, pid_file, log,
                   lambda: _greets(address, network.SMTP_PORT, b"220"))


def mailboxd(name, binary, config, address, pid_file, log):
    """The stand-in for mailboxd."""
    def ready():
        try:
            url = f"http://{address}:{network.CONTROL_PORT}/ready"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    return Process(name, lambda: [binary, "--config", config], pid_file, log, ready)


# Certificates


class Authority:
    """The laboratory's certificate authority."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = os.path.join(directory, "ca.pem")
        self._key = os.path.join(directory, "ca.key")
        if not os.path.exists(self.ca):
            os.makedirs(directory, exist_ok=True)
            self._openssl(self._key, self.ca, "/O=zxmove laboratory/CN=laboratory CA",
                          ["basicConstraints=critical,CA:TRUE",
                           "keyUsage=critical,keyCertSign,cRLSign",
                           "subjectKeyIdentifier=hash"])

    def issue(self, directory, name, addresses=(), stem="server"):
        """A key and certificate for a host name (and addresses); returns (ca, certificate, key)."""
        certificate = os.path.join(directory, f"{stem}.pem")
        key = os.path.join(directory, f"{stem}.key")
        if not os.path.exists(certificate):
            names = ",".join([f"DNS:{name}"] + [f"IP:{address}" for address in addresses])
            self._openssl(key, certificate, f"/CN={name}",
                          ["basicConstraints=critical,CA:FALSE", f"subjectAltName={names}",
                           "extendedKeyUsage=serverAuth,clientAuth"],
                          ["-CA", self.ca, "-CAkey", self._key])
        return self.ca, certificate, key

    @staticmethod
    def _openssl(key, certificate, subject, extensions, signer=()):
        config = f"{key}.cnf"
        write(config, "[req]\ndistinguished_name=dn\n[dn]\n")
        command = [program("openssl"), "req", "-x509", "-config", config, "-newkey", "ec",
                   "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                   "-keyout", key, "-out", certificate, "-subj", subject, *signer]
        for extension in extensions:
            command += ["-addext", extension]
        result = subprocess.run(command, capture_output=True, check=False)
        os.unlink(config)
        if result.returncode:
            raise ServerError(f"openssl: {result.stderr.decode(errors='replace')}")
        os.chmod(key, 0o600)
