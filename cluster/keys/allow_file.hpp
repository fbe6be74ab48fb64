// The allow list in its file: read, changed by one process at a time, and watched.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "cluster/keys/allow_list.hpp"

namespace troupe::keys {

// A missing file is an empty list. permission_denied: others can write it.
result<allow_list> read_allow_file(const std::filesystem::path& file);

// Replaces the file's text by what `change` makes of it, under a lock between processes.
status change_allow_file(const std::filesystem::path& file,
                         const std::function<result<std::string>(const std::string&)>& change);
status allow_key(const std::filesystem::path& file, const allowed_key& entry);
status revoke_key(const std::filesystem::path& file, std::string_view name_or_key);

// Tells when the file is another one than when it was last looked at.
class allow_watch {
 public:
  explicit allow_watch(std::filesystem::path file);
  bool changed();
  const std::filesystem::path& file() const { return file_; }

 private:
  struct mark {
    bool there = false;
    ino_t inode = 0;
    off_t size = 0;
    timespec written{};
    bool operator==(const mark& o) const {
      return there == o.there && inode == o.inode && size == o.size &&
             written.tv_sec == o.written.tv_sec && written.tv_nsec == o.written.tv_nsec;
    }
  };
  mark look() const;
  std::filesystem::path file_;
  mark last_;
};

}  // namespace troupe::keys
