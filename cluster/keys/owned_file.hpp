// Small files of the keys: read with a look at who else can touch them, written whole or not at
// all.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "config/outcome.hpp"

namespace troupe::keys {

inline constexpr std::size_t owned_file_bytes_max = 1u << 20;

// The file's text. not_found; permission_denied where its mode has one of `forbidden` (0077: others
// may not even read it) or it belongs to another user than this one and root.
result<std::string> read_owned(const std::filesystem::path& file, mode_t forbidden);

// A new file beside it, made durable, takes its place; the folders above are made with 0700.
// already_exists: where `fresh` is set and there is one.
status write_owned(const std::filesystem::path& file, const std::string& text, mode_t mode,
                   bool fresh);

}  // namespace troupe::keys
