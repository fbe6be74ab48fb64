// The link's frames: one ZeroMQ message each, a header of 72 bytes and a body. Pure: no sockets, no
// clock.
//
//   offset size  field              all numbers little endian
//     0     4    magic              "TRPL"
//     4     1    version            2
//     5     1    kind               frame_kind
//     6     1    flags              frame_flag, the others 0
//     7     1    zero
//     8     4    body_bytes         what follows the header, exactly
//    12     4    raw_bytes          the body's size before compression, or the same
//    16     8    session            the receiver's number for it; 0 in hello, welcome, refusal
//    24     8    sequence           of envelopes and chunk frames, from 1; 0 in all others
//    32     8    acknowledged       every sequence up to this one has been taken
//    40     4    credit_bytes       raw body bytes that may be on the way to this frame's sender
//    44     4    credit_messages    and how many envelopes; both unacknowledged
//    48     8    sent_at            microseconds of the sender's steady clock
//    56     8    heard_at           the newest sent_at of the receiver that the sender has seen
//    64     8    checksum           XXH3 of the body, seeded with the XXH3 of the bytes before
//
// Bodies: envelopes: (u32 size, Envelope)+; chunk: u64 message size, u64 offset, bytes; hello,
// welcome, refusal, goodbye: the message of proto/link.proto; acknowledgement and reset: empty.
// Errors: whatever comes in is untrusted; decoding names the fault and allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe::link {

inline constexpr std::uint8_t protocol_version = 3;
inline constexpr std::size_t header_bytes = 72;
inline constexpr std::size_t chunk_prefix_bytes = 16;
inline constexpr std::size_t length_prefix_bytes = 4;
inline constexpr std::uint32_t body_bytes_max = 4u << 20;          // of a frame, compressed or not
inline constexpr std::uint64_t message_bytes_max = 0x7fffffffull;  // protobuf's own bound

enum class frame_kind : std::uint8_t {
  hello = 1,
  welcome = 2,
  refusal = 3,
  envelopes = 4,
  chunk = 5,
  acknowledgement = 6,
  reset = 7,
  goodbye = 8,
};

enum frame_flag : std::uint8_t {
  flag_compressed = 1,  // the body is one zstd frame
  flag_gap = 2,         // the sender misses what comes after `acknowledged`: send again from there
  flag_answer_wanted = 4,  // reply at once, with flag_answers
  flag_answers = 8,
};

struct frame_header {
  frame_kind kind = frame_kind::acknowledgement;
  std::uint8_t flags = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t raw_bytes = 0;
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;
  std::uint64_t acknowledged = 0;
  std::uint32_t credit_bytes = 0;
  std::uint32_t credit_messages = 0;
  std::uint64_t sent_at = 0;
  std::uint64_t heard_at = 0;

  bool operator==(const frame_header&) const = default;
};

constexpr bool sequenced(frame_kind kind) {
  return kind == frame_kind::envelopes || kind == frame_kind::chunk;
}

enum class frame_fault {
  none,
  short_frame,
  wrong_magic,
  wrong_version,
  unknown_kind,
  unknown_flags,
  wrong_size,  // body_bytes and what is there differ, or raw_bytes contradicts them
  too_large,
  wrong_sequence,  // a sequence where none belongs, or none where one does
  wrong_checksum,  // something on the way has changed it
};

const char* name_of(frame_fault fault);

// Writes header_bytes; the checksum stays 0 until the body is there and the frame is sealed.
void encode_header(const frame_header& header, std::uint8_t* out);
// Writes the checksum of a whole frame, of at least header_bytes.
void seal_frame(std::span<std::uint8_t> frame);

// Checks the whole frame's shape and its checksum (not what its body says) and reads the header.
frame_fault decode_header(std::span<const std::uint8_t> frame, frame_header& out);

struct chunk_prefix {
  std::uint64_t message_bytes = 0;
  std::uint64_t offset = 0;
};

void encode_chunk_prefix(const chunk_prefix& prefix, std::uint8_t* out);
// False where the body is too short, empty, or reaches past message_bytes or message_bytes_max.
bool decode_chunk_prefix(std::span<const std::uint8_t> body, chunk_prefix& out);

// Little-endian u32: the length prefix of coalesced envelopes.
void encode_length(std::uint32_t length, std::uint8_t* out);
std::uint32_t decode_length(const std::uint8_t* in);

// How many envelopes a body holds; 0 where its lengths do not add up to it exactly, or one of them
// is 0.
std::uint32_t count_envelopes(std::span<const std::uint8_t> body);

}  // namespace troupe::link
