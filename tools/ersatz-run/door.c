/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the door by which the program gets to the card. A program takes the module only if both use the
 * same libcrypto, and OpenSSL 4.0's has no engines. So the dynamic loader is asked which libcrypto the
 * program loads. A script, a shell or an interpreter loads none; then the module's libcrypto decides.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/opensslconf.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

extern char **environ;

const char *door_name(enum door door)
{
    return door == DOOR_PROVIDER ? "provider" : "engine";
}

/* ------------------------------------------------------------------------------------------ the libcrypto */

static int find_loader(struct dl_phdr_info *info, size_t size, void *path)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)path = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    }
    return 1; /* the first is this program; the others do not matter */
}

/* Runs this program's dynamic loader to list the libraries of a file: "NAME => PATH (0xADDRESS)", a line for
 * each. Returns the output; NULL: it could not be run. */
static FILE *list_libraries(const char *file, pid_t *pid)
{
    const char *loader = NULL;
    posix_spawn_file_actions_t actions;
    FILE *stream = NULL;
    int ends[2];

    dl_iterate_phdr(find_loader, &loader);
    if (loader == NULL || pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(pid, loader, &actions, NULL,
            (char *const[]){(char *)(uintptr_t)loader, "--list", (char *)(uintptr_t)file, NULL},
            environ) == 0)
        stream = fdopen(ends[0], "r");
    else
        *pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (stream == NULL)
        close(ends[0]);
    return stream;
}

/* The path of the libcrypto that the loader finds for a file, which the caller frees. NULL: none. */
static char *libcrypto_of(const char *file)
{
    char *line = NULL, *found = NULL;
    size_t size = 0;
    pid_t pid = -1;
    FILE *stream = file == NULL ? NULL : list_libraries(file, &pid);

    while (stream != NULL && getline(&line, &size, stream) > 0) {
        char *path = strstr(line, "=> "), *end = strstr(line, " (0x");

        path = path == NULL ? line + strspn(line, " \t") : path + 3;
        if (found == NULL && end > path && strstr(line, "libcrypto.so") != NULL)
            found = text("%.*s", (int)(end - path), path);
    }
    free(line);
    if (stream != NULL)
        fclose(stream);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return found;
}

/* The number at the end of its soname: "3" of /usr/lib/libcrypto.so.3. */
static const char *version_of(const char *libcrypto)
{
    const char *version = strstr(libcrypto, "libcrypto.so");

    return version + strlen("libcrypto.so");
}

static bool has_engines(const char *libcrypto)
{
    void *library = dlopen(libcrypto, RTLD_LAZY | RTLD_LOCAL);

    return library != NULL && dlsym(library, "ENGINE_by_id") != NULL;
}

/* The path of the program that execvp(3) would run; the caller frees it. NULL: none. */
static char *program_path(const char *command)
{
    const char *directory = getenv("PATH");

    if (strchr(command, '/') != NULL)
        return text("%s", command);
    if (directory == NULL)
        directory = "/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(directory, ":");
        char *path = text("%.*s%s%s", (int)length, directory, length == 0 ? "" : "/", command);

        if (access(path, X_OK) == 0)
            return path;
        free(path);
        if (directory[length] == '\0')
            return NULL;
        directory += length + 1;
    }
}

void libcryptos_find(struct libcryptos *libcryptos, const char *command, const char *module)
{
    char *program = program_path(command);

    libcryptos->programs = libcrypto_of(program);
    libcryptos->modules = libcrypto_of(module);
    libcryptos->differ = libcryptos->programs != NULL && libcryptos->modules != NULL &&
                         strcmp(version_of(libcryptos->programs), version_of(libcryptos->modules)) != 0;
    free(program);
}

void libcryptos_free(struct libcryptos *libcryptos)
{
    free(libcryptos->programs);
    free(libcryptos->modules);
}

/* ----------------------------------------------------------------------------------------------- the door */

enum door door_choose(enum door wanted, const struct libcryptos *libcryptos, const struct config *config)
{
    const char *decides = libcryptos->programs != NULL ? libcryptos->programs : libcryptos->modules;

#ifdef OPENSSL_NO_ENGINE
    if (wanted == DOOR_ENGINE)
        give_up("--door engine: the OpenSSL that ersatz was built for has no engines");
    wanted = DOOR_PROVIDER;
#endif
    if (wanted != DOOR_AUTO)
        return wanted;
    if (decides != NULL && !has_engines(decides))
        return DOOR_PROVIDER;
    return config_has(config, DOOR_PROVIDER) && !config_has(config, DOOR_ENGINE) ? DOOR_PROVIDER
                                                                                 : DOOR_ENGINE;
}
