// A journal's file without a file: records that a power cut may take, as far as they were not
// synced.
#pragma once

#include <algorithm>
#include <vector>

#include "cluster/gateway/gateway_core.hpp"

namespace troupe::cluster {

class simulated_disk {
 public:
  void write(const journal::batch& batch) {
    if (batch.records.empty()) return;
    if (batch.fresh) fresh_.emplace();
    std::vector<proto::JournalRecord>& file = fresh_ ? *fresh_ : file_;
    file.insert(file.end(), batch.records.begin(), batch.records.end());
    position_ = batch.position;
  }
  // Returns the position up to which everything is safe.
  std::uint64_t sync() {
    if (fresh_) file_ = std::move(*fresh_);
    fresh_.reset();
    synced_ = file_.size();
    return position_;
  }
  // The process dies: what was written is there. A fresh file counts only once it is whole.
  void kill() { fresh_.reset(); }
  // The power goes: of what was not synced, the first `kept` records are there.
  void power_cut(std::size_t kept = 0) {
    fresh_.reset();
    file_.resize(std::min(file_.size(), synced_ + kept));
  }
  const std::vector<proto::JournalRecord>& content() const { return file_; }
  std::size_t unsynced() const { return file_.size() - synced_; }

 private:
  std::vector<proto::JournalRecord> file_;
  std::optional<std::vector<proto::JournalRecord>> fresh_;
  std::size_t synced_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace troupe::cluster
