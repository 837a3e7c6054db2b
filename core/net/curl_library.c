/* curl_library.c - see curl_library.h. Older versions of curl_global_init are not thread-safe. */
#include "core/net/curl_library.h"
#include <curl/curl.h>
#include <glib.h>

void curl_library_init(void)
{
    static gsize done;

    if (!g_once_init_enter(&done))
        return;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        g_error("libcurl cannot be initialised");
    g_once_init_leave(&done, 1);
}
