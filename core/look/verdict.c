/* verdict.c - where an account is, in one sentence: what an administrator reads first. Pure. */
#include "core/look/look.h"
#include <string.h>

static const StoreView *view_of(const Whereabouts *where, const char *store)
{
    for (guint i = 0; store != NULL && i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (g_ascii_strcasecmp(view->store, store) == 0)
            return view;
    }
    return NULL;
}

static bool is_home(const Whereabouts *where, const StoreView *view)
{
    return where->home != NULL && g_ascii_strcasecmp(where->home, view->store) == 0;
}

static char *day_of(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);

    return g_date_time_format(time, "%Y-%m-%d");
}

static char *moment_of(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);

    return g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
}

/* A copy that @view records lies on @store under this id. */
static bool records(const StoreView *view, const char *store, int64_t mailbox_id)
{
    for (guint i = 0; i < view->copies->len; i++) {
        const CopyLook *copy = g_ptr_array_index(view->copies, i);

        if (copy->mailbox_id == mailbox_id &&
            g_ascii_strcasecmp(copy->left_on != NULL ? copy->left_on : view->store, store) == 0)
            return true;
    }
    return false;
}

/* The row is what zxmove says was left there, or what it is making there. */
static bool is_explained(const Whereabouts *where, const StoreView *view)
{
    bool explained = view->reserved == view->mailbox_id;

    for (guint i = 0; i < where->stores->len && !explained; i++)
        explained = records(g_ptr_array_index(where->stores, i), view->store, view->mailbox_id);
    return explained;
}

/* A mailbox beside the home that nothing explains; NULL if there is none. */
static const StoreView *other_home(const Whereabouts *where)
{
    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (view->mailbox_id > 0 && !is_home(where, view) && !is_explained(where, view))
            return view;
    }
    return NULL;
}

/* Somebody has a claim on the account that still counts; NULL if nobody. */
static const StoreView *worked_on(const Whereabouts *where)
{
    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (view->claim_operation != NULL && (!view->claim_expired || view->claim_locked))
            return view;
    }
    return NULL;
}

static const StoreView *window_of(const Whereabouts *where)
{
    const StoreView *found = NULL;

    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        /* The source's row decides while the source is home, the destination's after. */
        if (view->window_operation != NULL && (found == NULL || is_home(where, view)))
            found = view;
    }
    return found;
}

static void add_lost(GString *text, const Whereabouts *where)
{
    bool found = false;

    g_string_append(text, "not in the directory");
    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (view->mailbox_id <= 0)
            continue;
        g_string_append_printf(text, "; a mailbox is left on %s (%" G_GINT64_FORMAT ")",
                               view->store, view->mailbox_id);
        found = true;
    }
    if (!found)
        g_string_append(text, "; no store that answered has a mailbox of it");
}

static void add_window(GString *text, const Whereabouts *where, const StoreView *window)
{
    const StoreView *worker = worked_on(where);
    g_autofree char *since = moment_of(window->window_since);

    g_string_append_printf(text, "in a window of operation %s since %s, from %s to %s (%s); ",
                           window->window_operation, since, window->window_from, window->window_to,
                           window->window_state);
    if (where->in_directory)
        g_string_append_printf(text, "by the directory it lives on %s",
                               where->home != NULL ? where->home : "no store");
    else
        add_lost(text, where);
    if (worker != NULL)
        g_string_append_printf(text, ": process %u on %s works on it", worker->claim_pid,
                               worker->claim_host);
    else
        g_string_append_printf(text, ": nobody works on it any more, run doRecover accounts %s",
                               where->account);
}

static void add_home(GString *text, const Whereabouts *where)
{
    const StoreView *home = view_of(where, where->home);
    const StoreView *other = other_home(where);

    if (where->home == NULL)
        g_string_append(text, "the directory names no home for it");
    else if (home == NULL)
        g_string_append_printf(text, "by the directory it lives on %s, which is not in the "
                                     "configuration",
                               where->home);
    else if (!home->asked)
        g_string_append_printf(text, "by the directory it lives on %s, which could not be asked",
                               where->home);
    else if (home->mailbox_id == 0 && other != NULL)
        g_string_append_printf(text, "two homes disagree: the directory says %s, where it has no "
                                     "mailbox",
                               where->home);
    else if (home->mailbox_id == 0)
        g_string_append_printf(text, "lives on %s and has no mailbox yet", where->home);
    else
        g_string_append_printf(text, "lives on %s", where->home);
    if (other != NULL)
        g_string_append_printf(text, "; %s has mailbox %" G_GINT64_FORMAT
                                     " of it, which no record of zxmove explains",
                               other->store, other->mailbox_id);
}

static void add_copies(GString *text, const Whereabouts *where, const StoreView *view)
{
    for (guint i = 0; i < view->copies->len; i++) {
        const CopyLook *copy = g_ptr_array_index(view->copies, i);
        g_autofree char *until = day_of(copy->purge_after);

        if (strcmp(copy->state, "stray") == 0)
            g_string_append_printf(text, "; a stray copy on %s",
                                   copy->left_on != NULL ? copy->left_on : view->store);
        else
            g_string_append_printf(text, "; an old copy on %s until %s", view->store, until);
    }
    if (view->reserved > 0 && !is_home(where, view))
        g_string_append_printf(text, "; partly copied to %s", view->store);
}

static void add_remarks(GString *text, const Whereabouts *where)
{
    const StoreView *home = view_of(where, where->home);
    const StoreView *worker = worked_on(where);

    if (worker != NULL)
        g_string_append_printf(text, "; operation %s works on it (process %u on %s)",
                               worker->claim_operation, worker->claim_pid, worker->claim_host);
    if (where->home != NULL && !where->transport_fits)
        g_string_append_printf(text, "; its mail is delivered elsewhere, to %s", where->transport);
    if (where->status != NULL && strcmp(where->status, "active") != 0)
        g_string_append_printf(text, "; its status is %s", where->status);
    if (home != NULL && home->mailboxd_locked)
        g_string_append_printf(text, "; its mailbox is locked on %s", where->home);
}

char *verdict_of(const Whereabouts *where)
{
    GString *text = g_string_new(NULL);
    const StoreView *window = window_of(where);

    if (window != NULL)
        add_window(text, where, window);
    else if (!where->in_directory)
        add_lost(text, where);
    else
        add_home(text, where);
    for (guint i = 0; i < where->stores->len; i++)
        add_copies(text, where, g_ptr_array_index(where->stores, i));
    if (window == NULL && where->in_directory)
        add_remarks(text, where);
    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (!view->asked && !is_home(where, view))
            g_string_append_printf(text, "; %s could not be asked", view->store);
    }
    return g_string_free(text, FALSE);
}
