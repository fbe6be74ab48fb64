// Generation, perplexity and speed of one engine on a generated model; the block pool and the
// search for stop texts.
#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "kernels/evaluate/engine_bench.hpp"
#include "kernels/evaluate/generation.hpp"
#include "kernels/evaluate/perplexity.hpp"
#include "kernels/evaluate/stop_texts.hpp"
#include "kernels/kv/block_pool.hpp"
#include "kernels/model_file/model_file.hpp"

using namespace troupe::kernels;
using troupe::error_code;
namespace fs = std::filesystem;

namespace {

struct loaded {
  std::shared_ptr<const model> weights;
  std::unique_ptr<engine> on;

  explicit loaded(std::uint64_t kv_bytes = 0) {
    const fs::path path =
        fs::temp_directory_path() / ("troupe-generation-" + std::to_string(::getpid()) + ".gguf");
    REQUIRE(make_model({.shape = "tiny", .tokenizer = "byte-bpe", .seed = 5}, path).ok());
    auto opened = model::open(path);
    fs::remove(path);  // the mapping stays
    REQUIRE(opened.ok());
    weights = *opened;
    auto made =
        make_cpu_engine(weights, {.threads = 2, .kv_bytes = kv_bytes, .batch_tokens_max = 64});
    REQUIRE(made.ok());
    on = std::move(*made);
  }
};

std::vector<token_id> some_tokens(std::size_t count) {
  std::vector<token_id> tokens(count);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = static_cast<token_id>(1 + i * 31 % 250);
  return tokens;
}

std::vector<token_id> ids_of(const generation& made) {
  std::vector<token_id> ids;
  for (const sampled_token& token : made.tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace

TEST_CASE("greedy generation takes the best token of each step, however the prompt is cut") {
  loaded l;
  const std::vector<token_id> prompt = some_tokens(100);
  std::vector<token_id> expected = prompt;
  for (int i = 0; i < 12; ++i) {  // the slow way: the whole text again for each token
    std::vector<block_id> blocks(8);
    std::iota(blocks.begin(), blocks.end(), 0u);
    token_id next = 0;
    for (std::size_t at = 0; at < expected.size(); at += 50) {
      const std::size_t count = std::min<std::size_t>(50, expected.size() - at);
      const sequence_step step{.tokens = std::span(expected).subspan(at, count),
                               .position = static_cast<std::uint32_t>(at),
                               .blocks = blocks};
      auto logits = l.on->step(std::span(&step, 1));
      REQUIRE(logits.ok());
      next = top_log_probabilities(logits->values, 1).front().id;
    }
    expected.push_back(next);
  }
  expected.erase(expected.begin(), expected.begin() + 100);
  for (const std::uint32_t step_tokens : {1u, 7u, 64u}) {
    auto made = generate(*l.on, *l.weights,
                         {.prompt = prompt,
                          .sampling = {},
                          .tokens_max = 12,
                          .stop_texts = {},
                          .step_tokens = step_tokens,
                          .ignore_end_tokens = true});
    REQUIRE(made.ok());
    CHECK(ids_of(*made) == expected);
    CHECK(made->end == generation_end::tokens_max);
    text_stream replay(l.weights->words);
    std::string text;
    for (const token_id id : expected) text += replay.push(id);
    CHECK(made->text == text + replay.finish());
  }
}

TEST_CASE("the listener hears the whole text in order and may end it") {
  loaded l;
  const std::vector<token_id> prompt = some_tokens(5);
  const generation_request request{.prompt = prompt,
                                   .sampling = {.temperature = 1, .seed = 9},
                                   .tokens_max = 40,
                                   .stop_texts = {},
                                   .step_tokens = 64,
                                   .ignore_end_tokens = true};
  std::string heard;
  auto made =
      generate(*l.on, *l.weights, request, [&](const sampled_token&, std::string_view text) {
        heard += text;
        return true;
      });
  REQUIRE(made.ok());
  CHECK(made->tokens.size() == 40);
  CHECK(heard == made->text);

  int tokens = 0;
  auto cut = generate(*l.on, *l.weights, request,
                      [&](const sampled_token&, std::string_view) { return ++tokens < 7; });
  REQUIRE(cut.ok());
  CHECK(cut->end == generation_end::asked_to_stop);
  const std::vector<token_id> all = ids_of(*made);
  CHECK(ids_of(*cut) == std::vector<token_id>(all.begin(), all.begin() + 7));
}

TEST_CASE("a stop text ends generation before it, and is never heard") {
  loaded l;
  const std::vector<token_id> prompt = some_tokens(5);
  generation_request request{.prompt = prompt,
                             .sampling = {},
                             .tokens_max = 40,
                             .stop_texts = {},
                             .step_tokens = 64,
                             .ignore_end_tokens = true};
  auto whole = generate(*l.on, *l.weights, request);
  REQUIRE(whole.ok());
  REQUIRE(whole->text.size() > 12);
  const std::string stop = whole->text.substr(9, 3);
  request.stop_texts = {"no such text in it", stop};
  std::string heard;
  auto made =
      generate(*l.on, *l.weights, request, [&](const sampled_token&, std::string_view text) {
        heard += text;
        return true;
      });
  REQUIRE(made.ok());
  CHECK(made->end == generation_end::stop_text);
  CHECK(made->text == whole->text.substr(0, whole->text.find(stop)));
  CHECK(heard == made->text);
  CHECK(made->tokens.size() < whole->tokens.size());
}

TEST_CASE("generation ends where the context is full, and refuses what cannot be") {
  loaded l;
  const std::vector<token_id> prompt = some_tokens(2040), full = some_tokens(2048),
                              one = some_tokens(1), none;
  auto made = generate(*l.on, *l.weights,
                       {.prompt = prompt,
                        .sampling = {},
                        .tokens_max = 100,
                        .stop_texts = {},
                        .step_tokens = 64,
                        .ignore_end_tokens = true});
  REQUIRE(made.ok());
  CHECK(made->end == generation_end::context_full);
  CHECK(made->tokens.size() ==
        9);  // 2040 .. 2047 are computed, and one more is drawn from the last
  const auto code = [&](const generation_request& request) {
    auto answer = generate(*l.on, *l.weights, request);
    return answer.ok() ? error_code::ok : answer.failure().code;
  };
  CHECK(code({.prompt = full, .sampling = {}, .stop_texts = {}}) == error_code::invalid_argument);
  CHECK(code({.prompt = none, .sampling = {}, .stop_texts = {}}) == error_code::invalid_argument);
  CHECK(code({.prompt = one, .sampling = {.temperature = -1}, .stop_texts = {}}) ==
        error_code::invalid_argument);
  CHECK(code({.prompt = one, .sampling = {}, .stop_texts = {""}}) == error_code::invalid_argument);
  CHECK(code({.prompt = prompt, .sampling = {}, .stop_texts = {}, .step_tokens = 65}) ==
        error_code::invalid_argument);
  loaded small(1 << 16);
  auto refused = generate(*small.on, *small.weights,
                          {.prompt = prompt, .sampling = {}, .stop_texts = {}, .step_tokens = 64});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::resource_exhausted);
}

TEST_CASE("perplexity scores the second half of each chunk after its beginning token") {
  loaded l;
  const std::vector<token_id> tokens = some_tokens(150);  // two chunks of 64, the rest is left out
  auto report = perplexity(*l.on, *l.weights, tokens, 64, 50);
  REQUIRE(report.ok());
  CHECK(report->chunks == 2);
  CHECK(report->tokens_scored == 2 * 31);
  double sum = 0;
  for (std::size_t chunk = 0; chunk < 2; ++chunk) {
    std::vector<token_id> part(tokens.begin() + static_cast<std::ptrdiff_t>(chunk * 64),
                               tokens.begin() + static_cast<std::ptrdiff_t>(chunk * 64 + 64));
    if (l.weights->words->wants_beginning()) part[0] = *l.weights->words->beginning();
    const std::vector<block_id> blocks{0, 1, 2, 3};
    const sequence_step step{.tokens = part, .position = 0, .blocks = blocks, .all_logits = true};
    auto logits = l.on->step(std::span(&step, 1));
    REQUIRE(logits.ok());
    for (std::size_t t = 32; t < 63; ++t)
      sum -= log_probability(logits->values.subspan(t * 512, 512), part[t + 1]);
  }
  CHECK(report->perplexity == doctest::Approx(std::exp(sum / 62)).epsilon(1e-9));
  CHECK(report->log_likelihood == doctest::Approx(-sum / 62));
  CHECK(report->standard_error > 0);
  CHECK_FALSE(perplexity(*l.on, *l.weights, tokens, 512).ok());
  CHECK_FALSE(perplexity(*l.on, *l.weights, tokens, 3).ok());
  CHECK_FALSE(perplexity(*l.on, *l.weights, tokens, 4096).ok());
}

TEST_CASE("the bench gives one figure for each repetition") {
  loaded l;
  auto report =
      bench(*l.on, {.prompt_tokens = 80, .generate_tokens = 3, .repeat = 2, .step_tokens = 64});
  REQUIRE(report.ok());
  CHECK(report->prefill_tokens_per_second.size() == 2);
  CHECK(report->decode_tokens_per_second.size() == 2);
  CHECK(report->prefill_median > 0);
  CHECK(report->decode_median > 0);
  CHECK_FALSE(bench(*l.on, {.prompt_tokens = 5000}).ok());
  CHECK_FALSE(bench(*l.on, {.repeat = 0}).ok());
}

TEST_CASE("stop texts are found across pieces, and no piece of one is given out early") {
  stop_search search({"END", "stop here"});
  CHECK(search.push("abc E") == "abc ");
  CHECK(search.push("N") == "");
  CHECK(search.push("x s") == "ENx ");
  CHECK(search.push("top her") == "");
  CHECK_FALSE(search.found());
  CHECK(search.push("e and more") == "");
  CHECK(search.found());
  CHECK(search.finish() == "");
  stop_search unfinished({"END"});
  CHECK(unfinished.push("the EN") == "the ");
  CHECK(unfinished.finish() == "EN");
  stop_search early({"bc", "abcd"});
  CHECK(early.push("xabcd") == "x");  // the first match in the text wins, not the first in the list
}

TEST_CASE("the block pool gives lowest ids first, counts users and takes all or nothing") {
  block_pool pool(4);
  std::vector<block_id> first, second;
  CHECK(pool.extend(first, 33));
  CHECK(first == std::vector<block_id>{0, 1, 2});
  CHECK_FALSE(pool.extend(second, 17));
  CHECK(second.empty());
  CHECK(pool.free_count() == 1);
  pool.share(1);
  pool.release_all(first);
  CHECK(first.empty());
  CHECK(pool.free_count() == 3);
  CHECK(pool.users(1) == 1);
  CHECK(pool.extend(second, 48));
  CHECK(second == std::vector<block_id>{0, 2, 3});
  CHECK_FALSE(pool.take().has_value());
  pool.release(1);
  CHECK(pool.take() == std::optional<block_id>(1));
}
