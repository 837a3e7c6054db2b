/* trust.c - trust: shows what servers prove themselves by, and has zxmove believe it when a person,
 * who has compared it, says so. Nothing else ever does. */
#include "commands/around.h"
#include <string.h>

typedef struct TrustRequest {
    char *store;
    char **fingerprints;
    bool replace;
} TrustRequest;

static const char *state_word(TrustState state)
{
    static const char *const words[TRUST_STATES] = {
        [TRUST_KNOWN] = "known", [TRUST_NEW] = "new",           [TRUST_CHANGED] = "CHANGED",
        [TRUST_UNFIT] = "unfit", [TRUST_UNREACHED] = "unreached",
    };

    return words[state];
}

static json_t *trust_json(const Trust *trust, bool stored)
{
    json_t *object = json_object();

    set_text(object, "server", trust->server);
    set_text(object, "kind", trust->kind);
    set_text(object, "state", stored ? "stored" : state_word(trust->state));
    set_text(object, "address", trust->address);
    set_text(object, "shows", trust->what);
    set_text(object, "fingerprint", trust->fingerprint);
    set_text(object, "believed_until_now", trust->recorded);
    if (trust->state != TRUST_KNOWN)
        set_text(object, "compare_with", trust->compare);
    set_text(object, "file", trust->file);
    set_text(object, "reason", trust->problem);
    return object;
}

/* By its fingerprint, letter by letter as ssh-keygen and openssl print it. */
static bool is_named(const Trust *trust, char **fingerprints)
{
    return fingerprints != NULL &&
           g_strv_contains((const char *const *)fingerprints, trust->fingerprint);
}

static bool ask_new(Session *session, const Trust *trust)
{
    g_autofree char *question = g_strdup_printf(
        "\n%s of %s (%s), not known yet:\n"
        "  %s\n  %s\n"
        "On that server this prints the same, if nobody is in between:\n  %s\n"
        "Does it, and shall zxmove believe it from now on?",
        trust->kind, trust->server, trust->address, trust->what, trust->fingerprint,
        trust->compare);

    return session->confirm(session->data, question);
}

/* A second time by name: a reinstalled server is rare, and the hand is used to y. */
static bool ask_changed(Session *session, const Trust *trust)
{
    g_autofree char *first = g_strdup_printf(
        "\nTHE %s OF %s (%s) HAS CHANGED. It was reinstalled, or somebody is in between.\n"
        "  believed until now: %s\n"
        "  shown now:          %s  %s\n"
        "On that server this prints the one shown now, if nobody is in between:\n  %s\n"
        "Was it reinstalled, and does it?",
        trust->kind, trust->server, trust->address, trust->recorded, trust->fingerprint,
        trust->what, trust->compare);
    g_autofree char *second =
        g_strdup_printf("Replace %s by %s for %s?", trust->recorded, trust->fingerprint,
                        trust->server);

    return session->confirm(session->data, first) && session->confirm(session->data, second);
}

static bool is_accepted(Session *session, const TrustRequest *request, const Trust *trust)
{
    const bool changed = trust->state == TRUST_CHANGED;

    if (trust->state != TRUST_NEW && !changed)
        return false;
    if (is_named(trust, request->fingerprints))
        return !changed || request->replace;
    if (session->confirm == NULL || request->fingerprints != NULL || wait_stopped(&session->wait))
        return false;
    return changed ? ask_changed(session, trust) : ask_new(session, trust);
}

/* What is left that zxmove does not believe. */
static void set_status(Session *session, const GPtrArray *list, Result *result)
{
    const Trust *first = NULL;
    guint unreached = 0, left = 0;

    for (guint i = 0; i < list->len; i++) {
        const Trust *trust = g_ptr_array_index(list, i);

        unreached += trust->state == TRUST_UNREACHED;
        if (trust->state == TRUST_KNOWN || trust->state == TRUST_UNREACHED)
            continue;
        if (left++ == 0)
            first = trust;
    }
    if (wait_stopped(&session->wait))
        fail(&result->problem, ZX_ERROR_INTERRUPTED, "interrupted: what is stored stays");
    else if (left > 0)
        fail(&result->problem, ZX_ERROR_DENIED,
             "%u not believed, the first: the %s of %s is %s%s%s%s", left, first->kind,
             first->server, state_word(first->state), first->problem != NULL ? ": " : "",
             first->problem != NULL ? first->problem : "",
             session->confirm == NULL && first->problem == NULL
                 ? "\ncompare its fingerprint; then run trust at a terminal, or name what was "
                   "compared: trust fingerprints ..., and replace true for one that changed"
                 : "");
    else if (unreached > 0)
        fail(&result->problem, unreached < list->len ? ZX_ERROR_PARTIAL : ZX_ERROR_CONNECT,
             "%u of %u could not be asked", unreached, list->len);
    if (result->problem != NULL)
        result->status = error_exit_status(error_code(result->problem));
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const TrustRequest *request = data;
    const char *host = request->store != NULL ? request->store : session->switches->host;
    Core *core = session_core(session, error);
    g_autoptr(GPtrArray) list = NULL;
    json_t *shown;

    if (core == NULL || (list = core_trust(core, host, &session->wait, error)) == NULL)
        return false;
    shown = json_array();
    result->response = json_pack("{s:o}", "trust", shown);
    for (guint i = 0; i < list->len; i++) {
        Trust *trust = g_ptr_array_index(list, i);
        bool stored;

        /* A signer believed a moment ago may have signed this one, too. */
        if (!core_trust_again(core, trust, error))
            return false;
        stored = is_accepted(session, request, trust);
        if (stored && !core_trust_store(core, trust, error))
            return false;
        json_array_append_new(shown, trust_json(trust, stored));
    }
    set_status(session, list, result);
    return true;
}

/* clang-format off */
static const Arg args[] = {
    ARG(TrustRequest, store, .name = "store", .type = ARG_HOST, .flags = ARG_POSITIONAL,
        .expected = "service host name of a mailbox server", .unset = "all, and the directory",
        .help = "only what this store shows"),
    ARG(TrustRequest, fingerprints, .name = "fingerprints", .type = ARG_PRINTS,
        .expected = "SHA256:kx2...,AB:CD:...",
        .help = "believe these and ask nothing: you have compared them already"),
    ARG(TrustRequest, replace, .name = "replace", .type = ARG_BOOL, .fallback = "false",
        .help = "of the fingerprints, also those that replace another one"),
    { 0 },
};
/* clang-format on */

const Command cmd_trust = {
    .name = "trust",
    .group = "First contact",
    .summary = "compare and store host keys and certificates",
    .description =
        "Shows the ssh host key and the SOAP certificate of every store and the certificate of\n"
        "the LDAP master: known, new, CHANGED, or unfit (expired, of another name). What is new\n"
        "is asked about, with the command that prints the fingerprint on the server itself; what\n"
        "changed is asked about twice. A yes is written to ssh.known_hosts or to ca_file, if that\n"
        "is zxmove's own. --yes answers none of this; fingerprints does.\n"
        "Exit status: 0 all known, 77 something is not, 5 or 69 a server could not be asked.",
    .args = args,
    .request_size = sizeof(TrustRequest),
    .examples = (const char *const[]){ "trust", "trust mail2.example.com",
                                       "trust mail2.example.com fingerprints "
                                       "SHA256:uDdvcqvPZ0R0bVbbDIYBXuTxj2GQpLdPgD0fW0yGUIY",
                                       NULL },
    .run = run,
};
