/* SPDX-License-Identifier: Apache-2.0 */
/* A program that loads the module by its configuration, and does not look whether that went well: as most do.
 * It goes on without the card then; but the module has said so, in one line. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/conf.h>
#include <openssl/engine.h>
#include <openssl/provider.h>

#include "check.h"
#include "child.h"
#include "scratch.h"
#include "support/card.h"
#include "support/seccomp.h"

#define CONF "contract-refused.cnf"

static const struct {
    const char *control; /* ERSATZ_CTRL */
    const char *line;    /* in the module's section */
    const char *said;    /* NULL: nothing */
    enum { EITHER_DOOR, ENGINE_ONLY, PROVIDER_ONLY } door;
} ways[] = {
    {NULL, "", NULL, EITHER_DOOR},
    {"WORKERS:9999", "", "WORKERS is 9999; it must be from 1 to 1024", EITHER_DOOR},
    {"NO_SUCH:1", "", "unknown command \"NO_SUCH\"", EITHER_DOOR},
    {"GET_NUM_REQUESTS_IN_FLIGHT:1", "", "GET_NUM_REQUESTS_IN_FLIGHT needs", EITHER_DOOR},
    {"FAULTS:late=1", "", "FAULTS is wrong at character", EITHER_DOOR},
    {NULL, "WORKERS = 9999", "WORKERS is 9999; it must be from 1 to 1024", EITHER_DOOR},
    {NULL, "WORKERS = many", "WORKERS is \"many\"; expected a number", EITHER_DOOR},
    {NULL, "WORKERS = EMPTY", "WORKERS had a wrong value or none", ENGINE_ONLY},
    {NULL, "WORKERS = EMPTY", "WORKERS is \"EMPTY\"; expected a number", PROVIDER_ONLY},
    {NULL, "ENABLE_SW_FALLBACK = 1", "ENABLE_SW_FALLBACK had a wrong value", ENGINE_ONLY},
    {NULL, "ENABLE_SW_FALLBACK = 1", NULL, PROVIDER_ONLY},
    {NULL, "ENABLE_SW_FALLBACK = maybe", "expected yes or no", PROVIDER_ONLY},
    {NULL, "NO_SUCH = 1", "unknown command \"NO_SUCH\"", ENGINE_ONLY},
    {NULL, "PROFILE = /nowhere/card", "/nowhere/card", EITHER_DOOR},
    {NULL, "RECORD = /nowhere", "RECORD: expected a directory that exists, got /nowhere", EITHER_DOOR},
    {"FORBIDDEN", "", "io_uring is forbidden", EITHER_DOOR}, /* see below */
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void write_configuration(const char *line)
{
    FILE *stream = fopen(CONF, "we");

    CHECK(stream != NULL);
    if (card_is_provider())
        fprintf(stream,
            "openssl_conf = init\n[init]\nproviders = providers\n[providers]\nersatz = ersatz\n"
            "default = libcrypto\n[ersatz]\nmodule = %s\nactivate = 1\n%s\n[libcrypto]\nactivate = 1\n",
            getenv("ERSATZ_MODULE"), line);
    else
        fprintf(stream,
            "openssl_conf = init\n[init]\nengines = engines\n[engines]\nersatz = ersatz\n[ersatz]\n"
            "dynamic_path = %s\n%s\ndefault_algorithms = ALL\ninit = 1\n",
            getenv("ERSATZ_MODULE"), line);
    CHECK_EQ(fclose(stream), 0);
}

/* A new key has the method of the default engine. */
static bool has_card(void)
{
    RSA *rsa;
    bool has;

    if (card_is_provider())
        return OSSL_PROVIDER_available(NULL, "ersatz") == 1;
    rsa = RSA_new();
    has = RSA_get_method(rsa) != RSA_PKCS1_OpenSSL();
    RSA_free(rsa);
    return has;
}

/* The program. Its exit status says whether it has the card. */
static int program(const char *forbid)
{
    if (forbid != NULL)
        forbid_io_uring(EPERM);
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    return has_card() ? 7 : 8;
}

/* An application that tries a command, and hears that it was wrong, is not told twice. */
static int trying_program(void)
{
    struct card *card = card_load(NULL);

    CHECK(card_refuses(card, "WORKERS", "9999", "WORKERS is 9999"));
    CHECK(card_refuses(card, "NO_SUCH", NULL, "unknown command"));
    CHECK(
        card_refuses(card, "SEED", NULL, card_is_provider() ? "SEED takes a value" : "command takes input"));
    card_unload(card);
    return 7;
}

#ifndef OPENSSL_NO_ENGINE
/* Before it is in use, too, there is one line and no more, and it may still be taken into use. */
static int insisting_program(void)
{
    ENGINE *engine;

    ENGINE_load_dynamic();
    engine = ENGINE_by_id("dynamic");
    CHECK(ENGINE_ctrl_cmd_string(engine, "SO_PATH", getenv("ERSATZ_MODULE"), 0) &&
          ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0));
    for (int i = 0; i < 3; i++) {
        CHECK(!ENGINE_ctrl_cmd_string(engine, "WORKERS", "9999", 0) && error_speaks_of("WORKERS is 9999"));
        CHECK(
            !ENGINE_ctrl_cmd_string(engine, "INSTANCES", "9999", 0) && error_speaks_of("INSTANCES is 9999"));
    }
    CHECK(!ENGINE_ctrl_cmd_string(engine, "SEED", NULL, 0) && error_speaks_of("command takes input"));
    CHECK(ENGINE_init(engine));
    CHECK(ENGINE_finish(engine) && ENGINE_free(engine));
    return 7;
}
#else
static int insisting_program(void)
{
    FAIL("this OpenSSL has no engines");
}
#endif

/* Runs this test again in a process of its own, as that program. Returns its exit status. */
static int run(const char *self, const char *name, unsigned way, char *said, size_t size)
{
    int ends[2];
    size_t used = 0;
    ssize_t got;
    pid_t pid;

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    write_configuration(ways[way].line);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        bool forbidden = ways[way].control != NULL && strcmp(ways[way].control, "FORBIDDEN") == 0;

        dup2(ends[1], STDERR_FILENO);
        setenv("OPENSSL_CONF", CONF, 1);
        unsetenv("ERSATZ_CTRL");
        if (ways[way].control != NULL && !forbidden)
            setenv("ERSATZ_CTRL", ways[way].control, 1);
        execl("/proc/self/exe", self, name, forbidden ? "forbidden" : NULL, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    while (used + 1 < size && (got = read(ends[0], said + used, size - 1 - used)) > 0)
        used += (size_t)got;
    said[used] = '\0';
    close(ends[0]);
    return child_status(pid);
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

int main(int argc, char **argv)
{
    char said[4096];

    test_begin(60);
    if (argc > 1)
        return strcmp(argv[1], "trying") == 0      ? trying_program()
               : strcmp(argv[1], "insisting") == 0 ? insisting_program()
                                                   : program(argv[2]);
    scratch_enter();
    for (unsigned way = 0; way < WAYS; way++) {
        int status;

        if (ways[way].door == (card_is_provider() ? ENGINE_ONLY : PROVIDER_ONLY))
            continue;
        status = run(argv[0], "program", way, said, sizeof(said));
        if (ways[way].said == NULL) {
            if (status != 7 || said[0] != '\0')
                FAIL(said);
        } else if (status != 8 || count_lines(said) != 1 || strstr(said, ways[way].said) == NULL ||
                   strncmp(said, "ersatz: ", 8) != 0) {
            fprintf(stderr, "%s, %s: status %d, and it said:\n", ways[way].control, ways[way].line, status);
            FAIL(said);
        }
    }
    if (run(argv[0], "trying", 0, said, sizeof(said)) != 7 || said[0] != '\0')
        FAIL(said);
    if (!card_is_provider() && /* it is in use as soon as it is loaded */
        (run(argv[0], "insisting", 0, said, sizeof(said)) != 7 || count_lines(said) != 1))
        FAIL(said);
    scratch_leave();
    return 0;
}
