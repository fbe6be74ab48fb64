#include "cluster/node/state_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

namespace troupe::cluster {
namespace {

error cannot(const std::filesystem::path& what, const char* verb) {
  return {error_code::permission_denied,
          std::string("cannot ") + verb + " " + what.string() + ": " + std::strerror(errno),
          "give node.state_dir a folder that this user can write, with space on its disk"};
}

// Writes the number durably: new file, fsync, rename, fsync of the folder.
status write_incarnation(const std::filesystem::path& folder, std::uint64_t value) {
  const std::filesystem::path fresh = folder / "incarnation.new", kept = folder / "incarnation";
  const std::string text = std::to_string(value) + "\n";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return cannot(fresh, "write");
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file) == 0;
  if (!written) {
    error failed = cannot(fresh, "write");
    ::close(file);
    return failed;
  }
  ::close(file);
  if (::rename(fresh.c_str(), kept.c_str()) != 0) return cannot(kept, "replace");
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return {};
}

result<std::uint64_t> read_incarnation(const std::filesystem::path& folder) {
  const std::filesystem::path kept = folder / "incarnation";
  const int file = ::open(kept.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return std::uint64_t{0};
    return cannot(kept, "read");
  }
  char text[32];
  const ssize_t size = ::read(file, text, sizeof text);
  ::close(file);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text, text + std::max<ssize_t>(size, 0), value);
  if (size <= 1 || parsed.ec != std::errc{} || *parsed.ptr != '\n' || value == UINT64_MAX)
    return error{
        error_code::data_corrupt, kept.string() + " does not hold a number",
        "write a number into it that is higher than any before, or give the node a new name "
        "and remove the file"};
  return value;
}

}  // namespace

result<state_directory> state_directory::open(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) {
    errno = failed.value();
    return cannot(folder, "make the folder");
  }
  const std::filesystem::path lock_file = folder / "lock";
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return cannot(lock_file, "write");
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return error{error_code::unavailable,
                 "the state folder " + folder.string() + " is held by another trouped",
                 "stop that daemon, or give this node a node.state_dir of its own"};
  }
  state_directory held(lock, 0);
  result<std::uint64_t> last = read_incarnation(folder);
  if (!last) return last.failure();
  held.incarnation_ = *last + 1;
  if (status written = write_incarnation(folder, held.incarnation_); !written)
    return written.failure();
  return held;
}

state_directory::state_directory(state_directory&& other) noexcept
    : lock_(std::exchange(other.lock_, -1)), incarnation_(other.incarnation_) {}

state_directory::~state_directory() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace troupe::cluster
