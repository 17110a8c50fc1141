/*
 * Faults beneath a process's files, forced from outside by LD_PRELOAD.
 *
 * It stands between a program and the C library and touches only regular files below one directory. What it is told
 * by the environment:
 *
 *   ROOKERY_FAULT_DIR        the directory; unset, files are left alone
 *   ROOKERY_FAULT_POWER_CUT  set: a write stays in this process's memory until the file is synced, so that `kill -9`
 *                            takes from the disk what a power cut would take. With `at-any-end`, so does an orderly
 *                            end, as if the power went a moment later; with `at-kill`, that writes all
 *   ROOKERY_FAULT_CONTROL    a file, read at every write and sync, that names the fault now in force, as `WORD [AFTER]`:
 *                              enospc      every write fails: no space left on the device
 *                              eio-write   every write fails: input/output error
 *                              eio-fsync   every sync fails, and what it should have kept is never written
 *                              kill        the process gets SIGKILL
 *                            AFTER such acts pass first (0 unless given), counted from when the content last changed.
 *                            Empty or absent: no fault. Replace it by rename, never in place.
 *   ROOKERY_FAULT_CLOCK      a file, looked at every 50 ms while somebody asks for the time of day, that holds by how many
 *                            seconds this process sees it shifted, such as -3600. Empty or absent: by none. What measures
 *                            how much time has passed (CLOCK_MONOTONIC and its like) stays as it is
 *
 * A page of memory stands for each 4 KiB that was written and not synced, and every way to see the file (reads, sizes,
 * positions, by any descriptor of this process) is answered as if those pages were in it. As with a page cache, they
 * outlive their descriptors.
 *
 * What it leaves as it is, and so cannot find: names (creating, renaming, removing a file is at once durable, as if each
 * directory were synced); memory maps and msync (files named *-shm, which SQLite maps and rebuilds, are left alone);
 * stdio's streams; and other processes, which see nothing before it is synced. A child after fork must not touch such
 * files before its exec.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "held.h"

/* ---- Opening, sharing, closing ---- */

#define MODE(flags)                                                                                                    \
    ({                                                                                                                 \
        mode_t mode = 0;                                                                                               \
        if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                       \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = va_arg(rest, mode_t);                                                                               \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        mode;                                                                                                          \
    })

int openat(int at, const char *path, int flags, ...) {
    return opened(REAL(openat)(at, path, passed(flags), MODE(flags)), flags);
}
int openat64(int at, const char *path, int flags, ...) { return openat(at, path, flags, MODE(flags)); }
int open(const char *path, int flags, ...) { return openat(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return openat(AT_FDCWD, path, flags, MODE(flags)); }
int creat(const char *path, mode_t mode) { return openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }
int __openat_2(int at, const char *path, int flags) { return openat(at, path, flags); }
int __openat64_2(int at, const char *path, int flags) { return openat(at, path, flags); }
int __open_2(const char *path, int flags) { return openat(AT_FDCWD, path, flags); }
int __open64_2(const char *path, int flags) { return openat(AT_FDCWD, path, flags); }

int dup(int fd) { return shared(fd, REAL(dup)(fd)); }
int dup2(int fd, int to) { return shared(fd, REAL(dup2)(fd, to)); }
int dup3(int fd, int to, int flags) { return shared(fd, REAL(dup3)(fd, to, flags)); }

int fcntl(int fd, int what, ...) {
    va_list rest;
    va_start(rest, what);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int result = REAL(fcntl)(fd, what, argument);
    return what == F_DUPFD || what == F_DUPFD_CLOEXEC ? shared(fd, result) : result;
}
int fcntl64(int fd, int what, ...) {
    va_list rest;
    va_start(rest, what);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fcntl(fd, what, argument);
}

int close(int fd) {
    if (!of(fd) || getpid() != owner) return REAL(close)(fd);
    pthread_mutex_lock(&lock);
    int result = REAL(close)(fd);
    detach(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

void _exit(int status) {
    end_in_order();
    REAL(_exit)(status);
    __builtin_unreachable();
}

/* ---- Reading and writing ---- */

/* In place of an offset: from the descriptor's own position, and moving it. */
enum { HERE = -1 };

static ssize_t take(int fd, const struct iovec *parts, int count, off_t at) {
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    ssize_t total = 0;
    if (!file || !file->held) {
        total = at == HERE ? REAL(readv)(fd, parts, count) : REAL(preadv)(fd, parts, count, at);
    } else {
        off_t from = at == HERE ? REAL(lseek)(fd, 0, SEEK_CUR) : at;
        for (int part = 0; part < count; part++) {
            ssize_t got = see(file, fd, parts[part].iov_base, parts[part].iov_len, from + total);
            if (got < 0 && total == 0) total = -1;
            if (got <= 0) break;
            total += got;
        }
        if (at == HERE && total > 0) REAL(lseek)(fd, from + total, SEEK_SET);
    }
    pthread_mutex_unlock(&lock);
    return total;
}

static ssize_t keep(struct file *file, int fd, const struct iovec *parts, int count, off_t at) {
    int flags = REAL(fcntl)(fd, F_GETFL);
    if ((flags & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    hold(file);
    off_t from = flags & O_APPEND ? file->size : at == HERE ? REAL(lseek)(fd, 0, SEEK_CUR) : at;
    ssize_t total = 0;
    for (int part = 0; part < count; part++) {
        put(file, parts[part].iov_base, parts[part].iov_len, from + total);
        total += (ssize_t)parts[part].iov_len;
    }
    if (at == HERE) REAL(lseek)(fd, from + total, SEEK_SET);
    return flags & (O_SYNC | O_DSYNC) && settle(file) ? -1 : total;
}

static ssize_t give(int fd, const struct iovec *parts, int count, off_t at) {
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    ssize_t total;
    if (file && struck(WRITE)) total = -1;
    else if (file && holding) total = keep(file, fd, parts, count, at);
    else total = at == HERE ? REAL(writev)(fd, parts, count) : REAL(pwritev)(fd, parts, count, at);
    pthread_mutex_unlock(&lock);
    return total;
}

#define ONE(data, length) (&(struct iovec){(void *)(data), (length)})

ssize_t read(int fd, void *out, size_t length) {
    return of(fd) ? take(fd, ONE(out, length), 1, HERE) : REAL(read)(fd, out, length);
}
ssize_t readv(int fd, const struct iovec *parts, int count) {
    return of(fd) ? take(fd, parts, count, HERE) : REAL(readv)(fd, parts, count);
}
ssize_t pread(int fd, void *out, size_t length, off_t at) {
    return of(fd) && at >= 0 ? take(fd, ONE(out, length), 1, at) : REAL(pread)(fd, out, length, at);
}
ssize_t pread64(int fd, void *out, size_t length, off64_t at) { return pread(fd, out, length, at); }
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at) {
    return of(fd) && at >= 0 ? take(fd, parts, count, at) : REAL(preadv)(fd, parts, count, at);
}
ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t at) { return preadv(fd, parts, count, at); }
ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    return of(fd) ? take(fd, parts, count, at) : REAL(preadv2)(fd, parts, count, at, flags);
}
ssize_t preadv64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
    return preadv2(fd, parts, count, at, flags);
}

ssize_t write(int fd, const void *data, size_t length) {
    return of(fd) ? give(fd, ONE(data, length), 1, HERE) : REAL(write)(fd, data, length);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return of(fd) ? give(fd, parts, count, HERE) : REAL(writev)(fd, parts, count);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return of(fd) && at >= 0 ? give(fd, ONE(data, length), 1, at) : REAL(pwrite)(fd, data, length, at);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return pwrite(fd, data, length, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return of(fd) && at >= 0 ? give(fd, parts, count, at) : REAL(pwritev)(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    if (!of(fd)) return REAL(pwritev2)(fd, parts, count, at, flags);
    ssize_t total = give(fd, parts, count, at);
    return total >= 0 && flags & (RWF_SYNC | RWF_DSYNC) && fdatasync(fd) ? -1 : total;
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
    return pwritev2(fd, parts, count, at, flags);
}

/* Copies inside the kernel would miss what is held here; a caller that is refused reads and writes instead. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    if (!of(from) && !of(to)) return REAL(copy_file_range)(from, from_at, to, to_at, length, flags);
    errno = EXDEV;
    return -1;
}
ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    if (!of(from) && !of(to)) return REAL(sendfile)(to, from, at, length);
    errno = EINVAL;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t length) { return sendfile(to, from, at, length); }

/* ---- Sizes and positions ---- */

off_t lseek(int fd, off_t to, int whence) {
    if (!of(fd) || whence != SEEK_END) return REAL(lseek)(fd, to, whence);
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    off_t position = file && file->held ? REAL(lseek)(fd, file->size + to, SEEK_SET) : REAL(lseek)(fd, to, whence);
    pthread_mutex_unlock(&lock);
    return position;
}
off64_t lseek64(int fd, off64_t to, int whence) { return lseek(fd, to, whence); }

int ftruncate(int fd, off_t size) {
    if (!of(fd) || size < 0) return REAL(ftruncate)(fd, size);
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    int result = 0;
    if (file && size > size_seen(file, fd) && struck(WRITE)) result = -1;
    else if (!file || !holding || file->backing < 0) result = REAL(ftruncate)(fd, size);
    else resize(file, size);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate(fd, size);
    close(fd);
    return result;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    if (!of(fd)) return REAL(fallocate)(fd, mode, at, length);
    if (mode) {
        errno = EOPNOTSUPP;
        return -1;
    }
    struct stat status;
    if (fstat(fd, &status)) return -1;
    return at + length > status.st_size ? ftruncate(fd, at + length) : 0;
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) {
    if (!of(fd)) return REAL(posix_fallocate)(fd, at, length);
    return fallocate(fd, 0, at, length) ? errno : 0;
}
int posix_fallocate64(int fd, off64_t at, off64_t length) { return posix_fallocate(fd, at, length); }

/* The size to report for a file whose size on the disk is `size`. */
static off_t reported(dev_t device, ino_t number, off_t size) {
    if (!holding) return size;
    pthread_mutex_lock(&lock);
    const struct file *file = find(device, number);
    if (file && file->held) size = file->size;
    pthread_mutex_unlock(&lock);
    return size;
}
static int stated(int result, struct stat *status) {
    if (!result) status->st_size = reported(status->st_dev, status->st_ino, status->st_size);
    return result;
}

int fstat(int fd, struct stat *status) { return stated(REAL(fstat)(fd, status), status); }
int stat(const char *path, struct stat *status) { return stated(REAL(stat)(path, status), status); }
int lstat(const char *path, struct stat *status) { return stated(REAL(lstat)(path, status), status); }
int fstatat(int at, const char *path, struct stat *status, int flags) {
    return stated(REAL(fstatat)(at, path, status, flags), status);
}
int fstat64(int fd, struct stat64 *status) { return fstat(fd, (struct stat *)status); }
int stat64(const char *path, struct stat64 *status) { return stat(path, (struct stat *)status); }
int lstat64(const char *path, struct stat64 *status) { return lstat(path, (struct stat *)status); }
int fstatat64(int at, const char *path, struct stat64 *status, int flags) {
    return fstatat(at, path, (struct stat *)status, flags);
}
int statx(int at, const char *path, int flags, unsigned mask, struct statx *status) {
    int result = REAL(statx)(at, path, flags, mask, status);
    if (result || !(status->stx_mask & STATX_SIZE)) return result;
    dev_t device = makedev(status->stx_dev_major, status->stx_dev_minor);
    status->stx_size = (__u64)reported(device, status->stx_ino, (off_t)status->stx_size);
    return 0;
}

/* ---- Syncing ---- */

/* While writes are held, the page cache is disk enough, since a kill does not empty it: `real` is not called. */
static int synced(int fd, int (*real)(int)) {
    if (!of(fd)) return real(fd);
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    int result;
    if (file && struck(SYNC)) give_up(file), result = -1;
    else result = file && holding ? settle(file) : real(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static void settle_all(void) {
    pthread_mutex_lock(&lock);
    for (struct file *file = files; file; file = file->next) settle(file);
    pthread_mutex_unlock(&lock);
}
void sync(void) {
    settle_all();
    REAL(sync)();
}
int syncfs(int fd) {
    settle_all();
    return REAL(syncfs)(fd);
}
/* It promises nothing about the file's size, so nothing that is held may count on it. */
int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    return of(fd) && holding ? 0 : REAL(sync_file_range)(fd, from, length, flags);
}

/* ---- The time of day ---- */

/* By how many seconds the time of day is shifted now. */
static long shift(void) {
    enum { LOOK_EVERY_MS = 50 };
    static atomic_long seconds, look_at;
    const char *file = clock_control;
    struct timespec passed;
    if (!file || REAL(clock_gettime)(CLOCK_MONOTONIC, &passed)) return 0;
    long now = passed.tv_sec * 1000 + passed.tv_nsec / 1000000;
    if (now < atomic_load(&look_at)) return atomic_load(&seconds);
    int error = errno;
    char text[32] = "";
    int fd = REAL(open)(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t length = REAL(read)(fd, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        REAL(close)(fd);
    }
    atomic_store(&seconds, strtol(text, NULL, 10));
    atomic_store(&look_at, now + LOOK_EVERY_MS);
    errno = error;
    return atomic_load(&seconds);
}

int clock_gettime(clockid_t which, struct timespec *out) {
    int result = REAL(clock_gettime)(which, out);
    if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    int result = REAL(gettimeofday)(out, zone);
    if (!result) out->tv_sec += shift();
    return result;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
