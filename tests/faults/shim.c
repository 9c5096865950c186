/* Faults below SQLite: what libsqlite3 and CPython call to reach files, each call counted and, if armed, made to fail.

   Preloaded (LD_PRELOAD). Only files below the directory given to fault_watch() are concerned, and only what was opened
   after it. Raw system calls stand behind, so nothing here depends on how libc is linked. Not intercepted, because
   neither SQLite nor Plaudit uses it on these files: dup, mmap, readv, preadv, sendfile, stdio, paths relative to a
   descriptor.

   Everything is atomic: SQLite is called from a thread for each connection. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The same numbers as in shim.py */
enum op { WRITE, SYNC, READ, TRUNCATE, OPEN, RENAME, UNLINK, OPS };
enum group { UNWATCHED, LOG, LOG_WAL, STATE, STATE_WAL, OTHER, GROUPS };
enum kind { FAIL_EIO, FAIL_ENOSPC, SHORT, TORN, KILL_BEFORE, KILL_AFTER, NOTHING };

#define DESCRIPTORS_MAX 65536

static char root[4096];
static size_t root_length;
static _Atomic unsigned char groups[DESCRIPTORS_MAX];
static _Atomic long counts[OPS][GROUPS];

static _Atomic int armed_op = -1;
static _Atomic int armed_group, armed_kind, armed_forever;
static _Atomic long armed_nth, seen, hits;

void fault_watch(const char *directory) {
    root_length = strlen(directory);
    memcpy(root, directory, root_length + 1);
}

/* From the nth call of this kind on, counted from now; group 0 is any file. */
void fault_arm(int op, int group, int kind, long nth, int forever) {
    armed_group = group;
    armed_kind = kind;
    armed_nth = nth;
    armed_forever = forever;
    seen = 0;
    hits = 0;
    armed_op = op;
}

void fault_disarm(void) { armed_op = -1; }
long fault_hits(void) { return hits; }
long fault_count(int op, int group) { return counts[op][group]; }

static enum group group_of_path(const char *path) {
    if (root_length == 0 || strncmp(path, root, root_length) != 0 || (path[root_length] != '/' && path[root_length] != 0))
        return UNWATCHED;
    const char *slash = strrchr(path, '/');
    const char *name = slash + 1, *end = name + strlen(name);
    int is_wal = end - name > 4 && strcmp(end - 4, "-wal") == 0;
    int is_main = end - name > 7 && strcmp(end - 7, ".sqlite") == 0;
    if (!is_wal && !is_main)
        return OTHER;
    if (strncmp(name, "log-", 4) == 0)
        return is_wal ? LOG_WAL : LOG;
    return strncmp(name, "state.", 6) == 0 ? (is_wal ? STATE_WAL : STATE) : OTHER;
}

static enum group group_of(int fd) { return fd >= 0 && fd < DESCRIPTORS_MAX ? groups[fd] : UNWATCHED; }

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;)
        pause();
}

/* Count a call, and say what is to become of it. A short write is followed by one that finds no space. */
static enum kind decide(enum op op, enum group group) {
    if (group == UNWATCHED)
        return NOTHING;
    atomic_fetch_add(&counts[op][group], 1);
    if (armed_op != (int)op || (armed_group != UNWATCHED && armed_group != (int)group))
        return NOTHING;
    long after = atomic_fetch_add(&seen, 1) + 1 - armed_nth;
    int is_short_write = armed_kind == SHORT && op == WRITE;
    if (after < 0 || (after > 0 && !armed_forever && !(is_short_write && after == 1)))
        return NOTHING;
    atomic_fetch_add(&hits, 1);
    return is_short_write && after > 0 ? FAIL_ENOSPC : armed_kind;
}

static long failed(enum kind kind) {
    errno = kind == FAIL_EIO ? EIO : ENOSPC;
    return -1;
}

/* Carry out a call as decided; for what has no length. */
#define SIMPLE(op, group, call)                                                                                        \
    enum kind kind = decide(op, group);                                                                                \
    if (kind == FAIL_EIO || kind == FAIL_ENOSPC)                                                                       \
        return failed(kind);                                                                                           \
    if (kind == KILL_BEFORE)                                                                                           \
        die();                                                                                                         \
    long result = (call);                                                                                              \
    if (kind == KILL_AFTER)                                                                                            \
        die();                                                                                                         \
    return result

/* The same for what has a length: it may be done by half. */
#define SIZED(op, fd, size, call)                                                                                      \
    size_t length = (size);                                                                                            \
    enum kind kind = decide(op, group_of(fd));                                                                         \
    if (kind == FAIL_EIO || kind == FAIL_ENOSPC)                                                                       \
        return failed(kind);                                                                                           \
    if (kind == KILL_BEFORE)                                                                                           \
        die();                                                                                                         \
    if ((kind == SHORT || kind == TORN) && length > 1)                                                                 \
        length /= 2;                                                                                                   \
    long result = (call);                                                                                              \
    if (kind == KILL_AFTER || kind == TORN)                                                                            \
        die();                                                                                                         \
    return result

ssize_t write(int fd, const void *data, size_t size) { SIZED(WRITE, fd, size, syscall(SYS_write, fd, data, length)); }

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    SIZED(WRITE, fd, size, syscall(SYS_pwrite64, fd, data, length, offset));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    SIMPLE(WRITE, group_of(fd), syscall(SYS_writev, fd, parts, count));
}

ssize_t read(int fd, void *data, size_t size) { SIZED(READ, fd, size, syscall(SYS_read, fd, data, length)); }

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) {
    SIZED(READ, fd, size, syscall(SYS_pread64, fd, data, length, offset));
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) { return pread64(fd, data, size, offset); }

int fsync(int fd) { SIMPLE(SYNC, group_of(fd), syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { SIMPLE(SYNC, group_of(fd), syscall(SYS_fdatasync, fd)); }
int ftruncate64(int fd, off64_t size) { SIMPLE(TRUNCATE, group_of(fd), syscall(SYS_ftruncate, fd, size)); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int rename(const char *from, const char *to) {
    SIMPLE(RENAME, group_of_path(to), syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}
int unlink(const char *path) { SIMPLE(UNLINK, group_of_path(path), syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }

static int open_watched(const char *path, int flags, int mode) {
    enum group group = group_of_path(path);
    SIMPLE(OPEN, group, ({
               long fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
               if (fd >= 0 && fd < DESCRIPTORS_MAX)
                   groups[fd] = (unsigned char)group;
               fd;
           }));
}

static int mode_in(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = mode_in(flags, rest);
    va_end(rest);
    return open_watched(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = mode_in(flags, rest);
    va_end(rest);
    return open_watched(path, flags, mode);
}

int creat64(const char *path, mode_t mode) { return open_watched(path, O_CREAT | O_WRONLY | O_TRUNC, (int)mode); }
int creat(const char *path, mode_t mode) { return creat64(path, mode); }

int close(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS_MAX)
        groups[fd] = UNWATCHED;
    return (int)syscall(SYS_close, fd);
}
