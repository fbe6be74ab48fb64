// The CUDA backend's decisions about memory, without a device.
#include <doctest/doctest.h>

#include "kernels/backend/cuda/devices/memory_pools.hpp"
#include "kernels/backend/cuda/devices/resident_models.hpp"
#include "kernels/backend/cuda/devices/runtime_verdict.hpp"
#include "kernels/backend/cuda/kv_compaction.hpp"
#include "kernels/backend/cuda/step_upload.hpp"
#include "tests/unit/kernels/cuda_played_memory.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::cuda;
using troupe::error_code;
using troupe::kernels::testing::played_memory;

namespace {

constexpr std::uint64_t mib = 1 << 20;

device_memory_settings small_pools() {
  return {.pool_small_bytes = 4 * mib,
          .pool_medium_bytes = 128 * mib,
          .pool_large_bytes = 256 * mib,
          .reserve_bytes = 10 * mib,
          .model_bytes_max = 0};
}

}  // namespace

TEST_CASE("memory pools: a request goes to the pool of its size, and pieces do not overlap") {
  played_memory device(1000 * mib);
  memory_pools pools(small_pools(), device);
  const auto a = pools.allocate(1, "m"), b = pools.allocate(mib, "m"),
             c = pools.allocate(mib + 1, "m"), d = pools.allocate(64 * mib + 1, "n");
  REQUIRE((a.ok() && b.ok() && c.ok() && d.ok()));
  CHECK(*b - *a == memory_unit);
  CHECK(pools.state(pool_size::small).bytes == 4 * mib);
  CHECK(pools.state(pool_size::small).bytes_used == mib + memory_unit);
  CHECK(pools.state(pool_size::medium).bytes == 128 * mib);
  CHECK(pools.state(pool_size::large).bytes == 256 * mib);
  CHECK(pools.used_by("n") == 64 * mib + memory_unit);
  CHECK(device.free_bytes() == (1000 - 4 - 128 - 256) * mib);
}

TEST_CASE("memory pools: fragmentation is the share of what is free that lies apart") {
  played_memory device(1000 * mib);
  memory_pools pools(small_pools(), device);
  std::vector<device_address> at;
  for (int i = 0; i < 4; ++i) at.push_back(*pools.allocate(mib, "m"));
  CHECK(pools.state(pool_size::small).fragmentation() == 0);
  pools.release(at[0]);
  pools.release(at[2]);
  CHECK(pools.state(pool_size::small).fragmentation() == doctest::Approx(0.5));
  pools.release(at[1]);  // joins both neighbours
  CHECK(pools.state(pool_size::small).fragmentation() == 0);
  CHECK(pools.state(pool_size::small).largest_free == 3 * mib);
  CHECK(*pools.allocate(3 * mib / 4, "m") == at[0]);
}

TEST_CASE("memory pools: the smallest range that holds a request is taken") {
  played_memory device(1000 * mib);
  memory_pools pools(small_pools(), device);
  std::vector<device_address> at;
  for (const std::uint64_t kib : {512, 64, 256, 64, 1024})
    at.push_back(*pools.allocate(kib * 1024, "m"));
  pools.release(at[0]);
  pools.release(at[2]);
  CHECK(*pools.allocate(200 * 1024, "m") == at[2]);
  CHECK(*pools.allocate(300 * 1024, "m") == at[0]);
}

TEST_CASE("memory pools: out of memory, reserve and budget are values, and change nothing") {
  played_memory device(300 * mib);
  auto settings = small_pools();
  settings.model_bytes_max = 150 * mib;
  memory_pools pools(settings, device);
  const auto too_much = pools.allocate(151 * mib, "m");
  REQUIRE_FALSE(too_much.ok());
  CHECK(too_much.failure().code == error_code::resource_exhausted);
  CHECK(too_much.failure().text().find("gpu.model_bytes_max") != std::string::npos);
  const auto first = pools.allocate(150 * mib, "m");
  REQUIRE(first.ok());
  CHECK_FALSE(pools.allocate(1, "m").ok());
  const auto beyond = pools.allocate(150 * mib, "n");  // 10 MiB of the device are reserved
  REQUIRE_FALSE(beyond.ok());
  CHECK(beyond.failure().code == error_code::resource_exhausted);
  CHECK_FALSE(pools.allocate(0, "n").ok());
  CHECK_FALSE(pools.allocate(~std::uint64_t{0}, "n").ok());
  CHECK(pools.allocate(100 * mib, "n").ok());
}

TEST_CASE("memory pools: a segment shrinks to what the device has, and empty ones are given back") {
  played_memory device(100 * mib);
  memory_pools pools(small_pools(), device);
  const auto large = pools.allocate(70 * mib, "m");
  REQUIRE(large.ok());
  CHECK(device.free_bytes() == 10 * mib);  // the usual 256 MiB were not there
  pools.release(*large);
  CHECK(pools.allocate(2 * mib, "m").ok());  // takes back what lies idle in another pool
  CHECK(pools.state(pool_size::large).segments == 0);
}

TEST_CASE("memory pools: a full device gives small pieces from what larger ones left") {
  played_memory device(100 * mib);
  memory_pools pools(small_pools(), device);
  const auto large = pools.allocate(70 * mib, "m");
  REQUIRE(large.ok());
  CHECK(pools.largest("m") == 20 * mib);
  const auto small = pools.allocate(mib, "m");
  REQUIRE(small.ok());
  CHECK(*small == *large + 70 * mib);
  CHECK(pools.state(pool_size::small).segments == 0);
  CHECK_FALSE(pools.allocate(20 * mib, "m").ok());
  pools.release(*small);
  CHECK(pools.allocate(20 * mib, "m").ok());
}

TEST_CASE("memory pools: the largest request that would be granted is granted, and no larger one") {
  played_memory device(300 * mib);
  auto settings = small_pools();
  settings.pool_large_bytes = 100 * mib;
  memory_pools pools(settings, device);
  CHECK(pools.largest("m") == 290 * mib);
  REQUIRE(pools.allocate(70 * mib, "m").ok());  // of 100
  CHECK(pools.largest("m") == 190 * mib);
  CHECK_FALSE(pools.allocate(190 * mib + 1, "m").ok());
  REQUIRE(pools.allocate(190 * mib, "m").ok());
  CHECK(pools.largest("m") == 30 * mib);

  settings.model_bytes_max = 100 * mib;
  played_memory other(300 * mib);
  memory_pools bounded(settings, other);
  REQUIRE(bounded.allocate(70 * mib, "m").ok());
  CHECK(bounded.largest("m") == 30 * mib);
  CHECK(bounded.largest("n") == 100 * mib);
}

TEST_CASE("kv compaction: moves the last blocks into the first holes until few are left") {
  CHECK(kv_fragmentation({}) == 0);
  CHECK(kv_fragmentation({false, false}) == 0);
  CHECK(kv_fragmentation({true, false, false, true}) == doctest::Approx(0.5));
  CHECK(plan_compaction({true, false, false, true}) == std::vector<kv_move>{{3, 1}});
  CHECK(plan_compaction({true, true, false}).empty());
  std::vector<bool> used(100, true);
  for (std::size_t i = 0; i < 14; ++i) used[i * 5] = false;
  CHECK(plan_compaction(used).empty());  // 14 %: below the limit
  used[80] = used[85] = false;
  const auto moves = plan_compaction(used);
  CHECK_FALSE(moves.empty());
  for (const kv_move& m : moves) {
    CHECK((used[m.from] && !used[m.to] && m.to < m.from));
    used[m.to] = true;
    used[m.from] = false;
  }
  CHECK(kv_fragmentation(used) < kv_fragmentation_max);
}

TEST_CASE("resident models: the least recently used that compute nothing go first") {
  resident_models on(100);
  on.add("a", 40);
  on.add("b", 30);
  on.add("c", 20);
  CHECK(on.to_make_room(10)->empty());
  CHECK(*on.to_make_room(11) == std::vector<std::string>{"a"});
  on.use("a");
  CHECK(*on.to_make_room(41) == std::vector<std::string>{"b", "c"});
  on.set_busy("b", true);
  CHECK(*on.to_make_room(41) == std::vector<std::string>{"c", "a"});
  const auto none = on.to_make_room(80);
  REQUIRE_FALSE(none.ok());
  CHECK(none.failure().code == error_code::resource_exhausted);
  CHECK_FALSE(on.to_make_room(~std::uint64_t{0}).ok());
  on.remove("b");
  CHECK(on.bytes() == 60);
  CHECK(on.names() == std::vector<std::string>{"c", "a"});
}

TEST_CASE("runtime verdicts: what is a value, and what ends the process") {
  CHECK(verdict_of(0) == runtime_verdict::fine);
  CHECK(verdict_of(2) == runtime_verdict::out_of_memory);
  CHECK(verdict_of(35) == runtime_verdict::no_device);
  CHECK(verdict_of(100) == runtime_verdict::no_device);
  CHECK(verdict_of(1) == runtime_verdict::refused);
  for (const int unrecorded : {900, 901, 905, 908})
    CHECK(verdict_of(unrecorded) == runtime_verdict::refused);
  for (const int lost : {214, 909, 700, 710, 715, 716, 717, 718, 719, 999})
    CHECK(verdict_of(lost) == runtime_verdict::sticky);
  CHECK(error_of(2, "taking memory", "out of memory").code == error_code::resource_exhausted);
  CHECK(error_of(35, "looking", "driver").code == error_code::unsupported);
  CHECK(error_of(1, "starting", "bad").code == error_code::internal);
  CHECK(error_of(2, "taking memory", "out of memory").message.find("taking memory") == 0);
}

TEST_CASE("step upload: every row of every tile is there once, in the group of its size") {
  hyperparameters shape;
  shape.layers = 1;
  shape.heads = 12;
  shape.heads_kv = 2;
  shape.head_dimension = 4;
  shape.context_tokens = 1024;
  shape.vocabulary = 50;
  step_plan plan(shape, 100, 64);
  const std::vector<token_id> prompt(11, 7), one(1, 3);
  std::vector<block_id> first(40), second(40);
  for (std::uint32_t i = 0; i < 40; ++i) {
    first[i] = i;
    second[i] = 99 - i;
  }
  const sequence_step steps[] = {{.tokens = prompt, .position = 0, .blocks = first},
                                 {.tokens = one, .position = 600, .blocks = second}};
  REQUIRE(plan.make(steps).ok());
  const std::vector<float> turns(12 * 4, 0.5f);
  step_upload layout;
  lay_out(plan, 6, turns, turns, layout);
  std::vector<int> seen(2 * 12 * 6);
  for (const tile_group& group : layout.tiles) {
    CHECK(group.at % 16 == 0);
    std::vector<attention_tile> tiles(group.count);
    std::memcpy(tiles.data(), layout.bytes.data() + group.at, group.count * sizeof tiles[0]);
    std::uint32_t longest = 0;
    for (const attention_tile& tile : tiles) {
      CHECK(tile.end - tile.begin <= group.rows_max);
      for (std::uint32_t r = tile.begin; r < tile.end; ++r)
        ++seen[(tile.kv_head * 12 + tile.row) * 6 + r];
      std::uint32_t block = 0;
      std::memcpy(&block, layout.bytes.data() + layout.blocks + tile.blocks_at * 4, 4);
      CHECK(block == (tile.row == 0 ? 0 : 99));
      longest = std::max(longest, tile.position + (tile.end - 1) / 6 + 1);
    }
    CHECK(group.spans == (longest + 255) / 256);
  }
  CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
  CHECK_FALSE(layout.output_tiles.empty());
  std::uint32_t slots[24];
  std::memcpy(slots, layout.bytes.data() + layout.slots, sizeof slots);
  CHECK((slots[2 * 10] == 0 && slots[2 * 10 + 1] == 10));
  CHECK((slots[2 * 11] == 99 - 37 && slots[2 * 11 + 1] == 600 % 16));
}
