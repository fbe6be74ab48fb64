// A key pair in a file that only its owner can read.
//
//   # a comment
//   public <64 hexadecimal digits>
//   secret <64 hexadecimal digits>
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"
#include "config/settings.hpp"

namespace troupe::keys {

// Where a node's keys lie, as its settings say: by default keys/node.key and keys/allowed in its
// state folder.
struct key_place {
  std::filesystem::path key_file, allow_file;
};
key_place place_of(const settings& from);

// data_corrupt where it is not such a text; `shown` names it in messages.
result<key_pair> parse_key_file(std::string_view text, std::string_view shown);
std::string text_of(const key_pair& pair);

// not_found, data_corrupt, or permission_denied: someone else can read it or owns it.
result<key_pair> read_key_file(const std::filesystem::path& file);
// Makes the file (0600) and the folders above it (0700); already_exists: there is one.
status write_key_file(const std::filesystem::path& file, const key_pair& pair);

}  // namespace troupe::keys
