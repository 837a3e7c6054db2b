/* curl_library.h - libcurl made ready once, by whoever of its users comes first. */
#ifndef ZX_NET_CURL_LIBRARY_H
#define ZX_NET_CURL_LIBRARY_H

void curl_library_init(void);

#endif
