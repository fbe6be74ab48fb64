#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/evaluate/generation.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/loaded_engine.hpp"
#include "tools/cli/sampling_options.hpp"

namespace troupe::cli {
namespace {

struct generate_request {
  engine_request engine;
  std::string prompt;
  kernels::sampling_parameters sampling;
  std::uint32_t tokens_max = 128;
  std::vector<std::string> stop;
  bool ignore_end = false, parse_special = false, json = false;
};

double rate(std::size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

void print_document(const generate_request& request, const std::vector<kernels::token_id>& prompt,
                    const kernels::generation& answer, const kernels::engine_description& engine) {
  using json = nlohmann::ordered_json;
  json ids = json::array(), log_probabilities = json::array();
  for (const auto& token : answer.tokens) {
    ids.push_back(token.id);
    log_probabilities.push_back(token.log_probability);
  }
  const json document = {
      {"model", request.engine.model},
      {"prompt_ids", prompt},
      {"ids", ids},
      {"text", answer.text},
      {"log_probabilities", log_probabilities},
      {"end", kernels::name_of(answer.end)},
      {"seed", request.sampling.seed},
      {"engine", engine.backend},
      {"numerics_class", engine.numerics_class},
      {"variant", engine.variant},
      {"prefill_seconds", answer.prefill_seconds},
      {"decode_seconds", answer.decode_seconds},
      {"prefill_tokens_per_second", rate(prompt.size(), answer.prefill_seconds)},
      {"decode_tokens_per_second",
       rate(answer.tokens.size() - std::min<std::size_t>(1, answer.tokens.size()),
            answer.decode_seconds)},
  };
  std::cout << document.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
}

int generate(const generate_request& request) {
  auto weights = kernels::model::open(request.engine.model);
  if (!weights) return complain(weights.failure());
  auto prompt = (*weights)->words->encode(
      request.prompt, {.add_beginning = true, .parse_special = request.parse_special});
  if (!prompt) return complain(prompt.failure());
  auto loaded =
      load_engine(*weights, request.engine, prompt->size() + std::uint64_t{request.tokens_max});
  if (!loaded) return complain(loaded.failure());
  kernels::generation_request wanted;
  wanted.prompt = *prompt;
  wanted.sampling = request.sampling;
  wanted.tokens_max = request.tokens_max;
  wanted.stop_texts = request.stop;
  wanted.ignore_end_tokens = request.ignore_end;
  const auto listener = [&](const kernels::sampled_token&, std::string_view text) {
    if (!request.json) std::cout << text << std::flush;
    return static_cast<bool>(std::cout);
  };
  const auto answer = kernels::generate(*loaded->engine, *loaded->weights, wanted, listener);
  if (!answer) return complain(answer.failure());
  const kernels::engine_description& engine = loaded->engine->description();
  if (request.json) {
    print_document(request, *prompt, *answer, engine);
    return exit_fine;
  }
  std::cout << "\n" << std::flush;
  const std::size_t later = answer->tokens.size() - std::min<std::size_t>(1, answer->tokens.size());
  std::fprintf(stderr,
               "engine=%s class=%s variant=%s prompt_tokens=%zu prefill_tokens_per_second=%.1f "
               "tokens=%zu decode_tokens_per_second=%.1f end=%s\n",
               engine.backend.c_str(), engine.numerics_class.c_str(), engine.variant.c_str(),
               prompt->size(), rate(prompt->size(), answer->prefill_seconds), answer->tokens.size(),
               rate(later, answer->decode_seconds),
               std::string(kernels::name_of(answer->end)).c_str());
  return exit_fine;
}

}  // namespace

void add_generate(CLI::App& app, action& chosen) {
  auto request = std::make_shared<generate_request>();
  CLI::App& command =
      *app.add_subcommand("generate", "answer a prompt with the engine alone, without a cluster");
  add_engine_options(command, request->engine);
  command.add_option("--prompt", request->prompt, "the prompt, UTF-8")->required();
  command.add_option("--max-tokens", request->tokens_max, "most tokens of the answer")
      ->capture_default_str();
  add_sampling_options(command, request->sampling);
  command.add_option("--seed", request->sampling.seed, "same seed, same answer")
      ->capture_default_str();
  command.add_option("--stop", request->stop, "end before this text; may be given several times")
      ->take_all()
      ->allow_extra_args(false);
  command.add_flag("--ignore-end", request->ignore_end, "go on past the model's end token");
  command.add_flag("--parse-special", request->parse_special,
                   "control tokens spelt out in the prompt count as such");
  command.add_flag("--json", request->json,
                   "print one JSON document with token ids and text (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return generate(*request); }; });
}

}  // namespace troupe::cli
