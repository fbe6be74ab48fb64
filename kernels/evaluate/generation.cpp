#include "kernels/evaluate/generation.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernels/evaluate/prefill.hpp"
#include "kernels/evaluate/stop_texts.hpp"
#include "kernels/kv/block_pool.hpp"

namespace troupe::kernels {
namespace {

using clock = std::chrono::steady_clock;
double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

status check_request(const engine& on, const generation_request& request) {
  const std::uint32_t context = on.description().context_tokens_max;
  if (request.prompt.empty())
    return error{error_code::invalid_argument, "the prompt has no token", "give at least one"};
  if (request.prompt.size() >= context)
    return error{
        error_code::invalid_argument,
        "the prompt has " + std::to_string(request.prompt.size()) + " tokens",
        "the model's context allows " + std::to_string(context - 1) + " and one to generate"};
  for (const std::string& stop : request.stop_texts)
    if (stop.empty())
      return error{error_code::invalid_argument, "a stop text is empty", "leave it out"};
  return check(request.sampling);
}

// Text of the tokens so far, cut at the first stop text.
class text_so_far {
 public:
  text_so_far(const model& weights, const std::vector<std::string>& stops)
      : stream_(weights.words), search_(stops) {}
  std::string push(token_id id) { return search_.push(stream_.push(id)); }
  std::string finish() {
    std::string rest = search_.push(stream_.finish());
    return rest + search_.finish();
  }
  bool stopped() const { return search_.found(); }

 private:
  text_stream stream_;
  stop_search search_;
};

bool is_end(const model& weights, token_id id) {
  const std::span<const token_id> ends = weights.words->end_tokens();
  return std::find(ends.begin(), ends.end(), id) != ends.end();
}

}  // namespace

std::string_view name_of(generation_end end) {
  switch (end) {
    case generation_end::end_token:
      return "end_token";
    case generation_end::stop_text:
      return "stop_text";
    case generation_end::tokens_max:
      return "tokens_max";
    case generation_end::context_full:
      return "context_full";
    case generation_end::asked_to_stop:
      break;
  }
  return "asked_to_stop";
}

result<generation> generate(engine& on, const model& weights, const generation_request& request,
                            const generation_listener& listener) {
  if (status checked = check_request(on, request); !checked) return checked.failure();
  generation made;
  if (request.tokens_max == 0) return made;
  block_pool pool(on.description().kv_blocks);
  std::vector<block_id> blocks;
  text_so_far text(weights, request.stop_texts);
  std::vector<token_id> ids;

  clock::time_point begin = clock::now();
  auto logits = prefill(on, request.prompt, request.step_tokens, pool, blocks);
  for (std::optional<generation_end> end; !end;) {
    if (!logits) return logits.failure();
    auto token = sample(logits->values, request.sampling, request.prompt, ids,
                        static_cast<std::uint32_t>(ids.size()));
    if (!token) return token.failure();
    if (ids.empty()) made.prefill_seconds = seconds_since(std::exchange(begin, clock::now()));
    if (!request.ignore_end_tokens && is_end(weights, token->id)) {
      made.end = generation_end::end_token;  // it ends the answer and is no part of it
      break;
    }
    ids.push_back(token->id);
    made.tokens.push_back(*token);
    const std::string certain = text.push(token->id);
    made.text += certain;
    const std::uint64_t position = request.prompt.size() + ids.size() - 1;  // of this token
    if (text.stopped())
      end = generation_end::stop_text;
    else if (ids.size() == request.tokens_max)
      end = generation_end::tokens_max;
    else if (position >= on.description().context_tokens_max)
      end = generation_end::context_full;
    if (listener && !listener(*token, certain) && !end) end = generation_end::asked_to_stop;
    if (end) {
      made.end = *end;
      break;
    }
    logits =
        extend(on, std::span(&ids.back(), 1), static_cast<std::uint32_t>(position), pool, blocks);
  }
  made.decode_seconds = seconds_since(begin);
  const std::string rest = text.finish();
  made.text += rest;
  if (listener && !rest.empty() && !made.tokens.empty()) (void)listener(made.tokens.back(), rest);
  return made;
}

}  // namespace troupe::kernels
