#include "cluster/link/frame.hpp"

#define XXH_INLINE_ALL  // the installed client needs no library for it
#include <xxhash.h>

#include <bit>
#include <cstring>

namespace troupe::link {
namespace {

constexpr std::uint8_t magic[4] = {'T', 'R', 'P', 'L'};
constexpr std::uint8_t flags_known = flag_compressed | flag_gap | flag_answer_wanted | flag_answers;

template <class T>
void put(T value, std::uint8_t* out) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

template <class T>
T get(const std::uint8_t* in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(in[i]) << (8 * i);
  return value;
}

constexpr std::size_t checksum_at = 64;

// TCP's own sum of 16 bits lets one damaged segment in 65536 pass.
std::uint64_t checksum_of(std::span<const std::uint8_t> frame) {
  const auto body = frame.subspan(header_bytes);
  return XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(frame.data(), checksum_at));
}

frame_fault check_sizes(const frame_header& header, std::size_t body_there) {
  if (header.body_bytes > body_bytes_max || header.raw_bytes > body_bytes_max)
    return frame_fault::too_large;
  if (header.body_bytes != body_there) return frame_fault::wrong_size;
  const bool compressed = header.flags & flag_compressed;
  if (compressed && (!sequenced(header.kind) || header.body_bytes >= header.raw_bytes))
    return frame_fault::wrong_size;
  if (!compressed && header.raw_bytes != header.body_bytes) return frame_fault::wrong_size;
  const bool empty_kind =
      header.kind == frame_kind::acknowledgement || header.kind == frame_kind::reset;
  if (empty_kind && header.body_bytes != 0) return frame_fault::wrong_size;
  if (sequenced(header.kind) && header.body_bytes == 0) return frame_fault::wrong_size;
  return frame_fault::none;
}

}  // namespace

const char* name_of(frame_fault fault) {
  switch (fault) {
    case frame_fault::none:
      return "none";
    case frame_fault::short_frame:
      return "short_frame";
    case frame_fault::wrong_magic:
      return "wrong_magic";
    case frame_fault::wrong_version:
      return "wrong_version";
    case frame_fault::unknown_kind:
      return "unknown_kind";
    case frame_fault::unknown_flags:
      return "unknown_flags";
    case frame_fault::wrong_size:
      return "wrong_size";
    case frame_fault::too_large:
      return "too_large";
    case frame_fault::wrong_sequence:
      return "wrong_sequence";
    case frame_fault::wrong_checksum:
      return "wrong_checksum";
  }
  return "unknown";
}

void encode_header(const frame_header& header, std::uint8_t* out) {
  std::memcpy(out, magic, 4);
  out[4] = protocol_version;
  out[5] = static_cast<std::uint8_t>(header.kind);
  out[6] = header.flags;
  out[7] = 0;
  put(header.body_bytes, out + 8);
  put(header.raw_bytes, out + 12);
  put(header.session, out + 16);
  put(header.sequence, out + 24);
  put(header.acknowledged, out + 32);
  put(header.credit_bytes, out + 40);
  put(header.credit_messages, out + 44);
  put(header.sent_at, out + 48);
  put(header.heard_at, out + 56);
  put(std::uint64_t{0}, out + checksum_at);
}

void seal_frame(std::span<std::uint8_t> frame) {
  put(checksum_of(frame), frame.data() + checksum_at);
}

frame_fault decode_header(std::span<const std::uint8_t> frame, frame_header& out) {
  if (frame.size() < header_bytes) return frame_fault::short_frame;
  const std::uint8_t* in = frame.data();
  if (std::memcmp(in, magic, 4) != 0) return frame_fault::wrong_magic;
  if (in[4] != protocol_version) return frame_fault::wrong_version;
  if (in[5] < 1 || in[5] > 8) return frame_fault::unknown_kind;
  if ((in[6] & ~flags_known) != 0 || in[7] != 0) return frame_fault::unknown_flags;
  out.kind = static_cast<frame_kind>(in[5]);
  out.flags = in[6];
  out.body_bytes = get<std::uint32_t>(in + 8);
  out.raw_bytes = get<std::uint32_t>(in + 12);
  out.session = get<std::uint64_t>(in + 16);
  out.sequence = get<std::uint64_t>(in + 24);
  out.acknowledged = get<std::uint64_t>(in + 32);
  out.credit_bytes = get<std::uint32_t>(in + 40);
  out.credit_messages = get<std::uint32_t>(in + 44);
  out.sent_at = get<std::uint64_t>(in + 48);
  out.heard_at = get<std::uint64_t>(in + 56);
  if (sequenced(out.kind) != (out.sequence != 0)) return frame_fault::wrong_sequence;
  const frame_fault sizes = check_sizes(out, frame.size() - header_bytes);
  if (sizes != frame_fault::none) return sizes;
  return checksum_of(frame) == get<std::uint64_t>(in + checksum_at) ? frame_fault::none
                                                                    : frame_fault::wrong_checksum;
}

void encode_chunk_prefix(const chunk_prefix& prefix, std::uint8_t* out) {
  put(prefix.message_bytes, out);
  put(prefix.offset, out + 8);
}

bool decode_chunk_prefix(std::span<const std::uint8_t> body, chunk_prefix& out) {
  if (body.size() <= chunk_prefix_bytes) return false;
  out.message_bytes = get<std::uint64_t>(body.data());
  out.offset = get<std::uint64_t>(body.data() + 8);
  const std::uint64_t piece = body.size() - chunk_prefix_bytes;
  return out.message_bytes <= message_bytes_max && out.offset <= out.message_bytes &&
         piece <= out.message_bytes - out.offset;
}

void encode_length(std::uint32_t length, std::uint8_t* out) {
  put(length, out);
}

std::uint32_t decode_length(const std::uint8_t* in) {
  return get<std::uint32_t>(in);
}

std::uint32_t count_envelopes(std::span<const std::uint8_t> body) {
  std::uint32_t count = 0;
  while (!body.empty()) {
    if (body.size() <= length_prefix_bytes) return 0;
    const std::uint32_t length = decode_length(body.data());
    if (length == 0 || length > body.size() - length_prefix_bytes) return 0;
    body = body.subspan(length_prefix_bytes + length);
    ++count;
  }
  return count;
}

}  // namespace troupe::link
