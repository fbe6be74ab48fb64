// A node's settings: environment over YAML over the table's defaults, checked as a whole.
//
// A file is taken only when nothing is wrong with it; else the error lists every problem, one line
// each: "FILE:LINE: section.key: found ..., allowed: ...". Threading: immutable after loading.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "config/setting_value.hpp"
#include "config/settings_table.hpp"

namespace troupe {

using environment = std::map<std::string, std::string>;

// The variables of this process whose names begin with TROUPE_.
environment process_environment();

class settings {
 public:
  // Getters assert that the row exists and has that type: a wrong name is our own fault.
  const std::string& text(
      std::string_view name) const;  // also the kept form of a path or an address
  std::int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::uint64_t bytes(std::string_view name) const;
  std::chrono::milliseconds duration(std::string_view name) const;
  const std::vector<std::string>& list(std::string_view name) const;
  const std::vector<std::int64_t>& integers(std::string_view name) const;

  // Where the value came from: "default", "FILE:LINE", "environment TROUPE_LINK_LISTEN", "host
  // name".
  const std::string& origin(std::string_view name) const;
  // Any setting as one would write it in the environment.
  std::string written(std::string_view name) const;

 private:
  struct entry {
    setting_value value;
    std::string origin;
  };
  friend class settings_loading;
  const entry& at(std::string_view name, setting_type type) const;
  std::map<std::string, entry, std::less<>> entries_;
};

// Reads a YAML file and the variables over it. Unknown keys and unknown TROUPE_ variables are
// refused.
result<settings> load_settings(const std::filesystem::path& file, const environment& variables);

// The same without a file: defaults and environment.
result<settings> load_settings(const environment& variables);

// The same from YAML text; `shown` names it in messages, relative paths count from `folder`.
result<settings> read_settings(std::string_view yaml, std::string_view shown,
                               const std::filesystem::path& folder, const environment& variables);

}  // namespace troupe
