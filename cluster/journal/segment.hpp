// A journal's file as bytes: records in frames, one after the other.
//
// Frame: length (4 bytes), CRC-32C (4), place (8), then the record; little endian. The place is the
// frame's offset in the file, mixed with the file's key, and the CRC covers key, place, length and
// record. So a frame counts only where it was written, in the file that it was written to; bytes
// that a client puts into a prompt cannot pass for one, since nobody outside knows the key.
//
// Reading never fails: what is damaged is passed over up to the next frame that holds, and told; a
// damaged end is a write that was cut off. Nothing that was not written is ever read. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/journal.pb.h"

namespace troupe::journal {

inline constexpr std::size_t frame_head_bytes = 16;
inline constexpr std::uint32_t record_bytes_max = INT32_MAX;  // what protobuf takes

// Appends one frame to `out`, which begins at `begin` of the file.
void append_frame(std::string& out, std::uint64_t begin, std::uint64_t key,
                  std::string_view record);

struct byte_range {
  std::uint64_t from = 0, to = 0;
};

struct segment_content {
  std::vector<proto::JournalRecord> records;
  std::vector<byte_range> damaged;  // between records that hold
  std::uint64_t end = 0;            // after the last record that holds
  std::uint64_t cut = 0;            // bytes that follow: of a write that was cut off
};

segment_content read_segment(std::string_view file, std::uint64_t key);

}  // namespace troupe::journal
