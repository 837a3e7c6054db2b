/* test_marks.c - what a difference between an old copy and the mailbox in use means. */
#include "core/move/marks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SHA1   "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
#define SHA256 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define OTHER  "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="

enum { COMMIT = 100 };

static const Since quiet = { .change = COMMIT }, tracked = { .change = COMMIT, .tracking = true },
                   stray = { .change = COMMIT, .stray = true }, unknown = { .stray = true };

static void expect(Judgement got, Mark mark, bool alarm, const char *words)
{
    if (got.mark != mark || got.alarm != alarm || strstr(got.reason, words) == NULL)
        fail_msg("mark %d, %s: %s; expected %d, %s: %s", got.mark, got.alarm ? "alarm" : "fine",
                 got.reason, mark, alarm ? "alarm" : "fine", words);
}

static void gone(void **state G_GNUC_UNUSED)
{
    const ItemFacts message = { .type = 5, .folder = 2, .mod_metadata = 7 };
    const ItemFacts folder = { .type = 1, .mod_metadata = 7 }, talk = { .type = 4 };
    const ItemFacts late = { .type = 5, .mod_metadata = COMMIT + 1 };
    const Witness none = { 0 }, counted = { .counted = true }, tombstone = { .tombstone = true },
                  dumpster = { .dumpster = true }, named = { .named = true, .tombstone = true },
                  all = { .tombstone = true, .counted = true };

    expect(mark_gone(&message, &quiet, &tombstone), MARK_OLD, false, "deleted since");
    expect(mark_gone(&message, &quiet, &dumpster), MARK_OLD, false, "dumpster");
    expect(mark_gone(&message, &quiet, &counted), MARK_OLD, false, "count of its folder");
    expect(mark_gone(&message, &quiet, &none), MARK_OLD, true, "nothing explains");
    expect(mark_gone(&message, &tracked, &counted), MARK_OLD, true, "a tombstone");
    expect(mark_gone(&message, &tracked, &tombstone), MARK_OLD, false, "deleted since");
    expect(mark_gone(&message, &stray, &counted), MARK_OLD, true, "user lacks it");
    expect(mark_gone(&message, &stray, &tombstone), MARK_OLD, false, "deleted since");
    expect(mark_gone(&late, &quiet, &all), MARK_OLD, true, "after the move");
    expect(mark_gone(&late, &unknown, &all), MARK_OLD, false, "deleted since");
    expect(mark_gone(&late, &unknown, &none), MARK_OLD, true, "user lacks it");
    expect(mark_gone(&folder, &quiet, &none), MARK_OLD, false, "nothing is in it");
    expect(mark_gone(&folder, &quiet, &named), MARK_BAD, true, "name it");
    expect(mark_gone(&talk, &tracked, &none), MARK_OLD, false, "conversation");
}

static void changed(void **state G_GNUC_UNUSED)
{
    static const char *const flags[] = { "flags", NULL }, *const subject[] = { "subject", NULL },
                             *const counts[] = { "size", "unread", "metadata", NULL },
                             *const digest[] = { "blob_digest", NULL };
    const ItemFacts old = {
        .type = 5, .size = 9, .mod_metadata = 7, .mod_content = 7, .digest = SHA256
    };
    const ItemFacts folder = { .type = 1, .mod_metadata = 7 };
    ItemFacts new = old, before = old;

    expect(mark_changed(&old, &new, flags, &quiet), MARK_CHANGED, false, "since");
    expect(mark_changed(&old, &new, subject, &quiet), MARK_BAD, true, "without a change number");
    expect(mark_changed(&old, &new, counts, &quiet), MARK_BAD, true, "without a change number");
    expect(mark_changed(&folder, &folder, counts, &quiet), MARK_CHANGED, false, "since");
    new.mod_metadata = COMMIT + 5;
    expect(mark_changed(&old, &new, subject, &quiet), MARK_CHANGED, false, "since");
    expect(mark_changed(&new, &old, subject, &quiet), MARK_BAD, true, "in the old copy after");
    before.mod_metadata = 8;
    expect(mark_changed(&before, &old, subject, &quiet), MARK_BAD, true, "older");

    g_strlcpy(new.digest, OTHER, sizeof new.digest);
    expect(mark_changed(&old, &new, digest, &quiet), MARK_BAD, true, "the same revision");
    new.mod_content = COMMIT + 5;
    expect(mark_changed(&old, &new, digest, &quiet), MARK_CHANGED, false, "since");
    expect(mark_changed(&old, &new, digest, &stray), MARK_BAD, true, "another item");
    new.type = 6;
    expect(mark_changed(&old, &new, digest, &quiet), MARK_BAD, true, "another item");

    /* A digest of the old kind, written anew. */
    before = new = old;
    g_strlcpy(before.digest, SHA1, sizeof before.digest);
    expect(mark_changed(&before, &new, digest, &quiet), MARK_CHANGED, false, "since");
    new.size++;
    expect(mark_changed(&before, &new, digest, &quiet), MARK_BAD, true, "the same revision");
}

static void come(void **state G_GNUC_UNUSED)
{
    const ItemFacts late = { .mod_metadata = COMMIT + 1 }, early = { .mod_metadata = COMMIT };

    expect(mark_come(&late, &quiet), MARK_NEW, false, "new since");
    expect(mark_come(&early, &quiet), MARK_NEW, false, "from before the move");
}

static void other_tables(void **state G_GNUC_UNUSED)
{
    expect(mark_row("tagged_item", MARK_OLD, true, false), MARK_OLD, true, "as it was");
    expect(mark_row("tagged_item", MARK_OLD, false, false), MARK_OLD, false, "has changed");
    expect(mark_row("tagged_item", MARK_NEW, true, false), MARK_NEW, false, "new since");
    expect(mark_row("appointment", MARK_CHANGED, true, false), MARK_BAD, true, "as it was");
    expect(mark_row("tag", MARK_OLD, true, true), MARK_OLD, true, "keeps this tag");
    expect(mark_row("tag", MARK_OLD, true, false), MARK_OLD, false, "without a trace");
    expect(mark_row("tombstone", MARK_OLD, true, true), MARK_OLD, false, "without a trace");
    expect(mark_row("mailbox_metadata", MARK_CHANGED, true, false), MARK_CHANGED, false, "since");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gone),
        cmocka_unit_test(changed),
        cmocka_unit_test(come),
        cmocka_unit_test(other_tables),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("marks", tests, NULL, NULL);
}
