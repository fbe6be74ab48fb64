// The journal's file under a disk that loses, tears, flips, fills and fails.
#include <doctest/doctest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "cluster/journal/crc32c.hpp"
#include "cluster/journal/journal_writer.hpp"

using namespace troupe;
using namespace troupe::journal;

namespace {

// A folder in memory. What was not synced is gone after lose_unsynced().
class files_in_memory final : public journal_files {
 public:
  struct content_of_file {
    std::string bytes;
    std::size_t synced = 0;
  };
  std::map<std::string, content_of_file> files;
  int operations_until_failure = 1 << 30;
  error failure{error_code::resource_exhausted, "the disk is full", "free space"};

  bool fails() { return operations_until_failure-- <= 0; }
  void lose_unsynced() {
    for (auto& [name, file] : files) file.bytes.resize(file.synced);
  }

  struct open_file final : journal_file {
    open_file(files_in_memory& f, std::string n) : folder(f), name(std::move(n)) {}
    files_in_memory& folder;
    std::string name;
    content_of_file& mine() {
      for (auto& [known, file] : folder.files)
        if (name.starts_with(known)) return file;  // renamed: without its last part
      return folder.files[name];
    }
    status append(std::string_view bytes) override {
      if (folder.fails()) {
        mine().bytes += bytes.substr(0, bytes.size() / 2);
        return folder.failure;
      }
      mine().bytes += bytes;
      return {};
    }
    status sync() override {
      if (folder.fails()) return folder.failure;
      mine().synced = mine().bytes.size();
      return {};
    }
  };

  result<std::vector<std::string>> names() override {
    std::vector<std::string> out;
    for (const auto& [name, file] : files) out.push_back(name);
    return out;
  }
  result<std::string> content(const std::string& name) override { return files.at(name).bytes; }
  result<std::unique_ptr<journal_file>> create(const std::string& name) override {
    if (fails()) return failure;
    files[name] = {};
    return std::unique_ptr<journal_file>(std::make_unique<open_file>(*this, name));
  }
  status rename(const std::string& from, const std::string& to) override {
    if (fails()) return failure;
    files[to] = files.at(from);
    files.erase(from);
    return {};
  }
  status remove(const std::string& name) override {
    if (fails()) return failure;
    files.erase(name);
    return {};
  }
};

std::uint64_t counting_key() {
  static std::uint64_t key = 0x1234'5678'9abc'def0u;
  return key += 0x1'0000'0001u;
}

proto::JournalRecord forgotten(int number) {
  proto::JournalRecord out;
  out.set_forgotten("job number " + std::to_string(number));
  return out;
}

std::vector<proto::JournalRecord> records(int from, int to) {
  std::vector<proto::JournalRecord> out;
  for (int i = from; i < to; ++i) out.push_back(forgotten(i));
  return out;
}

std::vector<std::string> said(const segment_content& content) {
  std::vector<std::string> out;
  for (const auto& record : content.records) out.push_back(record.forgotten());
  return out;
}

std::vector<std::string> names(int from, int to) {
  std::vector<std::string> out;
  for (int i = from; i < to; ++i) out.push_back(forgotten(i).forgotten());
  return out;
}

segment_content read_again(files_in_memory& files) {
  journal_store store(files, counting_key);
  auto content = store.read();
  REQUIRE_MESSAGE(content, content.failure().text());
  return *content;
}

}  // namespace

TEST_CASE("CRC-32C is that of RFC 3720, and the fast one is the slow one") {
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  CHECK(crc32c("123456789") == 0xe3069283u);
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    CHECK(crc32c(bytes) == crc32c_reference(bytes));
    CHECK(crc32c(std::string_view(bytes).substr(bytes.size() / 3),
                 crc32c(std::string_view(bytes).substr(0, bytes.size() / 3))) == crc32c(bytes));
    bytes += static_cast<char>(i * 37 + 11);
  }
}

TEST_CASE("what was synced is there after a power cut, and what was only written after a kill") {
  files_in_memory files;
  journal_store store(files, counting_key);
  CHECK(read_again(files).records.empty());
  CHECK(!store.append(records(0, 1)));  // nothing was begun
  REQUIRE(store.begin(records(0, 2)));
  REQUIRE(store.append(records(2, 5)));
  REQUIRE(store.sync());
  REQUIRE(store.append(records(5, 7)));
  CHECK(said(read_again(files)) == names(0, 7));
  files.lose_unsynced();
  CHECK(said(read_again(files)) == names(0, 5));
  CHECK(files.files.size() == 1);
}

TEST_CASE("a fresh file takes the place of the old one, or the old one stays") {
  for (int broken_at = 0; broken_at < 6; ++broken_at) {
    CAPTURE(broken_at);
    files_in_memory files;
    journal_store store(files, counting_key);
    REQUIRE(store.begin(records(0, 3)));
    REQUIRE(store.append(records(3, 5)));
    REQUIRE(store.sync());
    files.operations_until_failure = broken_at;
    const bool begun = store.begin(records(10, 12)).ok();
    files.lose_unsynced();
    const auto after = said(read_again(files));
    CHECK((after == names(0, 5) || after == names(10, 12)));
    if (begun) CHECK(after == names(10, 12));
    files.operations_until_failure = 1 << 30;  // the disk has recovered
    CHECK(begun == store.append(records(12, 13)).ok());
    REQUIRE(store.begin(records(20, 21)));
    REQUIRE(store.append(records(21, 22)));
    CHECK(said(read_again(files)) == names(20, 22));
    CHECK(files.files.size() == 1);
  }
}

TEST_CASE("damage in the middle costs what it hit, is told, and the file is kept") {
  files_in_memory files;
  journal_store store(files, counting_key);
  REQUIRE(store.begin(records(0, 9)));
  std::string& bytes = files.files.begin()->second.bytes;
  const std::size_t frame = bytes.size() / 9;
  bytes[4 * frame + frame_head_bytes + 3] ^= 1;
  journal_store next(files, counting_key);
  const auto content = next.read();
  REQUIRE(content);
  auto expected = names(0, 4);
  for (const auto& name : names(5, 9)) expected.push_back(name);
  CHECK(said(*content) == expected);
  REQUIRE(content->damaged.size() == 1);
  CHECK(content->damaged[0].from == 4 * frame);
  CHECK(content->damaged[0].to == 5 * frame);
  CHECK(content->cut == 0);
  REQUIRE(next.begin(content->records));
  CHECK(files.files.contains("damaged"));
  CHECK(said(read_again(files)) == expected);
}

TEST_CASE("frames of another file, or of another place, do not count") {
  std::string one, two;
  append_frame(one, 0, 7, forgotten(1).SerializeAsString());
  append_frame(two, 0, 8, forgotten(2).SerializeAsString());
  CHECK(read_segment(one, 7).records.size() == 1);
  CHECK(read_segment(one, 8).records.empty());
  CHECK(read_segment(one + two, 7).records.size() == 1);
  CHECK(read_segment(one + one, 7).records.size() == 1);
  CHECK(read_segment(one + one, 7).cut == one.size());
}

TEST_CASE("a file that somebody renamed is not passed over in silence") {
  files_in_memory files;
  files.files["old.journal"] = {"something", 9};
  journal_store store(files, counting_key);
  const auto content = store.read();
  REQUIRE(!content);
  CHECK(content.failure().code == error_code::data_corrupt);
}

TEST_CASE("the writer: positions are told once they are durable, failures until a fresh file") {
  files_in_memory files;
  journal_store store(files, counting_key);
  std::mutex guard;
  std::condition_variable changed;
  std::vector<journal_news> heard;
  const auto wait_for = [&](auto holds) {
    std::unique_lock lock{guard};
    return changed.wait_for(lock, std::chrono::seconds(20),
                            [&] { return !heard.empty() && holds(heard.back()); });
  };
  writer_settings settings;
  settings.file_bytes_max = 4096;
  {
    journal_writer writer(store, settings, [&](const journal_news& news) {
      const std::lock_guard lock{guard};
      heard.push_back(news);
      changed.notify_all();
    });
    writer.write({records(0, 1), 1, true, true});
    writer.write({records(1, 3), 3, false, false});
    writer.write({records(3, 4), 4, true, false});
    CHECK(wait_for([](const journal_news& news) { return news.position == 4; }));
    writer.write({records(4, 400), 400, false, false});
    CHECK(wait_for([](const journal_news& news) { return news.too_large; }));
    writer.write({records(0, 10), 410, true, true});
    CHECK(wait_for([](const journal_news& news) { return news.position == 410; }));
    {
      const std::lock_guard lock{guard};
      files.operations_until_failure = 0;
    }
    writer.write({records(10, 11), 411, true, false});
    CHECK(wait_for([](const journal_news& news) { return news.failure.has_value(); }));
    files.operations_until_failure = 1 << 30;
    writer.write({records(11, 12), 412, true, false});  // dropped
    writer.write({records(50, 52), 414, true, true});
    CHECK(wait_for([](const journal_news& news) { return news.position == 414; }));
    writer.write({records(52, 53), 415, false, false});
  }
  files.lose_unsynced();
  CHECK(said(read_again(files)) == names(50, 53));  // the end syncs
}

TEST_CASE("a real folder: written, read, and only the newest file is left") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("troupe-journal-" + std::to_string(::getpid()));
  {
    auto files = open_journal_folder(folder / "made");
    REQUIRE_MESSAGE(files, files.failure().text());
    journal_store store(**files, counting_key);
    REQUIRE(store.begin(records(0, 2)));
    REQUIRE(store.begin(records(5, 7)));
    REQUIRE(store.append(records(7, 8)));
    REQUIRE(store.sync());
  }
  auto files = open_journal_folder(folder / "made");
  REQUIRE(files);
  journal_store store(**files, counting_key);
  const auto content = store.read();
  REQUIRE(content);
  CHECK(said(*content) == names(5, 8));
  CHECK((*files)->names()->size() == 1);
  CHECK(!open_journal_folder("/proc/no-such-folder"));
  std::filesystem::remove_all(folder);
}
