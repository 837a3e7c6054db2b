/* failpoint.h - named places where a test makes this process fail, die or hang: ZX_FAIL=NAME=error|bug|kill|hang|wait,
 * several separated by commas; `wait` makes the file ZX_FAIL_FILE.reached and goes on when
 * ZX_FAIL_FILE is there, `wait3` does that only when such a point is reached for the third time. Only
 * builds with ZX_FAILPOINTS have them. */
#ifndef ZX_BASE_FAILPOINT_H
#define ZX_BASE_FAILPOINT_H

#include "core/base/error.h"

#ifdef ZX_FAILPOINTS
/* False with FAILED (or BUG) when this point is to fail. */
bool failpoint(const char *name, GError **error) MUST_USE;
#else
static inline bool failpoint(const char *name, GError **error)
{
    (void)name;
    (void)error;
    return true;
}
#endif

#endif
