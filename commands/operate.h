/* operate.h - verbs whose work is an operation, which has a row on a store and may be a process of
 * its own: what is the verb's own in it (Operating), and what is the same for all. */
#ifndef ZX_COMMANDS_OPERATE_H
#define ZX_COMMANDS_OPERATE_H

#include "commands/report.h"

/* How an operation begins. */
typedef struct Begin {
    const char *operation; /* its uuid */
    const char *store;   /* on which the row of it is that another process began; NULL: it is new */
    const char *host;    /* of the switch --host, or NULL */
    const char *command; /* for journal and mail */
} Begin;

struct Operating {
    bool moves;   /* mailboxes, each to a store */
    bool pauses;  /* doSuspend: there is something between two steps of it to wait at */
    bool holds;   /* doCompleteMove: it may wait for a person's word */
    bool resumes; /* doResume takes up what is left; else it is run again, and sees what it finds */
    /* It only looks: there will be no row of it, and it stays where it was typed. */
    bool (*looks)(const void *request);
    /* What --host and the place of the line have to say to it. May be NULL. */
    bool (*prepare)(Session *session, void *request, const char *host, GError **error);
    /* What nobody can be asked any more once it has begun. May be NULL. */
    bool (*settle)(Session *session, void *request, GError **error);
    /* NULL with an error when nothing could be begun. */
    Report *(*go)(Session *session, void *request, const Begin *begin, GError **error);
    /* When it has ended, before it is reported. May be NULL. */
    bool (*after)(Session *session, const void *request, const Report *report, GError **error);
    /* What its report says beside what happened; text->selection is the caller's to g_free. */
    void (*text)(const void *request, ReportText *text);
};

/* The run of every such verb. */
bool operate_run(Session *session, void *request, Result *result, GError **error) MUST_USE;
/* One that was begun before, as it was recorded: on from where it stood, in this process. */
bool operate_again(Session *session, const Command *command, void *request, const Begin *begin,
                   Result *result, GError **error) MUST_USE;

/* Of the verb that an operation was recorded as: NULL if this version has no such one. */
const Operating *operate_of(const OperationLook *operation);
/* The command that goes on with one that ended early. g_free. */
char *operate_next(const OperationLook *operation);

#endif
