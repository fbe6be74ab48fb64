// A model in parts on two nodes of this machine, beside the whole on one, in turn: what the link
// between the parts costs an answer, and what their working at once gains a prompt.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/client/troupe.hpp"
#include "tools/cli/bench_command.hpp"
#include "tools/cli/measured_node.hpp"

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds token_wait{120'000}, settle_wait{30'000};

struct split_request {
  std::filesystem::path model, daemon;
  std::uint32_t layers = 0, threads = 1, rounds = 7, tokens = 128, prompt_words = 512;
  bool json = false;
};

struct split_window {
  double answer_tokens_per_second = 0, prompt_tokens_per_second = 0;
  std::vector<std::int32_t> ids;
};

result<client::report> run(const std::string& at, const client::job& job,
                           std::vector<std::int32_t>* ids) {
  auto cluster = client::cluster::connect(at);
  if (!cluster) return cluster.failure();
  auto stream = (*cluster)->submit(job);
  if (!stream) return stream.failure();
  for (;;) {
    const auto next = (*stream)->next(token_wait);
    if (!next) return next.failure();
    if (!*next) break;
    if (ids) ids->push_back((*next)->id);
  }
  return (*stream)->summary();
}

client::job job_of(std::string prompt, std::uint32_t tokens) {
  client::job job;
  job.model = "load";
  job.prompt = std::move(prompt);
  job.tokens_max = tokens;
  job.ignore_end = true;
  job.cache_bypass = true;
  return job;
}

result<split_window> measure(const split_request& request, const std::string& at,
                             std::uint32_t round) {
  split_window out;
  const std::string start = "Round " + std::to_string(round) + ":";
  const auto answer = run(at, job_of(start, request.tokens), &out.ids);
  if (!answer) return answer.failure();
  std::string words = start;
  for (std::uint32_t i = 0; i < request.prompt_words; ++i) words += " word";
  const auto prompt = run(at, job_of(words, 2), &out.ids);
  if (!prompt) return prompt.failure();
  if (answer->decode_us == 0 || prompt->prefill_us == 0)
    return error{error_code::unavailable, "nothing was computed", "take a larger model"};
  out.answer_tokens_per_second = answer->answer_tokens * 1e6 / answer->decode_us;
  out.prompt_tokens_per_second =
      (prompt->prompt_tokens - prompt->prefix_tokens) * 1e6 / prompt->prefill_us;
  return out;
}

// The head loads its model when it hears the tail, and answers then.
status settle(const std::string& at) {
  const auto until = std::chrono::steady_clock::now() + settle_wait;
  for (;;) {
    const auto done = run(at, job_of("warm", 2), nullptr);
    if (done) return {};
    if (std::chrono::steady_clock::now() >= until) return done.failure();
    std::this_thread::sleep_for(milliseconds(100));
  }
}

int print(const split_request& request, const std::vector<split_window>& whole,
          const std::vector<split_window>& split) {
  std::vector<double> answers, prompts, answers_whole, prompts_whole;
  bool same = true;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    answers.push_back(split[i].answer_tokens_per_second / whole[i].answer_tokens_per_second);
    prompts.push_back(split[i].prompt_tokens_per_second / whole[i].prompt_tokens_per_second);
    answers_whole.push_back(whole[i].answer_tokens_per_second);
    prompts_whole.push_back(whole[i].prompt_tokens_per_second);
    same = same && whole[i].ids == split[i].ids;
  }
  const ratio_figure answer = ratio_of(answers), prompt = ratio_of(prompts);
  if (request.json) {
    std::cout << nlohmann::ordered_json{{"layers_elsewhere", request.layers},
                                        {"rounds", whole.size()},
                                        {"answer_tokens_per_second", median(answers_whole)},
                                        {"answer_ratio", answer.median},
                                        {"answer_ratio_95", {answer.low, answer.high}},
                                        {"prompt_tokens_per_second", median(prompts_whole)},
                                        {"prompt_ratio", prompt.median},
                                        {"prompt_ratio_95", {prompt.low, prompt.high}},
                                        {"same_tokens", same}}
                     .dump(2)
              << "\n";
  } else {
    std::printf("in parts, to the whole on one node (medians of %zu rounds, 95 %% intervals)\n",
                whole.size());
    std::printf("answer  %7.1f tokens/s whole   %.3f (%.3f to %.3f)\n", median(answers_whole),
                answer.median, answer.low, answer.high);
    std::printf("prompt  %7.1f tokens/s whole   %.3f (%.3f to %.3f)\n", median(prompts_whole),
                prompt.median, prompt.low, prompt.high);
    std::printf("%s\n", same ? "all tokens are the same" : "TOKENS DIFFER");
  }
  return same ? exit_fine : exit_internal;
}

int bench(split_request request) {
  if (request.daemon.empty()) request.daemon = daemon_beside();
  const std::string settings =
      "inference:\n  threads: " + std::to_string(request.threads) + "\n  kv_bytes: 256MiB\n";
  measured_node whole, tail, head;
  measured_node_wish wish{.daemon = request.daemon, .model = request.model};
  wish.settings = settings;
  if (status fine = whole.start(wish); !fine) return complain(fine.failure());
  wish.name = "tail";
  wish.preload = false;
  wish.models = "  memory_max: 1KiB\n";  // its layers of the head's model are not counted here
  if (status fine = tail.start(wish); !fine) return complain(fine.failure());
  wish.name = "head";
  wish.preload = true;
  wish.peers = "\"" + tail.at() + "\"";
  wish.models = "  split: [\"load:tail=" + std::to_string(request.layers) + "\"]\n";
  if (status fine = head.start(wish); !fine) return complain(fine.failure());
  for (const measured_node* node : {&whole, &head})
    if (status fine = settle(node->at()); !fine) return complain(fine.failure());
  std::vector<split_window> of_whole, of_split;
  for (std::uint32_t round = 0; round < request.rounds; ++round)
    for (const bool first : {true, false}) {
      const bool split = first == (round % 2 == 0);
      auto got = measure(request, (split ? head : whole).at(), round);
      if (!got) return complain(got.failure());
      (split ? of_split : of_whole).push_back(std::move(*got));
    }
  return print(request, of_whole, of_split);
}

}  // namespace

void add_bench_split(CLI::App& app, action& chosen) {
  auto given = std::make_shared<split_request>();
  CLI::App& command =
      *app.add_subcommand("split", "a model in parts on two nodes beside the whole on one");
  command.add_option("--model", given->model, "the GGUF file")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--layers", given->layers, "how many of its last layers the second node has")
      ->required()
      ->check(CLI::Range(1, 1000));
  command.add_option("--threads", given->threads, "of each node")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--rounds", given->rounds, "measurements of each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--tokens", given->tokens, "of an answer")
      ->check(CLI::Range(2, 65536))
      ->capture_default_str();
  command.add_option("--prompt-words", given->prompt_words, "of a prompt")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_option("--daemon", given->daemon, "trouped; default: beside this program");
  command.add_flag("--json", given->json, "as JSON");
  command.callback([&chosen, given] { chosen = [given] { return bench(*given); }; });
}

}  // namespace troupe::cli
