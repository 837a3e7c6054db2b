/* check.h - what is looked at before anything is done. Private to core/check.
 *
 *   trust   whose keys and certificates are believed   trust.c, anchors.c
 */
#ifndef ZX_CHECK_CHECK_H
#define ZX_CHECK_CHECK_H

#include "core/core.h"

GPtrArray *trust_look(const Conf *conf, const char *host, const Wait *wait, GError **error) MUST_USE;
/* Sets .state, .recorded and .problem by what the file says now. */
bool trust_judge(const Conf *conf, Trust *trust, GError **error) MUST_USE;
bool trust_store(const Conf *conf, Trust *trust, GError **error) MUST_USE;

/* anchors.c: @text, the contents of a file of CA certificates, with one that @server is believed by.
 * What was there for it alone, or bears the same name with another key, is taken out. g_free. */
struct TlsCertificate;
char *anchors_put(const char *text, const char *kind, const char *server,
                  const struct TlsCertificate *certificate, GError **error) MUST_USE;
/* The fingerprint of what anchors_put would take out; *recorded NULL: nothing. */
bool anchors_recorded(const char *text, const char *kind, const char *server,
                      const struct TlsCertificate *certificate, char **recorded,
                      GError **error) MUST_USE;

#endif
