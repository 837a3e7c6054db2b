/* check.h - what is looked at before anything is done: nothing is changed by it. Private to
 * core/check.
 *
 *   trust     whose keys and certificates are believed       trust.c, anchors.c
 *   table     every test of doCheck: name, what, remedy      table.c
 *   run       who is asked, in which order; the findings     run.c
 *   reach     what can be reached, everything at once        reach.c
 *   servers   the tests of the directory and of servers      servers.c
 *   stores    the tests of stores and of pairs of them       stores.c
 *   accounts  the tests of accounts and their mailboxes      accounts.c
 *
 * What a move refuses is asked by the very functions that the move asks (core/move: plan.c, fit.c,
 * reserve.c, forecast.c). */
#ifndef ZX_CHECK_CHECK_H
#define ZX_CHECK_CHECK_H

#include "core/core.h"
#include "core/move/move.h"

/* trust.c */
GPtrArray *trust_look(const Conf *conf, const char *host, const Wait *wait, GError **error) MUST_USE;
/* Sets .state, .recorded and .problem by what the file says now. */
bool trust_judge(const Conf *conf, Trust *trust, GError **error) MUST_USE;
bool trust_store(const Conf *conf, Trust *trust, GError **error) MUST_USE;

/* anchors.c: @text, the contents of a file of CA certificates, with one that @server is believed by.
 * What was there for it alone, or bears the same name with another key, is taken out. g_free. */
struct TlsCertificate;
char *anchors_put(const char *text, const char *kind, const char *server,
                  const struct TlsCertificate *certificate, GError **error) MUST_USE;
/* The fingerprint of what anchors_put would take out; *recorded NULL: nothing. */
bool anchors_recorded(const char *text, const char *kind, const char *server,
                      const struct TlsCertificate *certificate, char **recorded,
                      GError **error) MUST_USE;

/* What could be opened of a store of the configuration; nothing of it stays open. */
typedef struct Reach {
    const Conf *conf;
    const ConfStore *where;
    const ServerInfo *server; /* NULL: not in the directory */
    const Wait *wait;
    GError *why[STORE_PARTS]; /* NULL: it answers */
} Reach;

typedef struct Check {
    const Conf *conf;
    const MoveRequest *request;
    const Wait *wait;
    CheckReport *report;
    GPtrArray *trusts; /* of Trust */
    Operation op;
    bool open;           /* the directory is, and servers can be asked */
    GPtrArray *reaches;  /* of Reach, every store of the configuration */
    GPtrArray *accounts; /* of Account: would be tried */
    GPtrArray *names;    /* of char *: the destination, then where the accounts live */
    Store *target;       /* NULL: cannot be asked */
    GPtrArray *sources;  /* of Store, those that can be asked; borrowed */
    GPtrArray *moves;    /* of Move: what could be looked at; neither claimed nor reserved */
    unsigned unasked;    /* accounts that could not be looked at */
} Check;

typedef struct Test {
    CheckTest row;
    void (*run)(Check *check, const CheckTest *test);
} Test;
extern const Test check_tests[]; /* ends with a NULL name */
const CheckTest *check_test(unsigned n);

/* run.c */
CheckReport *check_run(const Conf *conf, const MoveRequest *request, const Wait *wait,
                       GError **error) MUST_USE;
void check_add(Check *check, const CheckTest *test, CheckState state, const char *subject,
               const char *fmt, ...) G_GNUC_PRINTF(5, 6);
/* OK if @good; else what @problem says: not possible if somebody did not answer, @bad otherwise.
 * Takes @problem. */
void check_judge(Check *check, const CheckTest *test, CheckState bad, const char *subject,
                 bool good, GError *problem);
/* @ask of every store that matters, of each source with the destination, of each mailbox: false with
 * an error is @bad. */
typedef bool AskStore(Check *check, Store *store, GError **error);
typedef bool AskPair(Check *check, Store *source, GError **error);
typedef bool AskMove(Check *check, Move *move, GError **error);
void check_stores(Check *check, const CheckTest *test, CheckState bad, AskStore *ask);
void check_pairs(Check *check, const CheckTest *test, CheckState bad, AskPair *ask);
void check_moves(Check *check, const CheckTest *test, CheckState bad, AskMove *ask);

/* reach.c: tries all of them at the same time; what trust found out is not waited for again. */
GPtrArray *reach_all(const Conf *conf, const GPtrArray *servers, const GPtrArray *trusts,
                     const Wait *wait);
const Reach *reach_of(const Check *check, const char *name);

typedef void TestRun(Check *check, const CheckTest *test);
TestRun test_state_dir, test_file_handles, test_directory, test_directory_tls, test_master,
    test_admin, test_host_keys, test_certificates, test_configured, test_ssh, test_ssh_user,
    test_database, test_soap, test_memcached, test_ldap_servers, test_other_stores,
    test_notifications;
TestRun test_destination, test_versions, test_layout, test_time_zone, test_clocks, test_groups,
    test_ids, test_index, test_checkpoints, test_database_rights, test_database_settings,
    test_tables, test_volumes, test_sharing, test_space;
TestRun test_refused, test_transport_port, test_account_status, test_domain, test_mailbox,
    test_mailbox_version, test_leftover, test_reindex, test_blobs, test_sleepers, test_host_pool;

#endif
