#include "cluster/link/frame.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cluster/link/compression.hpp"
#include "cluster/link/envelope_codec.hpp"
#include "cluster/link/session_core.hpp"
#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

using bytes = std::vector<std::uint8_t>;

std::string hex(std::span<const std::uint8_t> in) {
  std::string out;
  for (const std::uint8_t byte : in) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

frame_header some_header() {
  frame_header header;
  header.kind = frame_kind::envelopes;
  header.flags = flag_gap | flag_answers;
  header.body_bytes = header.raw_bytes = 5;
  header.session = 0x1122334455667788;
  header.sequence = 7;
  header.acknowledged = 0x0102030405060708;
  header.credit_bytes = 0xa0b0c0d0;
  header.credit_messages = 9;
  header.sent_at = 0x1000;
  header.heard_at = 0x2000;
  return header;
}

bytes framed(const frame_header& header, const bytes& body) {
  bytes out(header_bytes);
  encode_header(header, out.data());
  out.insert(out.end(), body.begin(), body.end());
  seal_frame(out);
  return out;
}

TEST_CASE("a header's bytes are fixed") {
  bytes out(header_bytes);
  encode_header(some_header(), out.data());
  CHECK(hex(out) ==
        "5452504c03040a00"                  // TRPL, version 3, envelopes, gap + answers
        "0500000005000000"                  // body, raw
        "88776655443322110700000000000000"  // session, sequence
        "0807060504030201"                  // acknowledged
        "d0c0b0a009000000"                  // credit
        "00100000000000000020000000000000"
        "0000000000000000");  // not sealed yet
  chunk_prefix prefix{0x0102, 0x03};
  bytes chunk(chunk_prefix_bytes);
  encode_chunk_prefix(prefix, chunk.data());
  CHECK(hex(chunk) == "02010000000000000300000000000000");
}

TEST_CASE("two small envelopes in a frame: the bytes are fixed") {
  session_core core({.peer_window_bytes = 1 << 20, .peer_window_messages = 100}, 3, 4, 5);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    auto message = std::make_shared<proto::Envelope>();
    message->mutable_target()->set_node("b");
    message->set_correlation(i);
    const std::uint64_t size = message->ByteSizeLong();
    core.accept(run_of(message, size, 1000));
  }
  const auto plan = core.next_frame(6);
  REQUIRE(plan);
  bytes body(plan->raw_bytes);
  write_body(*plan, body.data());
  CHECK(hex(body) ==
        "0700000012030a01621801"
        "0700000012030a01621802");
  CHECK(plan->header.sequence == 1);
  CHECK(plan->header.session == 3);
  CHECK(plan->header.heard_at == 4);
  CHECK(plan->header.sent_at == 6);
}

TEST_CASE("what was encoded is decoded") {
  const bytes frame = framed(some_header(), bytes(5));
  frame_header out;
  CHECK(decode_header(frame, out) == frame_fault::none);
  CHECK(out == some_header());
}

TEST_CASE("each fault of a frame has its name") {
  const auto fault_of = [](auto change, std::size_t body = 5) {
    frame_header header = some_header();
    bytes frame = framed(header, bytes(body));
    change(frame);
    frame_header out;
    return decode_header(frame, out);
  };
  CHECK(fault_of([](bytes& f) { f.resize(header_bytes - 1); }) == frame_fault::short_frame);
  CHECK(fault_of([](bytes& f) { f.clear(); }) == frame_fault::short_frame);
  CHECK(fault_of([](bytes& f) { f[0] = 'X'; }) == frame_fault::wrong_magic);
  CHECK(fault_of([](bytes& f) { f[4] = 1; }) == frame_fault::wrong_version);
  CHECK(fault_of([](bytes& f) { f[5] = 0; }) == frame_fault::unknown_kind);
  CHECK(fault_of([](bytes& f) { f[5] = 9; }) == frame_fault::unknown_kind);
  CHECK(fault_of([](bytes& f) { f[6] |= 0x10; }) == frame_fault::unknown_flags);
  CHECK(fault_of([](bytes& f) { f[7] = 1; }) == frame_fault::unknown_flags);
  CHECK(fault_of([](bytes& f) { f.push_back(0); }) == frame_fault::wrong_size);
  CHECK(fault_of([](bytes& f) { f.pop_back(); }) == frame_fault::wrong_size);
  CHECK(fault_of([](bytes& f) { f[12] = 6; }) == frame_fault::wrong_size);
  CHECK(fault_of([](bytes& f) { f[11] = 0xff; }) == frame_fault::too_large);
  CHECK(fault_of([](bytes& f) { f[6] = flag_compressed, f[15] = 0xff; }) == frame_fault::too_large);
  CHECK(fault_of([](bytes& f) { f[6] = flag_compressed, f[12] = 5; }) == frame_fault::wrong_size);
  CHECK(fault_of([](bytes& f) { f[24] = 0; }) == frame_fault::wrong_sequence);
  CHECK(fault_of([](bytes& f) { f[5] = 6; }) == frame_fault::wrong_sequence);
}

TEST_CASE("a frame in which one bit has changed is no frame") {
  const bytes frame = framed(some_header(), {1, 2, 3, 4, 5});
  frame_header out;
  REQUIRE(decode_header(frame, out) == frame_fault::none);
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    bytes damaged = frame;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    CAPTURE(bit);
    CHECK(decode_header(damaged, out) != frame_fault::none);
  }
  CHECK(hex(bytes(frame.begin() + 64, frame.begin() + 72)) == "cfa6f4a34aa987aa");
}

TEST_CASE("lengths that do not add up are no envelopes") {
  CHECK(count_envelopes({}) == 0);
  CHECK(count_envelopes(bytes{1, 0, 0, 0, 9}) == 1);
  CHECK(count_envelopes(bytes{1, 0, 0, 0, 9, 1, 0, 0, 0, 9}) == 2);
  CHECK(count_envelopes(bytes{1, 0, 0, 0, 9, 1, 0, 0}) == 0);
  CHECK(count_envelopes(bytes{0, 0, 0, 0}) == 0);
  CHECK(count_envelopes(bytes{2, 0, 0, 0, 9}) == 0);
  CHECK(count_envelopes(bytes{0xff, 0xff, 0xff, 0xff, 9}) == 0);
  chunk_prefix prefix;
  bytes chunk(chunk_prefix_bytes + 4);
  encode_chunk_prefix({10, 6}, chunk.data());
  CHECK(decode_chunk_prefix(chunk, prefix));
  for (const chunk_prefix wrong :
       {chunk_prefix{10, 7}, {10, ~0ull}, {~0ull, 0}, {message_bytes_max + 1, 0}, {3, 0}}) {
    encode_chunk_prefix(wrong, chunk.data());
    CHECK_FALSE(decode_chunk_prefix(chunk, prefix));
  }
  CHECK_FALSE(decode_chunk_prefix(bytes(chunk_prefix_bytes), prefix));
}

TEST_CASE("envelopes read together equal those read one by one") {
  bytes body;
  std::vector<envelope_ptr> sent;
  for (std::uint64_t i = 0; i < 300; ++i) {
    auto message = envelope_to(i % 7 < 4 ? "b" : std::string(i % 150, 'n') + "x", i,
                               std::string(i, 'p'), i % 5 == 0 ? "node" : "gateway");
    if (i % 11 == 0) message->clear_sender();
    if (i % 13 == 0) message->mutable_trace()->set_span(i);
    const std::size_t size = message->ByteSizeLong();
    const std::size_t at = body.size();
    body.resize(at + bytes_in_body(size));
    write_envelope(*message, size, body.data() + at);
    sent.push_back(message);
  }
  std::vector<envelope_ptr> out;
  std::uint64_t unreadable = 0;
  REQUIRE(read_envelopes(body, out, unreadable));
  CHECK(unreadable == 0);
  REQUIRE(out.size() == sent.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    CHECK(out[i]->SerializeAsString() == sent[i]->SerializeAsString());
  body[length_prefix_bytes] = 0xff;  // the first one's first tag
  out.clear();
  REQUIRE(read_envelopes(body, out, unreadable));
  CHECK(unreadable == 1);
  CHECK(out.size() == sent.size() - 1);
}

TEST_CASE("an envelope that repeats its addresses is read as protobuf reads it") {
  auto message = envelope_to("b", 1);
  const std::string once = message->SerializeAsString();
  const std::string twice = once + once.substr(0, once.size());
  bytes body;
  for (const std::string& one : {once, twice}) {
    const std::size_t at = body.size();
    body.resize(at + bytes_in_body(one.size()));
    encode_length(static_cast<std::uint32_t>(one.size()), body.data() + at);
    std::copy(one.begin(), one.end(), body.begin() + static_cast<std::ptrdiff_t>(at) + 4);
  }
  std::vector<envelope_ptr> out;
  std::uint64_t unreadable = 0;
  REQUIRE(read_envelopes(body, out, unreadable));
  REQUIRE(out.size() == 2);
  proto::Envelope plain;
  REQUIRE(plain.ParseFromString(twice));
  CHECK(out[1]->SerializeAsString() == plain.SerializeAsString());
}

TEST_CASE("compression: what shrinks comes back, sizes that lie do not") {
  body_compressor compressor;
  bytes raw(50'000), out(50'000), back(50'000);
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<std::uint8_t>(i / 100);
  const std::size_t size = compressor.compress(raw, out);
  REQUIRE(size > 0);
  CHECK(size < raw.size() / 4);
  CHECK(compressor.decompress({out.data(), size}, back));
  CHECK(back == raw);
  bytes less(49'999), more(50'001);
  CHECK_FALSE(compressor.decompress({out.data(), size}, less));
  CHECK_FALSE(compressor.decompress({out.data(), size}, more));
  CHECK_FALSE(compressor.decompress({out.data(), size - 1}, back));
  CHECK_FALSE(compressor.decompress({out.data(), size + 1}, back));
  out[size / 2] ^= 0xff;
  out[size - 1] ^= 0xff;
  compressor.decompress({out.data(), size}, back);  // whatever it says, it stays inside
  std::uint32_t random = 1;
  for (auto& byte : raw)
    byte = static_cast<std::uint8_t>((random = random * 1664525 + 1013904223) >> 24);
  CHECK(compressor.compress(raw, out) == 0);
}

TEST_CASE("chunks that do not go on are refused") {
  envelope_assembly assembly;
  const auto piece = [](std::size_t size) {
    auto memory = std::make_shared<bytes>(size);
    return envelope_piece{memory, *memory};
  };
  CHECK_FALSE(assembly.add({100, 10}, piece(10)));
  CHECK(assembly.add({100, 0}, piece(10)));
  CHECK_FALSE(assembly.add({100, 20}, piece(10)));
  CHECK(assembly.received_bytes() == 0);
  CHECK(assembly.add({100, 0}, piece(10)));
  CHECK_FALSE(assembly.add({101, 10}, piece(10)));
  CHECK(assembly.add({100, 0}, piece(60)));
  CHECK(assembly.add({100, 60}, piece(40)));
  CHECK(assembly.complete());
  CHECK(assembly.take() == nullptr);  // a hundred zeros are no envelope
  CHECK_FALSE(assembly.complete());
}

}  // namespace
}  // namespace troupe::link
