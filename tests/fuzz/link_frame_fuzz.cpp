// Any bytes as a frame from a peer: decoded, unpacked, read; nothing may crash, hang or take more
// memory than a frame may.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cluster/link/compression.hpp"
#include "cluster/link/envelope_codec.hpp"
#include "cluster/link/peering_core.hpp"
#include "cluster/link/session_core.hpp"

using namespace troupe::link;

namespace {

void read_body(const frame_header& header, std::span<const std::uint8_t> body) {
  static body_compressor compressor;
  std::vector<std::uint8_t> raw;
  if (header.flags & flag_compressed) {
    raw.resize(header.raw_bytes);
    if (!compressor.decompress(body, raw)) return;
    body = raw;
  }
  std::vector<envelope_ptr> messages;
  std::uint64_t unreadable = 0;
  if (header.kind == frame_kind::envelopes) {
    read_envelopes(body, messages, unreadable);
    for (const auto& message : messages)
      if (message->ByteSizeLong() > 4 * body.size() + 64) std::abort();
    return;
  }
  chunk_prefix prefix;
  if (!decode_chunk_prefix(body, prefix)) return;
  auto keeper = std::make_shared<std::vector<std::uint8_t>>(body.begin(), body.end());
  envelope_assembly assembly;
  const auto piece = std::span<const std::uint8_t>(*keeper).subspan(chunk_prefix_bytes);
  if (assembly.add(prefix, {keeper, piece}) && assembly.complete()) assembly.take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> frame_bytes(data, data + size);
  if (size >= header_bytes) {  // what any peer of today would have right
    frame_bytes[4] = protocol_version;
    seal_frame(frame_bytes);
  }
  const std::span<const std::uint8_t> frame(frame_bytes);
  frame_header header;
  if (decode_header(frame, header) != frame_fault::none) return 0;
  const auto body = frame.subspan(header_bytes);
  session_core core({.peer_window_bytes = 1 << 20, .peer_window_messages = 100}, 1, 1, 1'000'000);
  if (core.receive(header, 1'000'100) == frame_verdict::take) core.taken(header, 1, 1'000'100);
  core.tick(1'000'200);
  while (core.next_frame(1'000'200)) {
  }
  if (sequenced(header.kind)) {
    read_body(header, body);
  } else {
    std::uint64_t drawn = 100;
    peering_core peering({"n", 1, peer_role::node}, {}, [&] { return ++drawn; });
    peering_core::effects effects;
    peering.add_dial(1);
    peering.dial_connected(1, 1, effects);
    peering.control(1, {}, header, body, 2, effects);
    peering.admit(1, {}, header.session, 3, effects);
  }
  return 0;
}
