/* commands.h - what a verb is. One const Command per verb says everything there is to know about
 * it: the parser, its messages, help, completion and the tests read the same rows, so they cannot
 * disagree. A verb gets a typed request and never sees a word it would have to parse; it prints
 * nothing, it fills a Result. */
#ifndef ZX_COMMANDS_H
#define ZX_COMMANDS_H

#include "core/core.h"
#include "core/fields.h"
#include <stddef.h>

typedef struct Command Command;
typedef struct Operating Operating;

typedef enum ArgType {
    ARG_TEXT,      /* char *                                        */
    ARG_HOST,      /* char *, a server's name                       */
    ARG_PATH,      /* char *, a file or "-"                         */
    ARG_UUID,      /* char *, an operation or the start of its uuid */
    ARG_VERB,      /* char *, the name of a command                 */
    ARG_CHOICE,    /* char *, one of .values                        */
    ARG_ACCOUNTS,  /* char **, addresses of accounts, a comma list  */
    ARG_ADDRESSES, /* char **, where mail goes                      */
    ARG_DOMAINS,   /* char **                                       */
    ARG_GLOBS,     /* char **, addresses in which * and ? may stand */
    ARG_PRINTS,    /* char **, fingerprints                         */
    ARG_WORDS,     /* char **, names                                */
    ARG_NUMBERS,   /* char **, whole numbers                        */
    ARG_SET,       /* unsigned: bits of .values, by .read_set       */
    ARG_BOOL,      /* bool                                          */
    ARG_COUNT,     /* unsigned, .min to .max                        */
    ARG_NUMBER,    /* long, .min to .max; -1 if absent              */
    ARG_DECIMAL,   /* double, .min to .max; -1 if absent            */
    ARG_SIZE,      /* uint64_t bytes, 0 if absent                   */
    ARG_DURATION,  /* long ms, .min to .max; -1 if absent           */
    ARG_TIME,      /* int64_t Unix ms; -1 if absent                 */
    ARG_SETTING,   /* long, as the setting of this name is written; -1: the configuration's */
} ArgType;

enum {
    ARG_REQUIRED = 1,   /* positional and mandatory; these rows come first */
    ARG_POSITIONAL = 2, /* positional, may be left out */
    ARG_ABSENT = 4,     /* known, but nothing except its default is in this version; has no field */
    ARG_READS = 8,      /* "?" as its value leaves it unset: the verb says what it is */
    ARG_OFF = 16,       /* DECIMAL: "off" stands for 0 */
};

/* What the Tab key offers for a value, where the type does not say it. */
typedef enum ArgOffers {
    OFFERS_BY_TYPE,
    OFFERS_VOLUMES,    /* of the store that the line names first */
    OFFERS_OLD_COPIES, /* accounts that moved away and left one */
    OFFERS_PARAMETERS, /* of the verb that stands before */
    OFFERS_SETTINGS,       /* names of settings */
    OFFERS_SETTING_VALUES, /* of the setting that stands before */
} ArgOffers;

typedef struct Arg {
    const char *name;
    ArgType type;
    unsigned flags;
    size_t offset;        /* in the request */
    const char *values;   /* CHOICE, SET: "blobs|backup|data|account"; else some that Tab offers */
    const char *meanings; /* what each of the values is, in a few words; NULL: they say it */
    ArgOffers offers;
    const char *expected; /* help's EXPECTED VALUES, where the type does not say it */
    const char *fallback; /* the default, parsed like anything typed; NULL: unset */
    const char *zextras3, *zextras2; /* the default under compat_defaults; NULL: the same */
    const char *unset;    /* what help shows as the default when there is no fallback */
    long min, max;
    const char
        *omitted; /* taken for a mandatory value when the line begins with a parameter's name */
    const char *no_effect; /* accepted; why any value but the default does nothing here */
    bool (*read_set)(char **items, unsigned *out, GPtrArray *notes, GError **error); /* SET */
    const char *help;
} Arg;

#define ARG(type_, field, ...)                        \
    {                                                 \
        .offset = offsetof(type_, field), __VA_ARGS__ \
    }
#define NO_ARG(...)                      \
    {                                    \
        .flags = ARG_ABSENT, __VA_ARGS__ \
    }

/* A name for a program to look at before it trusts the keys of doc/json.md. */
#define JSON_SCHEMA 1
/* For jansson: milliseconds with their tenth, not with what a double makes of it. */
#define JSON_DECIMALS JSON_REAL_PRECISION(12)

/* What a verb found or did. Zero it; result_clear frees it. */
typedef struct Result {
    json_t *response; /* what --json prints */
    char *text;       /* what is printed otherwise; NULL: a walk over the response */
    int status;       /* exit status */
    GError *problem;  /* when the status is not 0: the sentence of {"ok":false,"error":...} */
} Result;
void result_clear(Result *result);

/* The words that may stand before a verb. */
typedef struct Switches {
    char *host, *config, *file;
    bool json, progress, sync, async, keep_going, yes, quiet, parse, help, version;
} Switches;
void switches_clear(Switches *switches);

typedef struct Switch {
    const char *name, *other; /* other: NULL, or a second spelling */
    const char *value;        /* what its value is; NULL: it has none */
    bool process;             /* of the whole process, not of one line */
    size_t offset;            /* in Switches */
    const char *help;
} Switch;
extern const Switch switch_rows[]; /* ends with a NULL name */

/* What one shell keeps between commands, and how its verbs talk to the person in front of it. */
typedef struct Session {
    const char *config; /* --config */
    Conf *conf;         /* read at the first verb that needs it */
    GSList *old_confs;  /* those that config has changed since */
    Core *core;
    Wait wait;
    bool leave;               /* quit was said */
    char *source;             /* source was said: the file whose commands come next */
    bool stdin_is_batch;      /* commands come from stdin: input_file - would eat them */
    const Switches *switches; /* of the command at hand */
    char *line;               /* the command at hand, as typed */
    void (*note)(void *data, const char *text); /* a sentence for stderr, at once */
    EventSink *sink;
    const Command *command; /* the one at hand */
    /* What the thread of the signals reads, too: by g_atomic. */
    gint operates;          /* the verb at hand is one that does */
    gint begun;             /* an operation has begun */
    gint watching;          /* one of another process: Ctrl-C is not for it */
    char *watched;          /* the last such one whose end was told here; whoever asks takes it */
    bool background;        /* an operation goes on in a process of its own */
    const char *begin_as;   /* the uuid of the operation that this process is; NULL: it gets one */
    /* Starts the line at hand in a process of its own, as this operation. @result is left empty once the
     * operation has begun; else it is what came of it without beginning. */
    bool (*start)(void *data, const char *operation, Result *result, GError **error);
    /* Sees to it that these are told if this process dies before unguard. */
    void (*guard)(void *data, const char *operation, char **to);
    void (*unguard)(void *data);
    /* A line to words; NULL with USAGE. */
    char **(*split)(const char *line, GError **error);
    /* NULL: nobody is there to answer, run as typed. */
    bool (*ask)(void *data, const char *question);
    /* For what nobody else can answer, in a one-shot command, too; NULL: nobody is there, refuse. */
    bool (*confirm)(void *data, const char *question);
    /* So many of the last lines typed, [{"number":1,"line":"version"}, ...]; NULL: none are kept.
     */
    json_t *(*history)(void *data, unsigned last);
    void *data;       /* of note, sink, ask, confirm and history */
    GHashTable *told; /* of MailboxResult *: those the sink has had, of the command at hand */
    GMutex told_mutex;
} Session;
const Conf *session_conf(Session *session, GError **error) MUST_USE;
/* The configuration, after its file was written. */
bool session_read_again(Session *session, GError **error) MUST_USE;
Core *session_core(Session *session, GError **error) MUST_USE;
void session_note(Session *session, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The sink to give to core, with the session as its data. */
void session_event(void *session, const Event *event);
void session_clear(Session *session);

enum {
    COMMAND_HIDDEN = 1,
    COMMAND_AT_PROMPT = 2, /* of no use but in the interactive shell */
    COMMAND_OPERATES = 4,  /* what it does goes on when the terminal goes away, and may do so in a
                              process of its own */
    COMMAND_WAITS = 8,     /* it takes its time, and only looks: it ends with who waits for it */
};

struct Command {
    const char *name;
    const char *alias;       /* another generation's name for it */
    const char *group;       /* under which the list has it; NULL if hidden */
    const char *summary;     /* one line of the list */
    const char *description; /* the last lines of its page */
    unsigned flags;
    const Arg *args; /* ends with a NULL name */
    size_t request_size;
    const char *const *examples;
    /* A form that other programs use and this one does not: refuses it with the right command. */
    bool (*recognise)(const char *const *words, GError **error);
    /* What no single row can say. */
    bool (*check)(void *request, GError **error);
    bool (*run)(Session *session, void *request, Result *result, GError **error);
    const Operating *operating; /* operate.h: its work is an operation; NULL: it is none */
};

extern const Command *const commands[]; /* ends with NULL */
extern const Command cmd_do_check, cmd_trust;
extern const Command cmd_do_mailbox_move, cmd_plan, cmd_do_purge_mailboxes, cmd_get_moved_mailboxes,
    cmd_do_recover, cmd_do_rollback, cmd_run_bulk_delete, cmd_status, cmd_get_servers, cmd_get_all_volumes, cmd_get_volume_stats,
    cmd_get_services, cmd_get_non_local_mailboxes, cmd_do_check_blobs, cmd_do_verify, cmd_help, cmd_source, cmd_history, cmd_version,
    cmd_quit, cmd_docs;
extern const Command cmd_get_all_operations, cmd_get_operation_log, cmd_get_unfinished_operation_log,
    cmd_get_notification, cmd_monitor, cmd_do_stop_operation, cmd_do_stop_all_operations,
    cmd_do_suspend, cmd_do_resume, cmd_do_complete_move, cmd_set_operation;
extern const Command cmd_config, cmd_import_conf, cmd_report, cmd_mailer;
const Command *command_find(const char *name); /* name or alias, without regard to case */
/* The same; USAGE if there is none, with what was most likely meant. */
const Command *command_get(const char *name, GError **error) MUST_USE;

/* Takes switches and the prefixes of other programs off the front: *@words ends at the verb.
 * Switches of the whole process (--config, -f, --keep-going) are refused unless @process. */
bool switches_take(const char *const **words, bool process, Switches *out, GError **error) MUST_USE;
bool switch_wants_value(const char *word);
/* "zxsuite", "powerstore", ...: may stand before any verb. */
bool is_prefix_word(const char *word);

/* Words after the verb to a request; what is left out is as @compat (compat_defaults; NULL: none) has it. A sentence for each thing that was read differently from how
 * it was typed goes to @notes. NULL with USAGE otherwise. */
void *args_parse(const Command *command, const char *const *words, const char *compat,
                 GPtrArray *notes, GError **error) MUST_USE;
/* Whose defaults hold for @command, by the configuration; NULL: our own. */
const char *args_compat(Session *session, const Command *command);
void args_free(const Command *command, void *request);
const Arg *args_find(const Command *command, const char *name);
/* The row of "name" or of "name=value". */
const Arg *args_named(const Command *command, const char *word);
/* The name of a row that @name was most likely meant to be, or NULL. */
const char *args_nearest(const Command *command, const char *name);
bool arg_is_list(const Arg *arg);
/* What a request says, from its rows: what is unset is left out. */
json_t *args_show(const Command *command, const void *request);

/* One command in words, from switches to result; false with an error when it was not done. An
 * error's first line is the message, what follows is the hint. */
bool command_run(Session *session, const char *const *words, Result *result,
                 GError **error) MUST_USE;

/* True if every word is one that zxmove knows the meaning of. */
bool command_understood(const char *const *words);

char *docs_list(void);
/* What each verb of a group does, by the first word of its name, or of "all"; NULL: no such group.
 * g_free. */
char *docs_group(const char *word);
char *docs_page(const Command *command);
/* USAGE with this message, and the page of @command as its hint; returns false. */
bool fail_page(GError **error, const Command *command, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
const char *docs_type(const Arg *arg);
/* What may stand for the value of @arg, and what does if nothing does: "" if there is nothing to
 * say. */
char *docs_expected(const Arg *arg);
char *docs_default(const Arg *arg);
char *docs_arg(const Command *command, const Arg *arg);
/* Every verb, parameter and switch with its state, "VERB | PARAMETER | STATE": what doc/parameters.md is
 * compared with. */
char *docs_parameters(void);

/* check.c: what doCheck found. */
void check_answer(const CheckReport *report, const char *destination, bool verbose, Result *result);
/* Every test with its remedy, as a table for doc/. */
char *check_docs(void);

/* manual.c: zxmove(1) and zxmove.conf(5), in mdoc. */
char *manual_program(void);
char *manual_conf(void);

/* A verb of zxsuite that is not ours to do: USAGE, naming the Zimbra tool that does it.
 * False if the name is none. */
bool foreign_verb(const char *name, GError **error);
/* Their lines of docs_parameters. */
void foreign_parameters(GString *out);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Result, result_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Switches, switches_clear)

#endif
