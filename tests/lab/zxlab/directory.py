"""What the laboratory's directory holds, by the rules of doc/platform.md 1.1 to 1.3: the entries it
starts with, and new domains, accounts, aliases and lists for a test or a demo."""

import uuid

import ldap
import ldap.dn
import ldap.filter
import ldap.modlist

from . import network

ADMIN_DN = "uid=zimbra,cn=admins,cn=zimbra"
ADMIN_ID = "e0fafd89-1360-11d9-8661-000a95d98ef2"
VERSION = {"zimbraServerVersion": "10.1.0_GA_4633", "zimbraServerVersionMajor": "10",
           "zimbraServerVersionMinor": "1", "zimbraServerVersionMicro": "0",
           "zimbraServerVersionType": "FOSS", "zimbraServerVersionBuild": "4633"}
STORE_SERVICES = ("mailbox", "service", "zimbra", "zimbraAdmin", "zimlet", "stats", "spell")
ACCOUNT_CLASSES = ("inetOrgPerson", "zimbraAccount", "amavisAccount")


def new_id():
    """A zimbraId."""
    return str(uuid.uuid4())


def domain_dn(domain):
    """dc=example,dc=com"""
    return ",".join(f"dc={label}" for label in domain.lower().split("."))


def person_dn(address):
    """The entry of an account, alias or list."""
    local, _, domain = address.partition("@")
    return f"uid={ldap.dn.escape_dn_chars(local)},ou=people,{domain_dn(domain)}"


def _encoded(attributes):
    """Values as python-ldap wants them: lists of bytes; None is left out, a bool is TRUE or FALSE."""
    encoded = {}
    for name, values in attributes.items():
        if values is None:
            continue
        if isinstance(values, (str, bytes, bool, int)):
            values = [values]
        texts = [("TRUE" if v else "FALSE") if isinstance(v, bool) else v for v in values]
        if texts:
            encoded[name] = [t if isinstance(t, bytes) else str(t).encode() for t in texts]
    return encoded


def _ldif(dn, attributes):
    lines = [f"dn: {dn}"]
    for name, values in _encoded(attributes).items():
        lines += [f"{name}: {value.decode()}" for value in values]
    return "\n".join(lines) + "\n"


def first_entries(stores, proxy_name, memcached_address, passwords):
    """The tree of a new installation as LDIF: admins, application accounts, global configuration,
    classes of service, servers. `stores` is [(name, zimbraId)]."""
    roles = ["cn=zimbra", "cn=admins,cn=zimbra", "cn=appaccts,cn=zimbra", "cn=servers,cn=zimbra",
             "cn=cos,cn=zimbra", "cn=sharelocators,cn=zimbra", "cn=alwaysOnClusters,cn=zimbra"]
    entries = [(dn, {"objectClass": "organizationalRole",
                     "cn": dn.split(",")[0].partition("=")[2]}) for dn in roles]
    for parent, uid, zimbra_id in (("admins", "zimbra", ADMIN_ID),
                                   ("admins", "zmreplica", new_id().upper()),
                                   ("appaccts", "zmnginx", new_id().upper()),
                                   ("appaccts", "zmpostfix", new_id().upper()),
                                   ("appaccts", "zmamavis", new_id().upper())):
        entries.append((f"uid={uid},cn={parent},cn=zimbra", {
            "objectClass": ("zimbraAccount", "organizationalPerson", "inetOrgPerson"),
            "uid": uid, "cn": uid, "sn": uid, "zimbraId": zimbra_id,
            "zimbraAccountStatus": "active", "zimbraIsSystemResource": True,
            "zimbraIsAdminAccount": True if uid == "zimbra" else None,
            "userPassword": passwords["admin"] if parent == "admins" else passwords["application"]}))
    entries.append(("cn=config,cn=zimbra", {
        "objectClass": ("organizationalRole", "zimbraGlobalConfig"), "cn": "config",
        "zimbraLDAPSchemaVersion": "10.1.0", "zimbraLmtpBindPort": network.LMTP_PORT,
        "zimbraAdminPort": network.SOAP_PORT, "zimbraMemcachedBindPort": network.MEMCACHED_PORT,
        "zimbraReverseProxyLookupTarget": False, "zimbraRedoLogEnabled": True,
        "zimbraReverseProxyCacheEntryTTL": "1h", "zimbraMailPurgeSleepInterval": "1m",
        "zimbraConfiguredServerIDForBlobDirEnabled": False,
        "zimbraMemcachedClientServerList": f"{memcached_address}:{network.MEMCACHED_PORT}",
        "zimbraMemcachedClientExpirySeconds": 86400, "zimbraAccountExtraObjectClass": "amavisAccount"}))
    for cos in ("default", "defaultExternal"):
        entries.append((f"cn={cos},cn=cos,cn=zimbra", {
            "objectClass": "zimbraCOS", "cn": cos, "zimbraId": new_id(), "zimbraMailQuota": 0,
            "zimbraDumpsterEnabled": cos == "default"}))
    for name, zimbra_id in stores:
        entries.append((f"cn={name},cn=servers,cn=zimbra", {
            "objectClass": "zimbraServer", "cn": name, "zimbraId": zimbra_id,
            "zimbraServiceHostname": name, "zimbraServiceInstalled": STORE_SERVICES,
            "zimbraServiceEnabled": STORE_SERVICES, "zimbraReverseProxyLookupTarget": True,
            "zimbraUserServicesEnabled": True, "zimbraRemoteManagementPort": network.SSH_PORT,
            **VERSION}))
    entries.append((f"cn={proxy_name},cn=servers,cn=zimbra", {
        "objectClass": "zimbraServer", "cn": proxy_name, "zimbraId": new_id(),
        "zimbraServiceHostname": proxy_name, "zimbraServiceInstalled": ("proxy", "memcached", "mta"),
        "zimbraServiceEnabled": ("proxy", "memcached", "mta"), **VERSION}))
    return "\n".join(_ldif(dn, attributes) for dn, attributes in entries)


class Directory:
    """Writes to the master the entries that Zimbra's own provisioning would. `written` is called after
    each change."""

    def __init__(self, connection, written=lambda: None):
        self.connection, self.written = connection, written

    def add(self, dn, attributes):
        """Adds one entry."""
        try:
            self.connection.add_s(dn, ldap.modlist.addModlist(_encoded(attributes)))
        except ldap.ALREADY_EXISTS as error:
            raise FileExistsError(f"{dn} is in the directory already") from error
        self.written()

    def set(self, dn, **attributes):
        """Replaces attributes; None removes one."""
        changes = []
        for name, value in attributes.items():
            values = None if value is None else _encoded({name: value}).get(name)
            changes.append((ldap.MOD_REPLACE, name, values))
        self.connection.modify_s(dn, changes)
        self.written()

    def find(self, template, *values, base=""):
        """Entries by filter: [(dn, {attribute: [text]})]; values are escaped into the template."""
        text = ldap.filter.filter_format(template, values)
        found = self.connection.search_s(base, ldap.SCOPE_SUBTREE, text)
        return [(dn, {name: [value.decode(errors="replace") for value in values]
                      for name, values in attributes.items()}) for dn, attributes in found if dn]

    def account(self, address_or_id):
        """(dn, attributes) of one account by any of its addresses or its id."""
        value = str(address_or_id)
        found = self.find("(&(objectClass=zimbraAccount)(|(zimbraMailDeliveryAddress=%s)(mail=%s)"
                          "(zimbraMailAlias=%s)(zimbraId=%s)))", value, value, value, value)
        if len(found) != 1:
            raise LookupError(f"{value}: {len(found)} accounts")
        return found[0]

    def domain(self, name):
        """(dn, attributes) of a domain."""
        found = self.find("(&(objectClass=zimbraDomain)(zimbraDomainName=%s))", name)
        if len(found) != 1:
            raise LookupError(f"{name}: {len(found)} domains")
        return found[0]

    def new_domain(self, name, status="active", virtual_hosts=(), virtual_ips=(), alias_of=None):
        """A domain (or an alias of another one) with its people; returns its zimbraId."""
        labels = name.lower().split(".")
        for depth in range(len(labels) - 1, 0, -1):
            parent = ".".join(labels[depth:])
            try:
                self.add(domain_dn(parent), {"objectClass": ("dcObject", "organization"),
                                             "dc": labels[depth], "o": f"{parent} domain"})
            except FileExistsError:
                pass
        zimbra_id = new_id()
        target = self.domain(alias_of)[1]["zimbraId"][0] if alias_of else None
        self.add(domain_dn(name), {
            "objectClass": ("dcObject", "organization", "zimbraDomain"), "dc": labels[0],
            "o": f"{name} domain", "zimbraId": zimbra_id, "zimbraDomainName": name,
            "zimbraDomainType": "alias" if alias_of else "local", "zimbraDomainStatus": status,
            "zimbraDomainAliasTargetId": target, "zimbraVirtualHostname": virtual_hosts,
            "zimbraVirtualIPAddress": virtual_ips, "zimbraMailStatus": "enabled"})
        self.add(f"ou=people,{domain_dn(name)}", {"objectClass": "organizationalRole",
                                                  "ou": "people", "cn": "people"})
        return zimbra_id

    def new_account(self, address, store, status="active", mail_status=None, aliases=(),
                    kind="account", cos="default", password="laboratory", transport=None, **more):
        """An account homed on the store called `store`, without a mailbox; returns its zimbraId.
        Kinds: account, admin, resource, guest (of an external share), system."""
        if kind not in ("account", "admin", "resource", "guest", "system"):
            raise ValueError(f"no such kind of account: {kind}")
        local = address.partition("@")[0]
        if mail_status is None:
            mail_status = "disabled" if status in ("closed", "pending") or kind == "guest" else "enabled"
        classes = list(ACCOUNT_CLASSES)
        special = {"admin": {"zimbraIsAdminAccount": True},
                   "resource": {"zimbraCalResType": "Location",
                                "zimbraAccountCalendarUserType": "RESOURCE"},
                   "guest": {"zimbraIsExternalVirtualAccount": True, "zimbraHideInGal": True,
                             "zimbraExternalUserMailAddress": f"{local}@outside.example"},
                   "system": {"zimbraIsSystemResource": True, "zimbraIsSystemAccount": True,
                              "zimbraHideInGal": True}}.get(kind, {})
        if kind == "resource":
            classes.append("zimbraCalendarResource")
        zimbra_id = more.get("zimbraId") or new_id()
        cos_id = self.find("(&(objectClass=zimbraCOS)(cn=%s))", cos)[0][1]["zimbraId"][0]
        attributes = {
            "objectClass": classes, "uid": local, "cn": local, "sn": local, "displayName": local,
            "mail": [address, *aliases], "zimbraMailDeliveryAddress": address,
            "zimbraMailAlias": aliases, "zimbraId": zimbra_id, "zimbraAccountStatus": status,
            "zimbraMailStatus": mail_status, "zimbraMailHost": store, "zimbraCOSId": cos_id,
            "zimbraMailTransport": transport or f"lmtp:{store}:{network.LMTP_PORT}",
            "userPassword": password, "zimbraCreateTimestamp": "20200229235959.999Z"}
        attributes.update(special)
        attributes.update(more)
        self.add(person_dn(address), attributes)
        for alias in aliases:
            self.add(person_dn(alias), {"objectClass": "zimbraAlias", "mail": alias,
                                        "uid": alias.partition("@")[0], "zimbraId": new_id(),
                                        "zimbraAliasTargetId": zimbra_id})
        return zimbra_id

    def new_list(self, address, members):
        """A distribution list; returns its zimbraId."""
        zimbra_id = new_id()
        self.add(person_dn(address), {
            "objectClass": ("zimbraDistributionList", "zimbraMailRecipient"),
            "uid": address.partition("@")[0], "mail": address, "zimbraMailAlias": address,
            "zimbraId": zimbra_id, "zimbraMailStatus": "enabled",
            "zimbraMailForwardingAddress": members})
        return zimbra_id

    def lists_of(self, address):
        """Addresses of the lists that name `address` as a member."""
        found = self.find("(&(objectClass=zimbraDistributionList)(zimbraMailForwardingAddress=%s))",
                          address)
        return sorted(attributes["mail"][0] for _, attributes in found)

    def new_data_source(self, account, name, interval="5m"):
        """A polled external mailbox below the account's entry; returns its id."""
        dn = self.account(account)[0]
        source_id = new_id()
        self.add(f"zimbraDataSourceName={ldap.dn.escape_dn_chars(name)},{dn}", {
            "objectClass": "zimbraDataSource", "zimbraDataSourceName": name,
            "zimbraDataSourceId": source_id, "zimbraDataSourceEnabled": True,
            "zimbraDataSourcePollingInterval": interval})
        return source_id
