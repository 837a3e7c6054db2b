/* accounts.c - doCheck: accounts and their mailboxes. Who is refused, and by which test, the plan has
 * said already (core/move/plan.c, forecast.c). */
#include "core/agent/protocol.h"
#include "core/check/check.h"
#include <string.h>

/* What the selection refused by the test of this name. */
static unsigned add_refused(Check *check, const CheckTest *test, const char *name)
{
    const GPtrArray *results = check->op.report->mailboxes;
    unsigned count = 0;

    for (guint i = 0; i < results->len; i++) {
        const MailboxResult *result = g_ptr_array_index(results, i);

        if (result->outcome != OUTCOME_FAILED || g_strcmp0(result->test, name) != 0)
            continue;
        check_add(check, test, CHECK_FAIL, result->address, "%s", result->reason);
        count++;
    }
    return count;
}

/* The others. */
static char *others(const Check *check)
{
    return g_strdup_printf("%u account%s", check->accounts->len,
                           check->accounts->len == 1 ? "" : "s");
}

void test_refused(Check *check, const CheckTest *test)
{
    g_autofree char *subject = others(check);

    add_refused(check, test, test->name);
    if (check->accounts->len > 0)
        check_add(check, test, CHECK_OK, subject, "not refused");
}

void test_account_status(Check *check, const CheckTest *test)
{
    g_autofree char *subject = others(check);
    unsigned active = 0;

    add_refused(check, test, test->name);
    for (guint i = 0; i < check->accounts->len; i++)
        active += strcmp(((const Account *)g_ptr_array_index(check->accounts, i))->status,
                         "active") == 0;
    if (check->accounts->len > 0)
        check_add(check, test, CHECK_OK, subject, "%u active, %u not; each keeps what it has",
                  active, check->accounts->len - active);
}

void test_domain(Check *check, const CheckTest *test)
{
    unsigned untouched = 0;

    for (guint i = 0; i < check->accounts->len; i++)
        untouched += !account_status_may_change(g_ptr_array_index(check->accounts, i));
    check_add(check, test, CHECK_OK, NULL,
              "%u are closed, pending or of a closed domain: only the lock-out guards their window",
              untouched);
}

/* Zimbra itself does not compare it (1.3). */
static bool port_fits(const Check *check, const Account *account)
{
    const ServerInfo *home = directory_server(check->op.servers, account->mail_host);
    const char *port = account->transport != NULL ? strrchr(account->transport, ':') : NULL;
    guint64 number = 0;

    return port == NULL || home == NULL ||
           (g_ascii_string_to_unsigned(port + 1, 10, 1, 65535, &number, NULL) &&
            number == home->lmtp_port);
}

void test_transport_port(Check *check, const CheckTest *test)
{
    unsigned good = 0;

    for (guint i = 0; i < check->accounts->len; i++) {
        const Account *account = g_ptr_array_index(check->accounts, i);

        if (port_fits(check, account))
            good++;
        else
            check_add(check, test, CHECK_WARN, account->address,
                      "its transport %s has another port than zimbraLmtpBindPort of its home",
                      account->transport);
    }
    if (good > 0)
        check_add(check, test, CHECK_OK, NULL, "%u fit", good);
}

static bool pool_allows(char **pool, const char *server_id)
{
    for (; *pool != NULL; pool++)
        if (g_ascii_strcasecmp(*pool, server_id) == 0)
            return true;
    return false;
}

void test_host_pool(Check *check, const CheckTest *test)
{
    const ServerInfo *there = directory_server(check->op.servers, check->request->destination);
    GError *problem = NULL;
    g_autoptr(GHashTable) pools = directory_host_pools(check->op.directory, &problem);
    unsigned outside = 0;

    if (pools == NULL) {
        check_judge(check, test, CHECK_WARN, NULL, false, problem);
        return;
    }
    for (guint i = 0; i < check->accounts->len; i++) {
        const Account *account = g_ptr_array_index(check->accounts, i);
        char **pool =
            g_hash_table_lookup(pools, account->cos_id != NULL ? account->cos_id : "");

        outside += pool != NULL && there->id != NULL && !pool_allows(pool, there->id);
    }
    check_add(check, test, outside > 0 ? CHECK_WARN : CHECK_OK, there->hostname,
              "the class of service of %u of these accounts has a pool without it", outside);
}

/* Mailboxes. */

/* One reason of many accounts is their stores', which other tests tell: before these fit nothing else is looked
 * at. Its words may be others by now, such as how far clocks are apart. */
static bool is_of_stores(Check *check, const MailboxResult *result)
{
    g_autoptr(GError) ignored = NULL;
    Store *source = operation_store(&check->op, result->source, &ignored);

    return source == NULL || check->target == NULL ||
           !plan_check_stores(&check->op, source, check->target, NULL);
}

void test_mailbox(Check *check, const CheckTest *test)
{
    const GPtrArray *results = check->op.report->mailboxes;
    g_autofree char *subject = g_strdup_printf("%u mailbox%s", check->moves->len,
                                               check->moves->len == 1 ? "" : "es");
    unsigned stores = 0;

    for (guint i = 0; i < results->len; i++) {
        const MailboxResult *result = g_ptr_array_index(results, i);

        if (result->outcome != OUTCOME_FAILED || result->test != NULL)
            continue;
        if (is_of_stores(check, result))
            stores++;
        else
            check_add(check, test, CHECK_FAIL, result->address, "%s", result->reason);
    }
    if (stores > 0)
        check_add(check, test, CHECK_NOT_POSSIBLE, NULL,
                  "%u account%s could not be looked at: mend what is above", stores,
                  stores == 1 ? "" : "s");
    if (check->moves->len > 0)
        check_add(check, test, CHECK_OK, subject, "as %s should be",
                  check->moves->len == 1 ? "it" : "they");
}

static bool ask_mailbox_version(Check *check G_GNUC_UNUSED, Move *move, GError **error)
{
    return move->source_mailbox == 0 || mailbox_row_version_fits(move, error);
}

void test_mailbox_version(Check *check, const CheckTest *test)
{
    check_moves(check, test, CHECK_FAIL, ask_mailbox_version);
}

static bool ask_leftover(Check *check G_GNUC_UNUSED, Move *move, GError **error)
{
    const char *probe;

    return reserve_explained(move, &probe, error);
}

void test_leftover(Check *check, const CheckTest *test)
{
    check_moves(check, test, CHECK_FAIL, ask_leftover);
}

static bool ask_reindex(Check *check, Move *move, GError **error)
{
    bool running = false;

    if (move->source_mailbox != 0 &&
        !admin_reindexing(move->source->soap, move->account->id, check->wait, &running, error))
        return false;
    return !running ||
           fail(error, ZX_ERROR_REFUSED, "%s is indexing it anew", move->source->name);
}

void test_reindex(Check *check, const CheckTest *test)
{
    check_moves(check, test, CHECK_WARN, ask_reindex);
}

/* Of each mailbox the newest ones: enough to see a volume that is gone or mapped wrongly. */
#define BLOBS_SAMPLED 3

static bool ask_blob(Move *move, const Rows *rows, unsigned i, GError **error)
{
    BlobRef ref = { .mailbox = move->source_mailbox,
                    .item = (uint32_t)rows_u64(rows, i, 0),
                    .mod_content = (uint32_t)rows_u64(rows, i, 1),
                    .size = rows_u64(rows, i, 2) };
    g_autofree char *damage = NULL;
    unsigned volume;
    size_t length;
    const char *locator = rows_bytes(rows, i, 4, &length);

    if (!volume_from_locator(locator, length, &volume))
        return fail(error, ZX_ERROR_REFUSED, "item %u has the locator %s", ref.item, locator);
    ref.volume = (uint8_t)volume;
    g_strlcpy(ref.digest, rows_text(rows, i, 3), sizeof ref.digest);
    if (!peer_blob_check(move->source->peer, &ref, &damage, error))
        return false;
    return damage == NULL || fail(error, ZX_ERROR_DATA, "item %u: %s", ref.item, damage);
}

static bool ask_blobs(Check *check G_GNUC_UNUSED, Move *move, GError **error)
{
    g_autofree char *table = g_strdup_printf("mboxgroup%u.mail_item", move->source_group);
    g_autoptr(Rows) rows = NULL;

    if (move->source_mailbox == 0)
        return true;
    rows = db_query(move->source->control, error,
                    "SELECT id, mod_content, size, blob_digest, locator FROM ? WHERE mailbox_id = ?"
                    " AND blob_digest IS NOT NULL AND locator IS NOT NULL ORDER BY id DESC LIMIT ?",
                    DB_ARGS(db_sql(table), db_u64(move->source_mailbox), db_u64(BLOBS_SAMPLED)));
    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++)
        if (!ask_blob(move, rows, i, error))
            return false;
    return rows != NULL;
}

void test_blobs(Check *check, const CheckTest *test)
{
    check_moves(check, test, CHECK_WARN, ask_blobs);
}

void test_sleepers(Check *check, const CheckTest *test)
{
    Sleeping all[SLEEPERS] = { 0 };

    for (guint i = 0; i < check->moves->len; i++) {
        const Move *move = g_ptr_array_index(check->moves, i);
        Sleeping own[SLEEPERS] = { 0 };
        GError *problem = NULL;

        if (!sleepers_count(move->source->control, move->source_mailbox, own, &problem)) {
            check_judge(check, test, CHECK_WARN, move->account->address, false, problem);
            return;
        }
        for (int kind = 0; kind < SLEEPERS; kind++)
            all[kind].count += own[kind].count;
    }
    check_add(check, test,
              all[SLEEPER_SEND].count + all[SLEEPER_POLL].count > 0 ? CHECK_WARN : CHECK_OK,
              check->request->destination,
              "%" G_GUINT64_FORMAT " delayed sends, %" G_GUINT64_FORMAT
              " data source polls, %" G_GUINT64_FORMAT " reminders, %" G_GUINT64_FORMAT
              " expiring grants would sleep there",
              all[SLEEPER_SEND].count, all[SLEEPER_POLL].count, all[SLEEPER_REMINDER].count,
              all[SLEEPER_GRANT].count);
}
