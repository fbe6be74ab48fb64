// The folder that a journal lies in, as the few things that a journal does to it: the seam for
// disks that fail.
//
// Errors: resource_exhausted where the disk is full, unavailable for the rest, each with the path.
// Threading: none; one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::journal {

// A file open for appending. After an error nothing is known of what is on disk.
class journal_file {
 public:
  virtual ~journal_file() = default;
  virtual status append(std::string_view bytes) = 0;
  virtual status sync() = 0;  // everything appended is on disk
};

class journal_files {
 public:
  virtual ~journal_files() = default;
  virtual result<std::vector<std::string>> names() = 0;
  virtual result<std::string> content(const std::string& name) = 0;
  virtual result<std::unique_ptr<journal_file>> create(const std::string& name) = 0;
  // Durable once it returns.
  virtual status rename(const std::string& from, const std::string& to) = 0;
  virtual status remove(const std::string& name) = 0;
};

// Makes the folder where it is missing.
result<std::unique_ptr<journal_files>> open_journal_folder(const std::filesystem::path& folder);

}  // namespace troupe::journal
