// The audit chain: every byte and every line counts.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "cluster/audit/chain.hpp"
#include "cluster/audit/rate_bound.hpp"

using namespace troupe::audit;

namespace {

entry next_of(const chain_head& head, const std::string& what) {
  return {head.sequence + 1,
          "2026-11-28T04:20:00.123Z",
          "main",
          "key:ops",
          what,
          "done",
          {{"path", "/v1/jobs/\"x\"\n\xff"}, {"wait_ms", "5"}},
          head.hash,
          {}};
}

// Lines of a log from its beginning on, each with its end.
std::vector<std::string> lines_of(std::size_t count, chain_head* end = nullptr) {
  chain_head head{0, sha256_text("random")};
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) {
    entry one = next_of(head, i == 0 ? std::string(begins) : "drain");
    one.time += std::to_string(i);
    out.push_back(line_of(one) + "\n");
    head = {one.sequence, one.hash};
  }
  if (end) *end = head;
  return out;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line;
  return out;
}

fault found(const std::vector<std::string>& lines) {
  return verify(joined(lines)).found;
}

}  // namespace

TEST_CASE("a log as it was written holds, and tells where it stands") {
  chain_head end;
  const auto lines = lines_of(6, &end);
  const verdict judged = verify(joined(lines));
  CHECK(judged.found == fault::none);
  CHECK(judged.entries == 6);
  CHECK(judged.head.sequence == 6);
  CHECK(judged.head.hash == end.hash);
  CHECK(judged.continues_from.empty());
  const auto read = read_line(std::string_view(lines[1]).substr(0, lines[1].size() - 1));
  REQUIRE(read);
  CHECK(read->who == "key:ops");
  CHECK(read->what == "drain");
  REQUIRE(read->about.size() == 2);
  CHECK(read->about[0].second == "/v1/jobs/\"x\"\n\xef\xbf\xbd");  // bytes that are no text
  CHECK(lines[1].find('\n') == lines[1].size() - 1);
  CHECK(verify("").found == fault::empty);
}

TEST_CASE("no byte of a log can be another one") {
  const std::string file = joined(lines_of(4));
  for (std::size_t at = 0; at < file.size(); ++at)
    for (const int flip : {1, 2, 16, 32, 64, 128, file[at] ^ '\n', file[at] ^ ' '}) {
      if (flip == 0) continue;
      std::string other = file;
      other[at] = static_cast<char>(other[at] ^ flip);
      CAPTURE(at);
      CAPTURE(flip);
      CHECK(verify(other).found != fault::none);
    }
}

TEST_CASE("lines that were removed, inserted or moved are found, and where") {
  const auto lines = lines_of(7);
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    auto without = lines;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    const verdict judged = verify(joined(without));
    CAPTURE(i);
    CHECK(judged.found == (i == 0 ? fault::no_beginning : fault::removed));
    CHECK(judged.line == i + 1);
  }
  for (std::size_t a = 0; a < lines.size(); ++a)
    for (std::size_t b = a + 1; b < lines.size(); ++b) {
      auto swapped = lines;
      std::swap(swapped[a], swapped[b]);
      const verdict judged = verify(joined(swapped));
      CHECK(judged.found == (a == 0 ? fault::no_beginning : fault::reordered));
      CHECK(judged.line == a + 1);
    }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto twice = lines;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), lines[i - 1]);
    CHECK(found(twice) == fault::inserted);
    // A line of somebody's own, with a hash that holds.
    auto forged = lines;
    entry own = next_of({i, sha256_text("guessed")}, "innocent");
    forged.insert(forged.begin() + static_cast<std::ptrdiff_t>(i), line_of(own) + "\n");
    const verdict judged = verify(joined(forged));
    CHECK(judged.found == fault::inserted);
    CHECK(judged.line == i + 1);
  }
  // A line that was changed and given a hash that holds: the next one tells.
  auto changed = lines;
  auto line = *read_line(std::string_view(lines[3]).substr(0, lines[3].size() - 1));
  line.who = "key:nobody";
  changed[3] = line_of(line) + "\n";
  CHECK(found(changed) == fault::changed);
  CHECK(verify(joined(changed)).line == 5);
}

TEST_CASE("a cut end: half a line is seen, whole ones only against a noted head") {
  const auto lines = lines_of(5);
  const std::string file = joined(lines);
  const std::size_t last = file.size() - lines.back().size();
  for (std::size_t size = last + 1; size < file.size(); ++size) {
    const verdict judged = verify(std::string_view(file).substr(0, size));
    CHECK(judged.found == fault::torn);
    CHECK(judged.line == 5);
    CHECK(torn_bytes(std::string_view(file).substr(0, size)) == size - last);
  }
  const verdict cut = verify(std::string_view(file).substr(0, last));
  CHECK(cut.found == fault::none);
  CHECK(cut.head.hash != verify(file).head.hash);
}

TEST_CASE("a file that goes on is bound to the one before it") {
  chain_head end;
  const auto before = lines_of(3, &end);
  entry first = next_of(end, std::string(continues));
  const std::string one = line_of(first) + "\n";
  entry second = next_of({first.sequence, first.hash}, "drain");
  const std::string file = one + line_of(second) + "\n";
  const verdict alone = verify(file);
  CHECK(alone.found == fault::none);
  CHECK(alone.continues_from == end.hash);
  CHECK(verify(file, &end).found == fault::none);
  const chain_head other{end.sequence, sha256_text("other")};
  CHECK(verify(file, &other).found != fault::none);
  CHECK(verify(std::string_view(file).substr(one.size())).found == fault::no_beginning);
}

TEST_CASE("refusals by the thousand are a few lines and a count") {
  rate_bound bound(3, std::chrono::seconds(1));
  rate_bound::clock::time_point now{};
  int told = 0;
  for (int i = 0; i < 1000; ++i) told += bound.admit(now).has_value();
  CHECK(told == 3);
  now += std::chrono::milliseconds(2'500);
  CHECK(bound.admit(now) == 997);
  CHECK(bound.admit(now) == 0);
  CHECK(bound.admit(now) == std::nullopt);
  now += std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) CHECK(bound.admit(now).has_value());
  CHECK_FALSE(bound.admit(now).has_value());
}
