// One loading of settings: gathers values from YAML and environment, and every problem on the way.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

namespace troupe {

inline constexpr std::uintmax_t settings_file_bytes_max = 1u << 20;

// The file's content; refuses what is missing, no file, or larger than settings_file_bytes_max.
result<std::string> read_settings_file(const std::filesystem::path& file);

class settings_loading {
 public:
  settings_loading();  // the table's defaults
  void read_yaml(std::string_view yaml, std::string_view shown,
                 const std::filesystem::path& folder);
  void read_variables(const environment& variables);
  // The settings, or one error with all problems.
  result<settings> finish();

 private:
  void problem(std::string where, std::string_view key, std::string what);
  void take(const setting_row& row, result<setting_value> value, const std::string& where,
            const std::filesystem::path& folder);
  void check_relations();

  settings found_;
  std::vector<std::string> problems_;
};

}  // namespace troupe
