/* requests_server.c - requests about servers, volumes and caches. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/soap.h"
#include "tests/mailboxd/volume.h"
#include <string.h>

/* Attributes that a server inherits from the global config. */
static const char *const inherited[] = {
    "zimbraAdminPort",
    "zimbraLmtpBindPort",
    "zimbraMemcachedBindPort",
    "zimbraMailPort",
    "zimbraMailSSLPort",
    "zimbraReverseProxyLookupTarget",
    "zimbraImapBindPort",
    "zimbraPop3BindPort",
    "zimbraMemcachedClientServerList",
    "zimbraAlwaysOnClusterId",
    "zimbraReverseProxyUpstreamImapServers",
};

static void add_inherited(xmlNode *node, const Entry *server)
{
    g_autoptr(Entry) global = global_config(NULL);

    for (size_t i = 0; global != NULL && i < G_N_ELEMENTS(inherited); i++) {
        GPtrArray *values = entry_values(global, inherited[i]);
        if (values == NULL || entry_values(server, inherited[i]) != NULL)
            continue;
        for (guint v = 0; v < values->len; v++)
            xml_add_a(node, inherited[i], values->pdata[v]);
    }
}

static void add_server(xmlNode *answer, const Entry *server, bool apply_config, char **wanted)
{
    xmlNode *node = xml_add(answer, "server", NULL);

    xml_set(node, "name", entry_get(server, "cn"));
    xml_set(node, "id", entry_get(server, "zimbraId"));
    for (guint i = 0; i < server->attrs->len; i++) {
        const EntryAttr *attr = server->attrs->pdata[i];
        bool take = wanted == NULL;
        for (char **w = wanted; !take && *w != NULL; w++)
            take = g_ascii_strcasecmp(*w, attr->name) == 0;
        for (guint v = 0; take && v < attr->values->len; v++)
            xml_add_a(node, attr->name, attr->values->pdata[v]);
    }
    if (apply_config && wanted == NULL)
        add_inherited(node, server);
}

static bool applies_config(const xmlNode *request)
{
    g_autofree char *apply = xml_get(request, "applyConfig");

    return g_strcmp0(apply, "0") != 0 && g_strcmp0(apply, "false") != 0;
}

static xmlNode *get_all_servers(const xmlNode *request, GError **error)
{
    g_autofree char *service = xml_get(request, "service");
    g_autoptr(GPtrArray) servers = servers_all(error);

    if (servers == NULL)
        return NULL;
    xmlNode *answer = xml_new("GetAllServersResponse", NS_ADMIN);
    for (guint i = 0; i < servers->len; i++)
        if (service == NULL || entry_has(servers->pdata[i], "zimbraServiceEnabled", service))
            add_server(answer, servers->pdata[i], applies_config(request), NULL);
    return answer;
}

static xmlNode *get_server(const xmlNode *request, GError **error)
{
    const xmlNode *node = xml_child(request, "server");
    g_autofree char *by = node == NULL ? NULL : xml_get(node, "by");
    g_autofree char *key = node == NULL ? NULL : xml_text(node);
    g_autofree char *attrs = xml_get(request, "attrs");
    g_auto(GStrv) wanted = attrs == NULL || *attrs == '\0' ? NULL : g_strsplit(attrs, ",", -1);

    if (by == NULL) {
        fault(error, FAULT_INVALID_REQUEST, "invalid request: no server named");
        return NULL;
    }
    g_autoptr(Entry) server = server_get(strcmp(by, "id") == 0                ? SERVER_BY_ID
                                         : strcmp(by, "serviceHostname") == 0 ? SERVER_BY_HOST
                                                                              : SERVER_BY_NAME,
                                         key, error);
    if (server == NULL)
        return NULL;
    xmlNode *answer = xml_new("GetServerResponse", NS_ADMIN);
    add_server(answer, server, applies_config(request), wanted);
    return answer;
}

static void flush_here(const xmlNode *cache)
{
    g_autofree char *types = xml_get(cache, "type");
    g_auto(GStrv) list = g_strsplit(types == NULL ? "" : types, ",", -1);
    const xmlNode *entry = xml_child(cache, "entry");

    for (char **type = list; *type != NULL; type++) {
        if (entry == NULL || strcmp(*type, "account") != 0)
            directory_flush(*type);
        for (const xmlNode *e = entry; e != NULL && strcmp(*type, "account") == 0;
             e = xml_next(e)) {
            g_autofree char *by = xml_get(e, "by");
            g_autofree char *key = xml_text(e);
            account_flush(g_strcmp0(by, "id") == 0 ? BY_ID : BY_NAME, key);
        }
    }
}

/* Failures at other servers are logged, and the answer is success all the same (5.5). */
static void flush_others(const xmlNode *request)
{
    g_autoptr(GPtrArray) servers = servers_all(NULL);
    xmlNode *copy = xmlDocCopyNode((xmlNode *)(gintptr)request, NULL, 1);
    Context context = { 0 };

    xml_set(xml_child(copy, "cache"), "allServers", "0");
    for (guint i = 0; servers != NULL && i < servers->len; i++) {
        const char *name = entry_get(servers->pdata[i], "zimbraServiceHostname");
        g_autoptr(GError) error = NULL;
        if (name == NULL || g_ascii_strcasecmp(name, config->name) == 0 ||
            !entry_has(servers->pdata[i], "zimbraServiceEnabled", "service"))
            continue;
        g_autofree char *token = proxy_log_in(name, &error);
        context.token = token;
        xmlNode *answer = token == NULL ? NULL : proxy_send(name, &context, copy, &error);
        if (answer == NULL)
            g_message("%s was not flushed: %s", name, error == NULL ? "" : error->message);
        else
            xmlFreeNode(answer);
    }
    xmlFreeNode(copy);
}

static xmlNode *flush_cache(const xmlNode *request, GError **error)
{
    const xmlNode *cache = xml_child(request, "cache");

    if (cache == NULL) {
        fault(error, FAULT_INVALID_REQUEST, "invalid request: missing required element: cache");
        return NULL;
    }
    g_autofree char *all = xml_get(cache, "allServers");
    flush_here(cache);
    if (g_strcmp0(all, "1") == 0 || g_strcmp0(all, "true") == 0)
        flush_others(request);
    return xml_new("FlushCacheResponse", NS_ADMIN);
}

static xmlNode *get_all_volumes(const xmlNode *request, GError **error)
{
    xmlNode *answer = xml_new("GetAllVolumesResponse", NS_ADMIN);
    const GPtrArray *volumes = volumes_all();

    (void)request;
    (void)error;
    for (guint i = 0; i < volumes->len; i++) {
        const Volume *v = volumes->pdata[i];
        xmlNode *node = xml_add(answer, "volume", NULL);
        xml_setf(node, "id", "%u", v->id);
        xml_set(node, "name", v->name);
        xml_set(node, "rootpath", v->path);
        xml_setf(node, "type", "%u", v->type);
        xml_setf(node, "compressBlobs", "%d", v->compress);
        xml_setf(node, "compressionThreshold", "%" G_GUINT64_FORMAT, v->threshold);
        xml_setf(node, "mgbits", "%u", v->mailbox_group_bits);
        xml_setf(node, "mbits", "%u", v->mailbox_bits);
        xml_setf(node, "fgbits", "%u", v->file_group_bits);
        xml_setf(node, "fbits", "%u", v->file_bits);
        xml_setf(node, "current", "%d", volume_current(v->type) == v->id);
        xml_setf(node, "storeType", "%u", v->store_type);
        if (v->manager != NULL)
            xml_set(node, "storeManagerClass", v->manager);
    }
    return answer;
}

static xmlNode *get_current_volumes(const xmlNode *request, GError **error)
{
    static const unsigned types[] = { VOLUME_PRIMARY, VOLUME_SECONDARY, VOLUME_INDEX };
    xmlNode *answer = xml_new("GetCurrentVolumesResponse", NS_ADMIN);

    (void)request;
    (void)error;
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        if (volume_current(types[i]) == 0)
            continue;
        xmlNode *node = xml_add(answer, "volume", NULL);
        xml_setf(node, "type", "%u", types[i]);
        xml_setf(node, "id", "%u", volume_current(types[i]));
    }
    return answer;
}

static xmlNode *get_version_info(const xmlNode *request, GError **error)
{
    xmlNode *answer = xml_new("GetVersionInfoResponse", NS_ADMIN);
    xmlNode *info = xml_add(answer, "info", NULL);

    (void)request;
    (void)error;
    xml_set(info, "type", "FOSS");
    g_auto(GStrv) parts = g_strsplit(config->version, ".", 3);
    guint count = g_strv_length(parts);
    xml_setf(info, "version", "%s_GA_1000", config->version);
    xml_set(info, "release", "1000");
    xml_set(info, "buildDate", "20240701");
    xml_set(info, "host", "laboratory");
    xml_set(info, "majorversion", count > 0 ? parts[0] : "0");
    xml_set(info, "minorversion", count > 1 ? parts[1] : "0");
    xml_set(info, "microversion", count > 2 ? parts[2] : "0");
    xml_set(info, "platform", "DEBIAN12_64");
    return answer;
}

static xmlNode *ping(const xmlNode *request, GError **error)
{
    (void)request;
    (void)error;
    return xml_new("PingResponse", NS_ADMIN);
}

static xmlNode *no_op(const xmlNode *request, GError **error)
{
    (void)request;
    (void)error;
    return xml_new("NoOpResponse", NS_ADMIN);
}

const RequestHandler server_requests[] = {
    { "GetAllServersRequest", get_all_servers, HOME_HERE, false },
    { "GetServerRequest", get_server, HOME_HERE, false },
    { "FlushCacheRequest", flush_cache, HOME_HERE, false },
    { "GetAllVolumesRequest", get_all_volumes, HOME_HERE, false },
    { "GetCurrentVolumesRequest", get_current_volumes, HOME_HERE, false },
    { "GetVersionInfoRequest", get_version_info, HOME_HERE, false },
    { "PingRequest", ping, HOME_HERE, true },
    { "NoOpRequest", no_op, HOME_HERE, false },
    { 0 },
};
