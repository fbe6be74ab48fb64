#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "cluster/client/troupe.hpp"
#include "tools/cli/answer_document.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"
#include "tools/cli/sampling_options.hpp"

namespace troupe::cli {
namespace {

using std::chrono::steady_clock;

struct submit_request {
  std::string at;
  client::connect_options connection;
  client::job job;
  std::string chat, system;  // one user message, and what stands before it
  std::string schema_file;
  double wait_seconds = 600;
  bool json = false;
};

constexpr std::uintmax_t schema_bytes_max = 1u
                                            << 20;  // of a file that is read; the node is stricter

result<std::string> text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file)
    return error{error_code::not_found, "cannot read " + path, "does it exist, and is it a file?"};
  if (text.str().empty() || text.str().size() > schema_bytes_max)
    return error{error_code::invalid_argument,
                 path + " has " + std::to_string(text.str().size()) + " bytes",
                 "a JSON schema has 1 to " + std::to_string(schema_bytes_max)};
  return text.str();
}

// The job that the flags describe.
result<client::job> job_of(const submit_request& request) {
  client::job job = request.job;
  if (!request.chat.empty()) {
    job.chat.emplace();
    if (!request.system.empty()) job.chat->messages.push_back({"system", request.system});
    job.chat->messages.push_back({"user", request.chat});
  }
  if (!request.schema_file.empty()) {
    result<std::string> schema = text_of(request.schema_file);
    if (!schema) return schema.failure();
    job.json_schema = std::move(*schema);
  }
  return job;
}

int submit(const submit_request& request) {
  const auto job = job_of(request);
  if (!job) return complain(job.failure());
  auto cluster = client::cluster::connect(request.at, request.connection);
  if (!cluster) return complain(cluster.failure());
  served_answer answer;
  const auto started = steady_clock::now();
  auto stream = (*cluster)->submit(*job);
  if (!stream) return complain(stream.failure());
  const std::chrono::milliseconds wait(static_cast<std::int64_t>(request.wait_seconds * 1000));
  while (true) {
    auto next = (*stream)->next(wait);
    if (!next) {
      answer.failure = next.failure();
      break;
    }
    if (!*next) break;
    const auto now = steady_clock::now();
    if (answer.tokens.empty()) answer.first_token = now - started;
    answer.last_token = now - started;
    if (!request.json) std::cout << (*next)->text << std::flush;
    answer.text += (*next)->text;
    answer.tokens.push_back(std::move(**next));
  }
  answer.report = (*stream)->summary();
  answer.text += answer.report.text_tail;
  if (answer.report.failure && !answer.failure) answer.failure = answer.report.failure;
  if (request.json) {
    std::cout << answer_document(answer) << "\n";
  } else {
    std::cout << answer.report.text_tail << "\n" << std::flush;
    if (!answer.failure) std::cerr << answer_line(answer) << std::endl;
  }
  if (answer.failure) {
    complain(*answer.failure);
    return answer.report.job_id.empty() ? exit_code_of(answer.failure->code) : exit_job_failed;
  }
  return answer.report.reason == client::finish_reason::failed ||
                 answer.report.reason == client::finish_reason::cancelled
             ? exit_job_failed
             : exit_fine;
}

}  // namespace

void add_submit(CLI::App& app, action& chosen) {
  auto request = std::make_shared<submit_request>();
  CLI::App& command =
      *app.add_subcommand("submit", "send a prompt to a cluster and print the answer as it comes");
  command
      .add_option("--at", request->at,
                  "HOST:PORT of any node, or several with commas: the answer "
                  "goes on at another one when its own dies")
      ->required();
  add_connection_keys(command, request->connection);
  command.add_option("--model", request->job.model, "a model's name or digest")->required();
  CLI::Option_group& prompt = *command.add_option_group("the prompt");
  prompt.add_option("--prompt", request->job.prompt, "the prompt, UTF-8");
  CLI::Option& chat = *prompt.add_option(
      "--chat", request->chat, "one message of a user, put into the model's own chat template");
  prompt.require_option(1);
  command.add_option("--system", request->system, "what the chat begins with")->needs(&chat);
  command.add_option("--max-tokens", request->job.tokens_max, "most tokens of the answer")
      ->capture_default_str();
  add_sampling_options(command, request->job.sampling);
  command.add_option_function<std::uint64_t>(
      "--seed", [request](const std::uint64_t& seed) { request->job.sampling.seed = seed; },
      "same seed, same answer; without it the gateway draws one and the report names it");
  command
      .add_option("--stop", request->job.stop, "end before this text; may be given several times")
      ->take_all()
      ->allow_extra_args(false);
  command.add_flag("--ignore-end", request->job.ignore_end, "go on past the model's end token");
  command.add_flag("--parse-special", request->job.parse_special,
                   "control tokens spelt out in the prompt count as such");
  command.add_flag("--no-cache", request->job.cache_bypass,
                   "compute, even where a cached answer exists");
  CLI::Option& any_object =
      *command.add_flag("--json-object", request->job.json_object, "the answer is a JSON object");
  command
      .add_option("--json-schema", request->schema_file,
                  "a file with a JSON schema that the answer has to fit")
      ->excludes(&any_object);
  const std::map<std::string, client::job_priority> priorities = {
      {"normal", client::job_priority::normal},
      {"background", client::job_priority::background},
      {"urgent", client::job_priority::urgent}};
  command
      .add_option("--priority", request->job.priority,
                  "its place among jobs that wait: normal, background, urgent")
      ->transform(CLI::CheckedTransformer(priorities));
  command.add_option("--tenant", request->job.tenant,
                     "whose share of the machines it counts to; else this session's");
  command.add_option("--wait", request->wait_seconds, "most seconds to wait for the next token")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 86400.0));
  command.add_flag("--json", request->json,
                   "print one JSON document when the answer is whole (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return submit(*request); }; });
}

}  // namespace troupe::cli
