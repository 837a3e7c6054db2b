/* files.h - names of files for the Tab key. */
#ifndef ZX_COMPLETION_FILES_H
#define ZX_COMPLETION_FILES_H

#include "core/base/name.h"

/* Files whose path begins with @prefix (of Name), as it is typed; directories end in '/'. Those
 * that begin with a dot only to who types the dot. "~/" is the home directory, as args.c has
 * it. */
GPtrArray *files_like(const char *prefix);

#endif
