// Preloaded into the program: of the operations that change files below FAULT_DIR, the one with the number FAULT_AT (from
// 1) fails as FAULT_KIND says. FAULT_LOG gets the number of operations so far, in place of the one before.
//
// Kinds: ENOSPC (from then on all that needs space fails), EIO and EINTR (once), SHORT (half of a write), KILL (before
// the operation), TEAR (after it, and after half of a write).

#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace {

enum Operation { OPEN, WRITE, FSYNC, RENAME, TRUNCATE, MKDIR, REMOVE, LINK };
// What is to become of an operation.
enum Fate { DONE, FAILS, HALF, HALF_AND_KILL, DONE_AND_KILL };

std::atomic<long> operations{0};

const char* setting(const char* name) {
    const char* value = getenv(name);
    return value ? value : "";
}

bool is_watched(const char* path) {
    const char* folder = setting("FAULT_DIR");
    if (!*folder || !path) return false;
    char absolute[4096];
    if (path[0] != '/') {
        if (!getcwd(absolute, sizeof absolute)) return false;
        strncat(absolute, "/", sizeof absolute - strlen(absolute) - 1);
        strncat(absolute, path, sizeof absolute - strlen(absolute) - 1);
        path = absolute;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

bool is_watched(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return false;
    path[length] = 0;
    return is_watched(path);
}

void kill_now() {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

void log_count(long count) {
    const char* name = setting("FAULT_LOG");
    if (!*name) return;
    int file = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT, 0600);
    char text[32];
    int length = snprintf(text, sizeof text, "%ld", count);
    syscall(SYS_pwrite64, file, text, length, 0);
    syscall(SYS_close, file);
}

// Counts a watched operation and says what becomes of it; errno is set where it fails.
Fate fate(Operation operation) {
    long count = ++operations, at = atol(setting("FAULT_AT"));
    log_count(count);
    const char* kind = setting("FAULT_KIND");
    if (at <= 0 || count < at) return DONE;
    if (!strcmp(kind, "ENOSPC")) {
        if (operation != OPEN && operation != WRITE && operation != MKDIR && operation != LINK) return DONE;
        errno = ENOSPC;
        return FAILS;
    }
    if (count != at) return DONE;
    if (!strcmp(kind, "KILL")) kill_now();
    if (!strcmp(kind, "TEAR")) return operation == WRITE ? HALF_AND_KILL : DONE_AND_KILL;
    if (!strcmp(kind, "SHORT")) return operation == WRITE ? HALF : DONE;
    if (!strcmp(kind, "EINTR")) {
        // The others are not interrupted on Linux.
        if (operation != OPEN && operation != WRITE && operation != FSYNC && operation != TRUNCATE) return DONE;
        errno = EINTR;
        return FAILS;
    }
    if (!strcmp(kind, "EIO")) {
        errno = EIO;
        return FAILS;
    }
    return DONE;
}

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

template <typename Call>
int with_fate(bool watched, Operation operation, Call call) {
    if (!watched) return call();
    Fate what = fate(operation);
    if (what == FAILS) return -1;
    int result = call();
    if (what == DONE_AND_KILL) kill_now();
    return result;
}

bool writes(int flags) {
    return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
}

}  // namespace

extern "C" {

#define OPENS(NAME)                                                                     \
    int NAME(const char* path, int flags, ...) {                                        \
        va_list rest;                                                                   \
        va_start(rest, flags);                                                          \
        mode_t mode = va_arg(rest, mode_t);                                             \
        va_end(rest);                                                                   \
        auto next = real<int (*)(const char*, int, ...)>(#NAME);                        \
        return with_fate(writes(flags) && is_watched(path), OPEN, [&] { return next(path, flags, mode); }); \
    }
OPENS(open)
OPENS(open64)

#define WRITES(NAME, PARAMETERS, WHOLE, PART)                                           \
    ssize_t NAME PARAMETERS {                                                           \
        auto next = real<ssize_t(*) PARAMETERS>(#NAME);                                 \
        if (!is_watched(file)) return next WHOLE;                                       \
        Fate what = fate(WRITE);                                                        \
        if (what == FAILS) return -1;                                                   \
        if (what == DONE || count < 2) return next WHOLE;                               \
        ssize_t written = next PART;                                                    \
        if (what == HALF_AND_KILL) kill_now();                                          \
        return written;                                                                 \
    }
WRITES(write, (int file, const void* bytes, size_t count), (file, bytes, count), (file, bytes, count / 2))
WRITES(pwrite64, (int file, const void* bytes, size_t count, off64_t at), (file, bytes, count, at),
       (file, bytes, count / 2, at))

int fsync(int file) {
    auto next = real<int (*)(int)>("fsync");
    return with_fate(is_watched(file), FSYNC, [&] { return next(file); });
}
int fdatasync(int file) {
    auto next = real<int (*)(int)>("fdatasync");
    return with_fate(is_watched(file), FSYNC, [&] { return next(file); });
}
int ftruncate64(int file, off64_t length) {
    auto next = real<int (*)(int, off64_t)>("ftruncate64");
    return with_fate(is_watched(file), TRUNCATE, [&] { return next(file, length); });
}
int rename(const char* from, const char* to) {
    auto next = real<int (*)(const char*, const char*)>("rename");
    return with_fate(is_watched(to), RENAME, [&] { return next(from, to); });
}
int mkdir(const char* path, mode_t mode) {
    auto next = real<int (*)(const char*, mode_t)>("mkdir");
    return with_fate(is_watched(path), MKDIR, [&] { return next(path, mode); });
}
int unlink(const char* path) {
    auto next = real<int (*)(const char*)>("unlink");
    return with_fate(is_watched(path), REMOVE, [&] { return next(path); });
}
int rmdir(const char* path) {
    auto next = real<int (*)(const char*)>("rmdir");
    return with_fate(is_watched(path), REMOVE, [&] { return next(path); });
}
int unlinkat(int folder, const char* path, int flags) {
    auto next = real<int (*)(int, const char*, int)>("unlinkat");
    return with_fate(is_watched(folder), REMOVE, [&] { return next(folder, path, flags); });
}
int linkat(int from, const char* old_path, int to, const char* new_path, int flags) {
    auto next = real<int (*)(int, const char*, int, const char*, int)>("linkat");
    return with_fate(is_watched(new_path), LINK, [&] { return next(from, old_path, to, new_path, flags); });
}
}
