// Small envelopes on their way out, as the bytes of bodies: what a sender hands over is packed at
// once, and the message itself is needed no longer. Pure.
//
// Invariants: positions count all bytes ever appended, so one names the same byte until it is
// dropped; every run begins and ends between two envelopes. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "cluster/link/envelope_codec.hpp"

namespace troupe::link {

using packed_bytes = std::vector<std::uint8_t>;  // (u32 size, Envelope)+

// What a sender hands over: small envelopes, packed, or one large one as it is.
struct outgoing_run {
  packed_bytes packed;
  std::uint32_t count = 0;
  envelope_ptr large;             // then packed is empty and count is 1
  std::uint64_t large_bytes = 0;  // serialised
};

// One envelope of `bytes`, as ByteSizeLong gave them; it is large beyond `packed_bytes_max` in a
// body.
outgoing_run run_of(const envelope_ptr& message, std::uint64_t bytes,
                    std::uint64_t packed_bytes_max);

struct numbered_envelope {
  std::uint64_t number = 0;             // in order of acceptance
  std::span<const std::uint8_t> bytes;  // serialised; where it is empty, `large`
  envelope_ptr large;
};

// The `most` with the lowest numbers in that order, read back where they were packed. One that
// cannot be read (a string that is no UTF-8, which its receiver could not read either) is left out.
std::vector<envelope_ptr> oldest_of(std::vector<numbered_envelope> all, std::size_t most);

class packed_queue {
 public:
  struct reach {
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
  };

  void append(packed_bytes run, std::uint64_t first_number);
  bool empty() const { return runs_.empty(); }
  std::uint64_t end() const { return end_; }

  // Whole envelopes from `position` on, within both bounds.
  reach measure(std::uint64_t position, std::uint64_t bytes_max, std::uint32_t count_max) const;
  void copy(std::uint64_t position, std::span<std::uint8_t> out) const;  // within end()
  // Forgets what lies before; runs that are done with go to `emptied`.
  void drop_before(std::uint64_t position, std::vector<packed_bytes>& emptied);

  void list(std::vector<numbered_envelope>& out) const;  // not dropped; valid until the next change
  void clear();

 private:
  struct run {
    packed_bytes bytes;
    std::uint64_t begin;
    std::uint64_t first_number;
  };
  std::deque<run>::const_iterator run_at(std::uint64_t position) const;

  std::deque<run> runs_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace troupe::link
