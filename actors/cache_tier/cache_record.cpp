#include "actors/cache_tier/cache_record.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>
#include <xxhash.h>

#include <array>

#include "actors/running_hash.hpp"

namespace troupe {
namespace {

std::string deterministic_bytes(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream sink{&bytes};
    google::protobuf::io::CodedOutputStream coded{&sink};
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string checksum_of(std::string_view key, std::string_view value) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  const std::uint64_t key_bytes = key.size();  // so that bytes cannot move from key to value
  XXH3_128bits_update(state, &key_bytes, sizeof key_bytes);
  XXH3_128bits_update(state, key.data(), key.size());
  XXH3_128bits_update(state, value.data(), value.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
  XXH3_freeState(state);
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

error corrupt(std::string what) {
  return {error_code::data_corrupt, std::move(what), {}};
}

}  // namespace

std::string cache_key(const proto::AnswerKey& key) {
  proto::AnswerKey normal = key;
  normal.set_format_version(answer_format_version);
  if (normal.sampling().temperature() == 0) normal.mutable_sampling()->set_seed(0);
  const std::string bytes = deterministic_bytes(normal);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string redis_name(std::string_view key) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string name = "troupe:answer:";
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    name += digits[byte >> 4];
    name += digits[byte & 15];
  }
  return name;
}

std::string pack(std::string_view key, const proto::CachedAnswer& answer) {
  proto::CacheRecord record;
  record.set_format_version(answer_format_version);
  record.set_key(key.data(), key.size());
  record.set_value(deterministic_bytes(answer));
  record.set_checksum(checksum_of(key, record.value()));
  return deterministic_bytes(record);
}

result<proto::CachedAnswer> unpack(std::string_view cache_key, const proto::AnswerKey& key,
                                   std::string_view bytes) {
  proto::CacheRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return corrupt("the record does not parse");
  if (record.format_version() != answer_format_version)
    return corrupt("the record has format version " + std::to_string(record.format_version()));
  if (record.key() != cache_key) return corrupt("the record belongs to another key");
  if (record.checksum() != checksum_of(cache_key, record.value()))
    return corrupt("the record's checksum does not hold");
  proto::CachedAnswer answer;
  if (!answer.ParseFromString(record.value())) return corrupt("the answer does not parse");
  if (const status whole = check_whole(key, answer); !whole) return whole.failure();
  return answer;
}

status check_whole(const proto::AnswerKey& key, const proto::CachedAnswer& answer) {
  if (answer.reason() != proto::END_OF_TEXT && answer.reason() != proto::STOP_TEXT &&
      answer.reason() != proto::LENGTH)
    return corrupt("an answer that ended by " + proto::FinishReason_Name(answer.reason()) +
                   " is not whole");
  if (answer.numerics_class() != key.numerics_class())
    return corrupt("the answer is of class " + answer.numerics_class());
  const auto tokens = static_cast<std::uint32_t>(answer.ids_size());
  if (tokens > key.tokens_max())
    return corrupt("the answer has " + std::to_string(tokens) + " tokens where at most " +
                   std::to_string(key.tokens_max()) + " are possible");
  if (answer.text_ends_size() != answer.ids_size())
    return corrupt("text_ends and ids differ in length");
  if (answer.log_probabilities_size() != 0 && answer.log_probabilities_size() != answer.ids_size())
    return corrupt("log_probabilities and ids differ in length");
  std::uint32_t end = 0;
  for (const std::uint32_t next : answer.text_ends()) {
    if (next < end || next > answer.text().size())
      return corrupt("text_ends do not ascend inside the text");
    end = next;
  }
  if (answer.running_hash() != running_hash_of(answer.ids()))
    return corrupt("the running hash does not hold");
  return {};
}

}  // namespace troupe
