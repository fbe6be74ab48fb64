#include <cstdio>
#include <iostream>
#include <memory>

#include "cluster/client/observing.hpp"
#include "cluster/client/status_document.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"

namespace troupe::cli {
namespace {

constexpr std::chrono::milliseconds answer_wait{5'000};

struct stats_request {
  std::string at = "127.0.0.1:7411";
  client::connect_options connection;
  std::string job;
  std::uint32_t history_seconds = 0;
  bool json = false;
};

std::string ms_of(std::uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(us) / 1000);
  return text;
}

std::string value_of(const proto::SpanAttribute& attribute) {
  switch (attribute.value_case()) {
    case proto::SpanAttribute::kText:
      return attribute.text();
    case proto::SpanAttribute::kNumber:
      return std::to_string(attribute.number());
    case proto::SpanAttribute::kReal: {
      char text[32];
      std::snprintf(text, sizeof text, "%.2f", attribute.real());
      return text;
    }
    default:
      return attribute.flag() ? "yes" : "no";
  }
}

// Spans one below the other, indented under their parents.
void print_story(const proto::JobStory& story) {
  const std::uint64_t began = story.spans_size() > 0 ? story.spans(0).start_us() : 0;
  for (const proto::Span& span : story.spans()) {
    int depth = 0;
    std::uint64_t parent = span.parent();
    for (bool found = true; found && depth < 8;) {
      found = false;
      for (const proto::Span& other : story.spans())
        if (other.id() == parent && &other != &span) {
          parent = other.parent();
          found = true;
          ++depth;
          break;
        }
    }
    std::cout << std::string(static_cast<std::size_t>(depth) * 2, ' ') << span.name() << " @"
              << span.node() << " +" << ms_of(span.start_us() - began) << " ms, "
              << ms_of(span.duration_us()) << " ms" << (span.lasts() ? " so far" : "");
    if (!span.error().empty()) std::cout << " FAILED: " << span.error();
    for (const proto::SpanAttribute& attribute : span.attributes())
      std::cout << "\n"
                << std::string(static_cast<std::size_t>(depth) * 2 + 4, ' ') << attribute.key()
                << " = " << value_of(attribute);
    for (const proto::SpanEvent& event : span.events())
      std::cout << "\n"
                << std::string(static_cast<std::size_t>(depth) * 2 + 4, ' ') << "+"
                << ms_of(event.at_us() - began) << " ms " << event.name() << " " << event.text();
    std::cout << "\n";
  }
}

void print_picture(const proto::ClusterPicture& picture) {
  const proto::ClusterTotals& all = picture.totals();
  std::printf("%u of %u nodes up, %llu jobs, %.1f tokens/s, first token p50 %.0f p99 %.0f ms\n",
              all.nodes_up(), all.nodes(), static_cast<unsigned long long>(all.jobs_running()),
              all.tokens_per_second(), all.first_token_seconds().p50() * 1000,
              all.first_token_seconds().p99() * 1000);
  for (const proto::NodePart& node : picture.nodes()) {
    std::printf(
        "%s: %s, %.1f s old, cpu %.0f %%, %llu jobs, %.1f tokens/s\n", node.node().c_str(),
        !node.up()      ? "DOWN"
        : node.silent() ? "SILENT"
                        : "up",
        static_cast<double>(node.age_ms()) / 1000, node.status().machine().cpu_share() * 100,
        static_cast<unsigned long long>(node.status().jobs().running()), node.tokens_per_second());
    for (const proto::Alert& alert : node.alerts())
      if (alert.ended_us() == 0)
        std::printf("  ALERT %s %s: %s\n", alert.name().c_str(), alert.subject().c_str(),
                    alert.text().c_str());
  }
}

int print_stats(const stats_request& request) {
  auto observer = client::observer::open(request.at, request.connection);
  if (!observer) return complain(observer.failure());
  if (!request.job.empty()) {
    const auto story = (*observer)->story(request.job, answer_wait);
    if (!story) return complain(story.failure());
    if (request.json)
      std::cout << client::document_of(*story, true) << "\n";
    else
      print_story(*story);
    return exit_fine;
  }
  const auto picture = (*observer)->picture(answer_wait);
  if (!picture) return complain(picture.failure());
  if (!request.json) {
    print_picture(*picture);
    return exit_fine;
  }
  proto::ReadHistory asked;
  asked.set_seconds(request.history_seconds);
  const auto history = (*observer)->history(asked, answer_wait);
  if (!history) return complain(history.failure());
  std::cout << "{\"picture\": " << client::document_of(*picture, true)
            << ",\n\"history\": " << client::document_of(*history) << "}\n";
  return exit_fine;
}

}  // namespace

void add_stats(CLI::App& app, action& chosen) {
  auto given = std::make_shared<stats_request>();
  CLI::App& command =
      *app.add_subcommand("stats", "what monitoring knows of the cluster, or of one job");
  command.add_option("--at", given->at, "HOST:PORT of any node")->capture_default_str();
  add_connection_keys(command, given->connection);
  command.add_option("--job", given->job, "the story of this job: its id, or 8 digits of it");
  command.add_option("--history", given->history_seconds, "seconds of history; 0: all of it")
      ->capture_default_str();
  command.add_flag("--json", given->json, "everything, as JSON");
  command.callback([&chosen, given] { chosen = [given] { return print_stats(*given); }; });
}

}  // namespace troupe::cli
