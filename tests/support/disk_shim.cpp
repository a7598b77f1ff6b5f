// Preloaded into a node (LD_PRELOAD), makes its disk one that tests cannot have otherwise:
//
//   DISK_SHIM_HANG=FILE      while FILE exists, positioned vectored writes do not return, as on a disk that
//   hangs DISK_SHIM_NO_DIRECT=1    there is no O_DIRECT, as on a file system that cannot do it
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>

namespace {

// A signal-safe look: the shim may be called from anywhere.
void hang_while_told() {
  const char* const file = std::getenv("DISK_SHIM_HANG");
  while (file != nullptr && ::access(file, F_OK) == 0) ::usleep(10'000);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

int open_unless_direct(const char* name, int directory, const char* path, int flags, mode_t mode) {
  if ((flags & O_DIRECT) != 0 && std::getenv("DISK_SHIM_NO_DIRECT") != nullptr) {
    errno = EINVAL;
    return -1;
  }
  return next<int (*)(int, const char*, int, ...)>(name)(directory, path, flags, mode);
}

mode_t mode_of(int flags, va_list& rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : mode_t{0};
}

}  // namespace

extern "C" {

ssize_t pwritev(int file, const iovec* pieces, int count, off_t offset) {
  hang_while_told();
  return next<ssize_t (*)(int, const iovec*, int, off_t)>("pwritev")(file, pieces, count, offset);
}

ssize_t pwritev64(int file, const iovec* pieces, int count, off64_t offset) {
  hang_while_told();
  return next<ssize_t (*)(int, const iovec*, int, off64_t)>("pwritev64")(file, pieces, count, offset);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return open_unless_direct("openat", directory, path, flags, mode);
}

int openat64(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return open_unless_direct("openat64", directory, path, flags, mode);
}
}
