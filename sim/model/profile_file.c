/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a profile from a file: docs/profiles.md has the format. An error names the line, and says what is
 * wrong there and what was expected. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "ersatz/profile.h"

#define LINE_MAX_BYTES 1024u
#define BITS_MIN 512u
#define BITS_MAX 16384u
#define PS_PER_BYTE_MAX UINT64_C(1000000000) /* a millisecond for each byte */
#define TIME_EXPECTED "a time like 12us, 1.5ms or 800ns, up to an hour"

/* The file, as far as it is read. */
struct reader {
    struct ersatz_profile *profile;
    struct ersatz_error *error;
    const char *path;
    unsigned line;
    uint32_t keys; /* a bit for each key of the table that was given */
    uint32_t aes;  /* a bit 1 << name for each cipher that was given by its own name */
    struct ersatz_cipher_time any_aes;
    bool any_aes_given, any_aes_in_software;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *reader, const char *format, ...)
{
    const char *name = strrchr(reader->path, '/');
    char problem[sizeof(reader->error->text)];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    reader->error->result = ERSATZ_BAD_CONFIG;
    snprintf(reader->error->text, sizeof(reader->error->text), "%.60s, line %u: %.160s",
        name == NULL ? reader->path : name + 1, reader->line, problem);
    return false;
}

/* ------------------------------------------------------------------------------------------------- values */

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* A time with its unit, in picoseconds. Returns the first character behind it; NULL: there is no time. */
static const char *read_time(const char *at, uint64_t *ps)
{
    const char *number = skip_space(at), *name = skip_space(number + strspn(number, "0123456789."));
    uint64_t unit;
    const char *end = units_time(name, &unit);

    if (end == NULL || isalnum((unsigned char)*end))
        return NULL;
    number = units_decimal(number, unit, UNITS_PS_PER_NS * ERSATZ_PROFILE_TIME_MAX, ps);
    return number != NULL && skip_space(number) == name ? end : NULL;
}

/* One time and nothing else. */
static bool take_time(struct reader *reader, const char *key, const char *value, uint64_t *ns)
{
    uint64_t ps;
    const char *end = read_time(value, &ps);

    if (end == NULL || *skip_space(end) != '\0')
        return refuse(reader, "%s is \"%.40s\"; expected " TIME_EXPECTED, key, value);
    *ns = ps / UNITS_PS_PER_NS;
    return true;
}

static bool take_number(struct reader *reader, const char *key, const char *value, unsigned max,
    bool power_of_two, unsigned *number)
{
    uint64_t got = 0;
    const char *end = units_whole(value, max, &got);

    if (end == NULL || *end != '\0' || got < 1 || (power_of_two && (got & (got - 1)) != 0))
        return refuse(reader, "%s is \"%.40s\"; expected %s from 1 to %u", key, value,
            power_of_two ? "a power of two" : "a number", max);
    *number = (unsigned)got;
    return true;
}

/* --------------------------------------------------------------------------------------------------- keys */

static bool take_text(struct reader *reader, const char *key, const char *value)
{
    char *out = strcmp(key, "about") == 0 ? reader->profile->about : reader->profile->source;

    if (snprintf(out, ERSATZ_PROFILE_TEXT_MAX, "%s", value) >= (int)ERSATZ_PROFILE_TEXT_MAX)
        return refuse(reader, "%s is longer than %u characters", key, ERSATZ_PROFILE_TEXT_MAX - 1);
    return true;
}

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    return len > 0 && len < ERSATZ_PROFILE_NAME_MAX && name[len] == '\0';
}

static bool take_name(struct reader *reader, const char *key, const char *value)
{
    if (!is_name(value))
        return refuse(reader, "%s is \"%.40s\"; expected up to %u letters, digits, -, _ and .", key, value,
            ERSATZ_PROFILE_NAME_MAX - 1);
    memset(reader->profile->name, 0, sizeof(reader->profile->name));
    strcpy(reader->profile->name, value);
    return true;
}

static bool take_count(struct reader *reader, const char *key, const char *value)
{
    struct ersatz_profile *profile = reader->profile;
    const struct {
        const char *key;
        unsigned *out, max;
        bool power_of_two;
    } counts[] = {
        {"workers", &profile->workers, ERSATZ_WORKERS_MAX, false},
        {"instances", &profile->instances, ERSATZ_INSTANCES_MAX, false},
        {"ring_depth", &profile->ring_depth, ERSATZ_RING_DEPTH_MAX, true},
        {"units", &profile->units, ERSATZ_PROFILE_UNITS_MAX, false},
        {"rsa_units", &profile->rsa_units, ERSATZ_PROFILE_UNITS_MAX, false},
        {"aes_units", &profile->aes_units, ERSATZ_PROFILE_UNITS_MAX, false},
    };
    unsigned i = 0;

    while (strcmp(counts[i].key, key) != 0)
        i++;
    return take_number(reader, key, value, counts[i].max, counts[i].power_of_two, counts[i].out);
}

static bool take_latency(struct reader *reader, const char *key, const char *value)
{
    return take_time(reader, key, value, &reader->profile->latency_ns);
}

static bool take_jitter(struct reader *reader, const char *key, const char *value)
{
    static const struct {
        const char *name;
        enum ersatz_jitter_kind kind;
        unsigned times;
    } kinds[] = {
        {"none", ERSATZ_JITTER_NONE, 0},
        {"uniform", ERSATZ_JITTER_UNIFORM, 2},
        {"normal", ERSATZ_JITTER_NORMAL, 2},
        {"exponential", ERSATZ_JITTER_EXPONENTIAL, 1},
    };
    struct ersatz_jitter *jitter = &reader->profile->jitter;
    uint64_t ps[2] = {0, 0};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].name);
        const char *at = value + len;

        if (strncmp(value, kinds[i].name, len) != 0 || (*at != '\0' && !isspace((unsigned char)*at)))
            continue;
        for (unsigned n = 0; n < kinds[i].times && at != NULL; n++)
            at = read_time(at, &ps[n]);
        if (at == NULL || *skip_space(at) != '\0' ||
            (kinds[i].kind == ERSATZ_JITTER_UNIFORM && ps[1] < ps[0]))
            break;
        *jitter = (struct ersatz_jitter){kinds[i].kind, ps[0] / UNITS_PS_PER_NS, ps[1] / UNITS_PS_PER_NS};
        return true;
    }
    return refuse(reader,
        "%s is \"%.40s\"; expected none, uniform LOW HIGH, normal MEAN DEVIATION or exponential MEAN", key,
        value);
}

/* ------------------------------------------------------------------------------------------ service times */

static bool take_software(struct reader *reader, enum ersatz_request_name name, const char *value)
{
    if (strcmp(value, "software") != 0)
        return false;
    reader->profile->software |= 1u << name;
    return true;
}

/* "rsa_private 2048 = 415us", "rsa_private = software". */
static bool take_rsa(
    struct reader *reader, enum ersatz_request_name name, const char *size, const char *value)
{
    const char *key = name == ERSATZ_REQUEST_RSA_PRIV ? "rsa_private" : "rsa_public";
    struct ersatz_rsa_times *times =
        name == ERSATZ_REQUEST_RSA_PRIV ? &reader->profile->rsa_private : &reader->profile->rsa_public;
    unsigned bits = 0, i;
    uint64_t ns = 0;

    if (*size == '\0')
        return take_software(reader, name, value) ||
               refuse(
                   reader, "%s needs the size of the key: %s 2048 = TIME; or %s = software", key, key, key);
    if (!take_number(reader, "the size of the key", size, BITS_MAX, false, &bits) ||
        !take_time(reader, key, value, &ns))
        return false;
    if (bits < BITS_MIN)
        return refuse(reader, "the size of the key is %u; expected %u to %u bits", bits, BITS_MIN, BITS_MAX);
    if (ns == 0)
        return refuse(reader, "%s %u: the time must not be 0; leave the line out", key, bits);
    if (times->count == ERSATZ_PROFILE_SIZES_MAX)
        return refuse(reader, "%s is given for more than %u sizes", key, ERSATZ_PROFILE_SIZES_MAX);
    for (i = times->count; i > 0 && times->size[i - 1].bits >= bits; i--) {
        if (times->size[i - 1].bits == bits)
            return refuse(reader, "%s %u is given twice", key, bits);
        times->size[i] = times->size[i - 1];
    }
    times->size[i].bits = bits;
    times->size[i].ns = ns;
    times->count++;
    return true;
}

/* "2us", "2us + 0.1ns/byte", "0.1ns/byte". */
static bool take_cipher_time(
    struct reader *reader, const char *key, const char *value, struct ersatz_cipher_time *time)
{
    uint64_t ps;
    const char *at = value;

    *time = (struct ersatz_cipher_time){0, 0};
    for (unsigned i = 0; i < 2; i++) {
        at = read_time(at, &ps);
        if (at == NULL)
            break;
        if (strncmp(at, "/byte", 5) == 0) {
            at = skip_space(at + 5);
            time->ps_per_byte = ps;
            if (*at == '\0' && ps <= PS_PER_BYTE_MAX)
                return true;
            break;
        }
        at = skip_space(at);
        time->ns = ps / UNITS_PS_PER_NS;
        if (*at == '\0' && i == 0)
            return true;
        if (*at++ != '+')
            break;
    }
    return refuse(reader, "%s is \"%.40s\"; expected TIME, TIME + TIME/byte (2us + 0.1ns/byte) or software",
        key, value);
}

static bool take_aes(struct reader *reader, const char *key, const char *value)
{
    reader->any_aes_given = true;
    reader->any_aes_in_software = strcmp(value, "software") == 0;
    return reader->any_aes_in_software || take_cipher_time(reader, key, value, &reader->any_aes);
}

/* The cipher with that name in the statistics ("aes_cbc"); ERSATZ_REQUEST_NAMES: there is none. */
static enum ersatz_request_name find_cipher(const char *key)
{
    enum ersatz_request_name name = ERSATZ_REQUEST_AES_CBC;

    while (name < ERSATZ_REQUEST_NAMES && strcmp(key, ersatz_request_name_text(name)) != 0)
        name++;
    return name;
}

static bool take_one_cipher(
    struct reader *reader, enum ersatz_request_name name, const char *key, const char *value)
{
    if (reader->aes & 1u << name)
        return refuse(reader, "%s is given twice", key);
    reader->aes |= 1u << name;
    return take_software(reader, name, value) ||
           take_cipher_time(reader, key, value, &reader->profile->aes[name]);
}

/* The key `aes` sets every cipher that has no key of its own, wherever it stands in the file. */
static void spread_aes(struct reader *reader)
{
    for (enum ersatz_request_name name = ERSATZ_REQUEST_AES_CBC; name < ERSATZ_REQUEST_NAMES; name++) {
        if (!reader->any_aes_given || (reader->aes & 1u << name))
            continue;
        reader->profile->aes[name] = reader->any_aes;
        if (reader->any_aes_in_software)
            reader->profile->software |= 1u << name;
    }
}

/* -------------------------------------------------------------------------------------------------- lines */

static const struct {
    const char *key;
    bool (*take)(struct reader *reader, const char *key, const char *value);
} keys[] = {
    {"name", take_name},
    {"about", take_text},
    {"source", take_text},
    {"workers", take_count},
    {"instances", take_count},
    {"ring_depth", take_count},
    {"units", take_count},
    {"rsa_units", take_count},
    {"aes_units", take_count},
    {"latency", take_latency},
    {"jitter", take_jitter},
    {"aes", take_aes},
};

static bool take_key(struct reader *reader, const char *key, const char *value)
{
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].key, key) != 0)
            continue;
        if (reader->keys & 1u << i)
            return refuse(reader, "%s is given twice", key);
        reader->keys |= 1u << i;
        return keys[i].take(reader, key, value);
    }
    for (enum ersatz_request_name name = ERSATZ_REQUEST_RSA_PRIV; name <= ERSATZ_REQUEST_RSA_PUB; name++) {
        const char *rsa = name == ERSATZ_REQUEST_RSA_PRIV ? "rsa_private" : "rsa_public";
        size_t len = strlen(rsa);

        if (strncmp(key, rsa, len) == 0 && (key[len] == '\0' || isspace((unsigned char)key[len])))
            return take_rsa(reader, name, skip_space(key + len), value);
    }
    if (find_cipher(key) != ERSATZ_REQUEST_NAMES)
        return take_one_cipher(reader, find_cipher(key), key, value);
    return refuse(reader,
        "unknown key \"%.24s\"; expected name, source, instances, ring_depth, workers, units, latency, "
        "jitter, "
        "rsa_private BITS, rsa_public BITS, aes, aes_gcm...",
        key);
}

static void cut_trailing_space(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
}

static bool take_line(struct reader *reader, char *line)
{
    const char *value;
    char *equals;

    line[strcspn(line, "#")] = '\0';
    line += skip_space(line) - line;
    cut_trailing_space(line);
    if (line[0] == '\0')
        return true;
    equals = strchr(line, '=');
    if (equals == NULL)
        return refuse(reader, "\"%.40s\" is not understood; expected KEY = VALUE, or # and a remark", line);
    *equals = '\0';
    value = skip_space(equals + 1);
    cut_trailing_space(line);
    if (value[0] == '\0')
        return refuse(reader, "%.40s has no value", line);
    return take_key(reader, line, value);
}

static bool check_whole(struct reader *reader)
{
    const struct ersatz_profile *profile = reader->profile;

    if (profile->units != 0 && (profile->rsa_units != 0 || profile->aes_units != 0))
        return refuse(reader, "units is for everything; expected either units, or rsa_units and aes_units");
    if ((profile->software & 1u << ERSATZ_REQUEST_RSA_PRIV && profile->rsa_private.count > 0) ||
        (profile->software & 1u << ERSATZ_REQUEST_RSA_PUB && profile->rsa_public.count > 0))
        return refuse(reader, "RSA is computed in software, but has a time on the card");
    return true;
}

static bool read_lines(struct reader *reader, FILE *file)
{
    char line[LINE_MAX_BYTES];

    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(line);

        reader->line++;
        if (len + 1 == sizeof(line) && line[len - 1] != '\n')
            return refuse(reader, "the line is longer than %u characters", LINE_MAX_BYTES - 2);
        if (!take_line(reader, line))
            return false;
    }
    if (ferror(file))
        return refuse(reader, "cannot be read: %s", strerror(errno));
    spread_aes(reader);
    return check_whole(reader);
}

/* A profile without a name gets the file's. */
static void name_after_file(struct ersatz_profile *profile, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    snprintf(profile->name, sizeof(profile->name), "%.*s", (int)strcspn(name, "."), name);
    if (!is_name(profile->name))
        strcpy(profile->name, "file");
}

static enum ersatz_result read_file(
    const char *path, struct ersatz_profile *profile, struct ersatz_error *error)
{
    struct reader reader = {.profile = profile, .error = error, .path = path};
    FILE *file = fopen(path, "re");
    bool ok;

    if (file == NULL) {
        error->result = ERSATZ_BAD_CONFIG;
        snprintf(error->text, sizeof(error->text), "the file \"%.120s\" cannot be opened: %s", path,
            strerror(errno));
        return ERSATZ_BAD_CONFIG;
    }
    error->result = ERSATZ_OK;
    name_after_file(profile, path);
    ok = read_lines(&reader, file);
    fclose(file);
    return ok ? ERSATZ_OK : ERSATZ_BAD_CONFIG;
}

static enum ersatz_result unknown(const char *name, struct ersatz_error *error)
{
    size_t used =
        (size_t)snprintf(error->text, sizeof(error->text), "unknown profile \"%.40s\"; built in are ", name);

    for (unsigned i = 0; ersatz_profile_builtin(i) != NULL && used < sizeof(error->text); i++)
        used += (size_t)snprintf(error->text + used, sizeof(error->text) - used, "%s%s", i == 0 ? "" : ", ",
            ersatz_profile_builtin(i)->name);
    if (used < sizeof(error->text))
        snprintf(error->text + used, sizeof(error->text) - used,
            "; the path of a file has a slash in it, like ./my.profile");
    error->result = ERSATZ_BAD_CONFIG;
    return ERSATZ_BAD_CONFIG;
}

enum ersatz_result ersatz_profile_read(
    const char *name_or_path, struct ersatz_profile *profile, struct ersatz_error *error)
{
    memset(profile, 0, sizeof(*profile));
    if (strchr(name_or_path, '/') != NULL)
        return read_file(name_or_path, profile, error);
    for (unsigned i = 0; ersatz_profile_builtin(i) != NULL; i++) {
        if (strcmp(ersatz_profile_builtin(i)->name, name_or_path) == 0) {
            *profile = *ersatz_profile_builtin(i);
            return ERSATZ_OK;
        }
    }
    return unknown(name_or_path, error);
}
