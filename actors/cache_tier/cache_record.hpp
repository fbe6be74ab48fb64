// What lies in a tier: keys, and the record that a value travels in. Pure.
//
// A record is believed only when its format version, key and checksum hold and the answer inside is
// whole: its running hash, lengths and class agree with each other and with the key.
#pragma once

#include <string>
#include <string_view>

#include "config/outcome.hpp"
#include "proto/cache.pb.h"

namespace troupe {

inline constexpr std::uint32_t answer_format_version = 1;

// SHA-256 (32 bytes) of the deterministic serialisation of the normalised key: this build's format
// version, and seed 0 where the temperature is 0.
std::string cache_key(const proto::AnswerKey& key);

// "troupe:answer:" and the key in hexadecimal.
std::string redis_name(std::string_view cache_key);

std::string pack(std::string_view cache_key, const proto::CachedAnswer& answer);

// data_corrupt says which check failed.
result<proto::CachedAnswer> unpack(std::string_view cache_key, const proto::AnswerKey& key,
                                   std::string_view record);

// Whether the answer can be one to this key. data_corrupt names what does not fit.
status check_whole(const proto::AnswerKey& key, const proto::CachedAnswer& answer);

}  // namespace troupe
