// Any bytes as a journal's file: nothing crashes, and nothing is read that was not written there.
// With the first byte odd, a whole record is put behind the bytes: it must be found.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cluster/gateway/gateway_core.hpp"
#include "cluster/journal/segment.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t key = 0x5eed'0f0f'1234'5678u;
  if (size == 0) return 0;
  std::string file(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool marked = data[0] & 1;
  proto::JournalRecord mark;
  mark.set_forgotten("0123456789abcdef");
  const std::size_t end_of_noise = file.size();
  if (marked) journal::append_frame(file, 0, key, mark.SerializeAsString());
  const auto content = journal::read_segment(file, key);
  if (content.end + content.cut != file.size()) std::abort();
  std::uint64_t before = 0;
  for (const auto& hole : content.damaged) {
    if (hole.from < before || hole.to <= hole.from) std::abort();
    before = hole.to;
  }
  if (marked && (content.records.empty() || content.end < end_of_noise)) std::abort();

  // The same bytes as records: whatever they say, a gateway takes it up or leaves it.
  cluster::gateway_settings settings;
  settings.node = "home";
  settings.journal = true;
  std::vector<proto::JournalRecord> records;
  for (std::size_t at = 0; at + 2 < size;) {
    const std::size_t length = std::min<std::size_t>(data[at] + 256u * data[at + 1], size - at - 2);
    proto::JournalRecord record;
    if (record.ParseFromArray(data + at + 2, static_cast<int>(length)))
      records.push_back(std::move(record));
    at += 2 + length;
  }
  cluster::gateway_core core(settings);
  const auto first = core.recover(records, time_point_us(1'000'000));
  cluster::gateway_core again(settings);
  again.recover(first.journal.records, time_point_us(1'000'000));
  if (again.known_jobs() != core.known_jobs()) std::abort();
  return 0;
}
