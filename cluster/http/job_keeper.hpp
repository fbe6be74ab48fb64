// The disk of the book of long jobs: its journal's folder, what lies in it, and the thread that
// writes. Threading: as journal_writer; read before begin().
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/journal/journal_writer.hpp"

namespace troupe::http {

class job_keeper {
 public:
  // Reads what is there; damage is told in the log and passed over. unavailable,
  // resource_exhausted, data_corrupt: the folder cannot be used.
  static result<std::unique_ptr<job_keeper>> open(const std::filesystem::path& folder);

  std::vector<proto::JournalRecord> take_records() { return std::move(records_); }
  void begin(std::function<void(const journal::journal_news&)> tell);
  void write(journal::batch records) { writer_->write(std::move(records)); }

 private:
  explicit job_keeper(std::unique_ptr<journal::journal_files> files);

  // In the order of their life.
  std::unique_ptr<journal::journal_files> files_;
  journal::journal_store store_;
  std::vector<proto::JournalRecord> records_;
  std::optional<journal::journal_writer> writer_;
};

}  // namespace troupe::http
