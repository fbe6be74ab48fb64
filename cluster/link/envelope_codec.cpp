#include "cluster/link/envelope_codec.hpp"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <functional>
#include <optional>

namespace troupe::link {
namespace {

constexpr std::size_t rope_block_bytes = 4096;
constexpr std::uint8_t sender_tag = 0x0a, target_tag = 0x12;  // an envelope begins with these two

// The next field of a message where it is one with a length; `bytes` then begins behind it.
std::optional<std::span<const std::uint8_t>> next_field(std::span<const std::uint8_t>& bytes,
                                                        std::uint32_t& tag) {
  google::protobuf::io::CodedInputStream in(bytes.data(), static_cast<int>(bytes.size()));
  std::uint32_t length = 0;
  tag = in.ReadTag();
  constexpr std::uint32_t wire_type_bits = 7, with_length = 2;
  if ((tag & wire_type_bits) != with_length || !in.ReadVarint32(&length)) return std::nullopt;
  const auto rest = bytes.subspan(static_cast<std::size_t>(in.CurrentPosition()));
  if (length > rest.size()) return std::nullopt;
  bytes = rest.subspan(length);
  return rest.first(length);
}

std::string_view actor_in(std::span<const std::uint8_t> address) {
  constexpr std::uint32_t actor_tag = 0x12;
  std::string_view actor;
  for (std::uint32_t tag; const auto field = next_field(address, tag);)
    if (tag == actor_tag) actor = {reinterpret_cast<const char*>(field->data()), field->size()};
  return actor;
}

std::uint64_t flow_between(std::string_view sender, std::string_view target) {
  const std::hash<std::string_view> hash;
  return hash(sender) * 0x9e3779b97f4a7c15ull ^ hash(target);
}

// Feeds the parser from pieces, freeing each one once the parser asks for the next.
class piece_stream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit piece_stream(std::deque<envelope_piece>& pieces) : pieces_(pieces) {}

  bool Next(const void** data, int* size) override {
    if (unread_ == 0 && started_) pieces_.pop_front();
    started_ = true;
    if (unread_ == 0) {
      if (pieces_.empty()) return false;
      unread_ = pieces_.front().bytes.size();
    }
    const auto& bytes = pieces_.front().bytes;
    *data = bytes.data() + (bytes.size() - unread_);
    *size = static_cast<int>(unread_);
    count_ += static_cast<std::int64_t>(unread_);
    unread_ = 0;
    return true;
  }
  void BackUp(int count) override {
    unread_ = static_cast<std::size_t>(count);
    count_ -= count;
  }
  bool Skip(int count) override {
    const void* data;
    int size;
    while (count > 0 && Next(&data, &size)) {
      if (size > count) BackUp(size - count);
      count -= std::min(size, count);
    }
    return count == 0;
  }
  std::int64_t ByteCount() const override { return count_; }

 private:
  std::deque<envelope_piece>& pieces_;
  std::size_t unread_ = 0;
  bool started_ = false;
  std::int64_t count_ = 0;
};

// Where an envelope begins with a short sender and a short target, the length of these two fields;
// else 0.
std::size_t addresses_length(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t short_max = 0x7f;
  if (bytes.size() < 4 || bytes[0] != sender_tag || bytes[1] > short_max) return 0;
  const std::size_t target = 2u + bytes[1];
  if (target + 2 > bytes.size() || bytes[target] != target_tag || bytes[target + 1] > short_max)
    return 0;
  const std::size_t end = target + 2 + bytes[target + 1];
  return end <= bytes.size() ? end : 0;
}

// Envelopes that came together share an arena, and the two addresses where these are the same bytes
// as in the one before: reading the addresses is half of the work for a small envelope.
class arena_reader {
 public:
  envelope_ptr read(std::span<const std::uint8_t> bytes, std::size_t left) {
    if (in_arena_ == 0) renew(left);
    in_arena_ = (in_arena_ + 1) % arena_envelopes;
    auto* message = google::protobuf::Arena::CreateMessage<proto::Envelope>(arena_.get());
    const std::size_t prefix = addresses_length(bytes);
    if (prefix > 0 && prefix == addresses_.size() &&
        std::memcmp(bytes.data(), addresses_.data(), prefix) == 0 &&
        message->ParseFromArray(bytes.data() + prefix, static_cast<int>(bytes.size() - prefix)) &&
        !message->has_sender() && !message->has_target()) {
      message->unsafe_arena_set_allocated_sender(sender_);
      message->unsafe_arena_set_allocated_target(target_);
      return {arena_, message};
    }
    if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
    addresses_ = bytes.first(prefix);
    sender_ = prefix > 0 ? message->mutable_sender() : nullptr;
    target_ = prefix > 0 ? message->mutable_target() : nullptr;
    return {arena_, message};
  }

 private:
  void renew(std::size_t left) {
    constexpr std::size_t guess_bytes = 384;  // of an arena, for a small envelope
    google::protobuf::ArenaOptions options;
    options.start_block_size = 256 + guess_bytes * std::min(left, arena_envelopes);
    options.max_block_size = 64 << 10;
    arena_ = std::make_shared<google::protobuf::Arena>(options);
    addresses_ = {};
  }

  std::shared_ptr<google::protobuf::Arena> arena_;
  std::size_t in_arena_ = 0;
  std::span<const std::uint8_t> addresses_;  // of the last envelope that was read whole
  proto::Address* sender_ = nullptr;
  proto::Address* target_ = nullptr;
};

}  // namespace

void write_envelope(const proto::Envelope& envelope, std::uint64_t bytes, std::uint8_t* out) {
  encode_length(static_cast<std::uint32_t>(bytes), out);
  envelope.SerializeWithCachedSizesToArray(out + length_prefix_bytes);
}

envelope_ptr read_envelope(std::span<const std::uint8_t> bytes) {
  auto message = std::make_shared<proto::Envelope>();
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
  return message;
}

std::uint64_t flow_of(const proto::Envelope& envelope) {
  return flow_between(envelope.sender().actor(), envelope.target().actor());
}

std::uint64_t flow_of(std::span<const std::uint8_t> bytes) {
  std::string_view sender, target;
  for (std::uint32_t tag; const auto field = next_field(bytes, tag);) {
    if (tag == sender_tag)
      sender = actor_in(*field);
    else if (tag == target_tag)
      target = actor_in(*field);
    else
      break;
  }
  return flow_between(sender, target);
}

bool read_envelopes(std::span<const std::uint8_t> body, std::vector<envelope_ptr>& out,
                    std::uint64_t& unreadable) {
  const std::uint32_t count = count_envelopes(body);
  if (count == 0) return false;
  out.reserve(out.size() + count);
  arena_reader reader;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t length = decode_length(body.data());
    const auto bytes = body.subspan(length_prefix_bytes, length);
    body = body.subspan(length_prefix_bytes + length);
    envelope_ptr message = count == 1 ? read_envelope(bytes) : reader.read(bytes, count - i);
    if (message)
      out.push_back(std::move(message));
    else
      ++unreadable;
  }
  return true;
}

// Small writes go into blocks; byte fields that do not fit into the rest of a block are taken by
// reference.
class envelope_rope::collecting_stream final : public google::protobuf::io::ZeroCopyOutputStream {
 public:
  explicit collecting_stream(envelope_rope& rope) : rope_(rope) {}

  bool Next(void** data, int* size) override {
    rope_.blocks_.push_back(std::make_unique<std::uint8_t[]>(rope_block_bytes));
    append(rope_.blocks_.back().get(), rope_block_bytes);
    *data = rope_.blocks_.back().get();
    *size = rope_block_bytes;
    return true;
  }
  void BackUp(int count) override {
    auto& last = rope_.segments_.back();
    last.size -= static_cast<std::uint64_t>(count);
    rope_.bytes_ -= static_cast<std::uint64_t>(count);
    if (last.size == 0) rope_.segments_.pop_back();
  }
  std::int64_t ByteCount() const override { return static_cast<std::int64_t>(rope_.bytes_); }
  bool AllowsAliasing() const override { return true; }
  bool WriteAliasedRaw(const void* data, int size) override {
    append(static_cast<const std::uint8_t*>(data), static_cast<std::uint64_t>(size));
    return true;
  }

 private:
  void append(const std::uint8_t* at, std::uint64_t size) {
    if (size == 0) return;
    rope_.segments_.push_back({rope_.bytes_, at, size});
    rope_.bytes_ += size;
  }
  envelope_rope& rope_;
};

envelope_rope::envelope_rope(envelope_ptr message) : message_(std::move(message)) {
  collecting_stream stream(*this);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.EnableAliasing(true);
  message_->SerializeToCodedStream(&coded);
}

void envelope_rope::copy(std::uint64_t offset, std::span<std::uint8_t> out) const {
  assert(offset <= bytes_ && out.size() <= bytes_ - offset);
  auto at = std::upper_bound(segments_.begin(), segments_.end(), offset,
                             [](std::uint64_t o, const segment& s) { return o < s.begin; });
  if (at != segments_.begin()) --at;
  for (; !out.empty(); ++at) {
    const std::uint64_t skip = offset - at->begin;
    const std::size_t count = std::min<std::uint64_t>(out.size(), at->size - skip);
    std::memcpy(out.data(), at->at + skip, count);
    out = out.subspan(count);
    offset += count;
  }
}

bool envelope_assembly::add(const chunk_prefix& prefix, envelope_piece piece) {
  const bool first = prefix.offset == 0;
  if (first) {
    clear();
    expected_bytes_ = prefix.message_bytes;
  } else if (prefix.offset != received_bytes_ || prefix.message_bytes != expected_bytes_) {
    clear();
    return false;
  }
  received_bytes_ += piece.bytes.size();
  pieces_.push_back(std::move(piece));
  return true;
}

envelope_ptr envelope_assembly::take() {
  auto message = std::make_shared<proto::Envelope>();
  piece_stream stream(pieces_);
  const bool parsed = message->ParseFromZeroCopyStream(&stream);
  clear();
  return parsed ? message : nullptr;
}

void envelope_assembly::clear() {
  pieces_.clear();
  expected_bytes_ = received_bytes_ = 0;
}

}  // namespace troupe::link
