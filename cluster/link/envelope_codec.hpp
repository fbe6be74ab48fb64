// Envelopes to bytes and back: many small ones in one body, or a large one in pieces. Pure.
//
// Invariants: a large envelope is never serialised as a whole: byte fields stay where they are, in
// the envelope, and pieces are copied out one at a time. Coming in, its pieces are freed while it
// is parsed. Ownership: a parsed envelope keeps its own memory alive; up to `arena_envelopes` that
// came together share one block, which goes when the last of them goes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/link/frame.hpp"
#include "cluster/link/link.hpp"

namespace troupe::link {

inline constexpr std::size_t arena_envelopes = 64;

// Bytes that an envelope takes in an envelopes body.
constexpr std::uint64_t bytes_in_body(std::uint64_t envelope_bytes) {
  return length_prefix_bytes + envelope_bytes;
}

// Writes one envelope with its length. bytes: as ByteSizeLong gave them just before; out has
// bytes_in_body(bytes).
void write_envelope(const proto::Envelope& envelope, std::uint64_t bytes, std::uint8_t* out);

envelope_ptr read_envelope(std::span<const std::uint8_t> bytes);  // null where it does not parse

// Names the pair of actors that an envelope goes between; also from its serialised form, as
// write_envelope gives it, without reading the rest.
std::uint64_t flow_of(const proto::Envelope& envelope);
std::uint64_t flow_of(std::span<const std::uint8_t> bytes);

// Parses a body of envelopes and appends them. False, with nothing appended, where the lengths do
// not hold; envelopes that do not parse are left out and counted in `unreadable`.
bool read_envelopes(std::span<const std::uint8_t> body, std::vector<envelope_ptr>& out,
                    std::uint64_t& unreadable);

// The serialised form of a large envelope as a list of places in memory.
class envelope_rope {
 public:
  explicit envelope_rope(envelope_ptr message);
  envelope_rope(const envelope_rope&) = delete;
  envelope_rope& operator=(const envelope_rope&) = delete;

  std::uint64_t bytes() const { return bytes_; }
  const envelope_ptr& message() const { return message_; }
  void copy(std::uint64_t offset, std::span<std::uint8_t> out) const;  // within bytes()

 private:
  class collecting_stream;
  struct segment {
    std::uint64_t begin;  // offset in the serialised form
    const std::uint8_t* at;
    std::uint64_t size;
  };
  envelope_ptr message_;
  std::deque<std::unique_ptr<std::uint8_t[]>> blocks_;
  std::vector<segment> segments_;
  std::uint64_t bytes_ = 0;
};

// A piece of a large envelope, with what keeps its memory alive.
struct envelope_piece {
  std::shared_ptr<const void> keeper;
  std::span<const std::uint8_t> bytes;
};

// Collects the chunks of one large envelope at a time, in order.
class envelope_assembly {
 public:
  // False where the chunk does not go on where the last one ended, or claims another size; what was
  // collected is dropped.
  bool add(const chunk_prefix& prefix, envelope_piece piece);
  bool complete() const { return expected_bytes_ > 0 && received_bytes_ == expected_bytes_; }
  // Parses and forgets the pieces; null where it does not parse.
  envelope_ptr take();
  void clear();
  std::uint64_t received_bytes() const { return received_bytes_; }

 private:
  std::deque<envelope_piece> pieces_;
  std::uint64_t expected_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
};

}  // namespace troupe::link
