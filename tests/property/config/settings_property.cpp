// Random configurations: what is written is what is read, the environment stands above the file,
// what is wrong is refused by name, what is missing has its default.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <set>

#include "config/settings.hpp"

using namespace troupe;

namespace {

using chosen_values = std::map<const setting_row*, setting_value>;

const setting_row& any_row() {
  const auto table = settings_table();
  return table[*rc::gen::inRange<std::size_t>(0, table.size())];
}

std::string random_name(std::size_t length_max) {
  const auto length = *rc::gen::inRange<std::size_t>(1, length_max + 1);
  return *rc::gen::container<std::string>(
      length, rc::gen::elementOf(std::string("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789._-")));
}

// Any bytes that YAML can carry in a double-quoted text: printable ones, quotes, line ends and
// UTF-8.
std::string random_text(std::size_t length_max) {
  const auto count = *rc::gen::inRange<std::size_t>(1, length_max / 4 + 1);
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text +=
        *rc::gen::element<std::string>("a", "Z", "7", " ", "\"", "'", "\\", "\n", "\t", ":", "#",
                                       "{", "]", "é", "漢", "🙂", "- ", "%", "~", "null", "true");
  return text.size() > length_max ? text.substr(0, 1) : text;
}

std::string random_choice(const setting_row& row) {
  std::vector<std::string> words(1);
  for (const char c : row.choices) {
    if (c == '|')
      words.emplace_back();
    else
      words.back() += c;
  }
  return *rc::gen::elementOf(words);
}

std::string random_item(const setting_row& row) {
  if (row.name == "monitoring.objectives")  // plain text with a form of its own
    return random_name(20) + ":" + std::to_string(*rc::gen::inRange(1, 60'000)) +
           (*rc::gen::arbitrary<bool>() ? ":0.9" : "");
  if (row.name == "models.split") {
    const std::string node = random_name(20);  // each once
    return random_name(20) + ":" + node + "=" + std::to_string(*rc::gen::inRange(1, 200)) +
           (*rc::gen::arbitrary<bool>() ? ":" + node + "-2=7" : "");
  }
  switch (row.form) {
    case text_form::plain:
      return random_text(is_list(row) ? 200 : static_cast<std::size_t>(row.maximum));
    case text_form::path:
      return "/" + random_name(40);
    case text_form::name:
      return random_name(64);
    case text_form::endpoint:
      return "tcp://" + random_name(20) + ":" + std::to_string(*rc::gen::inRange(0, 65536));
    case text_form::server:
      return *rc::gen::arbitrary<bool>()
                 ? "unix:/" + random_name(20)
                 : random_name(20) + ":" + std::to_string(*rc::gen::inRange(1, 65536));
    case text_form::choice:
      return random_choice(row);
  }
  return {};
}

std::int64_t random_integer(const setting_row& row) {
  const auto low = static_cast<std::int64_t>(row.minimum),
             high = static_cast<std::int64_t>(row.maximum);
  return *rc::gen::oneOf(rc::gen::element(low, high),
                         rc::gen::inRange(low, std::min(high, low + 5000) + 1),
                         rc::gen::inRange(low, high));
}

setting_value random_value(const setting_row& row) {
  switch (row.type) {
    case setting_type::text:
      return random_item(row);
    case setting_type::flag:
      return *rc::gen::arbitrary<bool>();
    case setting_type::number:
      return row.minimum + (row.maximum - row.minimum) * *rc::gen::inRange(0, 1001) / 1000;
    case setting_type::integer:
    case setting_type::bytes:
    case setting_type::duration:
      return random_integer(row);
    case setting_type::text_list: {
      std::vector<std::string> items(*rc::gen::inRange<std::size_t>(0, 5));
      for (std::string& item : items) item = random_item(row);
      return items;
    }
    case setting_type::integer_list: {
      std::vector<std::int64_t> items(*rc::gen::inRange<std::size_t>(0, 5));
      for (std::int64_t& item : items) item = *rc::gen::inRange(0, 65536);
      return items;
    }
  }
  return {};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? std::string("\\n") : c == '\t' ? std::string("\\t") : std::string(1, c);
  }
  return out + "\"";
}

// One value in one of the styles that YAML knows for it.
std::string yaml_of(const setting_row& row, const setting_value& value) {
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    const bool flow = *rc::gen::arbitrary<bool>() || texts->empty();
    std::string out = flow ? "[" : "";
    for (const std::string& one : *texts)
      out += flow ? quoted(one) + ", " : "\n    - " + quoted(one);
    return flow ? out + "]" : out;
  }
  if (std::holds_alternative<std::vector<std::int64_t>>(value))
    return "[" + written_value(row, value) + "]";
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  return written_value(row, value);
}

chosen_values random_values() {
  chosen_values values;
  const auto count = *rc::gen::inRange<std::size_t>(0, 20);
  for (std::size_t i = 0; i < count; ++i) {
    const setting_row& row = any_row();
    // Rows that bound each other stay at their defaults here; a unit test covers their rule.
    static const std::set<std::string_view> bound_together = {
        "link.chunk_bytes", "link.coalesced_bytes_max", "link.queued_bytes_max",
        "membership.heartbeat_interval", "membership.down_after"};
    if (!bound_together.contains(row.name)) values[&row] = random_value(row);
  }
  return values;
}

std::string yaml_of(const chosen_values& values) {
  std::map<std::string, std::string> sections;
  for (const auto& [row, value] : values) {
    const std::size_t dot = row->name.find('.');
    std::string& lines = sections[std::string(row->name.substr(0, dot))];
    lines += "  " + std::string(row->name.substr(dot + 1)) + ": " + yaml_of(*row, value);
    lines += *rc::gen::arbitrary<bool>() && lines.back() != '\n' ? "  # a comment\n" : "\n";
  }
  std::string yaml;
  for (const auto& [section, lines] : sections) yaml += section + ":\n" + lines + "\n";
  return yaml;
}

bool derived_when_empty(const setting_row& row) {
  return row.name == "node.name" || row.name == "node.log_file";
}

}  // namespace

TEST_CASE("a valid configuration is read exactly as it was written") {
  CHECK(rc::check([] {
    const chosen_values values = random_values();
    const std::string yaml = yaml_of(values);
    RC_LOG() << yaml;
    const auto read = read_settings(yaml, "f.yaml", "/folder", {});
    if (!read) RC_LOG() << read.failure().text();
    RC_ASSERT(read.ok());
    for (const auto& [row, value] : values) {
      RC_ASSERT(read->written(row->name) == written_value(*row, value));
      RC_ASSERT(read->origin(row->name).starts_with("f.yaml:"));
    }
  }));
}

TEST_CASE("a value's text is read back as the same value") {
  CHECK(rc::check([] {
    const setting_row& row = any_row();
    const setting_value value = random_value(row);
    if (is_list(row)) return;
    const auto read = read_scalar(row, written_value(row, value));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == value);
  }));
}

TEST_CASE("an environment variable overrides the file, and only its own setting") {
  CHECK(rc::check([] {
    const chosen_values values = random_values();
    const chosen_values over = random_values();
    environment variables;
    for (const auto& [row, value] : over) {
      const auto* items = std::get_if<std::vector<std::string>>(&value);
      bool holds_comma = false;
      if (items)
        for (const std::string& item : *items) holds_comma |= item.find(',') != std::string::npos;
      if (!holds_comma) variables[variable_of(row->name)] = written_value(*row, value);
    }
    const auto read = read_settings(yaml_of(values), "f.yaml", "/folder", variables);
    if (!read) RC_LOG() << read.failure().text();
    RC_ASSERT(read.ok());
    for (const setting_row& row : settings_table()) {
      const auto from_file = values.find(&row);
      if (variables.contains(variable_of(row.name))) {
        RC_ASSERT(read->written(row.name) == written_value(row, over.at(&row)));
        RC_ASSERT(read->origin(row.name) == "environment " + variable_of(row.name));
      } else if (from_file != values.end()) {
        RC_ASSERT(read->written(row.name) == written_value(row, from_file->second));
      }
    }
  }));
}

TEST_CASE("one wrong line among valid ones is refused with its place and its key") {
  CHECK(rc::check([] {
    const chosen_values values = random_values();
    std::string yaml = yaml_of(values);
    const setting_row& row = any_row();
    RC_PRE(!values.contains(&row));
    const std::size_t dot = row.name.find('.');
    const std::string section(row.name.substr(0, dot)), key(row.name.substr(dot + 1));
    const bool unknown = *rc::gen::arbitrary<bool>();
    const std::string wrong = unknown ? "  " + key + "x: 1\n" : "  " + key + ": {nested: 1}\n";
    const std::size_t at = yaml.find(section + ":\n");
    const std::size_t insert_at = at == std::string::npos ? yaml.size() : at + section.size() + 2;
    yaml.insert(insert_at, at == std::string::npos ? section + ":\n" + wrong : wrong);
    const auto line =
        1 + std::count(yaml.begin(), yaml.begin() + static_cast<std::ptrdiff_t>(yaml.find(wrong)),
                       '\n');
    const auto read = read_settings(yaml, "f.yaml", "/folder", {});
    RC_ASSERT_FALSE(read.ok());
    RC_LOG() << yaml << read.failure().text();
    const std::string place = "f.yaml:" + std::to_string(line) + ": " + std::string(row.name);
    RC_ASSERT(read.failure().message.starts_with(place));
    RC_ASSERT(read.failure().message.find(unknown ? "did you mean " + std::string(row.name)
                                                  : allowed_text(row)) != std::string::npos);
    RC_ASSERT(read.failure().message.find('\n') == std::string::npos);
  }));
}

TEST_CASE("a number outside its bounds is refused with the allowed range") {
  CHECK(rc::check([] {
    const setting_row& row = any_row();
    RC_PRE(row.type == setting_type::integer || row.type == setting_type::bytes ||
           row.type == setting_type::duration);
    const bool below = *rc::gen::arbitrary<bool>() && row.minimum >= 1;
    const auto number = below ? static_cast<std::int64_t>(row.minimum) - 1
                              : static_cast<std::int64_t>(row.maximum) + 1;
    const std::string written =
        row.type == setting_type::duration ? std::to_string(number) + "ms" : std::to_string(number);
    const auto read = read_scalar(row, written);
    RC_ASSERT_FALSE(read.ok());
    RC_ASSERT(read.failure().message == "found \"" + written + "\"; allowed: " + allowed_text(row));
  }));
}

TEST_CASE("what is missing has the table's default") {
  CHECK(rc::check([] {
    const chosen_values values = random_values();
    const auto read = read_settings(yaml_of(values), "f.yaml", "/folder", {});
    RC_ASSERT(read.ok());
    for (const setting_row& row : settings_table()) {
      if (values.contains(&row) || derived_when_empty(row)) continue;
      RC_ASSERT(read->origin(row.name) == "default");
      if (row.form != text_form::path && row.type != setting_type::bytes &&
          row.type != setting_type::duration)
        RC_ASSERT(read->written(row.name) == row.fallback);
    }
  }));
}

TEST_CASE("any bytes are settings or an error, never a crash") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
        "link", ":", "\n", "  ", "listen", "- ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "|",
        ">", "\"", "'", "\t", "#", "?", "<<", ",", "\xff", "---\n", "%YAML 9.9\n", "inference",
        "threads", "1"));
    std::string yaml;
    for (const std::string& piece : pieces) yaml += piece;
    const auto read = read_settings(yaml, "f.yaml", "/folder", {});
    if (!read) RC_ASSERT(read.failure().message.starts_with("f.yaml:"));
  }));
}
