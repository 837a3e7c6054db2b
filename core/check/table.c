/* table.c - every test of doCheck, in the order in which they are done and told; nothing else. */
#include "core/check/check.h"

/* A remedy is written here when it is the same for all that a test may find; NULL: each finding says
 * what to do. */
/* clang-format off */
const Test check_tests[] = {
    /* here */
    { { "state_dir", "state_dir: on a local disk, with room for logs and reports",
        "set state_dir to a directory on a local disk with room" }, test_state_dir },
    { { "file_handles", "files that this process may open, for so many threads",
        "raise the limit (ulimit -n), or take fewer threads" }, test_file_handles },
    /* the directory */
    { { "directory", "the LDAP master answers and is Zimbra's", NULL }, test_directory },
    { { "directory_tls", "passwords cross the network in TLS only",
        "set ldap.starttls to true, or ldap.master to ldaps://" }, test_directory_tls },
    { { "master", "ldap.master is the server that the stores write to",
        "set ldap.master to it: a decision must not be read from a replica" }, test_master },
    { { "admin", "admin.user is a global administrator",
        "set admin.user to one, such as zimbra: others lack rights that a move needs" }, test_admin },
    /* first contact */
    { { "configured", "every store that takes part is in the configuration",
        "add it under stores" }, test_configured },
    { { "host_key", "the ssh host keys are known", NULL }, test_host_keys },
    { { "certificate", "the certificates of SOAP and LDAP are known", NULL }, test_certificates },
    { { "ssh", "login by key, a command may be run, the agent works", NULL }, test_ssh },
    { { "ssh_user", "the ssh login is the store's own user, not root",
        "set ssh.user to the user that runs Zimbra" }, test_ssh_user },
    { { "database", "sshd forwards to MariaDB, which takes the password", NULL }, test_database },
    { { "soap", "admin SOAP answers and takes the password", NULL }, test_soap },
    /* stores */
    { { "destination", "the destination is a mailbox server", NULL }, test_destination },
    { { "versions", "the database of the destination is as new as the source's", NULL }, test_versions },
    { { "layout", "no debug_* key, other store class or server layout that is not supported",
        "such a store cannot be moved from or to by zxmove" }, test_layout },
    { { "time_zone", "both mailboxd have the same time zone",
        "start both with the same zone (-Duser.timezone, or the host's)" }, test_time_zone },
    { { "clocks", "the clocks are within 5 s of each other", "let both follow the same time server" },
      test_clocks },
    { { "groups", "zimbra_mailbox_groups is what the newest mailboxes were made with",
        "set it to what it was: new mailboxes would be looked for in another group" }, test_groups },
    { { "ids", "the next mailbox id is above all others, and nothing lies under it",
        "raise next_mailbox_id above them, with mailboxd stopped" }, test_ids },
    { { "index", "both have the same kind and version of search index",
        "none is needed: the index is rebuilt at the destination, searches are complete after it" }, test_index },
    { { "checkpoints", "zimbra_mailbox_change_checkpoint_frequency and zimbra_mailbox_lock_timeout are known",
        "correct the key in localconfig" }, test_checkpoints },
    { { "database_rights", "the MariaDB user may create the database zxmove and write mailboxes",
        "grant it all privileges on *.*, as Zimbra's user has" }, test_database_rights },
    { { "database_settings", "max_allowed_packet, sql_mode and foreign_key_checks of both servers",
        "give both the same values" }, test_database_settings },
    { { "tables", "every table that is keyed by mailbox is known, with its columns, on both sides", NULL }, test_tables },
    { { "volumes", "every volume is there and of files", NULL }, test_volumes },
    { { "sharing", "volumes that both stores have",
        "none is needed: a purge finds out by itself, and deletes nothing on a shared volume" }, test_sharing },
    /* what a window needs */
    { { "ldap_servers", "every LDAP server of each store answers and follows the master",
        "start it, or take it out of ldap_url: the window waits for it" }, test_ldap_servers },
    { { "memcached", "the servers with the proxies' routes and mailboxd's caches answer",
        "start it: users would be sent to the old store for up to an hour" }, test_memcached },
    { { "other_stores", "the other mailbox servers can be told that a mailbox moved",
        "add it under stores, or start it: its view of the account is old for up to 15 minutes" }, test_other_stores },
    { { "notifications", "mail can be sent, and to nobody who is just being moved",
        "set smtp.url and smtp.from; name others in notifications" }, test_notifications },
    /* accounts: these are refused by name before anything is done */
    { { "home", "its home is a server of this directory", NULL }, test_refused },
    { { "transport", "its mail goes to its home by LMTP", NULL }, test_refused },
    { { "domain", "its domain is not suspended or shut down", NULL }, test_refused },
    { { "own_login", "it is not the account that zxmove logs in as", NULL }, test_refused },
    { { "unfinished", "no unfinished move of it", NULL }, test_refused },
    { { "late_commit", "no commit of it that went unanswered may still land", NULL }, test_refused },
    { { "other_mover", "Network Edition's own mover is not at work on it", NULL }, test_refused },
    { { "account_status", "its status can be read, to be given back", NULL }, test_account_status },
    { { "closed_domain", "accounts whose status is not to be touched", NULL }, test_domain },
    { { "transport_port", "the port in its transport is the one its home listens at",
        "none is needed for the move, which sets it right; mail may be waiting" }, test_transport_port },
    { { "host_pool", "its class of service allows the destination",
        "add the destination to zimbraMailHostPool: new accounts are not made there" }, test_host_pool },
    /* mailboxes */
    { { "mailbox", "its rows, volumes and blobs can be read", NULL }, test_mailbox },
    { { "mailbox_version", "the destination can open a mailbox of its version", NULL }, test_mailbox_version },
    { { "leftover", "the destination knows nothing of the account, or what zxmove left there", NULL }, test_leftover },
    { { "reindex", "it is not being indexed anew",
        "wait for it to end, else its index is built again at the destination" }, test_reindex },
    { { "blobs", "some of its blobs are there, as their rows say",
        "look for others with doCheckBlobs; what is damaged moves as it is and is listed" }, test_blobs },
    { { "sleepers", "delayed sends and polling, which sleep at the destination until its mailboxd is restarted",
        "plan a restart of mailboxd there after the move" }, test_sleepers },
    { { "space", "what is to come fits on each disk of the destination", "make room there" }, test_space },
    { { NULL, NULL, NULL }, NULL },
};
/* clang-format on */

const CheckTest *check_test(unsigned n)
{
    return n < G_N_ELEMENTS(check_tests) - 1 ? &check_tests[n].row : NULL;
}
