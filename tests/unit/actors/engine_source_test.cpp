// Which engine a node gets: what the settings ask for, where the machine has it and it computes
// right; else the processor's.
#include "actors/inference/engine_source.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/model_file/model_file.hpp"

using namespace troupe;

namespace {

struct one_model {
  one_model() {
    char name[] = "/tmp/troupe-engine-source-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    folder = name;
    REQUIRE(kernels::make_model({}, folder / "tiny.gguf").ok());
    wish.set_path(folder / "tiny.gguf");
    wish.set_kv_bytes(1 << 20);
  }
  ~one_model() { std::filesystem::remove_all(folder); }

  std::filesystem::path folder;
  proto::LoadEngine wish;
};

inference_settings asking_for(engine_choice choice) {
  inference_settings settings;
  settings.threads = 1;
  settings.engine = choice;
  return settings;
}

// A GPU's engine as the source sees one: the processor's arithmetic under another name, and with
// `wrong`, the logits of one position turned over.
class played_gpu final : public kernels::engine {
 public:
  played_gpu(std::unique_ptr<kernels::engine> on, bool wrong)
      : on_(std::move(on)), wrong_(wrong), description_(on_->description()) {
    description_.backend = "cuda";
    description_.numerics_class = "cuda-sm00-1";
  }
  const kernels::engine_description& description() const override { return description_; }
  result<kernels::step_logits> step(std::span<const kernels::sequence_step> batch) override {
    auto logits = on_->step(batch);
    if (!logits || !wrong_ || batch[0].position < 8) return logits;
    turned_.assign(logits->values.begin(), logits->values.end());
    for (float& value : turned_) value = -value;
    logits->values = turned_;
    return logits;
  }

 private:
  std::unique_ptr<kernels::engine> on_;
  bool wrong_;
  std::vector<float> turned_;
  kernels::engine_description description_;
};

cuda_maker gpu(bool wrong) {
  return [wrong](std::shared_ptr<const kernels::model> weights,
                 const kernels::engine_settings& settings,
                 const kernels::cuda_settings&) -> result<std::unique_ptr<kernels::engine>> {
    auto made = kernels::make_cpu_engine(std::move(weights), settings);
    if (!made) return made.failure();
    return std::unique_ptr<kernels::engine>(std::make_unique<played_gpu>(std::move(*made), wrong));
  };
}

std::string engine_of(engine_choice choice, cuda_maker maker) {
  one_model model;
  auto made = make_engine_source(asking_for(choice), std::move(maker))->make(model.wish);
  REQUIRE(made.ok());
  CHECK(made->facts.canary_ids.size() == 8);
  CHECK(made->facts.words != nullptr);
  return made->facts.description.backend;
}

}  // namespace

TEST_CASE("engine source: the GPU is used where it is asked for and its canary is right") {
  CHECK(engine_of(engine_choice::cpu, gpu(false)) == "cpu");
  CHECK(engine_of(engine_choice::any, gpu(false)) == "cuda");
  CHECK(engine_of(engine_choice::cuda, gpu(false)) == "cuda");
}

TEST_CASE("engine source: a GPU whose canary is wrong is refused, and the processor computes") {
  CHECK(engine_of(engine_choice::any, gpu(true)) == "cpu");
  CHECK(engine_of(engine_choice::cuda, gpu(true)) == "cpu");
}

TEST_CASE("engine source: a machine without a usable GPU computes on its processor") {
  const cuda_maker none = [](auto, const auto&, const auto&) {
    return result<std::unique_ptr<kernels::engine>>(
        error{error_code::unsupported, "no GPU", "install one"});
  };
  CHECK(engine_of(engine_choice::any, none) == "cpu");
  CHECK(engine_of(engine_choice::cuda, none) == "cpu");
}

TEST_CASE("engine source: looking for GPUs answers, whatever this machine has") {
  const auto devices = kernels::cuda_devices();
  if (devices)
    CHECK_FALSE(devices->empty());
  else
    CHECK(devices.failure().code == error_code::unsupported);
}

TEST_CASE("engine source: host memory behind the KV store, as much as is asked for") {
  one_model model;
  inference_settings settings = asking_for(engine_choice::cpu);
  const auto made_with = [&](std::uint64_t bytes, cuda_maker maker) {
    settings.kv_host_bytes = bytes;
    auto made = make_engine_source(settings, std::move(maker))->make(model.wish);
    REQUIRE(made.ok());
    return std::move(*made);
  };
  CHECK(made_with(0, gpu(false)).facts.host_places == 0);
  const made_engine some = made_with(1 << 20, gpu(false));
  CHECK(some.facts.host_places == (1 << 20) / some.facts.host_block_bytes);
  CHECK(some.facts.host_block_bytes ==
        some.facts.description.kv_bytes / some.facts.description.kv_blocks);
  CHECK(made_with(1, gpu(false)).facts.host_places == 0);  // less than a block: served without
  settings.engine = engine_choice::cuda;
  CHECK(made_with(1 << 20, gpu(false)).facts.host_places == 0);  // an engine that has no transfer
}
