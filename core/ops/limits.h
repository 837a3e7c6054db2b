/* limits.h - what setOperation changes of an operation while it runs, as its row keeps it. */
#ifndef ZX_OPS_LIMITS_H
#define ZX_OPS_LIMITS_H

#include "core/core.h"

/* From a row's text; NULL or what is no such text: nothing is changed. limits_clear. */
Limits limits_read(const char *text);
/* g_free. */
char *limits_text(const Limits *limits);
Limits limits_copy(const Limits *limits);
/* What @change has over what @limits had. */
void limits_merge(Limits *limits, const Limits *change);

#endif
