// A model that is larger than a played GPU, from the file to its engine: first layers there, the
// others on the processor.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "actors/inference/engine_source.hpp"
#include "kernels/model/model.hpp"
#include "kernels/model_file/model_file.hpp"
#include "tests/cuda/played_runtime.hpp"

using namespace troupe;
using namespace troupe::kernels::testing;

TEST_CASE(
    "played GPU: a model that it has no room for has as many layers there as it has room for") {
  const auto path = std::filesystem::temp_directory_path() /
                    ("troupe-partial-" + std::to_string(::getpid()) + ".gguf");
  REQUIRE(kernels::make_model({}, path).ok());
  proto::LoadEngine wish;
  wish.set_path(path);
  wish.set_kv_bytes(1 << 20);
  inference_settings settings;
  settings.threads = 1;
  settings.batch_tokens_max = 32;
  auto on_cpu = make_engine_source(settings)->make(wish);
  REQUIRE(on_cpu.ok());
  settings.engine = engine_choice::cuda;
  settings.cuda.memory = {.pool_small_bytes = 1 << 18,
                          .pool_medium_bytes = 1 << 18,
                          .pool_large_bytes = 1 << 18,
                          .reserve_bytes = 0};
  const std::size_t usual = the_played_device().bytes, before = the_played_device().bytes_used;
  const auto class_in = [&](std::uint64_t bytes) {
    the_played_device().bytes = before + bytes;
    auto made = make_engine_source(settings)->make(wish);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
    CHECK(made->facts.canary_ids == on_cpu->facts.canary_ids);
    return made->facts.description.numerics_class;
  };
  constexpr std::uint64_t mib = 1 << 20, scratch = 128 * mib;  // for spans, if there is any
  CHECK(class_in(1000 * mib) == "cuda-sm90-1");
  CHECK(class_in(mib) == "cpu-1");
  std::size_t partly = 0;
  for (std::uint64_t more = 1; more <= 16; ++more)
    if (class_in(scratch + more * mib / 2) == "cuda-sm90-1+cpu-1") ++partly;
  CHECK(partly > 0);
  the_played_device().bytes = usual;
  CHECK(the_played_device().bytes_used == before);
  std::filesystem::remove(path);
}
