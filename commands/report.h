/* report.h - the Report of an operation as people and programs read it: lines, JSON, CSV, mail. */
#ifndef ZX_COMMANDS_REPORT_H
#define ZX_COMMANDS_REPORT_H

#include "commands/commands.h"

/* What the command knew and the Report does not say. */
typedef struct ReportText {
    char *selection;         /* "company.ru": what was asked for */
    const char *destination; /* NULL unless a move, and to one store */
    char **notifications;    /* NULL: nobody */
    unsigned stages;         /* of Stage, of a move */
    bool staged;             /* a move without its account stage */
    bool plan;               /* a move that was only looked at */
    bool strict;             /* who is skipped is not done */
    bool purge, recover, dry_run;
    unsigned retention_days; /* filled by report_finish */
    bool interrupted;        /* the same: the user asked to stop */
} ReportText;

typedef struct Totals {
    unsigned moved, staged, skipped, failed, in_doubt, purged, kept, finished, undone, explained;
    unsigned planned;
    unsigned not_reached;
    unsigned bad_items;  /* of the moved: left behind */
    unsigned unfinished; /* of the moved: something is left for doRecover */
    uint64_t bytes, bytes_freed;
    double window_median, window_longest; /* ms; 0 if no window was opened */
    const char *longest_address;          /* borrowed */
    Sleeping sleeping[SLEEPERS];
} Totals;
Totals report_totals(const Report *report);

/* "median 66 ms, longest 88 ms (anna@company.ru)", or NULL if no window was opened. */
char *report_locked(const Totals *totals);
/* "2 delayed sends (first due 2026-03-01 08:00), 1 reminder, until mailboxd of mail2 is restarted",
 * or NULL if nothing sleeps; report_sleeping is the part before "until", of one mailbox or all. */
char *report_asleep(const Totals *totals, const ReportText *text);
char *report_sleeping(const Sleeping sleeping[SLEEPERS]);
/* "2026-03-01": the day that is @days after @ms. */
char *report_day_after(int64_t ms, unsigned days);
/* "company.ru", "a@x and 11 more". */
char *report_selection(char **names);

/* The one store that all its mailboxes go to; NULL if there are several. */
const char *report_destination(const Report *report);

int report_status(const Report *report, const ReportText *text);
/* DONE, PARTIAL, FAILED, STOPPED, INTERRUPTED or PURGED: what a mail filter acts on. */
const char *report_word(const Report *report, const ReportText *text);
/* "237 moved, 0 failed, 3 skipped". */
char *report_counts(const Totals *totals, const ReportText *text);

/* "already damaged on mail1: item 270 (Inbox, Hello): missing", one of its bad_items. */
char *report_bad_item(const MailboxResult *mailbox, const BadItem *item);

/* The command that takes @mailbox further, or NULL if there is none. */
char *report_next(const Report *report, const MailboxResult *mailbox);

json_t *report_json(const Report *report, const ReportText *text);
char *report_csv(const Report *report);
/* RFC 4180: a field more of the line at hand, quoted where needed, quotes doubled. NULL is empty. */
void csv_field(GString *out, const char *text);
void csv_count(GString *out, uint64_t value);
/* The lines of mailboxes that no event told of (@told: the results that were): what was skipped or
 * refused before anything began. */
char *report_untold(const Report *report, GHashTable *told, bool quiet);
/* What is printed at the end, after the lines of the mailboxes. */
char *report_summary(const Report *report, const ReportText *text);
/* One mailbox: a line, and below it its notes, and with @detailed the steps of its window. */
char *report_mailbox(const MailboxResult *mailbox, unsigned index, unsigned total, bool detailed);

/* plan.c: what a dry run has to say beside: of a mailbox, of all of them. Nothing of other reports. */
void plan_mailbox_line(GString *out, const MailboxResult *mailbox);
void plan_summary(GString *out, const Report *report);
/* Of all mailboxes; the window is the longest. */
Forecast plan_sum(const Report *report);
bool plan_is_one(const Report *report);
/* A file for input_file: the addresses that were planned, in order. */
bool plan_save(const Report *report, const char *path, GError **error) MUST_USE;

/* The notification: its subject, and the text that carries the CSV. */
char *mail_subject(const Report *report, const ReportText *text);
char *mail_body(const Report *report, const ReportText *text);
/* To text->notifications: @why the operation could not begin. One that cannot be sent is kept. */
void mail_not_begun(Session *session, const char *operation, const char *command,
                    const ReportText *text, const GError *why);

/* Mails, keeps and tells: what every operation does when core has answered. A mail that cannot be
 * sent and a report that cannot be kept are told and are no failure of the operation. */
void report_finish(Session *session, Core *core, Report *report, ReportText *text, Result *result);

#endif
