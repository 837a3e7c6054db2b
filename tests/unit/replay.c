/* replay.c - runs a fuzzer's harness over its corpus, without the fuzzer: what was found once stays
 * found. The corpus is named by the program's own name. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc G_GNUC_UNUSED, char **argv)
{
    g_autofree char *harness = g_path_get_basename(argv[0]);
    g_autofree char *corpus = g_build_filename("tests/fuzz/corpus", harness, NULL);
    g_autoptr(GDir) directory = g_dir_open(corpus, 0, NULL);
    const char *name;
    unsigned count = 0;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(corpus, name, NULL);
        g_autofree char *data = NULL;
        size_t size;

        printf("# %s\n", name); /* the last one is the culprit */
        fflush(stdout);
        if (!g_file_get_contents(path, &data, &size, NULL))
            break;
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
        count++;
    }
    printf("%sok 1 - %u inputs of %s\n1..1\n", count > 0 ? "" : "not ", count, harness);
    return count == 0;
}
