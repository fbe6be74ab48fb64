// The sampler's rules one by one, and Philox against its authors' known answers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/sampler/philox.hpp"
#include "kernels/sampler/sampler.hpp"

using namespace troupe::kernels;
using troupe::error_code;

namespace {

const std::vector<float> logits{1.0f, 4.0f, 2.0f, 4.0f, -3.0f, 0.5f};

token_id drawn(const sampling_parameters& p, std::vector<token_id> prompt = {},
               std::vector<token_id> generated = {}) {
  auto token = sample(logits, p, prompt, generated, static_cast<std::uint32_t>(generated.size()));
  REQUIRE(token.ok());
  return token->id;
}

// How often each token is drawn over many seeds.
std::vector<double> shares(sampling_parameters p, std::uint32_t draws = 4000) {
  std::vector<double> share(logits.size());
  for (std::uint32_t seed = 0; seed < draws; ++seed) {
    p.seed = seed;
    share[static_cast<std::size_t>(drawn(p))] += 1.0 / draws;
  }
  return share;
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the published known answers") {
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
        philox_counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
        philox_counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        philox_counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform draws lie from 0 to below 1 and use both halves of the seed") {
  double sum = 0;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    const double u = uniform_draw(7, i);
    CHECK((u >= 0 && u < 1));
    sum += u;
  }
  CHECK(sum / 10000 == doctest::Approx(0.5).epsilon(0.03));
  CHECK(uniform_draw(1, 0) != uniform_draw(1ull << 32, 0));
}

TEST_CASE("temperature 0 takes the largest logit, the lowest id at a tie") {
  CHECK(drawn({}) == 1);
}

TEST_CASE("penalties come before everything else") {
  CHECK(drawn({.presence_penalty = 1}, {}, {1}) == 3);
  CHECK(drawn({.presence_penalty = 1}, {1}, {}) == 1);     // a prompt's token is not punished
  CHECK(drawn({.repetition_penalty = 4}, {1}, {3}) == 2);  // both are
  CHECK(drawn({.frequency_penalty = 0.75f}, {}, {1, 1, 3}) == 3);  // by count
  CHECK(drawn({.frequency_penalty = 0.75f}, {}, {1, 3, 3}) == 1);
}

TEST_CASE("a negative logit is multiplied by the repetition penalty") {
  const std::vector<float> low{-1.0f, -1.5f};
  const std::vector<token_id> prompt{0};
  auto token = sample(low, {.repetition_penalty = 2}, prompt, {}, 0);
  REQUIRE(token.ok());
  CHECK(token->id == 1);
}

TEST_CASE("a bias is added after the penalties and before the temperature") {
  CHECK(drawn({.logit_bias = {{2, 2.5f}}}) == 2);
  CHECK(drawn({.logit_bias = {{1, -0.1f}}}) == 3);
  CHECK(drawn({.repetition_penalty = 100, .logit_bias = {{1, 3.99f}}}, {1, 3}) == 1);
  const auto share = shares({.temperature = 1, .logit_bias = {{1, -100.0f}, {3, -100.0f}}});
  CHECK(share[1] + share[3] == 0);
  CHECK(share[2] > share[0]);
}

TEST_CASE("a bias that is no number, too large, out of order or of no token is refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::vector<token_bias>> wrong{
      {{0, nan}},  {{0, 100.5f}}, {{0, -101.0f}}, {{2, 1.0f}, {1, 1.0f}}, {{2, 1.0f}, {2, 1.0f}},
      {{6, 1.0f}}, {{-1, 1.0f}}};
  for (const auto& bias : wrong) {
    const auto token = sample(logits, {.logit_bias = bias}, {}, {}, 0);
    REQUIRE_FALSE(token.ok());
    CHECK(token.failure().code == error_code::invalid_argument);
  }
  CHECK(drawn({.logit_bias = {{0, 100.0f}}}) == 0);
}

TEST_CASE("the log-probability is that of the raw logits, whatever is done to them") {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit});
  auto token =
      sample(logits, {.temperature = 0.5f, .presence_penalty = 3}, {}, std::vector<token_id>{1}, 1);
  REQUIRE(token.ok());
  CHECK(token->log_probability ==
        doctest::Approx(logits[static_cast<std::size_t>(token->id)] - std::log(sum)).epsilon(1e-5));
  CHECK(log_probability(logits, 2) == doctest::Approx(2.0 - std::log(sum)).epsilon(1e-6));
}

TEST_CASE("draws follow the distribution") {
  const std::vector<double> share = shares({.temperature = 2});
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit / 2.0);
  for (std::size_t i = 0; i < logits.size(); ++i)
    CHECK(std::fabs(share[i] - std::exp(logits[i] / 2.0) / sum) < 0.03);
}

TEST_CASE("only allowed tokens are drawn, and what is left counts alone") {
  const auto among = [](std::uint64_t mask, const sampling_parameters& p) {
    const std::uint64_t allowed[] = {mask};
    return sample(logits, p, {}, {}, 0, allowed);
  };
  CHECK(among(0b110101, {})->id == 2);
  CHECK(among(0b011000, {})->id == 3);
  CHECK(among(0b111111, {})->id == 1);
  CHECK(!among(0, {}));
  CHECK(!among(std::uint64_t{1} << 6, {}));  // of no token
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const sampling_parameters p{.temperature = 3, .top_p = 0.9f, .seed = seed};
    CHECK(among(0b111111, p)->id == sample(logits, p, {}, {}, 0)->id);
    const token_id id = among(0b010101, p)->id;
    CHECK((id == 0 || id == 2 || id == 4));
    CHECK(among(0b010101, {.temperature = 3, .top_k = 1, .seed = seed})->id == 2);
  }
  CHECK(among(0b010001, {})->log_probability ==
        doctest::Approx(log_probability(logits, 0)));  // of all tokens
}

TEST_CASE("top-k keeps the k best, at a tie the lower ids") {
  const std::vector<double> two = shares({.temperature = 2, .top_k = 2}, 400);
  CHECK(two[1] + two[3] == doctest::Approx(1));
  CHECK(two[1] == doctest::Approx(0.5).epsilon(0.2));
  CHECK(shares({.temperature = 2, .top_k = 1}, 50)[1] == doctest::Approx(1));
  CHECK(shares({.temperature = 50, .top_k = 100}, 400)[4] > 0);
}

TEST_CASE("top-p keeps the smallest best set that reaches p, at least one token") {
  // At temperature 1 the two best have 0.448 each of all.
  const std::vector<double> both = shares({.temperature = 1, .top_p = 0.6f}, 400);
  CHECK(both[1] + both[3] == doctest::Approx(1));
  CHECK(both[3] > 0.3);
  CHECK(shares({.temperature = 1, .top_p = 0.4f}, 50)[1] == doctest::Approx(1));
  CHECK(shares({.temperature = 1, .top_p = 0}, 50)[1] == doctest::Approx(1));
  // After top-k 3 the shares are 0.468, 0.468, 0.063: p is of what top-k has left.
  CHECK(shares({.temperature = 1, .top_k = 3, .top_p = 0.93f}, 400)[2] == 0);
  CHECK(shares({.temperature = 1, .top_k = 3, .top_p = 0.95f}, 400)[2] > 0);
}

TEST_CASE("min-p drops what is less likely than that share of the best") {
  const std::vector<double> share = shares({.temperature = 1, .min_p = 0.1f}, 600);
  CHECK(share[2] > 0);   // e^-2 of the best
  CHECK(share[0] == 0);  // e^-3
  CHECK(shares({.temperature = 1, .min_p = 1}, 50)[1] > 0);
}

TEST_CASE("a temperature near 0 draws among the best alone") {
  const std::vector<double> share = shares({.temperature = 1e-38f}, 200);
  CHECK(share[1] + share[3] == doctest::Approx(1));
}

TEST_CASE("parameters that are no numbers or out of range are refused with the range") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, -0.5f, infinity}) {
    CHECK_FALSE(check({.temperature = bad}).ok());
    CHECK_FALSE(check({.top_p = bad}).ok());
    CHECK_FALSE(check({.min_p = bad}).ok());
    CHECK_FALSE(check({.repetition_penalty = bad}).ok());
  }
  for (const float bad : {nan, infinity, -infinity}) {
    CHECK_FALSE(check({.presence_penalty = bad}).ok());
    CHECK_FALSE(check({.frequency_penalty = bad}).ok());
  }
  CHECK_FALSE(check({.top_p = 1.5f}).ok());
  CHECK_FALSE(check({.repetition_penalty = 0}).ok());
  CHECK(check({}).ok());
  CHECK(check({.temperature = 1, .top_k = 4000000000u, .top_p = 0.5f, .min_p = 0.1f}).ok());
  const auto refused = check({.temperature = -1});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::invalid_argument);
  CHECK(refused.failure().text() == "temperature is -1 (0 to 100 are allowed)");
}

TEST_CASE("bad logits and bad histories are errors") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const std::vector<float> broken{1.0f, bad, 2.0f};
    auto token = sample(broken, {}, {}, {}, 0);
    REQUIRE_FALSE(token.ok());
    CHECK(token.failure().code == error_code::internal);
  }
  CHECK_FALSE(sample({}, {}, {}, {}, 0).ok());
  CHECK_FALSE(sample(logits, {}, {}, {}, 1).ok());
  CHECK_FALSE(sample(logits, {.presence_penalty = 1}, std::vector<token_id>{6}, {}, 0).ok());
  CHECK_FALSE(sample(logits, {.presence_penalty = 1}, std::vector<token_id>{-1}, {}, 0).ok());
}

TEST_CASE(
    "top_log_probabilities is sorted, breaks ties by id and never gives more than there are") {
  const std::vector<sampled_token> top = top_log_probabilities(logits, 4);
  REQUIRE(top.size() == 4);
  CHECK(top[0].id == 1);
  CHECK(top[1].id == 3);
  CHECK(top[2].id == 2);
  CHECK(top[3].id == 0);
  CHECK(top[0].log_probability == top[1].log_probability);
  CHECK(top[1].log_probability > top[2].log_probability);
  CHECK(top_log_probabilities(logits, 100).size() == logits.size());
  CHECK(top_log_probabilities(logits, 0).empty());
}
