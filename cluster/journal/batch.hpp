// What a gateway asks of its journal.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/journal.pb.h"

namespace troupe::journal {

// Records to append, in this order. Once they are on disk, with all before them, everything up to
// `position` is durable; nothing needs that soon unless `urgent`. With `fresh` they begin a new
// file, which takes the place of everything written before.
struct batch {
  std::vector<proto::JournalRecord> records;
  std::uint64_t position = 0;  // counted in records, since the gateway began
  bool urgent = false;
  bool fresh = false;
};

}  // namespace troupe::journal
