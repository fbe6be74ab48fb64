// The audit log on a disk: starts, crashes, rotation, a disk that is full.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "cluster/audit/audit_writer.hpp"

using namespace troupe;
using namespace troupe::audit;

namespace {

struct folder {
  std::filesystem::path path;
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "audit-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string text(const std::string& name = "audit.log") const {
    std::ifstream file(path / name, std::ios::binary);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  void put(const std::string& bytes, const std::string& name = "audit.log") const {
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& at : std::filesystem::directory_iterator(path))
      out.push_back(at.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
};

const char* const now = "2026-11-28T04:20:00.000Z";

std::unique_ptr<audit_file> opened(const folder& at, std::uint64_t bytes_max = 1 << 20,
                                   std::size_t files_max = 4) {
  auto file = audit_file::open(
      {at.path, "main", bytes_max, files_max}, [] { return std::string("random"); }, now);
  REQUIRE(file.ok());
  return *std::move(file);
}

void say(audit_file& file, const std::string& what) {
  const timed_event one{now, {"daemon", what, "done", {}}};
  REQUIRE(file.append(std::span(&one, 1)).ok());
}

std::vector<std::string> whats(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto read = read_line(line);
    out.push_back(read ? read->what : "?");
  }
  return out;
}

// Drains that are lines of their own, and those that a line counts as left out.
std::uint64_t drains_told(const std::string& text) {
  std::uint64_t out = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto read = read_line(line);
    out += read && read->what == "drain";
    if (read && read->what == "events_left_out") out += std::stoull(read->about.at(0).second);
  }
  return out;
}

bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 3000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
    if (holds()) return true;
  return false;
}

}  // namespace

TEST_CASE("a log goes on after a restart, and a line that a crash cut is gone and noted") {
  const folder at;
  say(*opened(at), "start");
  const std::string before = at.text();
  say(*opened(at), "stop");
  CHECK(at.text().starts_with(before));
  CHECK(whats(at.text()) == std::vector<std::string>{"log_begins", "start", "stop"});
  const std::string whole = at.text();
  at.put(whole + whole.substr(0, 40));
  {
    const auto file = opened(at);
    CHECK(file->mended().find("40 bytes") != std::string::npos);
    say(*file, "start");
  }
  CHECK(whats(at.text()) ==
        std::vector<std::string>{"log_begins", "start", "stop", "torn_line_cut", "start"});
  CHECK(verify(at.text()).found == fault::none);
  // Also where nothing but half of the first line is there.
  at.put(whole.substr(0, 10));
  say(*opened(at), "start");
  CHECK(whats(at.text()) == std::vector<std::string>{"log_begins", "torn_line_cut", "start"});
}

TEST_CASE("a log that somebody changed is set aside, and the new one says so") {
  const folder at;
  say(*opened(at), "start");
  std::string text = at.text();
  text[text.size() / 2] ^= 1;
  at.put(text);
  say(*opened(at), "start");
  CHECK(at.text("audit-broken-1.log") == text);
  CHECK(whats(at.text()) == std::vector<std::string>{"log_begins", "chain_broken", "start"});
  CHECK(verify(at.text()).found == fault::none);
}

TEST_CASE("full files are bound to the next, and bounded in number") {
  const folder at;
  chain_head before;
  {
    const auto file = opened(at, 2000, 3);
    for (int i = 0; i < 60; ++i) say(*file, "drain");
  }
  auto names = at.names();
  REQUIRE(names.size() == 4);  // three full ones, and the current
  CHECK(names.back() == "audit.log");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const verdict judged = verify(at.text(names[i]), i == 0 ? nullptr : &before);
    CAPTURE(names[i]);
    CHECK(judged.found == fault::none);
    before = judged.head;
  }
  CHECK(at.text().find("\"removed\":\"audit-") != std::string::npos);
  // A crash between the two halves of a rotation.
  std::filesystem::rename(at.path / "audit.log", at.path / "audit-000000009999.log");
  say(*opened(at), "start");
  CHECK(verify(at.text(), &before).found == fault::none);
}

TEST_CASE("the writer writes what is said from many threads, once each, in one chain") {
  const folder at;
  {
    audit_writer log({{at.path, "main"}, 100'000});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&log] {
        for (int i = 0; i < 100; ++i) log.write({"key:ops", "drain", "done", {}});
      });
    for (std::thread& thread : threads) thread.join();
  }
  const verdict judged = verify(at.text());
  CHECK(judged.found == fault::none);
  CHECK(judged.entries == 401);
}

TEST_CASE("a full disk loses nothing that waits, and counts what found no place") {
  const folder at;
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  {
    audit_writer log({{at.path, "main"}, 8, std::chrono::milliseconds(20)});
    log.write({"daemon", "start", "done", {}});
    REQUIRE(eventually([&] { return whats(at.text()).size() == 2; }));
    rlimit full = before;
    full.rlim_cur = std::filesystem::file_size(at.path / "audit.log") + 100;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
    for (int i = 0; i < 30; ++i) log.write({"key:ops", "drain", "done", {}});
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(whats(at.text()).size() <= 3);  // the two, and at most a part that is cut again
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    // Each of the 30 is a line, or counted in one.
    const bool told_all = eventually([&] { return drains_told(at.text()) == 30; });
    REQUIRE_MESSAGE(told_all, at.text());
    log.write({"daemon", "stop", "done", {}});
  }
  CHECK(verify(at.text()).found == fault::none);
  const auto told = whats(at.text());
  CHECK(told.back() == "stop");
  CHECK(std::count(told.begin(), told.end(), "events_left_out") >= 1);
}
