// The sampler against a plain one that sorts everything, and what must hold for any logits.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ops/lane_sum.hpp"
#include "kernels/sampler/philox.hpp"
#include "kernels/sampler/sampler.hpp"

using namespace troupe::kernels;

namespace {

struct draw_case {
  std::vector<float> logits;
  sampling_parameters p;
  std::vector<token_id> generated;
  std::uint32_t index() const { return static_cast<std::uint32_t>(generated.size()); }
};

draw_case any_case() {
  draw_case c;
  const std::uint64_t seed =
      *rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()));
  std::uint32_t thrown = 0;
  const auto any = [&] { return uniform_draw(seed, thrown++); };
  c.logits.resize(1 + static_cast<std::size_t>(any() * *rc::gen::element(3.0, 40.0, 3000.0)));
  const bool coarse = any() < 0.5;  // many ties
  for (float& logit : c.logits) {
    logit = static_cast<float>((any() + any() + any()) * 12 - 18);
    if (coarse) logit = std::round(logit);
  }
  c.p.temperature = static_cast<float>(0.05 + any() * 2);
  if (any() < 0.5) c.p.top_k = 1 + static_cast<std::uint32_t>(any() * 60);
  if (any() < 0.5) c.p.top_p = static_cast<float>(any());
  if (any() < 0.5) c.p.min_p = static_cast<float>(any() * any());
  c.p.seed = seed;
  c.generated.resize(static_cast<std::size_t>(any() * 5));
  for (token_id& id : c.generated)
    id = static_cast<token_id>(any() * static_cast<double>(c.logits.size()));
  return c;
}

// Sorts all tokens and walks through the rules.
std::vector<token_id> plain_kept(const draw_case& c) {
  const float largest = *std::max_element(c.logits.begin(), c.logits.end());
  const auto weight = [&](token_id id) {
    return reference_exp((c.logits[static_cast<std::size_t>(id)] - largest) *
                         (1.0f / c.p.temperature));
  };
  std::vector<token_id> ids(c.logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](token_id a, token_id b) {
    return c.logits[static_cast<std::size_t>(a)] > c.logits[static_cast<std::size_t>(b)];
  });
  if (c.p.top_k > 0 && c.p.top_k < ids.size()) ids.resize(c.p.top_k);
  if (c.p.top_p < 1) {
    double total = 0, sum = 0;
    for (const token_id id : ids) total += weight(id);
    std::size_t kept = 0;
    while (kept < ids.size() && (kept == 0 || sum < c.p.top_p * total)) sum += weight(ids[kept++]);
    ids.resize(kept);
  }
  std::erase_if(ids, [&](token_id id) { return weight(id) < c.p.min_p; });
  return ids;
}

token_id drawn(const draw_case& c) {
  auto token = sample(c.logits, c.p, {}, c.generated, c.index());
  RC_ASSERT(token.ok());
  return token->id;
}

}  // namespace

TEST_CASE(
    "sampler: every draw is a token that the plain rules keep, and all that they keep is drawn") {
  CHECK(rc::check("any logits and parameters", [] {
    draw_case c = any_case();
    const std::vector<token_id> kept = plain_kept(c);
    std::vector<token_id> seen;
    for (int i = 0; i < 20; ++i, ++c.p.seed) {
      seen.push_back(drawn(c));
      RC_ASSERT(std::find(kept.begin(), kept.end(), seen.back()) != kept.end());
    }
    if (kept.size() == 1) RC_ASSERT(seen == std::vector<token_id>(20, kept.front()));
  }));
}

TEST_CASE("sampler: the same case draws the same token, and top-k 1 is the greedy one") {
  CHECK(rc::check("any logits and parameters", [] {
    draw_case c = any_case();
    RC_ASSERT(drawn(c) == drawn(c));
    c.p.top_k = 1;
    draw_case greedy = c;
    greedy.p = {};
    RC_ASSERT(drawn(c) == drawn(greedy));
  }));
}

TEST_CASE("sampler: the index alone, like the seed alone, changes the draw") {
  draw_case c{.logits = std::vector<float>(1000, 1.0f),
              .p = {.temperature = 1, .seed = 5},
              .generated = {}};
  std::vector<token_id> by_index, by_seed;
  for (int i = 0; i < 50; ++i) {
    by_index.push_back(drawn(c));
    c.generated.push_back(by_index.back());
  }
  c.generated.clear();
  for (int i = 0; i < 50; ++i, ++c.p.seed) by_seed.push_back(drawn(c));
  for (std::vector<token_id>* ids : {&by_index, &by_seed}) {
    std::sort(ids->begin(), ids->end());
    CHECK(std::unique(ids->begin(), ids->end()) - ids->begin() > 40);
  }
}

TEST_CASE("sampler: top_log_probabilities is the head of the whole sorted log-softmax") {
  CHECK(rc::check("any logits", [] {
    const draw_case c = any_case();
    const auto all = top_log_probabilities(c.logits, static_cast<std::uint32_t>(c.logits.size()));
    RC_ASSERT(all.size() == c.logits.size());
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      sum += std::exp(double{all[i].log_probability});
      RC_ASSERT(all[i].log_probability == static_cast<float>(log_probability(c.logits, all[i].id)));
      if (i > 0) {
        const float before = c.logits[static_cast<std::size_t>(all[i - 1].id)],
                    here = c.logits[static_cast<std::size_t>(all[i].id)];
        RC_ASSERT(before > here || (before == here && all[i - 1].id < all[i].id));
      }
    }
    RC_ASSERT(std::fabs(sum - 1) < 1e-4);
  }));
}
