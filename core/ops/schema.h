/* schema.h - the database `zxmove` on each store: state lives where its effect lives
 * (doc/architecture.md). Created on first use, versioned. */
#ifndef ZX_OPS_SCHEMA_H
#define ZX_OPS_SCHEMA_H

#include "core/net/db.h"

#define SCHEMA_VERSION 5
#define UPGRADED_FROM  2 /* and what is in between */

/* Creates what is missing, and brings up to date what versions from UPGRADED_FROM on made; REFUSED if the
 * database was made by another one. */
bool schema_ensure(Db *db, GError **error) MUST_USE;
/* Makes nothing: is it there, whole? REFUSED as above. */
bool schema_look(Db *db, bool *there, GError **error) MUST_USE;

#endif
