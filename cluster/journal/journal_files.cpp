#include "cluster/journal/journal_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::journal {
namespace {

error cannot(const std::filesystem::path& what, const char* verb, int number = errno) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  return {full ? error_code::resource_exhausted : error_code::unavailable,
          std::string("the journal cannot ") + verb + " " + what.string() + ": " +
              std::strerror(number),
          full ? "free space on the disk of node.state_dir"
               : "look after the disk of node.state_dir, or give the node another one"};
}

class posix_file final : public journal_file {
 public:
  posix_file(int file, std::filesystem::path path) : file_(file), path_(std::move(path)) {}
  ~posix_file() override { ::close(file_); }

  status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return cannot(path_, "write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }
  status sync() override {
    if (::fdatasync(file_) != 0) return cannot(path_, "sync");
    return {};
  }

 private:
  int file_;
  std::filesystem::path path_;
};

class posix_files final : public journal_files {
 public:
  explicit posix_files(std::filesystem::path folder) : folder_(std::move(folder)) {}

  result<std::vector<std::string>> names() override {
    std::error_code failed;
    std::vector<std::string> out;
    for (std::filesystem::directory_iterator at(folder_, failed), end; !failed && at != end;
         at.increment(failed))
      out.push_back(at->path().filename().string());
    if (failed) return cannot(folder_, "list", failed.value());
    return out;
  }

  result<std::string> content(const std::string& name) override {
    const std::filesystem::path path = folder_ / name;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return cannot(path, "read");
    struct stat facts {};
    std::string out;
    if (::fstat(file, &facts) == 0) out.resize(static_cast<std::size_t>(facts.st_size));
    std::size_t at = 0;
    ssize_t count = 1;
    while (at < out.size() && count != 0) {
      count = ::read(file, out.data() + at, out.size() - at);
      if (count < 0 && errno != EINTR) {
        error failed = cannot(path, "read");
        ::close(file);
        return failed;
      }
      if (count > 0) at += static_cast<std::size_t>(count);
    }
    ::close(file);
    out.resize(at);
    return out;
  }

  result<std::unique_ptr<journal_file>> create(const std::string& name) override {
    const std::filesystem::path path = folder_ / name;
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return cannot(path, "write");
    return std::unique_ptr<journal_file>(std::make_unique<posix_file>(file, path));
  }

  status rename(const std::string& from, const std::string& to) override {
    if (::rename((folder_ / from).c_str(), (folder_ / to).c_str()) != 0)
      return cannot(folder_ / to, "make");
    const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return cannot(folder_, "open");
    const bool synced = ::fsync(folder) == 0;
    error failed = cannot(folder_, "sync");
    ::close(folder);
    if (!synced) return failed;
    return {};
  }

  status remove(const std::string& name) override {
    if (::unlink((folder_ / name).c_str()) != 0 && errno != ENOENT)
      return cannot(folder_ / name, "remove");
    return {};
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace

result<std::unique_ptr<journal_files>> open_journal_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return cannot(folder, "make", failed.value());
  return std::unique_ptr<journal_files>(std::make_unique<posix_files>(folder));
}

}  // namespace troupe::journal
