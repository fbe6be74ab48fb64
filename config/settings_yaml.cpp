#include "config/settings_yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace troupe {
namespace {

// Text in a message, cut where it would fill the screen.
std::string shown(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar: {
      const std::string& text = node.Scalar();
      return "\"" + (text.size() > 80 ? text.substr(0, 80) + "..." : text) + "\"";
    }
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
    default:
      return "no value";
  }
}

bool quoted(const YAML::Node& node) {
  return node.Tag() == "!";
}

class yaml_walk {
 public:
  std::vector<yaml_finding> findings;

  void document(const YAML::Node& root) {
    if (root.IsNull()) return;  // an empty file: defaults
    if (!root.IsMap())
      return wrong(root, "",
                   "found " + shown(root) +
                       "; allowed: sections with their keys, such as link: and below it listen:");
    std::map<std::string, int> seen;
    for (const auto& pair : root) {
      if (!pair.first.IsScalar()) {
        wrong(pair.first, "",
              "found " + shown(pair.first) + " as a section's name; allowed: a word");
        continue;
      }
      const std::string& section = pair.first.Scalar();
      if (!once(seen, pair.first, section)) continue;
      if (!known_section(section)) {
        unknown_section(pair.first, section);
        continue;
      }
      if (pair.second.IsNull()) continue;  // a section whose keys are all commented out
      if (pair.second.IsMap())
        section_keys(section, pair.second);
      else
        wrong(pair.second, section,
              "found " + shown(pair.second) + "; allowed: keys below the section, such as " +
                  first_key(section));
    }
  }

 private:
  void wrong(const YAML::Node& at, std::string key, std::string what) {
    yaml_finding one;
    one.line = at.Mark().line + 1;
    one.key = std::move(key);
    one.problem = std::move(what);
    findings.push_back(std::move(one));
  }

  bool once(std::map<std::string, int>& seen, const YAML::Node& key, const std::string& name) {
    const auto [at, fresh] = seen.emplace(name, key.Mark().line + 1);
    if (!fresh)
      wrong(key, name, "stands twice; the first is in line " + std::to_string(at->second));
    return fresh;
  }

  static std::set<std::string_view> sections() {
    std::set<std::string_view> all;
    for (const setting_row& row : settings_table())
      all.insert(row.name.substr(0, row.name.find('.')));
    return all;
  }
  static bool known_section(std::string_view name) { return sections().contains(name); }
  static std::string first_key(std::string_view section) {
    for (const setting_row& row : settings_table())
      if (row.name.starts_with(std::string(section) + "."))
        return std::string(row.name.substr(section.size() + 1));
    return "";
  }

  void unknown_section(const YAML::Node& at, const std::string& name) {
    if (const setting_row* row = find_setting(name)) {
      const std::string section(row->name.substr(0, row->name.find('.')));
      return wrong(at, name,
                   "wrong nesting; write " + section + ": and below it " +
                       name.substr(section.size() + 1) + ":");
    }
    for (const setting_row& row : settings_table())
      if (row.name.substr(row.name.find('.') + 1) == name)
        return wrong(at, name,
                     "wrong nesting; this key belongs below " +
                         std::string(row.name.substr(0, row.name.find('.'))) + ":");
    const auto all = sections();
    const std::vector<std::string_view> known(all.begin(), all.end());
    std::string what = "unknown section";
    const std::string_view near = nearest_name(name, known);
    if (!near.empty()) {
      what += "; did you mean " + std::string(near) + "?";
    } else {
      what += "; allowed:";
      for (const std::string_view one : known) what += " " + std::string(one);
    }
    wrong(at, name, std::move(what));
  }

  void section_keys(const std::string& section, const YAML::Node& keys) {
    std::map<std::string, int> seen;
    for (const auto& pair : keys) {
      if (!pair.first.IsScalar()) {
        wrong(pair.first, section, "found " + shown(pair.first) + " as a key; allowed: a word");
        continue;
      }
      const std::string name = section + "." + pair.first.Scalar();
      if (!once(seen, pair.first, name)) continue;
      const setting_row* row = find_setting(name);
      if (row == nullptr)
        unknown_key(pair.first, section, name);
      else
        value(*row, pair.first, pair.second);
    }
  }

  void unknown_key(const YAML::Node& at, const std::string& section, const std::string& name) {
    std::vector<std::string_view> same_section, all;
    for (const setting_row& row : settings_table()) {
      all.push_back(row.name);
      if (row.name.starts_with(section + ".")) same_section.push_back(row.name);
    }
    std::string_view near = nearest_name(name, same_section);
    if (near.empty()) near = nearest_name(name, all);
    wrong(at, name,
          near.empty()
              ? "unknown setting; `troupe config explain " + section + "` lists this section's"
              : "unknown setting; did you mean " + std::string(near) + "?");
  }

  void value(const setting_row& row, const YAML::Node& key, const YAML::Node& written) {
    yaml_finding one;
    one.line = (written.Mark().is_null() || written.IsNull() ? key : written).Mark().line + 1;
    one.row = &row;
    one.key = std::string(row.name);
    one.value = is_list(row) ? list_value(row, written) : scalar_value(row, written);
    findings.push_back(std::move(one));
  }

  static error refused(const setting_row& row, const std::string& found) {
    return {error_code::invalid_argument, "found " + found + "; allowed: " + allowed_text(row), ""};
  }

  static result<setting_value> scalar_value(const setting_row& row, const YAML::Node& written) {
    if (!written.IsScalar()) return refused(row, shown(written));
    const bool plain_wanted = row.type == setting_type::integer ||
                              row.type == setting_type::number || row.type == setting_type::flag;
    if (plain_wanted && quoted(written)) return refused(row, "the text " + shown(written));
    return read_scalar(row, written.Scalar());
  }

  static result<setting_value> list_value(const setting_row& row, const YAML::Node& written) {
    if (!written.IsSequence()) return refused(row, shown(written));
    std::vector<std::string> items;
    for (const YAML::Node& item : written) {
      if (!item.IsScalar()) return refused(row, shown(item) + " in the list");
      items.push_back(item.Scalar());
    }
    return read_list(row, items);
  }
};

// Where each document begins; nothing else of the text is kept.
class document_starts : public YAML::EventHandler {
 public:
  std::vector<int> lines;
  void OnDocumentStart(const YAML::Mark& mark) override { lines.push_back(mark.line + 1); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// At most two documents are looked at: yaml-cpp 0.7 finds documents without end in some malformed
// texts, so reading "all documents" would never return.
std::optional<int> second_document_line(const std::string& yaml) {
  std::istringstream in(yaml);
  YAML::Parser parser(in);
  document_starts starts;
  for (int i = 0; i < 2 && parser.HandleNextDocument(starts); ++i) {
  }
  if (starts.lines.size() < 2) return std::nullopt;
  return starts.lines[1];
}

}  // namespace

std::vector<yaml_finding> find_in_yaml(std::string_view yaml) {
  yaml_walk walk;
  const auto stop = [&](int line, std::string what) {
    yaml_finding one;
    one.line = line;
    one.problem = std::move(what);
    walk.findings.push_back(std::move(one));
  };
  try {
    const std::string text(yaml);
    if (const std::optional<int> second = second_document_line(text))
      stop(*second,
           "found a second document or text that belongs to no key; allowed: one document");
    else
      walk.document(YAML::Load(text));
  } catch (const YAML::Exception& wrong) {
    stop(wrong.mark.is_null() ? 1 : wrong.mark.line + 1, "not YAML: " + wrong.msg);
  } catch (const std::exception& wrong) {
    stop(1, std::string("not YAML: ") + wrong.what());
  }
  return std::move(walk.findings);
}

}  // namespace troupe
