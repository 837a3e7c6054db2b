/* import.c - fuzzes importConf: whatever is called mailboxmove.conf, it is refused and nothing is
 * left, or what comes out is a configuration that can be read, is private, and has every password
 * that what is said of it has not. */
#include "commands/commands.h"
#include "conf/conf.h"
#include "conf/script.h"
#include "tests/fuzz/files.h"
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned times(const char *text, const char *part)
{
    unsigned count = 0;

    while ((text = strstr(text, part)) != NULL) {
        text++;
        count++;
    }
    return count;
}

/* A password that is like nothing else in the file is nowhere in what is printed. */
static void check_secrets(const char *path, const char *file, const Result *result)
{
    g_autoptr(GPtrArray) items = script_read(path, NULL);
    char *shown = json_dumps(result->response, 0);

    g_assert(items != NULL);
    for (guint i = 0; i < items->len; i++) {
        const ScriptItem *item = g_ptr_array_index(items, i);
        const char *secret = item->secret != NULL ? secret_reveal(item->secret) : "";

        if (strlen(secret) < 12 || times(file, secret) != 1)
            continue;
        g_assert(strstr(shown, secret) == NULL);
        g_assert(strstr(result->text, secret) == NULL);
    }
    free(shown);
}

static void check_output(const char *output)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Conf) conf = conf_load(output, &error);
    struct stat st;

    if (conf == NULL)
        g_error("%s", error->message);
    g_assert(conf->stores->len > 0 && conf->ldap.master != NULL);
    g_assert(stat(output, &st) == 0 && (st.st_mode & 07777) == 0600);
}

static void import(const char *path, const char *output, const char *file)
{
    const char *words[] = { path, output != NULL ? "output" : NULL, output, NULL };
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    Result result = { 0 };
    void *request = args_parse(&cmd_import_conf, words, NULL, notes, &error);

    g_assert(request != NULL);
    if (cmd_import_conf.run(NULL, request, &result, &error)) {
        g_assert(error == NULL && result.response != NULL && result.text != NULL);
        check_secrets(path, file, &result);
        if (output != NULL)
            check_output(output);
    } else {
        g_assert(error != NULL && result.response == NULL);
        g_assert(output == NULL || !g_file_test(output, G_FILE_TEST_EXISTS));
    }
    result_clear(&result);
    args_free(&cmd_import_conf, request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *path = fuzz_file("mailboxmove.conf", data, size);
    g_autofree char *output = fuzz_path("zxmove.yaml");
    g_autofree char *text = g_strndup((const char *)data, size);

    g_remove(output);
    import(path, NULL, text);
    import(path, output, text);
    return 0;
}
