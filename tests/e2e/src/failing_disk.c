/* A disk that fails on demand: preloaded into the daemon, it stands in front of the kernel.
 *
 * While the file named by FAILING_DISK exists, calls on files below FAILING_DIR fail: those that sync
 * with EIO where it holds an S, those that write with EROFS where it holds a W. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd, char kind) {
    const char *trigger = getenv("FAILING_DISK"), *dir = getenv("FAILING_DIR");
    if (!trigger || !dir) return 0;
    char link[64], path[4096], word = 0;
    int told = (int)syscall(SYS_openat, AT_FDCWD, trigger, O_RDONLY | O_CLOEXEC, 0);
    if (told < 0) return 0;
    if (syscall(SYS_read, told, &word, 1) != 1) word = 0;
    syscall(SYS_close, told);
    if (word != kind) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) return 0;
    path[len] = 0;
    return strncmp(path, dir, strlen(dir)) == 0;
}

#define UNLESS(fd, kind, error, call)      \
    do {                                   \
        if (fails(fd, kind)) {             \
            errno = error;                 \
            return -1;                     \
        }                                  \
        return call;                       \
    } while (0)

int fsync(int fd) { UNLESS(fd, 'S', EIO, (int)syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { UNLESS(fd, 'S', EIO, (int)syscall(SYS_fdatasync, fd)); }
int sync_file_range(int fd, off64_t at, off64_t len, unsigned int flags) {
    UNLESS(fd, 'S', EIO, (int)syscall(SYS_sync_file_range, fd, at, len, flags));
}
ssize_t write(int fd, const void *from, size_t len) {
    UNLESS(fd, 'W', EROFS, syscall(SYS_write, fd, from, len));
}
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) {
    UNLESS(fd, 'W', EROFS, syscall(SYS_pwrite64, fd, from, len, at));
}
ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
    UNLESS(fd, 'W', EROFS, syscall(SYS_pwrite64, fd, from, len, at));
}
