// The loader's door to the disk. disk_model_files is the real one; tests and the simulator have
// their own.
//
// Threading: calls may come from several threads, never two about the same partial file at once.
#pragma once

#include <memory>
#include <string>

#include "actors/model_loader/loader_commands.hpp"
#include "actors/model_loader/loader_settings.hpp"

namespace troupe {

class model_files {
 public:
  virtual ~model_files() = default;
  virtual std::vector<found_file> scan() = 0;
  virtual result<std::string> digest(const std::filesystem::path& path) = 0;
  virtual result<model_facts> describe(const std::filesystem::path& path) = 0;
  virtual result<std::string> read(const std::filesystem::path& path, std::uint64_t offset,
                                   std::uint32_t length) = 0;
  // Bytes already held. resource_exhausted where the disk has no room for the rest.
  virtual result<std::uint64_t> open_partial(const std::string& name, std::uint64_t size_bytes,
                                             bool resume) = 0;
  virtual result<std::uint64_t> write_partial(const std::string& name, std::uint64_t offset,
                                              std::string_view bytes) = 0;
  virtual result<found_file> finish_partial(const std::string& name, const std::string& digest) = 0;
  virtual std::string load_memory() = 0;
  virtual void save_memory(const std::string& text) = 0;
};

std::unique_ptr<model_files> make_disk_model_files(const loader_settings& settings);

// Carries out a command that reports (all but serve_bytes and save_memory).
std::optional<loader_report> carry_out(const loader_command& command, model_files& files);
// The answer to a serve_bytes.
envelope_ptr bytes_served(const serve_bytes& command, model_files& files);

}  // namespace troupe
