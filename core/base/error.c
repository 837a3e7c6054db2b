/* error.c - see error.h. */
#include "core/base/error.h"
#include <string.h>

static const struct {
    const char *name;
    int exit_status;
} errors[] = {
#define X(code, exit, text) [ZX_ERROR_##code] = { #code, exit },
    ZX_ERRORS(X)
#undef X
};

const ErrorStatus error_statuses[] = {
#define X(status, meaning) { status, meaning },
    ZX_STATUSES(X)
#undef X
    { 0 },
};

G_DEFINE_QUARK(zxmove, zx_error)

const char *error_name(ZxError code)
{
    return errors[code].name;
}

bool error_named(const char *name, ZxError *code)
{
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        if (strcmp(errors[i].name, name) != 0)
            continue;
        *code = (ZxError)i;
        return true;
    }
    return false;
}

int error_exit_status(ZxError code)
{
    return errors[code].exit_status;
}

ZxError error_code(const GError *error)
{
    return error->domain == ZX_ERROR ? (ZxError)error->code : ZX_ERROR_FAILED;
}

void error_free_any(GError *error)
{
    g_clear_error(&error);
}

bool fail(GError **error, ZxError code, const char *fmt, ...)
{
    va_list args;
    g_autofree char *message = NULL;

    va_start(args, fmt);
    message = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_set_error_literal(error, ZX_ERROR, (int)code, message);
    return false;
}

bool fail_prefix(GError **error, const char *fmt, ...)
{
    va_list args;
    g_autofree char *prefix = NULL;

    va_start(args, fmt);
    prefix = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_prefix_error(error, "%s: ", prefix);
    return false;
}
