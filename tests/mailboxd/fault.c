/* fault.c - see fault.h. */
#include "tests/mailboxd/fault.h"

static const struct {
    const char *code;
    bool receivers;
} faults[] = {
#define X(name, code, receiver) [FAULT_##name] = { code, receiver },
    FAULTS(X)
#undef X
};

G_DEFINE_QUARK(mailboxd - fault, fault)

bool fault(GError **error, FaultCode code, const char *fmt, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    /* As ServiceException.FAILURE words it; the probe of doc/platform.md 5.1 reads this text. */
    g_set_error(error, FAULT, (int)code, "%s%s", code == FAULT_FAILURE ? "system failure: " : "",
                text);
    return false;
}

bool fault_is(const GError *error, FaultCode code)
{
    return g_error_matches(error, FAULT, (int)code);
}

const char *fault_code(const GError *error)
{
    return faults[error->domain == FAULT ? error->code : FAULT_FAILURE].code;
}

bool fault_is_receivers(const GError *error)
{
    return faults[error->domain == FAULT ? error->code : FAULT_FAILURE].receivers;
}
