#include <cctype>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <memory>

#include "cluster/client/observing.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/profile/flame_graph.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"

namespace troupe::cli {
namespace {

constexpr std::chrono::milliseconds answer_wait{15'000};

struct profile_request {
  std::string at = "127.0.0.1:7411";
  client::connect_options connection;
  std::string node, out;
  std::uint32_t seconds = 10;
  bool heap = false, folded = false, json = false;
};

std::string file_for(const proto::NodeProfile& told) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  char moment[32];
  std::strftime(moment, sizeof moment, "%Y%m%dT%H%M%S", &parts);
  std::string node = told.node();
  for (char& c : node)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '_';
  return "profile-" + node + (told.kind() == proto::PROFILE_HEAP ? "-heap-" : "-cpu-") + moment +
         ".svg";
}

profile::flame_graph_words words_of(const proto::NodeProfile& told) {
  const bool heap = told.kind() == proto::PROFILE_HEAP;
  char title[160], counts[160];
  std::snprintf(title, sizeof title, "%.64s: %s, %.1f s", told.node().c_str(),
                heap ? "allocated and still there" : "processor time",
                static_cast<double>(told.lasted_ms()) / 1000);
  std::snprintf(counts, sizeof counts, "%llu samples, %llu dropped, %.1f s of processor time used",
                static_cast<unsigned long long>(told.samples()),
                static_cast<unsigned long long>(told.samples_dropped()),
                static_cast<double>(told.cpu_us()) / 1e6);
  profile::flame_graph_words out{title, counts, told.unit()};
  if (told.stacks_left_out() > 0)
    out.subtitle += "; " + std::to_string(told.stacks_left_out()) + " small stacks left out";
  for (const std::string& note : told.notes()) out.subtitle += "; " + note;
  return out;
}

int write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file)
    return complain({error_code::not_found, "cannot write " + path,
                     "name a file in a folder that exists and may be written"});
  std::cout << "wrote " << path << "\n";
  return exit_fine;
}

int run(const profile_request& request) {
  auto observer = client::observer::open(request.at, request.connection);
  if (!observer) return complain(observer.failure());
  proto::ReadProfile asked;
  asked.set_node(request.node);
  asked.set_seconds(request.seconds);
  asked.set_kind(request.heap ? proto::PROFILE_HEAP : proto::PROFILE_CPU);
  const auto told = (*observer)->profile(asked, answer_wait);
  if (!told) return complain(told.failure());
  if (request.json) {
    std::cout << client::document_of(*told, true) << "\n";
    return exit_fine;
  }
  const profile::flame_graph_words words = words_of(*told);
  std::cerr << words.title << ": " << words.subtitle << "\n";
  if (request.folded && request.out.empty()) {
    std::cout << told->folded();
    return exit_fine;
  }
  if (request.folded) return write_file(request.out, told->folded());
  const auto stacks = profile::folded_stacks::read(told->folded());
  if (!stacks) return complain(stacks.failure());
  return write_file(request.out.empty() ? file_for(*told) : request.out,
                    profile::flame_graph(*stacks, words));
}

}  // namespace

void add_profile(CLI::App& app, action& chosen) {
  auto given = std::make_shared<profile_request>();
  CLI::App& command = *app.add_subcommand(
      "profile", "a flame graph of a node's daemon, taken while it works: where its time goes");
  command.add_option("--at", given->at, "HOST:PORT of any node")->capture_default_str();
  add_connection_keys(command, given->connection);
  command.add_option("--node", given->node, "the node that is looked at; else the one at --at");
  command.add_option("--seconds", given->seconds, "how long")
      ->check(CLI::Range(1, 60))
      ->capture_default_str();
  command.add_flag("--heap", given->heap,
                   "memory instead of time: what was allocated meanwhile and is still there");
  command.add_option("--out", given->out,
                     "write here; else a name of node and time, told at the end");
  command.add_flag("--folded", given->folded,
                   "the stacks as text, one a line, for other tools (to --out, else printed)");
  command.add_flag("--json", given->json, "print the node's answer as one JSON document");
  command.callback([&chosen, given] { chosen = [given] { return run(*given); }; });
}

}  // namespace troupe::cli
