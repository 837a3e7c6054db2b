/* test_trust.c - what the texts of known_hosts and of a file of CA certificates say, and how they are
 * changed: what is not the server's own stays as it is. */
#include "core/base/file.h"
#include "core/check/check.h"
#include "core/net/ssh.h"
#include "core/net/tls.h"
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define KEY_A "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define KEY_B "AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"

/* What the host shows: key A. Its fingerprint is taken from a text that has it. */
static SshHostKey host_key(const char *host)
{
    SshHostKey probe = { .type = g_strdup("ssh-ed25519"), .host = g_strdup(host),
                         .line = g_strdup_printf("%s ssh-ed25519 " KEY_A "\n", host) };
    char *recorded = NULL;

    probe.fingerprint = g_strdup("");
    assert_int_equal(ssh_key_known(probe.line, &probe, &recorded), SSH_KEY_CHANGED);
    g_free(probe.fingerprint);
    probe.fingerprint = recorded;
    return probe;
}

static void key_clear(SshHostKey *key)
{
    g_free(key->type);
    g_free(key->host);
    g_free(key->line);
    g_free(key->fingerprint);
}

static void known_hosts(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        SshKnown known;
    } cases[] = {
        { "", SSH_KEY_NEW },
        { "[10.0.0.1]:2222 ssh-ed25519 " KEY_A "\n", SSH_KEY_KNOWN },
        { "other,[10.0.0.1]:2222 ssh-ed25519 " KEY_A, SSH_KEY_KNOWN },
        { "10.0.0.1 ssh-ed25519 " KEY_A "\n", SSH_KEY_NEW },        /* another port */
        { "#[10.0.0.1]:2222 ssh-ed25519 " KEY_A "\n", SSH_KEY_NEW }, /* a remark */
        { "[10.0.0.1]:2222 ssh-ed25519 " KEY_B "\n", SSH_KEY_CHANGED },
        { "[10.0.0.1]:2222 ssh-ed25519 " KEY_B "\n[10.0.0.1]:2222 ssh-ed25519 " KEY_A "\n",
          SSH_KEY_KNOWN },
        { "[10.0.0.1]:2222 nonsense\n\n  \nx\n", SSH_KEY_NEW },
    };
    SshHostKey key = host_key("[10.0.0.1]:2222");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *recorded = NULL;

        if (ssh_key_known(cases[i].text, &key, &recorded) != cases[i].known)
            fail_msg("%s", cases[i].text);
        assert_true((recorded != NULL) == (cases[i].known == SSH_KEY_CHANGED));
    }
    key_clear(&key);
}

static void known_hosts_changed(void **state G_GNUC_UNUSED)
{
    SshHostKey key = host_key("10.0.0.1");
    g_autoptr(GError) error = NULL;
    g_autofree char *none = ssh_key_put("", &key, &error);
    g_autofree char *replaced =
        ssh_key_put("# mine\nother ssh-ed25519 " KEY_B "\n\n10.0.0.1 ssh-ed25519 " KEY_B
                    "\nlast ssh-ed25519 " KEY_B,
                    &key, &error);

    assert_string_equal(none, "10.0.0.1 ssh-ed25519 " KEY_A "\n");
    assert_string_equal(replaced, "# mine\nother ssh-ed25519 " KEY_B "\n\nlast ssh-ed25519 " KEY_B
                                  "\n10.0.0.1 ssh-ed25519 " KEY_A "\n");
    assert_null(ssh_key_put("x\nother,10.0.0.1 ssh-ed25519 " KEY_B "\n", &key, &error));
    assert_int_equal(error_code(error), ZX_ERROR_REFUSED);
    assert_non_null(strstr(error->message, "line 2"));
    key_clear(&key);
}

/* Made with `openssl req -x509 -newkey ed25519` for a hundred years: CN=one.test twice, with different
 * keys, and CN=two.test. */
#define ONE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBUjCCAQSgAwIBAgIUMmT5G7ZXOx6aig8JGvDcQkM8Ib8wBQYDK2VwMBMxETAP\n" \
    "BgNVBAMMCG9uZS50ZXN0MCAXDTI2MTEyMjA5MDk1M1oYDzIxMjYxMDI5MDkwOTUz\n" \
    "WjATMREwDwYDVQQDDAhvbmUudGVzdDAqMAUGAytlcAMhAAbIKHhpCYkc/Fotzq0Q\n" \
    "zlcrY8A2whWPkWG6UFw9EsY+o2gwZjAdBgNVHQ4EFgQUQ0j/a2xhYBmagQro0lwz\n" \
    "ijZ2epcwHwYDVR0jBBgwFoAUQ0j/a2xhYBmagQro0lwzijZ2epcwEwYDVR0RBAww\n" \
    "CoIIb25lLnRlc3QwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQATNUksnmscwQdJ\n" \
    "LsbRY5411njzximTPGCRrfd4ozZSUGeSGRtXdyNFkSJLM+j6cJJEQaDq/+zCrYlI\n" \
    "JGhvjtcN\n" \
    "-----END CERTIFICATE-----\n"
#define ONE_ANEW \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBUjCCAQSgAwIBAgIUAtFFYv4hQ++321nznZ36NxkZqiYwBQYDK2VwMBMxETAP\n" \
    "BgNVBAMMCG9uZS50ZXN0MCAXDTI2MTEyMjA5MDk1M1oYDzIxMjYxMDI5MDkwOTUz\n" \
    "WjATMREwDwYDVQQDDAhvbmUudGVzdDAqMAUGAytlcAMhAEfsNHqCWUlDBHOmeKHy\n" \
    "8sKONJKMQ8zBLwEBSmryi5huo2gwZjAdBgNVHQ4EFgQU9FtBJ4KOHIK1YoBPGrBU\n" \
    "dy1W7S0wHwYDVR0jBBgwFoAU9FtBJ4KOHIK1YoBPGrBUdy1W7S0wEwYDVR0RBAww\n" \
    "CoIIb25lLnRlc3QwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQCY13xqjw5mo/I3\n" \
    "uSia9gv65mM5lcOYTy4g5wX6qbPm6YRiZaOwi9wj2WmC4C0B/WqGhrnSQAls8a+r\n" \
    "GdjNYdsK\n" \
    "-----END CERTIFICATE-----\n"
#define TWO \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBUjCCAQSgAwIBAgIUTl455YwmetYk7NUAzLz19Kjx+v0wBQYDK2VwMBMxETAP\n" \
    "BgNVBAMMCHR3by50ZXN0MCAXDTI2MTEyMjA5MDk1M1oYDzIxMjYxMDI5MDkwOTUz\n" \
    "WjATMREwDwYDVQQDDAh0d28udGVzdDAqMAUGAytlcAMhACjaJLujbM0422DbQyiR\n" \
    "QwGNVCjXvuFSctqrUBWV8uHuo2gwZjAdBgNVHQ4EFgQUZOF32GNSMKqGOCy7h1KQ\n" \
    "5KDHfkQwHwYDVR0jBBgwFoAUZOF32GNSMKqGOCy7h1KQ5KDHfkQwEwYDVR0RBAww\n" \
    "CoIIdHdvLnRlc3QwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQCEsLGVxqoatG37\n" \
    "S3c/v4/2c0HOeWNWktSdAJtQzmvrDdHjhjwAgRTKjJ22R24/7/FUDDHaKJ5zBYZp\n" \
    "W2sP7hwA\n" \
    "-----END CERTIFICATE-----\n"

/* The only certificate of a text. */
static const TlsCertificate *certificate_of(const char *pem, GPtrArray **blocks)
{
    g_autofree char *rest = NULL;

    *blocks = tls_blocks(pem, &rest, NULL);
    assert_non_null(*blocks);
    assert_int_equal((*blocks)->len, 1);
    return ((const TlsBlock *)g_ptr_array_index(*blocks, 0))->certificate;
}

#define SOAP "SOAP certificate"
#define MARK "# zxmove believes by this: the SOAP certificate of "

static void anchors(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) one_block = NULL, anew_block = NULL, two_block = NULL;
    const TlsCertificate *one = certificate_of(ONE, &one_block);
    const TlsCertificate *anew = certificate_of(ONE_ANEW, &anew_block);
    const TlsCertificate *two = certificate_of(TWO, &two_block);
    struct {
        const char *before, *server;
        const TlsCertificate *put;
        const char *recorded, *after;
    } cases[] = {
        /* The first of a file, and one more. */
        { "", "a", one, NULL, MARK "a\n" ONE },
        { "# mine\n" TWO, "a", one, NULL, "# mine\n" TWO MARK "a\n" ONE },
        /* It is there: only for whom is added. */
        { "# mine\n" ONE TWO, "a", one, NULL, "# mine\n" MARK "a\n" ONE TWO },
        { MARK "a\n" ONE, "a", one, NULL, MARK "a\n" ONE },
        /* Another one of the same server: the old one goes, unless others are believed by it. */
        { MARK "a\n" ONE "# end\n", "a", two, one->fingerprint, "# end\n" MARK "a\n" TWO },
        { MARK "a\n" MARK "b\n" ONE, "a", two, one->fingerprint, MARK "b\n" ONE MARK "a\n" TWO },
        /* The same name with another key, whoever put it there. */
        { TWO ONE, "a", anew, one->fingerprint, TWO MARK "a\n" ONE_ANEW },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *recorded = NULL, *after = NULL;

        assert_true(anchors_recorded(cases[i].before, SOAP, cases[i].server, cases[i].put, &recorded,
                                     NULL));
        if (g_strcmp0(recorded, cases[i].recorded) != 0)
            fail_msg("case %zu: %s", i, recorded);
        after = anchors_put(cases[i].before, SOAP, cases[i].server, cases[i].put, NULL);
        assert_string_equal(after, cases[i].after);
    }
}

static void damaged(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *rest = NULL;

    assert_null(tls_blocks(ONE "-----BEGIN CERTIFICATE-----\nrubbish\n", &rest, &error));
    assert_int_equal(error_code(error), ZX_ERROR_DATA);
}

static void judged(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) blocks = NULL;
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    g_autofree char *no_reason = NULL, *unknown = NULL, *other_name = NULL;

    g_ptr_array_add(chain, (gpointer)(uintptr_t)certificate_of(ONE, &blocks));
    assert_int_equal(tls_judge(chain, TWO ONE, "one.test", &no_reason), TLS_ACCEPTED);
    assert_null(no_reason);
    assert_int_equal(tls_judge(chain, TWO, "one.test", &unknown), TLS_UNKNOWN_SIGNER);
    assert_non_null(unknown);
    assert_int_equal(tls_judge(chain, ONE, "two.test", &other_name), TLS_UNFIT);
    assert_non_null(strstr(other_name, "mismatch"));
}

static void files(void **state G_GNUC_UNUSED)
{
    g_autofree char *directory = g_dir_make_tmp("zxmove-trust-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "file", NULL);
    g_autofree char *nothing = file_text(path, NULL), *something = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;

    assert_string_equal(nothing, "");
    assert_true(file_replace(path, "old", 0600, NULL));
    assert_true(file_replace(path, "new", 0644, NULL));
    something = file_text(path, NULL);
    assert_string_equal(something, "new");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_false(file_replace(directory, "x", 0600, &error));
    assert_int_equal(error_code(error), ZX_ERROR_STATE);
    g_unlink(path);
    g_rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(known_hosts), cmocka_unit_test(known_hosts_changed),
        cmocka_unit_test(anchors),     cmocka_unit_test(damaged),
        cmocka_unit_test(judged),      cmocka_unit_test(files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("tests", all, NULL, NULL);
}
