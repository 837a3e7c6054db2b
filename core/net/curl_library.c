/* curl_library.c - see curl_library.h. Older versions of curl_global_init are not thread-safe. */
#include "core/net/curl_library.h"
#include <glib.h>
#include <stdbool.h>
#include <string.h>

void curl_library_init(void)
{
    static gsize done;

    if (!g_once_init_enter(&done))
        return;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        g_error("libcurl cannot be initialised");
    g_once_init_leave(&done, 1);
}

CURLcode curl_library_connect(CURL *curl, const char *address, unsigned port, long timeout_ms,
                              int *fd)
{
    const bool v6 = strchr(address, ':') != NULL;
    g_autofree char *url =
        g_strdup_printf("http://%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "", port);
    curl_socket_t socket = CURL_SOCKET_BAD;
    CURLcode rc;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        rc = curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket);
    if (rc == CURLE_OK && socket == CURL_SOCKET_BAD)
        rc = CURLE_COULDNT_CONNECT;
    *fd = socket;
    return rc;
}
