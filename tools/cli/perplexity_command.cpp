#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/evaluate/perplexity.hpp"
#include "tools/cli/loaded_engine.hpp"
#include "tools/cli/model_command.hpp"

namespace troupe::cli {
namespace {

struct perplexity_request {
  engine_request engine;
  std::string text_file;
  std::uint32_t context = 512;
  bool json = false;
};

result<std::string> text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad())
    return error{error_code::not_found, "cannot read the text " + path,
                 "give a file that exists and is not empty"};
  return text.str();
}

int perplexity(const perplexity_request& request) {
  const auto text = text_of(request.text_file);
  if (!text) return complain(text.failure());
  auto loaded = load_engine(request.engine, request.context);
  if (!loaded) return complain(loaded.failure());
  const auto tokens = loaded->weights->words->encode(*text, {.add_beginning = true});
  if (!tokens) return complain(tokens.failure());
  const std::size_t chunks = tokens->size() / request.context;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto progress = [&](const kernels::perplexity_report& so_far) {
    if (terminal)
      std::fprintf(stderr, "\rchunk %u of %zu: %.4f ", so_far.chunks, chunks, so_far.perplexity);
    return true;
  };
  const auto report = kernels::perplexity(*loaded->engine, *loaded->weights, *tokens,
                                          request.context, 512, progress);
  if (terminal && chunks > 0) std::fprintf(stderr, "\n");
  if (!report) return complain(report.failure());
  if (request.json) {
    const nlohmann::ordered_json document = {{"model", request.engine.model},
                                             {"context", request.context},
                                             {"perplexity", report->perplexity},
                                             {"standard_error", report->standard_error},
                                             {"log_likelihood", report->log_likelihood},
                                             {"chunks", report->chunks},
                                             {"tokens_scored", report->tokens_scored}};
    std::cout << document.dump(2) << "\n";
  } else {
    std::printf("perplexity %.4f +/- %.4f over %llu tokens in %u chunks of %u\n",
                report->perplexity, report->standard_error,
                static_cast<unsigned long long>(report->tokens_scored), report->chunks,
                request.context);
  }
  return exit_fine;
}

}  // namespace

void add_perplexity(CLI::App& model, action& chosen) {
  auto request = std::make_shared<perplexity_request>();
  CLI::App& command =
      *model.add_subcommand("perplexity", "how well a model foretells a text; lower is better");
  add_engine_options(command, request->engine);
  command.add_option("--text", request->text_file, "a file of UTF-8 text")->required();
  command
      .add_option("--context", request->context,
                  "tokens in one chunk; the second half of each is scored")
      ->capture_default_str()
      ->check(CLI::Range(4u, 1u << 20));
  command.add_flag("--json", request->json, "print one JSON document (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return perplexity(*request); }; });
}

}  // namespace troupe::cli
