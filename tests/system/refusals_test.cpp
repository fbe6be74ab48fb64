// Wrong input is refused with what is allowed; what cannot start says why in one line; garbage
// changes nothing.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cmath>

#include "nodes.hpp"

using namespace system_test;
using troupe::error_code;

namespace {

// Runs trouped with that configuration until it ends: its exit code and what it said.
std::pair<int, std::string> start_refused(const std::string& yaml,
                                          const std::vector<std::string>& more = {}) {
  scratch_folder folder;
  write_file(folder.path() / "node.yaml", yaml);
  std::vector<std::string> command = {TROUPED, "--config", (folder.path() / "node.yaml").string()};
  command.insert(command.end(), more.begin(), more.end());
  child_process process(command, folder.path() / "errors");
  const auto code = process.wait(milliseconds(30'000));
  return {code.value_or(-1), content_of(folder.path() / "errors")};
}

std::string last_line(const std::string& text) {
  if (text.empty()) return {};
  const std::size_t begin = text.rfind('\n', text.size() - 2);
  return text.substr(begin == std::string::npos ? 0 : begin + 1);
}

void send_garbage(const std::string& at, const std::string& bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1))));
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::close(socket);
}

}  // namespace

TEST_CASE("bad jobs are refused with what is allowed, and the node goes on") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  const auto refused = [&](const troupe::client::job& job) {
    auto submitted = at->submit(job);
    REQUIRE(!submitted);
    return submitted.failure();
  };

  troupe::client::job job = job_of("x");
  job.model = "no-such-model";
  CHECK(refused(job).code == error_code::not_found);
  CHECK(refused(job).text().find("tiny") != std::string::npos);

  job = job_of("x");
  job.sampling.temperature = -1;
  CHECK(refused(job).code == error_code::invalid_argument);
  CHECK(refused(job).text().find("temperature is -1") != std::string::npos);
  job.sampling.temperature = std::nanf("");
  CHECK(refused(job).code == error_code::invalid_argument);
  job = job_of("x");
  job.sampling.top_p = 0;
  CHECK(refused(job).text().find("above 0, at most 1") != std::string::npos);
  job = job_of("x", 0);
  CHECK(refused(job).code == error_code::invalid_argument);

  std::string words;
  for (int i = 0; i < 3000; ++i) words += " zq" + std::to_string(i);
  CHECK(refused(job_of(words)).code == error_code::invalid_argument);
  CHECK(refused(job_of(words)).text().find("2048") != std::string::npos);
  CHECK(refused(job_of(std::string(2u << 20, 'a'))).text().find("1048576") != std::string::npos);
  CHECK(refused(job_of("caf\xe9")).text().find("UTF-8") != std::string::npos);

  job = job_of("");
  job.prompt_ids = {1, 100000};
  CHECK(refused(job).code == error_code::invalid_argument);
  job = job_of("x");
  job.stop = {""};
  CHECK(refused(job).code == error_code::invalid_argument);
  job = job_of("x");
  job.id = "not-a-uuid";
  CHECK(refused(job).code == error_code::invalid_argument);

  CHECK(!ask(*at, job_of("and a good one")).failure);
}

TEST_CASE("a known id attaches with the same content and is refused with another") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  troupe::client::job job = job_of("mine");
  job.id = "0198c6f2-5a10-7000-8000-000000000001";
  const answer once = ask(*at, job);
  REQUIRE_MESSAGE(!once.failure, once.failure->text());
  const answer attached = ask(*at, job);
  CHECK(attached.ids == once.ids);
  CHECK(attached.text == once.text);
  CHECK(attached.report.total_us == once.report.total_us);
  job.prompt = "another";
  const answer other = ask(*at, job);
  REQUIRE(other.failure);
  CHECK(other.failure->code == error_code::already_exists);
}

TEST_CASE("garbage at the port: the node goes on, also for clients that were there") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto before = only.connect();
  send_garbage(only.at(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(i * 2654435761u >> 24);
  send_garbage(only.at(), bytes);
  // A ZeroMQ greeting (version 3, NULL), a READY that is none, and frames of noise.
  std::string zmtp("\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL", 16);
  zmtp += std::string(48, '\0');
  send_garbage(only.at(), zmtp + std::string("\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06", 25) +
                              "DEALER" + bytes);
  CHECK(!ask(*before, job_of("still there")).failure);
  auto after = only.connect();
  CHECK(!ask(*after, job_of("and for new ones")).failure);
  CHECK(only.process().running());
}

TEST_CASE(
    "a port that is taken, an address that is not loopback, a wrong file: one line with the mend") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  const std::string models = "models:\n  directories: [models]\n";
  const auto taken =
      start_refused("node:\n  name: other\nlink:\n  listen: " + only.address() + "\n" + models);
  CHECK(taken.first == 69);
  CHECK(last_line(taken.second).starts_with("trouped: "));
  CHECK(last_line(taken.second).find(only.at().substr(only.at().rfind(':') + 1)) !=
        std::string::npos);

  const auto outside =
      start_refused("node:\n  name: other\nlink:\n  listen: tcp://0.0.0.0:0\n" + models);
  CHECK(outside.first != 0);
  CHECK(last_line(outside.second).find("127.0.0.1") != std::string::npos);

  const auto unknown = start_refused("node:\n  nmae: other\n");
  CHECK(unknown.first == 78);
  CHECK(unknown.second.find("nmae") != std::string::npos);

  const auto unwritable =
      start_refused("node:\n  name: other\n  state_dir: /proc/nowhere\n" + models);
  CHECK(unwritable.first == 69);
  CHECK(last_line(unwritable.second).find("/proc/nowhere") != std::string::npos);

  CHECK(start_refused("node:\n  name: other\n", {"--chekc"}).first == 64);
  CHECK(start_refused("node:\n  name: other\n", {"--check"}).first == 0);

  const std::string state = (only.folder() / "state").string();
  const auto held = start_refused("node:\n  name: other\n  state_dir: " + state +
                                  "\nlink:\n  listen: tcp://127.0.0.1:0\n" + models);
  CHECK(held.first == 69);
  CHECK(last_line(held.second).find("another trouped") != std::string::npos);
}
