/* edit.c - one setting into the YAML file, by the places that libyaml names: what a person wrote
 * around it, comments and order, stays as it is. Simple on purpose: what it makes of an unusual
 * file is read and compared before it takes the file's place, and refused if anything else changed.
 */
#include "conf/settings.h"
#include "core/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(yaml_event_t, yaml_event_delete)

/* A stretch of the text, in bytes. */
typedef struct Span {
    size_t begin, end;
} Span;

/* Where the setting is, or the deepest map on the way to it. */
typedef struct Place {
    unsigned depth; /* so many of its parts are there; all of them: @value is it */
    Span value;     /* of the setting, or of that map */
    bool flow;      /* the map is written { so } */
    bool empty;     /* it has nothing in it */
    bool null;      /* "key:" and nothing more */
    size_t indent;  /* of its keys, or of what would be its keys */
    size_t last;    /* where its last value ends */
} Place;

typedef struct Finder {
    yaml_parser_t parser;
    const char *text;
    char **parts; /* of the name */
    unsigned count;
    size_t last; /* where the last value that was read ends */
    Place place;
} Finder;

/* libyaml counts letters. */
static size_t offset_of(const Finder *finder, const yaml_mark_t *mark)
{
    return (size_t)(g_utf8_offset_to_pointer(finder->text, (glong)mark->index) - finder->text);
}

static Span span_of(const Finder *finder, const yaml_event_t *event)
{
    return (Span){ offset_of(finder, &event->start_mark), offset_of(finder, &event->end_mark) };
}

static bool next(Finder *finder, yaml_event_t *event, GError **error)
{
    return yaml_parser_parse(&finder->parser, event) ||
           fail(error, ZX_ERROR_INPUT, "not valid YAML");
}

/* The rest of a value whose first event is @event; *@span is the whole of it. */
static bool skip(Finder *finder, const yaml_event_t *event, Span *span, GError **error)
{
    unsigned open = 0;
    yaml_event_type_t type = event->type;

    *span = span_of(finder, event);
    for (;;) {
        g_auto(yaml_event_t) inner = { 0 };

        if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
            open++;
        else if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
            open--;
        if (open == 0)
            break;
        if (!next(finder, &inner, error))
            return false;
        type = inner.type;
        /* The end of a map in lines is where the next thing begins: its last value says more. */
        if (type == YAML_SCALAR_EVENT || inner.end_mark.index > inner.start_mark.index)
            span->end = offset_of(finder, &inner.end_mark);
    }
    finder->last = span->end;
    return true;
}

static bool is_nothing(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool find_in_map(Finder *finder, const yaml_event_t *begin, unsigned depth, GError **error);

/* @event begins the value of the part number @depth - 1. */
static bool look_at_value(Finder *finder, const yaml_event_t *event, unsigned depth, size_t column,
                          GError **error)
{
    Place *place = &finder->place;

    if (event->type == YAML_MAPPING_START_EVENT && depth < finder->count)
        return find_in_map(finder, event, depth, error);
    *place = (Place){ .depth = depth, .null = is_nothing(event), .indent = column + 2 };
    if (!skip(finder, event, &place->value, error))
        return false;
    place->last = place->value.end;
    if (depth < finder->count && !place->null)
        return fail(error, ZX_ERROR_INPUT, "%s is no map of settings", finder->parts[depth - 1]);
    return true;
}

/* In the map that @begin begins, the part number @depth is looked for. */
static bool find_in_map(Finder *finder, const yaml_event_t *begin, unsigned depth, GError **error)
{
    Place here = { .depth = depth,
                   .value = span_of(finder, begin),
                   .flow = begin->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE,
                   .empty = true,
                   .indent = begin->start_mark.column };
    bool found = false;

    finder->last = here.value.end;
    for (;;) {
        g_auto(yaml_event_t) key = { 0 };
        g_auto(yaml_event_t) value = { 0 };
        Span ignored;

        if (!next(finder, &key, error))
            return false;
        if (key.type == YAML_MAPPING_END_EVENT) {
            if (here.flow)
                here.value.end = offset_of(finder, &key.end_mark);
            break;
        }
        if (key.type != YAML_SCALAR_EVENT)
            return fail(error, ZX_ERROR_INPUT, "a key is no plain word");
        here.empty = false;
        if (!next(finder, &value, error))
            return false;
        if (g_ascii_strcasecmp((const char *)key.data.scalar.value, finder->parts[depth]) == 0) {
            found = true;
            if (!look_at_value(finder, &value, depth + 1, key.start_mark.column, error))
                return false;
        } else if (!skip(finder, &value, &ignored, error)) {
            return false;
        }
    }
    here.last = finder->last;
    if (here.flow)
        finder->last = here.value.end;
    if (!found)
        finder->place = here;
    return true;
}

static bool find(Finder *finder, GError **error)
{
    const size_t length = strlen(finder->text);

    /* A file of comments has no map yet. */
    finder->place = (Place){ .empty = true, .value = { length, length }, .last = length };
    for (;;) {
        g_auto(yaml_event_t) event = { 0 };

        if (!next(finder, &event, error))
            return false;
        if (event.type == YAML_STREAM_END_EVENT)
            return true;
        if (event.type == YAML_MAPPING_START_EVENT) {
            if (!find_in_map(finder, &event, 0, error))
                return false;
            if (finder->place.depth == 0 && !finder->place.flow)
                finder->place.last = length; /* after the last comment */
        }
    }
}

/* One word that YAML reads as it is written, in a list in brackets too. */
static bool is_plain(const char *text)
{
    static const char *const words[] = { "null", "Null", "NULL", "~", NULL };

    return (g_ascii_isalnum(*text) || *text == '/') && !g_str_has_suffix(text, ":") &&
           strspn(text,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@:+%=-") ==
               strlen(text) &&
           !g_strv_contains(words, text);
}

static void append_scalar(GString *out, const char *text)
{
    if (is_plain(text)) {
        g_string_append(out, text);
        return;
    }
    g_string_append_c(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *text);
    }
    g_string_append_c(out, '"');
}

static char *written(ConfType type, const char *value)
{
    GString *out = g_string_new(NULL);
    g_auto(GStrv) items = type == CONF_LIST ? g_strsplit(value, ",", -1) : NULL;

    if (items == NULL) {
        append_scalar(out, value);
        return g_string_free(out, FALSE);
    }
    g_string_append_c(out, '[');
    for (char **item = items; *item != NULL; item++) {
        if (item != items)
            g_string_append(out, ", ");
        append_scalar(out, g_strstrip(*item));
    }
    g_string_append_c(out, ']');
    return g_string_free(out, FALSE);
}

/* "admin: { user: zimbra }" of the parts from @depth on. */
static char *as_flow(char **parts, unsigned depth, unsigned count, const char *value)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = depth; i < count; i++)
        g_string_append_printf(out, "%s: %s", parts[i], i + 1 < count ? "{ " : value);
    for (unsigned i = depth; i + 1 < count; i++)
        g_string_append(out, " }");
    return g_string_free(out, FALSE);
}

static char *as_lines(char **parts, unsigned depth, unsigned count, size_t indent,
                      const char *value)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = depth; i < count; i++) {
        g_string_append_printf(out, "%*s%s:", (int)(indent + (size_t)(i - depth) * 2), "",
                               parts[i]);
        if (i + 1 == count)
            g_string_append_printf(out, " %s", value);
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

/* Where the line ends in which @at is. */
static size_t line_end(const char *text, size_t at)
{
    if (at > 0 && text[at - 1] == '\n')
        return at;
    at += strcspn(text + at, "\n");
    return text[at] == '\n' ? at + 1 : at;
}

static void put(GString *out, const Finder *finder, const char *value)
{
    const Place *place = &finder->place;
    g_autofree char *addition = NULL;
    size_t at;

    if (place->depth == finder->count) {
        const char *space = place->null ? " " : "";

        addition = g_strconcat(space, value, NULL);
        g_string_erase(out, (gssize)place->value.begin,
                       (gssize)(place->value.end - place->value.begin));
        g_string_insert(out, (gssize)place->value.begin, addition);
        return;
    }
    if (place->flow) {
        g_autofree char *pair = as_flow(finder->parts, place->depth, finder->count, value);

        addition = place->empty ? g_strdup_printf(" %s ", pair) : g_strdup_printf(", %s", pair);
        at = place->empty ? place->value.begin + 1 : place->last;
        g_string_insert(out, (gssize)at, addition);
        return;
    }
    addition = as_lines(finder->parts, place->depth, finder->count, place->indent, value);
    at = line_end(out->str, place->last);
    if (at > 0 && out->str[at - 1] != '\n')
        g_string_insert_c(out, (gssize)at++, '\n');
    g_string_insert(out, (gssize)at, addition);
}

/* "stores.mail1.example.com.address" has three parts. */
static char **parts_of(const char *name)
{
    const char *first = strchr(name, '.'), *last = strrchr(name, '.');
    GPtrArray *parts = g_ptr_array_new();

    if (first == NULL) {
        g_ptr_array_add(parts, g_strdup(name));
    } else {
        g_ptr_array_add(parts, g_strndup(name, (size_t)(first - name)));
        if (g_str_has_prefix(name, "stores.")) {
            g_ptr_array_add(parts, g_strndup(first + 1, (size_t)(last - first - 1)));
            g_ptr_array_add(parts, g_strdup(last + 1));
        } else {
            g_ptr_array_add(parts, g_strdup(first + 1));
        }
    }
    g_ptr_array_add(parts, NULL);
    return (char **)g_ptr_array_free(parts, FALSE);
}

static char *edited(const char *text, const char *name, ConfType type, const char *value,
                    GError **error)
{
    Finder finder = { .text = text };
    g_auto(GStrv) parts = parts_of(name);
    g_autofree char *scalar = written(type, value);
    GString *out;
    bool ok;

    finder.parts = parts;
    finder.count = g_strv_length(parts);
    if (!yaml_parser_initialize(&finder.parser))
        g_error("libyaml: out of memory");
    yaml_parser_set_input_string(&finder.parser, (const unsigned char *)text, strlen(text));
    ok = find(&finder, error);
    yaml_parser_delete(&finder.parser);
    if (!ok)
        return NULL;
    out = g_string_new(text);
    put(out, &finder, scalar);
    return g_string_free(out, FALSE);
}

static bool same_secret(const Setting *a, const void *base_a, const void *base_b)
{
    const size_t at = a->item->offset;
    const Secret *one = *(Secret *const *)(const void *)((const char *)base_a + at);
    const Secret *two = *(Secret *const *)(const void *)((const char *)base_b + at);

    return (one == NULL) == (two == NULL) &&
           (one == NULL || strcmp(secret_reveal(one), secret_reveal(two)) == 0);
}

/* What a store's or the configuration's own settings lie in. */
static const void *base_of(const Conf *conf, const Setting *setting)
{
    enum { STORES = sizeof "stores." - 1 };
    const char *last = strrchr(setting->name, '.');
    g_autofree char *name = NULL;

    if (!g_str_has_prefix(setting->item->key, "stores."))
        return conf;
    name = g_strndup(setting->name + STORES, (size_t)(last - setting->name) - STORES);
    return conf_store(conf, name);
}

/* Everything @before had is there as it was, but for the one that was written. */
static bool nothing_else_changed(const Conf *before, const Conf *after, const char *name,
                                 GError **error)
{
    g_autoptr(GPtrArray) old = settings_list(before);

    for (guint i = 0; i < old->len; i++) {
        const Setting *was = g_ptr_array_index(old, i);
        g_autoptr(Setting) is = settings_get(after, was->name, NULL);
        const size_t length = strlen(was->name);
        bool meant = g_ascii_strncasecmp(was->name, name, length) == 0 &&
                     (name[length] == '\0' || strcmp(name + length, "_file") == 0);

        /* What neither file says may follow from what was written. */
        if (meant || (is != NULL && strcmp(was->origin, "default") == 0 &&
                      strcmp(is->origin, "default") == 0))
            continue;
        if (is == NULL || g_strcmp0(is->value, was->value) != 0 ||
            (was->item->type == CONF_SECRET &&
             !same_secret(was, base_of(before, was), base_of(after, was))))
            return fail(error, ZX_ERROR_REFUSED, "%s would change, too: please edit the file",
                        was->name);
    }
    return true;
}

static bool read_file(const char *path, char **text, struct stat *st, GError **error)
{
    if (stat(path, st) != 0)
        return fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
    if (!file_read(path, text, NULL, error))
        return false;
    return g_utf8_validate(*text, -1, NULL) || fail(error, ZX_ERROR_INPUT, "%s: not UTF-8", path);
}

/* Beside the file, so that what is relative in it stays so. */
static char *write_draft(const char *path, const char *text, const struct stat *st, GError **error)
{
    g_autofree char *draft = g_strconcat(path, ".XXXXXX", NULL);
    int fd = g_mkstemp_full(draft, O_WRONLY | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && file_write(fd, text);

    if (ok)
        ok = fchmod(fd, st->st_mode & 07777) == 0 &&
             ((st->st_uid == geteuid() && st->st_gid == getegid()) ||
              fchown(fd, st->st_uid, st->st_gid) == 0);
    if (!ok)
        fail(error, errno == EACCES || errno == EPERM ? ZX_ERROR_DENIED : ZX_ERROR_STATE,
             "%s: cannot be written: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ok)
        return g_steal_pointer(&draft);
    if (fd >= 0)
        unlink(draft);
    return NULL;
}

/* What the draft means is what was wanted. @path stands in messages for the draft. */
static bool check_draft(const char *draft, const char *path, const char *name, const Conf *before,
                        GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Conf) after = conf_load(draft, &problem);
    g_autoptr(Setting) setting = NULL;

    if (after == NULL) {
        g_auto(GStrv) parts = g_strsplit(problem->message, draft, -1);
        g_autofree char *message = g_strjoinv(path, parts);

        return fail(error, error_code(problem), "%s\nnothing was changed", message);
    }
    setting = settings_get(after, name, error);
    if (setting == NULL)
        return false;
    if (!setting->present)
        return fail(error, ZX_ERROR_REFUSED, "%s: %s would have no effect: please edit the file",
                    path, name);
    return nothing_else_changed(before, after, name, error);
}

/* Where links lead. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL), *found = g_strdup(real != NULL ? real : path);

    free(real);
    return found;
}

static bool replace(const char *draft, const char *path, const struct stat *st, GError **error)
{
    struct stat now;

    if (stat(path, &now) != 0 || now.st_ino != st->st_ino ||
        now.st_mtim.tv_sec != st->st_mtim.tv_sec || now.st_mtim.tv_nsec != st->st_mtim.tv_nsec)
        return fail(error, ZX_ERROR_CHANGED, "%s: somebody else has changed it just now", path);
    return rename(draft, path) == 0 ||
           fail(error, ZX_ERROR_STATE, "%s: %s", path, g_strerror(errno));
}

bool settings_write(const Conf *conf, const char *path, const char *name, const char *value,
                    GError **error)
{
    g_autofree char *real = real_path(path);
    g_autofree char *text = NULL;
    g_autofree char *changed = NULL;
    g_autofree char *draft = NULL;
    g_autoptr(Conf) before = NULL;
    struct stat st;
    bool in_file, ok;
    const ConfItem *item = settings_item(conf, name, &in_file, error);

    if (item == NULL || !read_file(real, &text, &st, error))
        return false;
    before = conf_load(real, error);
    if (before != NULL)
        changed = edited(text, name, in_file ? CONF_PATH : item->type, value, error);
    draft = changed != NULL ? write_draft(real, changed, &st, error) : NULL;
    secret_wipe(text); /* the file may hold passwords */
    if (changed != NULL)
        secret_wipe(changed);
    if (draft == NULL)
        return false;
    ok = check_draft(draft, real, name, before, error) && replace(draft, real, &st, error);
    if (!ok)
        unlink(draft);
    return ok;
}
