// What a step computes (against a plain Llama in double) and what it refuses.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/ops/matmul.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

using namespace troupe::kernels;
using troupe::error_code;
using troupe::kernels::testing::random_model;
using troupe::kernels::testing::recipe;

namespace {

using row = std::vector<double>;

row decoded(const tensor_view& tensor, std::uint64_t index) {
  std::vector<float> values(tensor.row_length());
  const std::size_t bytes = tensor.bytes.size() / (tensor.shape.size() > 1 ? tensor.shape[1] : 1);
  decode_row(tensor.type, tensor.bytes.subspan(index * bytes, bytes), values);
  return {values.begin(), values.end()};
}

row times(const tensor_view& matrix, const row& x) {
  row y(matrix.shape[1]);
  for (std::size_t n = 0; n < y.size(); ++n) {
    const row w = decoded(matrix, n);
    y[n] = std::inner_product(w.begin(), w.end(), x.begin(), 0.0);
  }
  return y;
}

row normed(const tensor_view& weight, const row& x, double epsilon) {
  const double mean =
      std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
  row y = decoded(weight, 0);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] *= x[i] / std::sqrt(mean + epsilon);
  return y;
}

void rotate(row& heads, const hyperparameters& shape, const row& factors, std::size_t position) {
  const std::size_t dimension = shape.head_dimension;
  for (std::size_t i = 0; i < heads.size(); i += 2) {
    const std::size_t pair = i % dimension / 2;
    double angle = static_cast<double>(position) *
                   std::pow(shape.rope_base,
                            -2.0 * static_cast<double>(pair) / static_cast<double>(dimension));
    if (!factors.empty()) angle /= factors[pair];
    const double x = heads[i], y = heads[i + 1];
    heads[i] = x * std::cos(angle) - y * std::sin(angle);
    heads[i + 1] = x * std::sin(angle) + y * std::cos(angle);
  }
}

// Keys and values are kept as float16.
row halved(row x) {
  for (double& value : x) value = half_to_float(float_to_half(static_cast<float>(value)));
  return x;
}

row attended(const row& query, const std::vector<row>& keys, const std::vector<row>& values,
             const hyperparameters& shape) {
  const std::size_t dimension = shape.head_dimension, group = shape.heads / shape.heads_kv;
  row out(query.size(), 0.0);
  for (std::size_t h = 0; h < shape.heads; ++h) {
    double total = 0;
    for (std::size_t t = 0; t < keys.size(); ++t) {
      double score = 0;
      for (std::size_t d = 0; d < dimension; ++d)
        score += query[h * dimension + d] * keys[t][h / group * dimension + d];
      const double e = std::exp(score / std::sqrt(static_cast<double>(dimension)));
      total += e;
      for (std::size_t d = 0; d < dimension; ++d)
        out[h * dimension + d] += e * values[t][h / group * dimension + d];
    }
    for (std::size_t d = 0; d < dimension; ++d) out[h * dimension + d] /= total;
  }
  return out;
}

// Llama, token after token, in double.
std::vector<row> plain_llama(const model& m, const std::vector<token_id>& tokens) {
  const double epsilon = m.shape.rms_epsilon;
  const row factors = m.rope_factors == nullptr ? row{} : decoded(*m.rope_factors, 0);
  std::vector<std::vector<row>> keys(m.layers.size()), values(m.layers.size());
  std::vector<row> logits;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    row x = decoded(*m.embedding, static_cast<std::uint64_t>(tokens[t]));
    for (std::size_t l = 0; l < m.layers.size(); ++l) {
      const layer_tensors& layer = m.layers[l];
      const row h = normed(*layer.attention_norm, x, epsilon);
      row q = times(*layer.query, h), k = times(*layer.key, h);
      rotate(q, m.shape, factors, t);
      rotate(k, m.shape, factors, t);
      keys[l].push_back(halved(k));
      values[l].push_back(halved(times(*layer.value, h)));
      const row a = times(*layer.attention_output, attended(q, keys[l], values[l], m.shape));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += a[i];
      const row f = normed(*layer.feed_forward_norm, x, epsilon);
      row gate = times(*layer.gate, f);
      const row up = times(*layer.up, f);
      for (std::size_t i = 0; i < gate.size(); ++i)
        gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      const row d = times(*layer.down, gate);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += d[i];
    }
    logits.push_back(times(*m.output, normed(*m.output_norm, x, epsilon)));
  }
  return logits;
}

struct bench_engine {
  explicit bench_engine(const recipe& from, engine_settings settings = {.threads = 1})
      : weights(from) {
    auto made = make_cpu_engine(weights.get(), settings);
    REQUIRE(made.ok());
    on = std::move(*made);
  }
  random_model weights;
  std::unique_ptr<engine> on;
};

error_code refusal(engine& on, const sequence_step& step) {
  auto answer = on.step(std::span(&step, 1));
  return answer.ok() ? error_code::ok : answer.failure().code;
}

}  // namespace

TEST_CASE("a step computes Llama: logits agree with a plain computation in double") {
  for (const recipe& from :
       {recipe{},
        recipe{.heads = 6, .heads_kv = 2, .head_dimension = 20, .tied = true, .factors = true},
        recipe{.type = tensor_type::f16, .value_type = tensor_type::bf16, .seed = 9}}) {
    bench_engine bench(from);
    const std::vector<token_id> tokens{1, 7,  3,  3,  79, 0,  12, 55, 41, 8,
                                       2, 64, 33, 21, 9,  70, 11, 5,  28};
    const std::vector<block_id> blocks{4, 1};
    const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks, .all_logits = true};
    auto logits = bench.on->step(std::span(&step, 1));
    REQUIRE(logits.ok());
    REQUIRE(logits->rows == tokens.size());
    const std::vector<row> expected = plain_llama(*bench.weights.get(), tokens);
    double worst = 0;
    for (std::size_t t = 0; t < tokens.size(); ++t)
      for (std::size_t i = 0; i < 80; ++i) {
        const double off = std::fabs(logits->values[t * 80 + i] - expected[t][i]);
        worst = off <= worst ? worst : off;  // a NaN stays
      }
    CHECK(worst <
          1e-3);  // a key may round to the other float16 neighbour; logits are of the order of 10
  }
}

TEST_CASE("the description says what the engine is") {
  bench_engine bench({});
  const engine_description& d = bench.on->description();
  CHECK(d.backend == "cpu");
  CHECK(d.numerics_class == "cpu-1");
  CHECK(d.variant == matmul_variants().front());
  CHECK(d.vocabulary_size == 80);
  CHECK(d.context_tokens_max == 512);
  CHECK(d.kv_blocks == 32);
  CHECK(d.kv_bytes == d.kv_blocks * cpu_memory_need(*bench.weights.get()).kv_block_bytes);
  CHECK(d.weight_bytes > 0);
}

TEST_CASE("a step that cannot be computed is refused, and nothing is changed by it") {
  bench_engine bench({}, {.threads = 1, .kv_bytes = 0, .batch_tokens_max = 20});
  engine& on = *bench.on;
  const std::vector<block_id> blocks{0, 1};
  const std::vector<token_id> good{1, 2, 3};
  const sequence_step whole{.tokens = good, .position = 0, .blocks = blocks};
  auto before = on.step(std::span(&whole, 1));
  REQUIRE(before.ok());
  const std::vector<float> logits(before->values.begin(), before->values.end());

  const std::vector<token_id> none, negative{-1}, large{80}, many(21, 1);
  const std::vector<block_id> outside{0, 32}, few{0};
  CHECK(refusal(on, {.tokens = none, .position = 0, .blocks = blocks}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = negative, .position = 0, .blocks = blocks}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = large, .position = 0, .blocks = blocks}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = many, .position = 0, .blocks = blocks}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = good, .position = 14, .blocks = few}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = good, .position = 14, .blocks = outside}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = good, .position = 511, .blocks = blocks}) ==
        error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = good,
                     .position = std::numeric_limits<std::uint32_t>::max(),
                     .blocks = blocks}) == error_code::invalid_argument);
  CHECK(refusal(on, {.tokens = good,
                     .position = 0,
                     .blocks = blocks,
                     .all_logits = true,
                     .no_logits = true}) == error_code::invalid_argument);

  const sequence_step clash[] = {whole, {.tokens = good, .position = 0, .blocks = few}};
  CHECK_FALSE(on.step(clash).ok());  // two sequences write block 0
  const std::vector<block_id> reads{0, 2};
  const sequence_step race[] = {whole, {.tokens = good, .position = 16, .blocks = reads}};
  CHECK_FALSE(on.step(race).ok());  // one reads what the other writes
  const std::vector<block_id> twice{3, 3};
  CHECK(refusal(on, {.tokens = std::span(many).first(20), .position = 0, .blocks = twice}) ==
        error_code::invalid_argument);

  auto after = on.step(std::span(&whole, 1));
  REQUIRE(after.ok());
  CHECK(std::vector<float>(after->values.begin(), after->values.end()) == logits);
}

TEST_CASE("a step of no sequences, or of prompt chunks alone, returns no rows") {
  bench_engine bench({});
  auto empty = bench.on->step({});
  REQUIRE(empty.ok());
  CHECK(empty->rows == 0);
  const std::vector<token_id> tokens{1, 2};
  const std::vector<block_id> blocks{0};
  const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks, .no_logits = true};
  auto chunk = bench.on->step(std::span(&step, 1));
  REQUIRE(chunk.ok());
  CHECK(chunk->rows == 0);
  CHECK(chunk->values.empty());
}

TEST_CASE("settings that this machine cannot serve are refused with what is allowed") {
  const random_model weights{recipe{}};
  const auto code = [&](engine_settings settings) {
    auto made = make_cpu_engine(weights.get(), settings);
    return made.ok() ? error_code::ok : made.failure().code;
  };
  CHECK(code({.threads = 1, .variant = "mmx"}) == error_code::invalid_argument);
  CHECK(code({.threads = -1}) == error_code::invalid_argument);
  CHECK(code({.threads = 100000}) == error_code::invalid_argument);
  CHECK(code({.threads = 1, .kv_bytes = 1}) == error_code::resource_exhausted);
  CHECK(code({.threads = 1, .batch_tokens_max = 0}) == error_code::invalid_argument);
  CHECK(code({.threads = 2, .affinity = {100000}}) == error_code::invalid_argument);
  CHECK(code({.threads = 2, .affinity = {0}}) == error_code::ok);
  auto nothing = make_cpu_engine(nullptr, {});
  CHECK_FALSE(nothing.ok());
}
