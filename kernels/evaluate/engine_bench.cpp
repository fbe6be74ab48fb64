#include "kernels/evaluate/engine_bench.hpp"

#include <algorithm>
#include <chrono>
#include <string>

#include "kernels/evaluate/prefill.hpp"
#include "kernels/sampler/philox.hpp"

namespace troupe::kernels {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Tokens per second of `count` tokens in steps of step_tokens.
result<double> measure(engine& on, std::span<const token_id> tokens, std::uint32_t step_tokens,
                       bool one_by_one) {
  block_pool pool(on.description().kv_blocks);
  std::vector<block_id> blocks;
  const auto begin = std::chrono::steady_clock::now();
  if (one_by_one) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (auto done = extend(on, tokens.subspan(i, 1), static_cast<std::uint32_t>(i), pool, blocks);
          !done)
        return done.failure();
  } else if (auto done = prefill(on, tokens, step_tokens, pool, blocks); !done) {
    return done.failure();
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(tokens.size()) / taken.count();
}

}  // namespace

result<bench_report> bench(engine& on, const bench_request& request) {
  const engine_description& about = on.description();
  const std::uint32_t longest = std::max(request.prompt_tokens, request.generate_tokens);
  if (request.repeat == 0 || longest > about.context_tokens_max)
    return error{
        error_code::invalid_argument,
        std::to_string(request.repeat) + " repetitions of " + std::to_string(longest) + " tokens",
        "repeat at least once, with at most the context of " +
            std::to_string(about.context_tokens_max)};
  std::vector<token_id> tokens(longest);
  for (std::uint32_t i = 0; i < longest; ++i)
    tokens[i] = static_cast<token_id>(uniform_draw(0, i) * about.vocabulary_size);

  bench_report report;
  const auto repeat = [&](std::uint32_t count, bool one_by_one,
                          std::vector<double>& into) -> status {
    const std::span<const token_id> used = std::span(tokens).first(count);
    for (std::uint32_t run = 0; count > 0 && run <= request.repeat; ++run) {
      // The first run only warms up; a few single tokens are enough for that.
      const bool warming = run == 0;
      auto speed = measure(on, warming && one_by_one ? used.first(std::min(count, 4u)) : used,
                           request.step_tokens, one_by_one);
      if (!speed) return speed.failure();
      if (!warming) into.push_back(*speed);
    }
    return {};
  };
  if (status done = repeat(request.prompt_tokens, false, report.prefill_tokens_per_second); !done)
    return done.failure();
  if (status done = repeat(request.generate_tokens, true, report.decode_tokens_per_second); !done)
    return done.failure();
  report.prefill_median = median(report.prefill_tokens_per_second);
  report.decode_median = median(report.decode_tokens_per_second);
  return report;
}

}  // namespace troupe::kernels
