// Every setting of a node, one row each. The table validates YAML and environment, and prints the
// guide.
//
// A setting is named "section.key"; in YAML it is `key` under `section`, in the environment
// TROUPE_SECTION_KEY. Threading: the table is constant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace troupe {

enum class setting_type { text, integer, number, flag, bytes, duration, text_list, integer_list };

// What a text (or each item of a text list) must look like.
enum class text_form {
  plain,
  path,  // relative ones count from the YAML file's folder, or from the working directory for the
         // environment
  name,  // 1 to 64 of A-Z a-z 0-9 . _ -
  endpoint,  // tcp://HOST:PORT or HOST:PORT; kept as tcp://HOST:PORT
  server,    // HOST:PORT or unix:/PATH
  choice,    // one of `choices`
};

struct setting_row {
  std::string_view name;
  setting_type type;
  std::string_view unit;      // "tokens", "bytes"; empty where there is none
  std::string_view fallback;  // the default, as one would write it in the environment
  double minimum = 0;         // of a number; of the count of a list's items; of a text's length
  double maximum = 0;
  bool live = false;       // a running node could take it up; what changes it is not there yet
  std::string_view about;  // one sentence
  text_form form = text_form::plain;
  std::string_view choices = {};  // "a|b|c" with text_form::choice
};

std::span<const setting_row> settings_table();

// nullptr where no row has this name.
const setting_row* find_setting(std::string_view name);

// The name of the environment variable: "link.listen" -> "TROUPE_LINK_LISTEN".
std::string variable_of(std::string_view name);

// "bytes, 1MiB to 64GiB": what a row accepts, for messages and for the guide.
std::string allowed_text(const setting_row& row);

// The configuration guide: every row, or those of one section ("link") or one name.
// Empty where nothing has that name.
std::string explain(std::string_view only = {});

// The known name that is nearest to a mistyped one; empty where none is near.
std::string_view nearest_name(std::string_view wrong, std::span<const std::string_view> known);

}  // namespace troupe
