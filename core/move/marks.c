/* marks.c - see marks.h. */
#include "core/move/marks.h"
#include <string.h>

/* doc/platform.md 2.8 */
enum { FOLDER = 1, SEARCH_FOLDER = 2, CONVERSATION = 4, MESSAGE = 5, MOUNTPOINT = 13 };

static bool is_folder(unsigned type)
{
    return type == FOLDER || type == SEARCH_FOLDER || type == MOUNTPOINT;
}

static Judgement explained(Mark mark, const char *reason)
{
    return (Judgement){ .mark = mark, .reason = reason };
}

static Judgement alarming(Mark mark, const char *reason)
{
    return (Judgement){ .mark = mark, .alarm = true, .reason = reason };
}

/* A row of the old copy from after the commit: its mailboxd took it for the mailbox in use. */
static bool is_late(const ItemFacts *old, const Since *since)
{
    return since->change != 0 && old->mod_metadata > since->change;
}

Judgement mark_gone(const ItemFacts *old, const Since *since, const Witness *witness)
{
    if (witness->named)
        return alarming(MARK_BAD, "rows of the mailbox in use name it, and it is not there");
    if (is_late(old, since))
        return alarming(MARK_OLD, "written to the old copy after the move: the user lacks it");
    if (witness->tombstone)
        return explained(MARK_OLD, "deleted since the move");
    if (witness->dumpster)
        return explained(MARK_OLD, "deleted since the move, still in the dumpster");
    if (old->type == CONVERSATION)
        return explained(MARK_OLD, "a conversation that has ended");
    if (since->stray)
        return alarming(MARK_OLD, "only the stray copy has it: the user lacks it");
    if (since->tracking)
        return alarming(MARK_OLD, "nothing explains it: a deletion would have left a tombstone");
    if (is_folder(old->type))
        return explained(MARK_OLD, "deleted since the move: nothing is in it any more");
    if (witness->counted)
        return explained(MARK_OLD, "deleted since the move, by the count of its folder");
    return alarming(MARK_OLD, "nothing explains it: its folder counts more items than it has");
}

Judgement mark_come(const ItemFacts *new, const Since *since)
{
    return explained(MARK_NEW, new->mod_metadata > since->change
                                   ? "new since the move"
                                   : "not in the old copy, with a number from before the move");
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* What mailboxd writes without a new change number (2.7 B). */
static bool may_change_quietly(const char *column, unsigned type)
{
    static const char *const any[] = { "index_id", "flags", "prev_folders", "uuid", NULL };
    static const char *const counted[] = { "size", "unread", "metadata", NULL };

    return is_among(column, any) || type == CONVERSATION ||
           (is_folder(type) && is_among(column, counted));
}

/* A dedupe tool rewrites digests of the old kind (3.5). */
static bool digest_rewritten(const ItemFacts *old, const ItemFacts *new)
{
    return strlen(old->digest) != strlen(new->digest) && old->digest[0] != '\0' &&
           new->digest[0] != '\0' && old->size == new->size;
}

static bool all_quiet(const ItemFacts *old, const ItemFacts *new, const char *const *columns)
{
    for (; *columns != NULL; columns++)
        if (!may_change_quietly(*columns, new->type) &&
            !(strcmp(*columns, "blob_digest") == 0 && digest_rewritten(old, new)))
            return false;
    return true;
}

Judgement mark_changed(const ItemFacts *old, const ItemFacts *new, const char *const *columns,
                       const Since *since)
{
    const bool content = strcmp(old->digest, new->digest) != 0 && !digest_rewritten(old, new);

    if (old->type != new->type || (since->stray && content && new->type == MESSAGE))
        return alarming(MARK_BAD, "another item has its number");
    if (is_late(old, since))
        return alarming(MARK_BAD, "changed in the old copy after the move");
    if (content && old->mod_content == new->mod_content)
        return alarming(MARK_BAD, "another content under the same revision");
    if (new->mod_metadata < old->mod_metadata)
        return alarming(MARK_BAD, "older than in the old copy");
    if (new->mod_metadata == old->mod_metadata && !all_quiet(old, new, columns))
        return alarming(MARK_BAD, "altered without a change number");
    return explained(MARK_CHANGED, "changed since the move");
}

Judgement mark_row(const char *table, Mark mark, bool same, bool system)
{
    const bool of_item = strcmp(table, "tagged_item") == 0 || strcmp(table, "appointment") == 0;

    if (mark == MARK_NEW)
        return explained(mark, "new since the move");
    if (of_item && same)
        return alarming(mark == MARK_CHANGED ? MARK_BAD : mark, "its item is as it was");
    if (strcmp(table, "tag") == 0 && mark == MARK_OLD && system)
        return alarming(mark, "mailboxd itself keeps this tag");
    if (of_item)
        return explained(mark, "its item has changed since the move");
    return explained(mark, mark == MARK_CHANGED ? "changed since the move"
                                                : "such rows go without a trace");
}
