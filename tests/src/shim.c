/*
 * A lying layer under one program (test only, loaded by LD_PRELOAD): writes and syncs of a SQLite file fail, and the
 * wall clock jumps, when a control file says so. The file is mapped, so asking it costs nothing; its layout is
 * `struct control`, all numbers in the byte order of the machine, written by shim.rs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t files;        /* 1 write-ahead log, 2 database */
    int32_t write_error;  /* errno of failing writes, 0 = none */
    int32_t write_count;  /* how many fail; negative = all */
    int32_t write_half;   /* half of the bytes get there before the failure */
    int32_t sync_error;   /* errno of failing syncs, 0 = none */
    int32_t sync_count;   /* how many fail; negative = all */
    int32_t hits;         /* failures so far */
    int32_t unused;
    int64_t clock_offset; /* seconds added to the wall clock */
};

static volatile struct control *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("FISCALD_TEST_SHIM");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) control = map;
}

static int ends_with(const char *text, const char *end) {
    size_t text_len = strlen(text), end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

static int is_meant(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    return ((control->files & 1) && ends_with(path, ".db-wal")) || ((control->files & 2) && ends_with(path, ".db"));
}

/* Whether this call is to fail; counts it. */
static int fails(int fd, volatile int32_t *error, volatile int32_t *count) {
    if (!control || !*error || !*count || !is_meant(fd)) return 0;
    if (*count > 0) __atomic_fetch_sub(count, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&control->hits, 1, __ATOMIC_SEQ_CST);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t lying_pwrite(int fd, const void *bytes, size_t len, off64_t at) {
    static __typeof__(&pwrite64) real;
    if (!real) real = REAL(pwrite64);
    if (control && fails(fd, &control->write_error, &control->write_count)) {
        int error = control->write_error;
        if (control->write_half) (void)!real(fd, bytes, len / 2, at);
        errno = error;
        return -1;
    }
    return real(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) { return lying_pwrite(fd, bytes, len, at); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return lying_pwrite(fd, bytes, len, at); }

static int lying_sync(int fd, int (*real)(int)) {
    if (control && fails(fd, &control->sync_error, &control->sync_count)) {
        errno = control->sync_error;
        return -1;
    }
    return real(fd);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = REAL(fsync);
    return lying_sync(fd, real);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = REAL(fdatasync);
    return lying_sync(fd, real);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = REAL(clock_gettime);
    int result = real(clock, now);
    if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += control->clock_offset;
    }
    return result;
}
