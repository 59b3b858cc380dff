/*
 * Preloaded into a daemon under test: numbers its system calls on files below given folders, and at one of them kills
 * the process or makes the call fail. It sees every call, whichever module or library makes it: Python's, SQLite's.
 *
 * Nothing is counted before faults_arm(), which the process calls itself (see faults.py).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_ROOTS = 8 };

static char roots[MAX_ROOTS][PATH_MAX];
static int root_count;
static char call_to_fail[32];    /* "" : any */
static char gone_path[PATH_MAX]; /* a file: once it exists, nothing fails any more */
static long kill_at, fail_from, fail_count, number;
static int fail_with, report = -1, armed;
static __thread int inside;
static __thread const char *source; /* of a rename or link: reported behind its target, after a tab */

static long matching;

/* roots: paths, one a line. kill_at: 2n-1 before the n-th call that changes something, 2n after it; 0: never.
 * fail_from: the n-th call (of the kind `call`, if that is not empty) and the next `count` - 1 fail with `error`, until
 * the file `gone` exists. Each call is one line of `report_fd`: "name path", and "\tsource" of a rename or link. */
void faults_arm(const char *root_list, long kill, const char *call, long from, long count, int error, const char *gone,
                int report_fd)
{
    char list[MAX_ROOTS * PATH_MAX], *rest = list, *line;
    snprintf(list, sizeof list, "%s", root_list);
    root_count = 0;
    while ((line = strsep(&rest, "\n")) && root_count < MAX_ROOTS)
        if (*line)
            snprintf(roots[root_count++], PATH_MAX, "%s", line);
    snprintf(call_to_fail, sizeof call_to_fail, "%s", call);
    snprintf(gone_path, sizeof gone_path, "%s", gone);
    kill_at = kill, fail_from = from, fail_count = count, fail_with = error, report = report_fd;
    number = matching = 0;
    armed = 1;
}

/* The same for a process that is started, by the variable FAULTS: the arguments, separated by tabs; the report is a path. */
__attribute__((constructor)) static void arm_by_environment(void)
{
    char copy[4 * PATH_MAX], *rest = copy, *part[8] = {0};
    if (!getenv("FAULTS"))
        return;
    snprintf(copy, sizeof copy, "%s", getenv("FAULTS"));
    for (int i = 0; i < 8; i++)
        if (!(part[i] = strsep(&rest, "\t")))
            return;
    faults_arm(part[0], atol(part[1]), part[2], atol(part[3]), atol(part[4]), atoi(part[5]), part[6],
               open(part[7], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
}

static int is_ours(const char *path)
{
    char full[2 * PATH_MAX];
    if (*path != '/') {
        if (!getcwd(full, PATH_MAX))
            return 0;
        strcat(full, "/");
        strncat(full, path, PATH_MAX - 1);
        path = full;
    }
    for (int i = 0; i < root_count; i++) {
        size_t length = strlen(roots[i]);
        if (!strncmp(path, roots[i], length) && (path[length] == '/' || !path[length]))
            return 1;
    }
    return 0;
}

static const char *path_of(int fd, char *buffer)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0)
        return "";
    buffer[length] = 0;
    return buffer;
}

/* Where a path through a descriptor of this process (/proc/self/fd/N/...) leads; any other path as it is. */
static const char *led(const char *path, char *buffer)
{
    int pid = 0, fd = -1, length = 0;
    if (sscanf(path, "/proc/self/fd/%d%n", &fd, &length) != 1 &&
        (sscanf(path, "/proc/%d/fd/%d%n", &pid, &fd, &length) != 2 || pid != getpid()))
        return path;
    path_of(fd, buffer);
    strncat(buffer, path + length, PATH_MAX - strlen(buffer) - 1);
    return buffer;
}

/* Count a call; 1: it must fail, errno is set. `passage`: its number, for `after`. */
static int before(const char *name, const char *path, long *passage)
{
    char led_path[PATH_MAX], led_source[PATH_MAX];
    *passage = 0;
    if (!armed || inside || !path)
        return 0;
    path = led(path, led_path);
    if (!is_ours(path))
        return 0;
    inside = 1;
    int changes = strcmp(name, "open") && strcmp(name, "read") && strcmp(name, "stat");
    long n = *passage = changes ? __atomic_add_fetch(&number, 1, __ATOMIC_SEQ_CST) : 0;
    char line[2 * PATH_MAX + 64];
    const char *from = source ? led(source, led_source) : "";
    int length = snprintf(line, sizeof line, "%s %s%s%s\n", name, path, *from ? "\t" : "", from);
    source = NULL;
    for (char *c = line; c < line + length - 1; c++)
        if (*c == '\n')
            *c = '?';
    syscall(SYS_write, report, line, length);
    if (changes && kill_at == 2 * n - 1)
        kill(getpid(), SIGKILL);
    int fails = 0;
    if (fail_from && (!*call_to_fail || !strcmp(call_to_fail, name))) {
        long m = __atomic_add_fetch(&matching, 1, __ATOMIC_SEQ_CST);
        if (m >= fail_from && m < fail_from + fail_count && !(*gone_path && !syscall(SYS_access, gone_path, F_OK))) {
            fails = 1;
            length = snprintf(line, sizeof line, "FAILED %s %s\n", name, path);
            syscall(SYS_write, report, line, length);
        }
    }
    inside = 0;
    if (fails)
        errno = fail_with;
    return fails;
}

static void after(long passage)
{
    if (passage && kill_at == 2 * passage)
        kill(getpid(), SIGKILL);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define BY_PATH(result, name, label, path, declaration, ...) \
    result name declaration { REAL(name); long n; if (before(label, path, &n)) return -1; \
        result r = real(__VA_ARGS__); int e = errno; after(n); errno = e; return r; }
#define BY_FD(result, name, label, declaration, ...) \
    result name declaration { REAL(name); long n; char buffer[PATH_MAX]; \
        if (armed && !inside && before(label, path_of(fd, buffer), &n)) return -1; else if (!armed || inside) n = 0; \
        result r = real(__VA_ARGS__); int e = errno; after(n); errno = e; return r; }

BY_PATH(int, mkdir, "mkdir", path, (const char *path, mode_t mode), path, mode)
BY_PATH(int, rmdir, "rmdir", path, (const char *path), path)
BY_PATH(int, unlink, "unlink", path, (const char *path), path)
#define BETWEEN(result, name, label, declaration, ...) \
    result name declaration { REAL(name); long n; source = from; if (before(label, to, &n)) return -1; source = NULL; \
        result r = real(__VA_ARGS__); int e = errno; after(n); errno = e; return r; }

BETWEEN(int, rename, "rename", (const char *from, const char *to), from, to)
BETWEEN(int, link, "link", (const char *from, const char *to), from, to)
BETWEEN(int, linkat, "link", (int d, const char *from, int e_, const char *to, int flags), d, from, e_, to, flags)
BY_PATH(int, chmod, "chmod", path, (const char *path, mode_t mode), path, mode)
BY_PATH(int, truncate, "truncate", path, (const char *path, off_t size), path, size)
BY_FD(int, fsync, "fsync", (int fd), fd)
BY_FD(int, fdatasync, "fsync", (int fd), fd)
BY_FD(ssize_t, write, "write", (int fd, const void *data, size_t size), fd, data, size)
BY_FD(ssize_t, pwrite64, "write", (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
BY_FD(ssize_t, read, "read", (int fd, void *data, size_t size), fd, data, size)
BY_FD(ssize_t, pread64, "read", (int fd, void *data, size_t size, off64_t at), fd, data, size, at)
BY_FD(int, ftruncate64, "truncate", (int fd, off64_t size), fd, size)

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
ssize_t pread(int fd, void *data, size_t size, off_t at) { return pread64(fd, data, size, at); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* The path of an ...at() call, for the folders that shutil.rmtree opens. */
static const char *joined(int dir, const char *path, char *buffer)
{
    if (*path == '/' || dir == AT_FDCWD)
        return path;
    path_of(dir, buffer);
    strncat(buffer, "/", PATH_MAX - strlen(buffer) - 1);
    strncat(buffer, path, PATH_MAX - strlen(buffer) - 1);
    return buffer;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    REAL(renameat2);
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    long n = 0;
    if (armed && !inside) {
        source = joined(from_dir, from, from_buffer);
        if (before("rename", joined(to_dir, to, to_buffer), &n))
            return -1;
        source = NULL;
    }
    int r = real(from_dir, from, to_dir, to, flags), e = errno;
    after(n);
    errno = e;
    return r;
}

int unlinkat(int dir, const char *path, int flags)
{
    REAL(unlinkat);
    char buffer[PATH_MAX];
    long n = 0;
    if (armed && !inside && before(flags & AT_REMOVEDIR ? "rmdir" : "unlink", joined(dir, path, buffer), &n))
        return -1;
    int r = real(dir, path, flags), e = errno;
    after(n);
    errno = e;
    return r;
}

static int opened(int dir, const char *path, int flags, mode_t mode)
{
    char buffer[PATH_MAX];
    long n = 0;
    const char *name = flags & O_CREAT ? "create" : "open";
    if (armed && !inside && before(name, joined(dir, path, buffer), &n))
        return -1;
    int r = syscall(SYS_openat, dir, path, flags, mode), e = errno;
    after(n);
    errno = e;
    return r;
}

#define OPEN(name, dir, declaration) \
    int name declaration { va_list rest; va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); \
        return opened(dir, path, flags, mode); }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...))
OPEN(openat, dir, (int dir, const char *path, int flags, ...))
OPEN(openat64, dir, (int dir, const char *path, int flags, ...))

DIR *opendir(const char *path)
{
    REAL(opendir);
    long n;
    if (before("open", path, &n))
        return NULL;
    return real(path);
}

#define STAT(name, type) \
    int name(const char *path, struct type *facts) { REAL(name); long n; if (before("stat", path, &n)) return -1; return real(path, facts); }
STAT(stat64, stat64)
STAT(lstat64, stat64)
STAT(stat, stat)
STAT(lstat, stat)
