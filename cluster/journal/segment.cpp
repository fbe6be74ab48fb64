#include "cluster/journal/segment.hpp"

#include <cstring>
#include <optional>

#include "cluster/journal/crc32c.hpp"

namespace troupe::journal {
namespace {

template <class Integer>
void put(char* at, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

template <class Integer>
Integer get(const char* at) {
  Integer out = 0;
  for (std::size_t i = 0; i < sizeof out; ++i)
    out |= static_cast<Integer>(static_cast<unsigned char>(at[i])) << (8 * i);
  return out;
}

std::uint32_t checksum(std::uint64_t key, std::uint64_t place, std::string_view record) {
  char head[20];
  put(head, key);
  put(head + 8, place);
  put(head + 16, static_cast<std::uint32_t>(record.size()));
  return crc32c(record, crc32c({head, sizeof head}));
}

// The record of the frame that begins at `at`; nullopt: none does.
std::optional<std::string_view> frame_at(std::string_view file, std::size_t at, std::uint64_t key) {
  if (file.size() - at < frame_head_bytes) return std::nullopt;
  const char* head = file.data() + at;
  const auto place = get<std::uint64_t>(head + 8);
  if (place != (at ^ key)) return std::nullopt;
  const auto length = get<std::uint32_t>(head);
  if (length > record_bytes_max || length > file.size() - at - frame_head_bytes)
    return std::nullopt;
  const std::string_view record = file.substr(at + frame_head_bytes, length);
  if (get<std::uint32_t>(head + 4) != checksum(key, place, record)) return std::nullopt;
  return record;
}

}  // namespace

void append_frame(std::string& out, std::uint64_t begin, std::uint64_t key,
                  std::string_view record) {
  const std::uint64_t place = (begin + out.size()) ^ key;
  char head[frame_head_bytes];
  put(head, static_cast<std::uint32_t>(record.size()));
  put(head + 4, checksum(key, place, record));
  put(head + 8, place);
  out.append(head, sizeof head);
  out.append(record);
}

segment_content read_segment(std::string_view file, std::uint64_t key) {
  segment_content out;
  std::size_t at = 0;
  while (at < file.size()) {
    const auto record = frame_at(file, at, key);
    proto::JournalRecord parsed;
    if (!record || !parsed.ParseFromArray(record->data(), static_cast<int>(record->size()))) {
      ++at;
      continue;
    }
    if (at > out.end) out.damaged.push_back({out.end, at});
    out.records.push_back(std::move(parsed));
    at += frame_head_bytes + record->size();
    out.end = at;
  }
  out.cut = file.size() - out.end;
  return out;
}

}  // namespace troupe::journal
