#include "config/settings.hpp"

#include <unistd.h>

#include <cassert>

#include "config/settings_loading.hpp"

namespace troupe {

const settings::entry& settings::at(std::string_view name, setting_type type) const {
  const auto found = entries_.find(name);
  const setting_row* row = find_setting(name);
  const bool known = found != entries_.end() && row != nullptr && row->type == type;
  assert(known && "no such setting of that type in the table");
  static const entry nothing;
  return known ? found->second : nothing;
}

const std::string& settings::text(std::string_view name) const {
  return std::get<std::string>(at(name, setting_type::text).value);
}
std::int64_t settings::integer(std::string_view name) const {
  return std::get<std::int64_t>(at(name, setting_type::integer).value);
}
double settings::number(std::string_view name) const {
  return std::get<double>(at(name, setting_type::number).value);
}
bool settings::flag(std::string_view name) const {
  return std::get<bool>(at(name, setting_type::flag).value);
}
std::uint64_t settings::bytes(std::string_view name) const {
  return static_cast<std::uint64_t>(std::get<std::int64_t>(at(name, setting_type::bytes).value));
}
std::chrono::milliseconds settings::duration(std::string_view name) const {
  return std::chrono::milliseconds(std::get<std::int64_t>(at(name, setting_type::duration).value));
}
const std::vector<std::string>& settings::list(std::string_view name) const {
  return std::get<std::vector<std::string>>(at(name, setting_type::text_list).value);
}
const std::vector<std::int64_t>& settings::integers(std::string_view name) const {
  return std::get<std::vector<std::int64_t>>(at(name, setting_type::integer_list).value);
}

const std::string& settings::origin(std::string_view name) const {
  const auto found = entries_.find(name);
  assert(found != entries_.end());
  return found->second.origin;
}

std::string settings::written(std::string_view name) const {
  const setting_row* row = find_setting(name);
  assert(row != nullptr);
  return written_value(*row, entries_.find(name)->second.value);
}

environment process_environment() {
  environment found;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view line(*one);
    const std::size_t sign = line.find('=');
    if (line.starts_with("TROUPE_") && sign != std::string_view::npos)
      found.emplace(line.substr(0, sign), line.substr(sign + 1));
  }
  return found;
}

result<settings> read_settings(std::string_view yaml, std::string_view shown,
                               const std::filesystem::path& folder, const environment& variables) {
  settings_loading loading;
  loading.read_yaml(yaml, shown, folder);
  loading.read_variables(variables);
  return loading.finish();
}

result<settings> load_settings(const environment& variables) {
  settings_loading loading;
  loading.read_variables(variables);
  return loading.finish();
}

result<settings> load_settings(const std::filesystem::path& file, const environment& variables) {
  auto content = read_settings_file(file);
  if (!content) return content.failure();
  return read_settings(*content, file.string(), file.parent_path(), variables);
}

}  // namespace troupe
