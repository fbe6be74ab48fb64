#include <signal.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <iostream>
#include <memory>
#include <thread>

#include "cluster/client/observing.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds answer_wait{5'000}, look_every{500};
std::atomic<bool> interrupted = false;

struct logs_request {
  std::string at = "127.0.0.1:7411";
  client::connect_options connection;
  std::string node, level = "info", actor, job;
  std::uint32_t lines = 100;
  bool follow = false;
};

constexpr const char* level_names[] = {"trace", "debug", "info", "warn", "error", "critical"};

proto::LogLevel level_of(const std::string& name) {
  int at = 0;
  while (at < 5 && name != level_names[at]) ++at;
  return static_cast<proto::LogLevel>(at);
}

std::string time_of(std::uint64_t at_us) {
  const std::time_t second = static_cast<std::time_t>(at_us / 1'000'000);
  std::tm parts{};
  ::localtime_r(&second, &parts);
  char text[32], whole[48];
  std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  std::snprintf(whole, sizeof whole, "%s.%03u", text, static_cast<unsigned>(at_us / 1000 % 1000));
  return whole;
}

void print(const proto::LogPart& part) {
  if (part.dropped() > 0)
    std::cerr << "troupe: " << part.dropped() << " lines had left the nodes' memory\n";
  for (const proto::LogLine& line : part.lines()) {
    if (line.more_alike() > 0)
      std::cout << "  (" << line.more_alike() << " more like the next one were left out)\n";
    std::cout << time_of(line.at_us()) << " " << level_names[line.level() % 6] << " " << line.node()
              << (line.actor().empty() ? "" : "/" + line.actor()) << " " << line.text() << "\n";
  }
  std::cout.flush();
}

int print_logs(const logs_request& request) {
  auto observer = client::observer::open(request.at, request.connection);
  if (!observer) return complain(observer.failure());
  proto::ReadLog asked;
  asked.set_node(request.node);
  asked.set_level(level_of(request.level));
  asked.set_actor(request.actor);
  asked.set_job(request.job);
  asked.set_lines_max(request.lines);
  if (request.follow)
    for (const int number : {SIGINT, SIGTERM}) ::signal(number, [](int) { interrupted = true; });
  for (;;) {
    const auto part = (*observer)->log(asked, answer_wait);
    if (!part && !request.follow) return complain(part.failure());
    if (!part) {
      std::cerr << "troupe: " << part.failure().text() << "; looking again\n";
    } else {
      print(*part);
      for (const std::string& node : part->silent())
        if (!request.follow) std::cerr << "troupe: node " << node << " did not answer\n";
      for (const proto::LogCursor& next : part->next()) {
        bool known = false;
        for (proto::LogCursor& cursor : *asked.mutable_after())
          if (cursor.node() == next.node()) {
            cursor = next;
            known = true;
          }
        if (!known) *asked.add_after() = next;
      }
    }
    if (!request.follow) return exit_fine;
    for (milliseconds slept{0}; slept < look_every && !interrupted; slept += milliseconds(50))
      std::this_thread::sleep_for(milliseconds(50));
    if (interrupted) return exit_fine;
  }
}

}  // namespace

void add_logs(CLI::App& app, action& chosen) {
  auto given = std::make_shared<logs_request>();
  CLI::App& command = *app.add_subcommand("logs", "show the last log lines of all nodes");
  command.add_option("--at", given->at, "HOST:PORT of any node")->capture_default_str();
  add_connection_keys(command, given->connection);
  command.add_flag("-f,--follow", given->follow, "go on with what comes, until interrupted");
  command.add_option("--node", given->node, "only of this node");
  command.add_option("--level", given->level, "of this level and above")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "critical"}))
      ->capture_default_str();
  command.add_option("--actor", given->actor, "only what this actor said");
  command.add_option("--job", given->job, "only lines that name this job, or its beginning");
  command.add_option("--lines", given->lines, "at most, of each node")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  command.callback([&chosen, given] { chosen = [given] { return print_logs(*given); }; });
}

}  // namespace troupe::cli
