// A journal on its files: reads what is there, appends, and begins anew.
//
// One file at a time holds everything: "NUMBER-KEY.journal", the highest number counts. A new one
// is written beside it under another name, synced, renamed, and only then the old one goes; so a
// crash at any moment leaves one whole file. An old one that has damage is kept, as "damaged".
// After an error the store writes nothing until a new file has been begun: nobody knows what a disk
// kept of a failed write. Threading: none; one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/journal/journal_files.hpp"
#include "cluster/journal/segment.hpp"

namespace troupe::journal {

class journal_store {
 public:
  // make_key: a number that nobody can guess, for each new file.
  journal_store(journal_files& files, std::function<std::uint64_t()> make_key)
      : files_(files), make_key_(std::move(make_key)) {}

  // What the newest file holds; empty where there is none. data_corrupt: files are there, and none
  // has a name that this format gives.
  result<segment_content> read();

  // The records begin a new file; once it returns they are on disk and the old file is gone.
  status begin(const std::vector<proto::JournalRecord>& records);
  // Without begin(): unavailable.
  status append(const std::vector<proto::JournalRecord>& records);
  status sync();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t bytes_at_begin() const { return bytes_at_begin_; }

 private:
  status failed(error why);
  std::string encoded(const std::vector<proto::JournalRecord>& records, std::uint64_t begin) const;

  journal_files& files_;
  std::function<std::uint64_t()> make_key_;
  std::uint64_t number_ = 0;  // of the newest file
  bool keeps_old_ = false;    // it could not be read, or has damage that somebody may want to see
  std::uint64_t key_ = 0;
  std::unique_ptr<journal_file> file_;  // null: nothing can be appended
  std::uint64_t bytes_ = 0, bytes_at_begin_ = 0;
  bool dirty_ = false;
};

}  // namespace troupe::journal
