/* curl_library.h - what the users of libcurl share. */
#ifndef ZX_NET_CURL_LIBRARY_H
#define ZX_NET_CURL_LIBRARY_H

#include <curl/curl.h>

/* Makes libcurl ready once, by whoever of its users comes first. */
void curl_library_init(void);

/* A TCP connection and no more: libcurl resolves names within a time limit. *fd lives as long as
 * @curl. */
CURLcode curl_library_connect(CURL *curl, const char *address, unsigned port, long timeout_ms,
                              int *fd);

#endif
