// Decode steps as recorded graphs on the played device: a graph is the list of launches that were
// made while it was recorded, with the arguments of then. So a number that changes from step to
// step and is not in device memory shows as another bit.
#include <doctest/doctest.h>

#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/played_runtime.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

cuda_settings keeping(std::uint32_t graphs) {
  cuda_settings settings = small_device;
  settings.graphs_max = graphs;
  return settings;
}

// Launches of one decode step of `count` sequences.
std::size_t launches_of(decoding& run, std::size_t count) {
  const std::size_t before = the_played_device().launches;
  CHECK(run.step(count) == 0);
  return the_played_device().launches - before;
}

}  // namespace

TEST_CASE("played GPU: recorded decode steps have the CPU engine's bits as all else changes") {
  for (const int multiprocessors : {1, 100}) {  // spans in one block, and in a block each
    the_played_device().multiprocessors = multiprocessors;
    compare_decoding(kv_type::f16);
    compare_decoding(kv_type::q8_0);
  }
  the_played_device().multiprocessors = 4;
  CHECK(the_played_device().graphs == 0);
}

TEST_CASE("played GPU: the third step of a shape and those after it are replays, whole ones") {
  both_engines both({}, {.batch_tokens_max = 64});
  decoding run(both, 20, {1, 1, 0});
  for (const std::size_t count : {3u, 2u}) {
    const std::size_t eager = launches_of(run, count);
    for (std::uint64_t i = 1; i < 6; ++i) {
      const engine_counters before = both.on_gpu->counters();
      CHECK(launches_of(run, count) == eager);
      CHECK(both.on_gpu->counters().steps_replayed == before.steps_replayed + 1);
      CHECK(both.on_gpu->counters().graphs_recorded == before.graphs_recorded + (i == 1 ? 1 : 0));
    }
  }
  CHECK(the_played_device().graphs == 2);
}

TEST_CASE("played GPU: no more graphs are kept than the settings allow") {
  for (const std::uint32_t most : {0u, 1u, 2u}) {
    both_engines both({}, {.batch_tokens_max = 64}, keeping(most));
    decoding run(both, 20, {1, 0, 1});
    for (int i = 0; i < 5; ++i)  // of a shape twice in turn
      for (const std::size_t count : {1u, 1u, 2u, 2u, 3u, 3u}) {
        CHECK(run.step(count) == 0);
        CHECK(the_played_device().graphs <= most);
      }
    CHECK((both.on_gpu->counters().steps_replayed > 0) == (most > 0));
  }
}

TEST_CASE("played GPU: steps that are no decode are not recorded") {
  both_engines both({}, {.batch_tokens_max = 64});
  const std::vector<token_id> tokens = tokens_of(5, 1);
  const std::vector<block_id> blocks{3};
  for (int i = 0; i < 4; ++i) {
    const sequence_step step{.tokens = tokens, .blocks = blocks};
    CHECK(both.differences({&step, 1}) == 0);
  }
  CHECK(both.on_gpu->counters().steps == 4);
  CHECK(both.on_gpu->counters().steps_replayed == 0);
}

TEST_CASE("played GPU: a graph does not outlive the memory that it names") {
  both_engines both({}, {.batch_tokens_max = 200});
  decoding run(both, 20, {1, 1});
  for (int i = 0; i < 4; ++i) CHECK(run.step(2) == 0);
  CHECK(the_played_device().graphs == 1);
  const std::vector<token_id> long_prompt = tokens_of(190, 1);
  std::vector<block_id> blocks(12);
  for (block_id b = 0; b < 12; ++b) blocks[b] = 20 + b;
  const sequence_step step{.tokens = long_prompt, .blocks = blocks};
  CHECK(both.differences({&step, 1}) == 0);  // its rows need more than there was
  CHECK(the_played_device().graphs == 0);
  for (int i = 0; i < 4; ++i) CHECK(run.step(2) == 0);
  CHECK(the_played_device().graphs == 1);
}

TEST_CASE("played GPU: a device that takes no graphs computes launch by launch") {
  the_played_device().takes_graphs = false;
  {
    both_engines both({}, {.batch_tokens_max = 64});
    decoding run(both, 20, {1, 0});
    for (int i = 0; i < 6; ++i) CHECK(run.step(2) == 0);
    CHECK(both.on_gpu->counters().graphs_recorded == 0);
    CHECK(both.on_gpu->counters().steps == 8);
  }
  the_played_device().takes_graphs = true;
}
