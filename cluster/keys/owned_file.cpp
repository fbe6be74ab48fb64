#include "cluster/keys/owned_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace troupe::keys {
namespace {

error cannot(const char* verb, const std::filesystem::path& file) {
  const int why = errno;
  return {why == ENOENT ? error_code::not_found : error_code::permission_denied,
          std::string("cannot ") + verb + " " + file.string() + ": " + std::strerror(why),
          "give a path that this user can use"};
}

struct open_file {
  int number = -1;
  ~open_file() {
    if (number >= 0) ::close(number);
  }
};

status make_folders(const std::filesystem::path& folder) {
  if (folder.empty() || std::filesystem::exists(folder)) return {};
  if (status above = make_folders(folder.parent_path()); !above) return above;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return cannot("make", folder);
  return {};
}

void sync_folder(const std::filesystem::path& folder) {
  const open_file held{
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (held.number >= 0) ::fsync(held.number);
}

bool write_all(int file, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t some = ::write(file, text.data() + done, text.size() - done);
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) return false;
    done += static_cast<std::size_t>(some);
  }
  return ::fsync(file) == 0;
}

}  // namespace

result<std::string> read_owned(const std::filesystem::path& file, mode_t forbidden) {
  const open_file held{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat about {};
  if (held.number < 0 || ::fstat(held.number, &about) != 0) return cannot("read", file);
  if (!S_ISREG(about.st_mode))
    return error{error_code::invalid_argument, file.string() + " is not a file", "name a file"};
  if (about.st_uid != ::geteuid() && about.st_uid != 0)
    return error{error_code::permission_denied,
                 file.string() + " belongs to another user (" + std::to_string(about.st_uid) + ")",
                 "give it to the user that runs this"};
  if (about.st_mode & forbidden) {
    char mode[8], mend[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(about.st_mode & 07777));
    std::snprintf(mend, sizeof mend, "%04o",
                  static_cast<unsigned>(about.st_mode & 07777 & ~forbidden));
    return error{error_code::permission_denied,
                 "others can " + std::string(forbidden & 0044 ? "read " : "write ") +
                     file.string() + " (mode " + mode + ")",
                 "chmod " + std::string(mend) + " " + file.string()};
  }
  if (about.st_size < 0 || static_cast<std::uint64_t>(about.st_size) > owned_file_bytes_max)
    return error{error_code::invalid_argument, file.string() + " is larger than 1 MiB",
                 "is this the right file?"};
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t some = ::read(held.number, part, sizeof part);
    if (some < 0 && errno == EINTR) continue;
    if (some < 0) return cannot("read", file);
    if (some == 0) return text;
    text.append(part, static_cast<std::size_t>(some));
    if (text.size() > owned_file_bytes_max)
      return error{error_code::invalid_argument, file.string() + " is larger than 1 MiB",
                   "is this the right file?"};
  }
}

status write_owned(const std::filesystem::path& file, const std::string& text, mode_t mode,
                   bool fresh) {
  if (status made = make_folders(file.parent_path()); !made) return made;
  std::filesystem::path beside = file;
  beside += ".new." + std::to_string(::getpid());
  ::unlink(beside.c_str());
  {
    const open_file held{::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
    if (held.number < 0) return cannot("write", beside);
    if (::fchmod(held.number, mode) != 0 || !write_all(held.number, text)) {
      error failed = cannot("write", beside);
      ::unlink(beside.c_str());
      return failed;
    }
  }
  // link() does not replace what is there, rename() does.
  const int placed =
      fresh ? ::link(beside.c_str(), file.c_str()) : ::rename(beside.c_str(), file.c_str());
  const int why = errno;
  if (fresh || placed != 0) ::unlink(beside.c_str());
  if (placed != 0) {
    errno = why;
    if (fresh && why == EEXIST)
      return error{error_code::already_exists, file.string() + " is there already",
                   "move it away first if it is to be replaced"};
    return cannot("write", file);
  }
  sync_folder(file.parent_path());
  return {};
}

}  // namespace troupe::keys
