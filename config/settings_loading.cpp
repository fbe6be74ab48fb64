#include "config/settings_loading.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <fstream>
#include <sstream>
#include <system_error>

#include "config/objective.hpp"
#include "config/settings_yaml.hpp"
#include "config/written_split.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

// What a client's shell may hold beside a node's settings: where its own keys are.
constexpr std::string_view client_variables[] = {"TROUPE_KEY_FILE", "TROUPE_ALLOW_FILE",
                                                 "TROUPE_SERVER_KEY"};

std::vector<std::string> split_items(std::string_view written) {
  std::vector<std::string> items;
  while (!written.empty()) {
    const std::size_t comma = written.find(',');
    items.emplace_back(written.substr(0, comma));
    if (comma == std::string_view::npos) break;
    written.remove_prefix(comma + 1);
    if (written.empty()) items.emplace_back();  // "a," has an empty second item, which is refused
  }
  return items;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == 0) return "node";
  std::string kept;
  for (const char c : std::string_view(name).substr(0, 64)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    kept += good ? c : '-';
  }
  return kept;
}

fs::path placed(const std::string& written, const fs::path& folder) {
  fs::path path(written);
  if (written.empty() || path.is_absolute()) return path;
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder.empty() ? fs::path(".") : folder, ignored);
  return (whole / path).lexically_normal();
}

}  // namespace

result<std::string> read_settings_file(const fs::path& file) {
  std::error_code failure;
  const fs::file_status kind = fs::status(file, failure);
  if (!fs::exists(kind))
    return error{error_code::not_found, "no configuration file " + file.string(),
                 "give a file that exists; `troupe config explain` prints what it may hold"};
  if (!fs::is_regular_file(kind))
    return error{error_code::invalid_argument, file.string() + " is not a file",
                 "give a YAML file"};
  const std::uintmax_t size = fs::file_size(file, failure);
  if (failure || size > settings_file_bytes_max)
    return error{error_code::invalid_argument, file.string() + " is larger than 1MiB",
                 "a configuration is a few kilobytes; is this the right file?"};
  std::ifstream in(file, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  if (!in || content.str().size() > settings_file_bytes_max)
    return error{error_code::permission_denied, "cannot read " + file.string(),
                 "check its permissions"};
  return content.str();
}

settings_loading::settings_loading() {
  for (const setting_row& row : settings_table())
    take(row,
         is_list(row) ? read_list(row, split_items(row.fallback)) : read_scalar(row, row.fallback),
         "default", {});
  assert(problems_.empty() && "the table's defaults are within its own bounds");
}

void settings_loading::problem(std::string where, std::string_view key, std::string what) {
  if (!where.empty()) where += ": ";
  if (!key.empty()) where += std::string(key) + ": ";
  problems_.push_back(where + std::move(what));
}

void settings_loading::take(const setting_row& row, result<setting_value> value,
                            const std::string& where, const fs::path& folder) {
  if (!value) return problem(where, row.name, value.failure().message);
  if (row.form == text_form::path) {
    if (auto* one = std::get_if<std::string>(&*value)) *one = placed(*one, folder).string();
    if (auto* many = std::get_if<std::vector<std::string>>(&*value))
      for (std::string& one : *many) one = placed(one, folder).string();
  }
  found_.entries_[std::string(row.name)] = {std::move(*value), where};
}

void settings_loading::read_yaml(std::string_view yaml, std::string_view shown,
                                 const fs::path& folder) {
  for (yaml_finding& one : find_in_yaml(yaml)) {
    const std::string where = std::string(shown) + ":" + std::to_string(one.line);
    if (one.row == nullptr)
      problem(where, one.key, std::move(one.problem));
    else
      take(*one.row, std::move(one.value), where, folder);
  }
}

void settings_loading::read_variables(const environment& variables) {
  std::vector<std::string> names;
  for (const setting_row& row : settings_table()) names.push_back(variable_of(row.name));
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const auto& [name, written] : variables) {
    if (std::find(std::begin(client_variables), std::end(client_variables), name) !=
        std::end(client_variables))
      continue;
    const setting_row* row = nullptr;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == name) row = &settings_table()[i];
    const std::string where = "environment " + name;
    if (row == nullptr) {
      const std::string_view near = nearest_name(name, known);
      problem(where, "",
              "no setting has this variable" +
                  (near.empty() ? std::string("; unset it, or see `troupe config explain`")
                                : "; did you mean " + std::string(near) + "?"));
      continue;
    }
    take(*row, is_list(*row) ? read_list(*row, split_items(written)) : read_scalar(*row, written),
         where, {});
  }
}

// Rows that bound each other.
void settings_loading::check_relations() {
  const settings& s = found_;
  const auto clash = [&](std::string_view low, std::string_view high, std::string_view rule) {
    const std::string& place = s.origin(low) == "default" ? s.origin(high) : s.origin(low);
    problem(place, low,
            "found " + s.written(low) + " with " + std::string(high) + " " + s.written(high) +
                "; allowed: " + std::string(rule));
  };
  if (s.bytes("link.chunk_bytes") > s.bytes("link.queued_bytes_max") / 2)
    clash("link.chunk_bytes", "link.queued_bytes_max", "at most half of link.queued_bytes_max");
  if (s.bytes("link.coalesced_bytes_max") > s.bytes("link.queued_bytes_max") / 2)
    clash("link.coalesced_bytes_max", "link.queued_bytes_max",
          "at most half of link.queued_bytes_max");
  if (s.duration("membership.heartbeat_interval") * 2 > s.duration("membership.down_after"))
    clash("membership.heartbeat_interval", "membership.down_after",
          "at most half of membership.down_after");
  for (const std::string& wish : s.list("models.split"))
    if (!read_split(wish))
      problem(s.origin("models.split"), "models.split",
              "found \"" + wish + "\"; allowed: MODEL:NODE=LAYERS[:NODE=LAYERS...]");
  for (const std::string& wish : s.list("monitoring.objectives"))
    if (!read_objective(wish))
      problem(s.origin("monitoring.objectives"), "monitoring.objectives",
              "found \"" + wish +
                  "\"; allowed: MODEL:MILLISECONDS or MODEL:MILLISECONDS:SHARE, as "
                  "in mixtral:1500:0.99");
}

result<settings> settings_loading::finish() {
  if (problems_.empty()) {
    auto& name = found_.entries_["node.name"];
    if (std::get<std::string>(name.value).empty()) name = {host_name(), "host name"};
    auto& log = found_.entries_["node.log_file"];
    if (std::get<std::string>(log.value).empty())
      log.value = (fs::path(found_.text("node.state_dir")) / "trouped.log").string();
    check_relations();
  }
  if (problems_.empty()) return std::move(found_);
  std::string all;
  for (const std::string& one : problems_) all += (all.empty() ? "" : "\n") + one;
  return error{error_code::invalid_argument, std::move(all), ""};
}

}  // namespace troupe
