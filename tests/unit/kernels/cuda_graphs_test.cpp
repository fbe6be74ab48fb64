// Which steps share a recorded graph, and which graph goes.
#include <doctest/doctest.h>

#include <memory>
#include <numeric>

#include "kernels/backend/cuda/step_upload.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::cuda;

namespace {

struct wish {
  std::uint32_t position = 0;
  std::uint32_t best = 0;
  std::uint32_t tokens = 1;
};

step_shape shape_of(const std::vector<wish>& wishes) {
  hyperparameters shape;
  shape.layers = 1;
  shape.heads = 4;
  shape.heads_kv = 2;
  shape.head_dimension = 4;
  shape.context_tokens = 2048;
  shape.vocabulary = 50;
  step_plan plan(shape, 1000, 64);
  const std::vector<token_id> tokens(64, 7);
  std::vector<std::vector<block_id>> blocks;
  std::vector<sequence_step> steps;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    blocks.emplace_back(128);
    std::iota(blocks[i].begin(), blocks[i].end(), static_cast<block_id>(128 * i));
  }
  for (std::size_t i = 0; i < wishes.size(); ++i)
    steps.push_back({.tokens = std::span(tokens).first(wishes[i].tokens),
                     .position = wishes[i].position,
                     .blocks = blocks[i],
                     .best = wishes[i].best});
  REQUIRE(plan.make(steps).ok());
  const std::vector<float> turns(plan.rows().size() * 4, 0.5f);
  step_upload layout;
  lay_out(plan, 2, turns, turns, layout);
  return layout.decode_shape;
}

}  // namespace

TEST_CASE("cuda: decode steps have one shape whatever their positions and blocks are") {
  const step_shape two = shape_of({{.position = 5}, {.position = 200}});
  REQUIRE_FALSE(two.empty());
  CHECK(shape_of({{.position = 40}, {.position = 6}}) == two);
  CHECK(shape_of({{.position = 0}, {.position = 255}}) == two);
  const step_shape far = shape_of({{.position = 600}, {.position = 3}});
  CHECK(shape_of({{.position = 1000}, {.position = 900}}) == far);  // 3 and 4 spans
  CHECK(shape_of({{.position = 5, .best = 3}, {.position = 9}}) ==
        shape_of({{.position = 70}, {.position = 8, .best = 64}}));
}

TEST_CASE("cuda: what launches depend on makes another shape") {
  const step_shape two = shape_of({{.position = 5}, {.position = 200}});
  CHECK(shape_of({{.position = 5}}) != two);
  CHECK(shape_of({{.position = 5}, {.position = 256}}) != two);
  CHECK(shape_of({{.position = 5}, {.position = 600}}) != shape_of({{}, {.position = 256}}));
  CHECK(shape_of({{.position = 5, .best = 1}, {.position = 200}}) != two);
  CHECK(shape_of({{.position = 5}, {.position = 200, .tokens = 2}}).empty());
}

TEST_CASE("cuda: a shape's graph is kept until others were used since, and its end is seen") {
  step_graphs<std::shared_ptr<int>> graphs(2);
  const auto made = std::make_shared<int>(1);
  CHECK(graphs.use({1})->steps == 1);
  CHECK(graphs.use({1})->steps == 2);
  graphs.use({1})->graph = made;
  CHECK(graphs.use({2})->steps == 1);
  CHECK(graphs.use({1})->graph == made);
  CHECK(graphs.use({3})->steps == 1);  // 2 goes
  CHECK(graphs.use({1})->steps == 5);
  CHECK(graphs.use({2})->steps == 1);  // 3 goes
  CHECK(graphs.size() == 2);
  CHECK(made.use_count() == 2);
  graphs.forget();
  CHECK(made.use_count() == 1);
  CHECK(graphs.use({1})->steps == 1);
  graphs.give_up();
  CHECK(graphs.use({1}) == nullptr);
  CHECK(step_graphs<int>(0).use({1}) == nullptr);
}
