/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: those built in are whole, a file is read as it stands, and what is wrong in one is named with its
 * line. */
#include "ersatz/profile.h"

#include <fcntl.h>

#include "check.h"
#include "scratch.h"

static const char path[] = "./ersatz-profile-text";

static enum ersatz_result read_text(
    const char *text, struct ersatz_profile *profile, struct ersatz_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return ersatz_profile_read(path, profile, error);
}

static void check_builtin(void)
{
    struct ersatz_profile profile;
    struct ersatz_error error;
    unsigned count = 0;

    for (; ersatz_profile_builtin(count) != NULL; count++) {
        const struct ersatz_profile *builtin = ersatz_profile_builtin(count);

        CHECK_EQ(ersatz_profile_read(builtin->name, &profile, &error), ERSATZ_OK);
        CHECK(memcmp(&profile, builtin, sizeof(profile)) == 0);
        CHECK(builtin->about[0] != '\0');
        CHECK_EQ(ersatz_profile_is_none(builtin), count == 0);
        CHECK_EQ(builtin->source[0] == '\0', count == 0);
    }
    CHECK(count >= 5);
    CHECK(strcmp(ersatz_profile_builtin(0)->name, "none") == 0);
    CHECK_EQ(ersatz_profile_read("qat", &profile, &error), ERSATZ_BAD_CONFIG);
    CHECK(strstr(error.text, "unknown profile \"qat\"; built in are none, qat-c62x, ") != NULL);
    CHECK(strstr(error.text, "a slash in it") != NULL);
    CHECK_EQ(ersatz_profile_read("./no/such", &profile, &error), ERSATZ_BAD_CONFIG);
    CHECK(strstr(error.text, "\"./no/such\" cannot be opened: No such file") != NULL);
}

static void check_whole_file(void)
{
    struct ersatz_profile profile;
    struct ersatz_error error;

    CHECK_EQ(read_text("# a remark\n"
                       "name = my-card  # another\n"
                       "about = what it is\n"
                       "\n"
                       "source = a page\n"
                       "instances=2\n"
                       "\tring_depth = 64\n"
                       "workers = 3\n"
                       "rsa_units = 42\n"
                       "aes_units = 12\n"
                       "latency = 26.5us\n"
                       "jitter = uniform 1us 2ms\n"
                       "rsa_private 4096 = 3.3ms\n"
                       "rsa_private 2048 = 415us\n"
                       "rsa_public = software\n"
                       "aes_gcm = 2us + 0.142ns/byte\n"
                       "aes = 1 us\n"
                       "aes_cbc = 1ns/byte\n"
                       "aes_xts = software",
                 &profile, &error),
        ERSATZ_OK);
    CHECK(strcmp(profile.name, "my-card") == 0);
    CHECK(strcmp(profile.about, "what it is") == 0);
    CHECK(strcmp(profile.source, "a page") == 0);
    CHECK_EQ(profile.instances, 2);
    CHECK_EQ(profile.ring_depth, 64);
    CHECK_EQ(profile.workers, 3);
    CHECK_EQ(profile.units, 0);
    CHECK_EQ(profile.rsa_units, 42);
    CHECK_EQ(profile.aes_units, 12);
    CHECK_EQ(profile.latency_ns, 26500);
    CHECK_EQ(profile.jitter.kind, ERSATZ_JITTER_UNIFORM);
    CHECK_EQ(profile.jitter.a_ns, 1000);
    CHECK_EQ(profile.jitter.b_ns, 2000000);
    CHECK_EQ(profile.rsa_private.count, 2);
    CHECK_EQ(profile.rsa_private.size[0].bits, 2048);
    CHECK_EQ(profile.rsa_private.size[0].ns, 415000);
    CHECK_EQ(profile.rsa_private.size[1].bits, 4096);
    CHECK_EQ(profile.rsa_private.size[1].ns, 3300000);
    CHECK_EQ(profile.rsa_public.count, 0);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_GCM].ns, 2000);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_GCM].ps_per_byte, 142);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_CTR].ns, 1000);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_CTR].ps_per_byte, 0);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_CBC].ns, 0);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_CBC].ps_per_byte, 1000);
    CHECK_EQ(profile.software, 1u << ERSATZ_REQUEST_RSA_PUB | 1u << ERSATZ_REQUEST_AES_XTS);
    CHECK_EQ(read_text("", &profile, &error), ERSATZ_OK); /* a card like none */
    CHECK(ersatz_profile_is_none(&profile));
    CHECK(strncmp(profile.name, "ersatz-profile-", 15) == 0);
}

static void refuse(const char *text, unsigned line, const char *expected)
{
    struct ersatz_profile profile;
    struct ersatz_error error;
    char place[32];

    snprintf(place, sizeof(place), ", line %u: ", line);
    CHECK_EQ(read_text(text, &profile, &error), ERSATZ_BAD_CONFIG);
    if (strstr(error.text, place) == NULL || strstr(error.text, expected) == NULL) {
        fprintf(stderr, "\"%s\"\nwanted%s%s\n", error.text, place, expected);
        abort();
    }
}

static void check_errors(void)
{
    refuse("latency = 5us\nlatency = 5us\n", 2, "latency is given twice");
    refuse("\n\nlatency = 5\n", 3, "latency is \"5\"; expected a time like 12us");
    refuse("latency = 5 parsecs\n", 1, "expected a time");
    refuse("latency = -5us\n", 1, "expected a time");
    refuse("latency = 1.2.3us\n", 1, "expected a time");
    refuse("latency = us\n", 1, "expected a time");
    refuse("latency = 5us 6us\n", 1, "expected a time");
    refuse("latency = 3601s\n", 1, "up to an hour");
    refuse("latency = 99999999999999999999999s\n", 1, "up to an hour");
    refuse("latency =\n", 1, "latency has no value");
    refuse("latency 5us\n", 1, "\"latency 5us\" is not understood; expected KEY = VALUE");
    refuse("latenzy = 5us\n", 1, "unknown key \"latenzy\"; expected name,");
    refuse("ring_depth = 100\n", 1, "ring_depth is \"100\"; expected a power of two from 1 to 32768");
    refuse("ring_depth = 65536\n", 1, "from 1 to 32768");
    refuse("instances = 0\n", 1, "instances is \"0\"; expected a number from 1 to 1024");
    refuse("instances = 2.0\n", 1, "expected a number");
    refuse("workers = two\n", 1, "workers is \"two\"; expected a number from 1 to 1024");
    refuse("units = 5000\n", 1, "from 1 to 4096");
    refuse("units = 5\nrsa_units = 3\n", 2, "either units, or rsa_units and aes_units");
    refuse("jitter = gamma 1us\n", 1, "expected none, uniform LOW HIGH");
    refuse("jitter = uniform 1us\n", 1, "uniform LOW HIGH");
    refuse("jitter = uniform 2us 1us\n", 1, "uniform LOW HIGH");
    refuse("jitter = exponential 2us 1us\n", 1, "exponential MEAN");
    refuse("jitter = normally 1us 1us\n", 1, "expected none");
    refuse("rsa_private = 5us\n", 1, "rsa_private needs the size of the key: rsa_private 2048 = TIME");
    refuse("rsa_private 2048 = software\n", 1, "expected a time");
    refuse("rsa_private 100 = 5us\n", 1, "expected 512 to 16384 bits");
    refuse("rsa_private 20480 = 5us\n", 1,
        "the size of the key is \"20480\"; expected a number from 1 to 16384");
    refuse("rsa_private 2048 = 0us\n", 1, "the time must not be 0");
    refuse("rsa_private 2048 = 1us\nrsa_private 2048 = 2us\n", 2, "rsa_private 2048 is given twice");
    refuse("rsa_public = software\nrsa_public 2048 = 2us\n", 2, "in software, but has a time");
    refuse("rsa_privat 2048 = 1us\n", 1, "unknown key");
    refuse("aes = fast\n", 1, "aes is \"fast\"; expected TIME, TIME + TIME/byte");
    refuse("aes = 1us +\n", 1, "TIME + TIME/byte");
    refuse("aes = 1us + 2us\n", 1, "TIME + TIME/byte");
    refuse("aes = 1us + 2ns/byte + 3us\n", 1, "TIME + TIME/byte");
    refuse("aes = 2s/byte\n", 1, "TIME + TIME/byte");
    refuse("aes_gcm = 1us\naes_gcm = 1us\n", 2, "aes_gcm is given twice");
    refuse("aes_gxm = 1us\n", 1, "unknown key \"aes_gxm\"");
    refuse("name = two words\n", 1, "name is \"two words\"; expected up to 31 letters");
    refuse("name = \"quoted\"\n", 1, "expected up to 31 letters");
}

static void check_long_lines(void)
{
    struct ersatz_profile profile;
    struct ersatz_error error;
    char text[1100];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "source = ", 9);
    refuse(text, 1, "the line is longer than 1022 characters");
    text[600] = '\0';
    refuse(text, 1, "source is longer than 511 characters");
    text[500] = '\0';
    CHECK_EQ(read_text(text, &profile, &error), ERSATZ_OK);
    for (unsigned i = 0, used = 0; i < 13; i++)
        used += (unsigned)snprintf(text + used, sizeof(text) - used, "rsa_public %u = 1us\n", 1024 + 8 * i);
    refuse(text, 13, "more than 12 sizes");
}

/* The file that the documents show. */
static void check_example(const char *example)
{
    struct ersatz_profile profile;
    struct ersatz_error error;

    if (ersatz_profile_read(example, &profile, &error) != ERSATZ_OK)
        FAIL(error.text);
    CHECK(strcmp(profile.name, "example") == 0);
    CHECK_EQ(profile.instances, 2);
    CHECK_EQ(profile.rsa_private.count, 2);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_GCM].ps_per_byte, 250);
    CHECK_EQ(profile.aes[ERSATZ_REQUEST_AES_CBC].ps_per_byte, 500);
    CHECK_EQ(profile.software, 1u << ERSATZ_REQUEST_AES_XTS);
}

int main(int argc, char **argv)
{
    test_begin(60);
    scratch_enter();
    check_builtin();
    check_whole_file();
    check_errors();
    check_long_lines();
    CHECK(argc == 2);
    check_example(argv[1]);
    scratch_leave();
    return 0;
}
