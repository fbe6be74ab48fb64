// Damage anywhere in a journal's file is seen, and nothing is read that was not written.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "cluster/journal/segment.hpp"

using namespace troupe;
using namespace troupe::journal;

namespace {

struct written {
  std::vector<std::string> records;
  std::vector<std::size_t> ends;  // of their frames
  std::string file;
  std::uint64_t key = 0;
};

written random_file() {
  written out;
  out.key = *rc::gen::arbitrary<std::uint64_t>();
  const int count = *rc::gen::inRange(1, 12);
  for (int i = 0; i < count; ++i) {
    proto::JournalRecord record;
    proto::JobTokens& tokens = *record.mutable_tokens();
    tokens.set_job_id(std::to_string(i));
    tokens.set_text(*rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
    // A prompt that holds a copy of what was written before must not pass for it.
    if (*rc::gen::inRange(0, 3) == 0) tokens.mutable_text()->append(out.file);
    out.records.push_back(record.SerializeAsString());
    append_frame(out.file, 0, out.key, out.records.back());
    out.ends.push_back(out.file.size());
  }
  return out;
}

std::vector<std::string> read(const segment_content& content) {
  std::vector<std::string> out;
  for (const auto& record : content.records) out.push_back(record.SerializeAsString());
  return out;
}

}  // namespace

TEST_CASE("a file cut anywhere gives the records that are whole") {
  CHECK(rc::check("truncation", [] {
    const written it = random_file();
    const auto at = *rc::gen::inRange<std::size_t>(0, it.file.size() + 1);
    const auto content = read_segment(std::string_view(it.file).substr(0, at), it.key);
    const auto whole = static_cast<std::size_t>(
        std::upper_bound(it.ends.begin(), it.ends.end(), at) - it.ends.begin());
    RC_ASSERT(read(content) ==
              std::vector(it.records.begin(), it.records.begin() + static_cast<long>(whole)));
    RC_ASSERT(content.damaged.empty());
    RC_ASSERT(content.end + content.cut == at);
    RC_ASSERT(content.cut == at - (whole ? it.ends[whole - 1] : 0));
  }));
}

TEST_CASE("flipped bits cost the records that they hit, and no other") {
  CHECK(rc::check("bit flips", [] {
    const written it = random_file();
    std::string file = it.file;
    const int flips = *rc::gen::inRange(1, 6);
    for (int i = 0; i < flips; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, file.size());
      const auto bit = *rc::gen::inRange(0, 8);
      file[at] = static_cast<char>(file[at] ^ (1 << bit));
    }
    std::vector<std::string> left;
    for (std::size_t i = 0, begin = 0; i < it.records.size(); begin = it.ends[i++])
      if (file.compare(begin, it.ends[i] - begin, it.file, begin, it.ends[i] - begin) == 0)
        left.push_back(it.records[i]);
    const auto content = read_segment(file, it.key);
    RC_ASSERT(read(content) == left);
    const bool told = !content.damaged.empty() || content.cut > 0;
    RC_ASSERT(told == (left.size() < it.records.size()));
  }));
}

TEST_CASE("bytes that nobody wrote hold no record") {
  CHECK(rc::check("noise", [] {
    const auto noise = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    const auto content = read_segment(noise, *rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(content.records.empty());
    RC_ASSERT(content.cut == noise.size());
  }));
}
