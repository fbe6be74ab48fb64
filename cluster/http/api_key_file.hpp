// The file that API keys lie in: read only where nobody else can, replaced in one step, and read
// again when it has changed.
//
// Threading: key_watch::now() from any thread; it looks at the file at most once a second, and a
// read blocks for as long as a small file takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/http/api_keys.hpp"

namespace troupe::http {

// What tells one state of a file from another.
struct file_signature {
  std::uint64_t inode = 0, size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const file_signature&) const = default;
};

struct key_file {
  key_list keys;
  file_signature signature;
};

// not_found; permission_denied: others can read it; invalid_argument: a line is wrong. A file
// without a key is fine here.
result<key_file> read_key_file(const std::string& file);

// Reads the keys (none where the file is missing), lets `change` change them, and puts the new file
// in the old one's place, readable by its owner only. One caller at a time.
status change_key_file(const std::string& file,
                       const std::function<status(std::vector<api_key>&)>& change);

struct key_change {
  std::vector<std::string> added, removed, altered;  // names
  std::optional<error> failure;  // the file cannot be taken; the keys before it count
};

class key_watch {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds look_every{1};

  key_watch(std::string file, key_file first, std::function<void(const key_change&)> tell);
  std::shared_ptr<const key_list> now(clock::time_point when = clock::now());

 private:
  std::string file_;
  std::function<void(const key_change&)> tell_;
  std::mutex guard_;
  std::shared_ptr<const key_list> keys_;
  file_signature seen_;  // of the state that was last taken or refused
  clock::time_point looked_at_;
};

}  // namespace troupe::http
