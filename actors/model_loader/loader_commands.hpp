// What the loader core asks of its shell, and what the shell reports back. The shell and the
// simulator carry them out alike.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "actors/core.hpp"
#include "actors/model_loader/model_facts.hpp"
#include "config/outcome.hpp"

namespace troupe {

struct scan_files {};
struct examine_file {  // hash (unless the digest is known) and open
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::string known_digest;
};
struct serve_bytes {  // answer `request` with ModelBytes
  envelope_ptr request;
  std::filesystem::path path;
  std::string digest;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint64_t total_bytes = 0;
};
struct open_partial {
  std::string name;
  std::uint64_t size_bytes = 0;  // of the whole file
  bool resume = false;           // false: begin anew
};
struct write_partial {
  std::string name;
  std::uint64_t offset = 0;
  std::string bytes;
};
struct finish_partial {  // check the digest, rename, open; a wrong digest deletes the file
  std::string name, digest;
};
struct save_memory {
  std::string text;
};
using loader_command = std::variant<scan_files, examine_file, serve_bytes, open_partial,
                                    write_partial, finish_partial, save_memory>;

struct files_scanned {
  std::vector<found_file> files;
};
struct file_examined {
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  result<model_facts> facts = error{};
};
struct partial_opened {
  std::string name;
  result<std::uint64_t> held = error{};
};
struct partial_written {
  std::string name;
  result<std::uint64_t> held = error{};
};
struct partial_finished {
  std::string name;
  result<found_file> file = error{};
  std::string digest;
};
using loader_report =
    std::variant<files_scanned, file_examined, partial_opened, partial_written, partial_finished>;

}  // namespace troupe
