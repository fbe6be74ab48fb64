// Jobs that read a prompt and answer with numbers: its embedding, or how probable its tokens are.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/client/troupe.hpp"
#include "tools/cli/answer_document.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"

namespace troupe::cli {
namespace {

struct reading_request {
  std::string at;
  client::connect_options connection;
  client::job job;
  double wait_seconds = 600;
  bool json = false;
};

// The mean of what each token costs, as `troupe model perplexity` counts it.
double perplexity_of(const std::vector<float>& log_probabilities) {
  double sum = 0;
  for (const float one : log_probabilities) sum += one;
  return log_probabilities.empty() ? 1
                                   : std::exp(-sum / static_cast<double>(log_probabilities.size()));
}

std::string document_of(const client::report& report, bool score) {
  using json = nlohmann::ordered_json;
  json document = {
      {"job_id", report.job_id},
      {"model", report.model_name},
      {"model_digest", report.model_digest},
      {"prompt_tokens", report.prompt_tokens},
      {"gateway_node", report.gateway_node},
      {"worker_node", report.worker_node},
      {"engine", report.engine},
      {"numerics_class", report.numerics_class},
      {"variant", report.variant},
      {"attempts", report.attempts},
      {"queue_us", report.queue_us},
      {"prefill_us", report.prefill_us},
      {"gateway_total_us", report.total_us},
  };
  if (score) {
    document["prompt_log_probabilities"] = report.prompt_log_probabilities;
    document["perplexity"] = perplexity_of(report.prompt_log_probabilities);
  } else {
    document["embedding"] = report.embedding;
  }
  return document.dump(2);
}

int read_prompt(const reading_request& request) {
  auto cluster = client::cluster::connect(request.at, request.connection);
  if (!cluster) return complain(cluster.failure());
  auto stream = (*cluster)->submit(request.job);
  if (!stream) return complain(stream.failure());
  const std::chrono::milliseconds wait(static_cast<std::int64_t>(request.wait_seconds * 1000));
  const auto next = (*stream)->next(wait);  // there are no tokens: the end, or an error
  if (!next) return complain(next.failure());
  const client::report report = (*stream)->summary();
  if (report.failure) {
    complain(*report.failure);
    return exit_job_failed;
  }
  const bool score = request.job.score;
  if (request.json) {
    std::cout << document_of(report, score) << "\n";
    return exit_fine;
  }
  for (const float number : score ? report.prompt_log_probabilities : report.embedding)
    std::printf("%.9g\n", static_cast<double>(number));
  std::fflush(stdout);
  std::cerr << "node=" << report.worker_node << " class=" << report.numerics_class
            << " prompt_tokens=" << report.prompt_tokens;
  if (score) std::cerr << " perplexity=" << perplexity_of(report.prompt_log_probabilities);
  std::cerr << " job=" << report.job_id << std::endl;
  return exit_fine;
}

void add_reading(CLI::App& app, action& chosen, const char* name, const char* about,
                 bool client::job::*wish) {
  auto request = std::make_shared<reading_request>();
  request->job.*wish = true;
  CLI::App& command = *app.add_subcommand(name, about);
  command.add_option("--at", request->at, "HOST:PORT of any node")->required();
  add_connection_keys(command, request->connection);
  command.add_option("--model", request->job.model, "a model's name or digest")->required();
  CLI::Option_group& prompt = *command.add_option_group("the prompt");
  prompt.add_option("--prompt", request->job.prompt, "the prompt, UTF-8");
  prompt.add_option("--ids", request->job.prompt_ids, "its token ids, parted by commas")
      ->delimiter(',');
  prompt.require_option(1);
  command.add_flag("--parse-special", request->job.parse_special,
                   "control tokens spelt out in the prompt count as such");
  command.add_option("--wait", request->wait_seconds, "most seconds to wait for the end")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 86400.0));
  command.add_flag("--json", request->json, "print one JSON document (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return read_prompt(*request); }; });
}

int release(const std::string& at, const client::connect_options& connection,
            const std::string& job, const std::string& model,
            const std::vector<std::int32_t>& ids) {
  auto cluster = client::cluster::connect(at, connection);
  if (!cluster) return complain(cluster.failure());
  const auto told = job.empty() ? (*cluster)->release(model, ids) : (*cluster)->release(job);
  if (!told) return complain(told.failure());
  std::cout << told->blocks_freed << " blocks freed, " << told->blocks_kept
            << " kept (in use, or shared)\n";
  for (const std::string& node : told->nodes_silent)
    std::cerr << "troupe: node " << node << " did not answer; release it again later" << std::endl;
  return told->nodes_silent.empty() ? exit_fine : exit_unavailable;
}

}  // namespace

void add_readings(CLI::App& app, action& chosen) {
  add_reading(app, chosen, "embed", "print a prompt's embedding, one number a line",
              &client::job::embed);
  add_reading(app, chosen, "score",
              "print the log-probability of each of a prompt's tokens from the second on",
              &client::job::score);
}

void add_release(CLI::App& app, action& chosen) {
  struct options {
    std::string at, job, model;
    client::connect_options connection;
    std::vector<std::int32_t> ids;
  };
  auto given = std::make_shared<options>();
  CLI::App& command = *app.add_subcommand(
      "release", "free the memory that a conversation takes on the nodes, once it has ended");
  CLI::Option& job = *command.add_option(
      "JOB", given->job, "the last job of the conversation, as its report named it");
  command.add_option("--at", given->at, "HOST:PORT of the node that took the job")->required();
  add_connection_keys(command, given->connection);
  CLI::Option& model =
      *command.add_option("--model", given->model, "with --ids, instead of a job")->excludes(&job);
  CLI::Option& ids = *command.add_option("--ids", given->ids, "token ids, parted by commas")
                          ->delimiter(',')
                          ->excludes(&job);
  model.needs(&ids);
  ids.needs(&model);
  command.callback([&chosen, given, &command] {
    if (given->job.empty() && given->ids.empty())
      throw CLI::RequiredError(command.get_name() + ": a JOB, or --model with --ids");
    chosen = [given] {
      return release(given->at, given->connection, given->job, given->model, given->ids);
    };
  });
}

}  // namespace troupe::cli
