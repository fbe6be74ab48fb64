// The audit log on its files: audit.log in the node's folder, and those that were full before it,
// audit-SEQUENCE.log by the sequence of their first line.
//
// Opening cuts a torn last line and notes that; a file whose chain does not hold is set aside as
// audit-broken-N.log, and a new chain says so. Append-only: nothing else changes a line. Past
// files_max the oldest full file goes. Threading: none; one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cluster/audit/audit.hpp"
#include "cluster/audit/chain.hpp"
#include "config/outcome.hpp"

namespace troupe::audit {

struct audit_place {
  std::filesystem::path folder;
  std::string node;
  std::uint64_t file_bytes_max = 16u << 20;
  std::size_t files_max = 16;  // full ones
};

struct timed_event {
  std::string time;
  event what;
};

class audit_file {
 public:
  // make_random: 32 random bytes for a chain's beginning. resource_exhausted: the disk is full;
  // unavailable: anything else of the disk.
  static result<std::unique_ptr<audit_file>> open(audit_place place,
                                                  const std::function<std::string()>& make_random,
                                                  const std::string& time);
  ~audit_file();

  // On disk once it returns. After an error none of them is in the file, as far as the disk lets
  // that be told; they may be given again.
  status append(std::span<const timed_event> events);

  const chain_head& head() const { return head_; }
  // What opening had to mend; empty: nothing.
  const std::string& mended() const { return mended_; }

 private:
  explicit audit_file(audit_place place) : place_(std::move(place)) {}
  std::filesystem::path current() const { return place_.folder / "audit.log"; }
  status read(const std::function<std::string()>& make_random, const std::string& time);
  status set_aside(const verdict& why);
  status open_for_append();
  status rotate(const std::string& time);
  status write(const std::string& bytes);
  std::string line(const timed_event& of, chain_head& head) const;
  std::vector<std::filesystem::path> full_files() const;  // oldest first

  audit_place place_;
  int file_ = -1;
  std::uint64_t bytes_ = 0, first_sequence_ = 0;
  chain_head head_;
  std::string mended_;
};

}  // namespace troupe::audit
