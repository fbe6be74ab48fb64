#include "cluster/http/api_key_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace troupe::http {
namespace {

constexpr std::uint64_t file_bytes_max = 1u << 20;

class open_file {
 public:
  explicit open_file(int file) : file_(file) {}
  ~open_file() {
    if (file_ >= 0) ::close(file_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  explicit operator bool() const { return file_ >= 0; }
  int get() const { return file_; }

 private:
  int file_;
};

error cannot(const std::string& file, const char* verb) {
  const int why = errno;
  return {why == ENOENT ? error_code::not_found : error_code::permission_denied,
          "the key file " + file + " cannot be " + verb + ": " + std::strerror(why),
          why == ENOENT ? "make a key with `troupe api-key make --file " + file + "`" : ""};
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

file_signature signature_of(const struct stat& facts) {
  return {facts.st_ino, static_cast<std::uint64_t>(facts.st_size), nanoseconds(facts.st_mtim),
          nanoseconds(facts.st_ctim)};
}

status write_whole(int file, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot(name, "written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file) != 0) return cannot(name, "synced");
  return {};
}

}  // namespace

result<key_file> read_key_file(const std::string& file) {
  const open_file opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened) return cannot(file, "read");
  struct stat facts {};
  if (::fstat(opened.get(), &facts) != 0) return cannot(file, "read");
  if (!S_ISREG(facts.st_mode))
    return error{error_code::invalid_argument, "the key file " + file + " is no file", ""};
  if (facts.st_mode & (S_IRWXG | S_IRWXO))
    return error{error_code::permission_denied, "the key file " + file + " is open to other users",
                 "chmod 600 " + file};
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size > file_bytes_max)
    return error{error_code::invalid_argument, "the key file " + file + " is longer than 1 MiB",
                 "remove old keys"};
  std::string text(size, '\0');
  std::size_t held = 0;
  while (held < text.size()) {
    const ssize_t count = ::read(opened.get(), text.data() + held, text.size() - held);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot(file, "read");
    if (count == 0) break;
    held += static_cast<std::size_t>(count);
  }
  text.resize(held);
  auto keys = key_list::parse(text, "the key file " + file);
  if (!keys) return keys.failure();
  return key_file{*std::move(keys), signature_of(facts)};
}

status change_key_file(const std::string& file,
                       const std::function<status(std::vector<api_key>&)>& change) {
  const std::filesystem::path path(file);
  const std::string folder = path.has_parent_path() ? path.parent_path().string() : ".";
  const open_file lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return cannot(folder, "locked");
  std::vector<api_key> keys;
  auto held = read_key_file(file);
  if (held)
    keys = held->keys.keys();
  else if (held.failure().code != error_code::not_found)
    return held.failure();
  if (status done = change(keys); !done) return done;
  if (keys.size() > key_list::keys_max)
    return error{error_code::resource_exhausted,
                 file + " has as many keys as it may: " + std::to_string(key_list::keys_max),
                 "revoke old ones"};
  std::string text =
      "# API keys of troupe, hashed; `troupe api-key` makes, lists and revokes them.\n";
  for (const api_key& key : keys) text += line_of(key) + "\n";
  const std::string draft = file + ".new";
  (void)::unlink(draft.c_str());
  {
    const open_file made(
        ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made) return cannot(draft, "written");
    if (status done = write_whole(made.get(), text, draft); !done) return done;
  }
  if (::rename(draft.c_str(), file.c_str()) != 0) return cannot(file, "replaced");
  if (::fsync(lock.get()) != 0) return cannot(folder, "synced");
  return {};
}

key_watch::key_watch(std::string file, key_file first, std::function<void(const key_change&)> tell)
    : file_(std::move(file)),
      tell_(std::move(tell)),
      keys_(std::make_shared<const key_list>(std::move(first.keys))),
      seen_(first.signature),
      looked_at_(clock::now()) {}

std::shared_ptr<const key_list> key_watch::now(clock::time_point when) {
  const std::lock_guard lock{guard_};
  if (when - looked_at_ < look_every) return keys_;
  looked_at_ = when;
  struct stat facts {};
  file_signature present;
  if (::stat(file_.c_str(), &facts) == 0) present = signature_of(facts);
  if (present == seen_) return keys_;
  seen_ = present;
  auto read = read_key_file(file_);
  key_change change;
  if (!read) {
    change.failure = read.failure();
    tell_(change);
    return keys_;
  }
  seen_ = read->signature;
  const auto of = [](const key_list& list, const std::string& name) -> const api_key* {
    for (const api_key& key : list.keys())
      if (key.name == name) return &key;
    return nullptr;
  };
  for (const api_key& key : read->keys.keys()) {
    const api_key* before = of(*keys_, key.name);
    if (!before) change.added.push_back(key.name);
    if (before && *before != key) change.altered.push_back(key.name);
  }
  for (const api_key& key : keys_->keys())
    if (!of(read->keys, key.name)) change.removed.push_back(key.name);
  keys_ = std::make_shared<const key_list>(std::move(read->keys));
  tell_(change);
  return keys_;
}

}  // namespace troupe::http
