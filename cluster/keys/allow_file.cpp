#include "cluster/keys/allow_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "cluster/keys/owned_file.hpp"

namespace troupe::keys {
namespace {

result<std::string> text_in(const std::filesystem::path& file) {
  result<std::string> text = read_owned(file, 0022);
  if (!text && text.failure().code == error_code::not_found) return std::string();
  return text;
}

}  // namespace

result<allow_list> read_allow_file(const std::filesystem::path& file) {
  const result<std::string> text = text_in(file);
  if (!text) return text.failure();
  return parse_allow_list(*text, file.string());
}

status change_allow_file(const std::filesystem::path& file,
                         const std::function<result<std::string>(const std::string&)>& change) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))  // makes the folders above it
    if (status made = write_owned(file, "# ROLE NAME KEY [ADDRESS]\n", 0600, true);
        !made && made.failure().code != error_code::already_exists)
      return made;
  const std::filesystem::path lock_file = file.string() + ".lock";
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0) {
    if (lock >= 0) ::close(lock);
    return error{error_code::permission_denied, "cannot lock " + lock_file.string(),
                 "its folder has to be writable by this user"};
  }
  const result<std::string> before = text_in(file);
  const result<std::string> after = before ? change(*before) : before;
  status done = after ? status() : status(after.failure());
  if (done && *after != *before) done = write_owned(file, *after, 0600, false);
  ::close(lock);
  return done;
}

status allow_key(const std::filesystem::path& file, const allowed_key& entry) {
  return change_allow_file(
      file, [&](const std::string& text) { return with_entry(text, file.string(), entry); });
}

status revoke_key(const std::filesystem::path& file, std::string_view name_or_key) {
  return change_allow_file(file, [&](const std::string& text) {
    return without_entry(text, file.string(), name_or_key);
  });
}

allow_watch::allow_watch(std::filesystem::path file) : file_(std::move(file)), last_(look()) {}

allow_watch::mark allow_watch::look() const {
  struct stat about {};
  if (::stat(file_.c_str(), &about) != 0) return {};
  return {true, about.st_ino, about.st_size, about.st_mtim};
}

bool allow_watch::changed() {
  const mark now = look();
  return !(std::exchange(last_, now) == now);
}

}  // namespace troupe::keys
