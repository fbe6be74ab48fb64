// Greedy tokens and log-probabilities against those that llama.cpp gives for the same model files.
//
// The reference data and the models stand outside the source tree. Models are taken from the folder
// that the environment variable TROUPE_REFERENCE_MODELS names (<model>.gguf); the float models can
// also be made here by the generator that lies beside the data, where python3-numpy is installed.
// What is missing is skipped, counted and said.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>

#include "kernels/model/model.hpp"
#include "kernels/sampler/sampler.hpp"

using namespace troupe::kernels;
namespace fs = std::filesystem;

namespace {

const fs::path beside = fs::path(TROUPE_SOURCE_DIR) / ".." / "shared";

struct reference_row {
  const char* name;
  const char* generator;  // its arguments; null where another program has to quantize
  double
      tolerance;  // of a log-probability; llama.cpp rounds x to float16 or to int8 in its own way
};
constexpr reference_row table[] = {
    {"tiny-f32", "--size tiny --type f32 --seed 1", 0.004},
    {"tiny-f16", "--size tiny --type f16 --seed 1", 0.008},
    {"tiny-spm-f16", "--size tiny --type f16 --tokenizer spm --seed 1", 0.008},
    {"tiny-q8_0", nullptr, 0.1},
    {"tiny-q6_k", nullptr, 0.1},
    {"tiny-q4_0", nullptr, 0.1},
    {"tiny-q4_k_m", nullptr, 0.1},
};

std::optional<fs::path> find_model(const reference_row& row) {
  if (const char* folder = std::getenv("TROUPE_REFERENCE_MODELS")) {
    const fs::path named = fs::path(folder) / (std::string(row.name) + ".gguf");
    if (fs::exists(named)) return named;
  }
  if (row.generator == nullptr) return std::nullopt;
  const fs::path made =
      fs::temp_directory_path() / ("troupe-reference-" + std::string(row.name) + ".gguf");
  const std::string command = "/usr/bin/python3 '" + (beside / "peers/make_gguf.py").string() +
                              "' " + row.generator + " --out '" + made.string() +
                              "' >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) return std::nullopt;
  return made;
}

// The reference leaves out the distributions of tokens that end inside a character. Each that it
// holds must be found, in order, at a position of its token.
void compare(engine& on, const nlohmann::json& from, double tolerance, double& worst) {
  const auto prompt = from.at("prompt_ids").get<std::vector<token_id>>();
  const auto tokens = from.at("tokens").get<std::vector<token_id>>();
  const auto top = from.at("top").get<std::vector<std::vector<std::pair<token_id, double>>>>();
  std::vector<token_id> path = prompt;
  path.insert(path.end(), tokens.begin(), tokens.end());
  std::vector<block_id> blocks((path.size() + 15) / 16);
  std::iota(blocks.begin(), blocks.end(), 0u);
  const sequence_step step{.tokens = path, .position = 0, .blocks = blocks, .all_logits = true};
  auto logits = on.step(std::span(&step, 1));
  REQUIRE(logits.ok());

  const std::size_t vocabulary = on.description().vocabulary_size;
  std::size_t found = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto row = logits->values.subspan((prompt.size() - 1 + i) * vocabulary, vocabulary);
    const auto best = top_log_probabilities(row, 1).front();
    const double lost = best.log_probability - log_probability(row, tokens[i]);
    CHECK_MESSAGE(lost <= 2 * tolerance,
                  "token " << i << ": ours is " << best.id << ", the reference took " << tokens[i]);
    if (found == top.size() || top[found].front().first != tokens[i]) continue;
    double off = 0;
    for (const auto& [id, expected] : top[found]) {
      const double here = std::fabs(log_probability(row, id) - expected);
      off = here <= off ? off : here;
    }
    if (!(off <= tolerance)) continue;
    worst = std::max(worst, off);
    ++found;
  }
  CHECK_MESSAGE(found == top.size(), "only " << found << " of " << top.size()
                                             << " distributions agree within " << tolerance);
}

}  // namespace

TEST_CASE("logits agree with llama.cpp's on the same model files") {
  int skipped = 0;
  for (const reference_row& row : table) {
    const fs::path data = beside / "data/reference" / (std::string(row.name) + ".json");
    const std::optional<fs::path> path = fs::exists(data) ? find_model(row) : std::nullopt;
    if (!path) {
      ++skipped;
      continue;
    }
    CAPTURE(std::string(row.name));
    auto weights = model::open(*path);
    REQUIRE_MESSAGE(weights.ok(), (weights.ok() ? "" : weights.failure().text()));
    auto on = make_cpu_engine(*weights, {.threads = 1});
    REQUIRE(on.ok());
    std::ifstream file(data);
    double worst = 0;
    const nlohmann::json reference = nlohmann::json::parse(file);
    REQUIRE_FALSE(reference.at("cases").empty());
    for (const auto& one : reference.at("cases")) compare(**on, one, row.tolerance, worst);
    MESSAGE(std::string(row.name) << ": log-probabilities differ by " << worst << " at most");
  }
  if (skipped > 0)
    MESSAGE((skipped == static_cast<int>(std::size(table)) ? "skipped: " : "left out: ")
            << skipped << " of " << std::size(table) << " reference models are not here");
}
