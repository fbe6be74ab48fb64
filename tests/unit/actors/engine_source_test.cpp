// Which engine a node gets: what the settings ask for, where the machine has it and it computes
// right; else the processor's.
#include "actors/inference/engine_source.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "kernels/model/model.hpp"
#include "kernels/model_file/model_file.hpp"
#include "tests/unit/actors/played_gpu_stage.hpp"

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

// What is wrong with a played GPU's logits, from the canary's position 8 on.
enum class flaw {
  none,
  turned,      // their signs
  nudged,      // the best one is lower by 0.2 of their standard deviation
  pushed,      // by four deviations
  not_finite,  // one of them
  other_best,  // the best alone, where it is asked for, is another than the row's
};

// A GPU's engine as the source sees one: the processor's arithmetic under another name, and a flaw.
class played_gpu final : public kernels::engine {
 public:
  played_gpu(std::unique_ptr<kernels::engine> on, flaw with)
      : on_(std::move(on)), with_(with), description_(on_->description()) {
    description_.backend = "cuda";
    description_.numerics_class = "cuda-sm00-1";
  }
  const kernels::engine_description& description() const override { return description_; }
  result<kernels::step_logits> step(std::span<const kernels::sequence_step> batch) override {
    kernels::sequence_step whole = batch[0];
    if (with_ == flaw::none || whole.position < 8) return on_->step(batch);
    whole.best = 0;
    auto logits = on_->step({&whole, 1});
    if (!logits) return logits;
    changed_.assign(logits->values.begin(), logits->values.end());
    change(changed_);
    logits->values = changed_;
    if (batch[0].best == 0) return logits;
    const auto best = std::max_element(changed_.begin(), changed_.end());
    auto id = static_cast<kernels::token_id>(best - changed_.begin());
    if (with_ == flaw::other_best) id = (id + 1) % 2;
    best_ = {{.tokens = {{id, *best}}, .exponential_sum = 1}};
    logits->best = best_;
    return logits;
  }

 private:
  void change(std::vector<float>& logits) const {
    if (with_ == flaw::turned)
      for (float& value : logits) value = -value;
    if (with_ == flaw::not_finite) logits.back() = std::numeric_limits<float>::quiet_NaN();
    if (with_ != flaw::nudged && with_ != flaw::pushed) return;
    double sum = 0, squares = 0;
    for (const float value : logits) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const double count = static_cast<double>(logits.size()), mean = sum / count;
    const double deviation = std::sqrt(squares / count - mean * mean);
    *std::max_element(logits.begin(), logits.end()) -=
        static_cast<float>(deviation * (with_ == flaw::nudged ? 0.2 : 4));
  }

  std::unique_ptr<kernels::engine> on_;
  flaw with_;
  std::vector<float> changed_;
  std::vector<kernels::best_logits> best_;
  kernels::engine_description description_;
};

gpu_doors gpu(flaw with) {
  return {.whole = [with](
                       std::shared_ptr<const kernels::model> weights,
                       const kernels::engine_settings& settings,
                       const kernels::cuda_settings&) -> result<std::unique_ptr<kernels::engine>> {
    auto made = kernels::make_cpu_engine(std::move(weights), settings);
    if (!made) return made.failure();
    return std::unique_ptr<kernels::engine>(std::make_unique<played_gpu>(std::move(*made), with));
  }};
}

std::string engine_of(engine_choice choice, gpu_doors doors,
                      kernels::gpu_numerics numerics = kernels::gpu_numerics::exact) {
  one_model model;
  inference_settings settings = asking_for(choice);
  settings.cuda.numerics = numerics;
  auto made = make_engine_source(settings, std::move(doors))->make(model.wish);
  REQUIRE(made.ok());
  CHECK(made->facts.canary_ids.size() == 8);
  CHECK(made->facts.words != nullptr);
  return made->facts.description.backend;
}

}  // namespace

TEST_CASE("engine source: the GPU is used where it is asked for and its canary is right") {
  CHECK(engine_of(engine_choice::cpu, gpu(flaw::none)) == "cpu");
  CHECK(engine_of(engine_choice::any, gpu(flaw::none)) == "cuda");
  CHECK(engine_of(engine_choice::cuda, gpu(flaw::none)) == "cuda");
}

TEST_CASE("engine source: a GPU whose canary is wrong is refused, and the processor computes") {
  CHECK(engine_of(engine_choice::any, gpu(flaw::turned)) == "cpu");
  CHECK(engine_of(engine_choice::cuda, gpu(flaw::turned)) == "cpu");
}

TEST_CASE("engine source: in the processor's order one other token refuses a GPU") {
  CHECK(engine_of(engine_choice::cuda, gpu(flaw::nudged)) == "cpu");
  CHECK(engine_of(engine_choice::cuda, gpu(flaw::other_best)) == "cpu");
}

TEST_CASE("engine source: in an order of its own a GPU may decide a near-tie otherwise, no more") {
  const auto used = [](flaw with) {
    return engine_of(engine_choice::cuda, gpu(with), kernels::gpu_numerics::tensor);
  };
  CHECK(used(flaw::none) == "cuda");
  CHECK(used(flaw::nudged) == "cuda");
  CHECK(used(flaw::pushed) == "cpu");
  CHECK(used(flaw::turned) == "cpu");
  CHECK(used(flaw::not_finite) == "cpu");
  CHECK(used(flaw::other_best) == "cpu");
}

TEST_CASE("engine source: the canary of a GPU with an order of its own is what it says itself") {
  one_model model;
  inference_settings settings = asking_for(engine_choice::cuda);
  auto on_cpu = make_engine_source(settings, gpu(flaw::nudged))->make(model.wish);
  settings.cuda.numerics = kernels::gpu_numerics::tensor;
  auto on_gpu = make_engine_source(settings, gpu(flaw::nudged))->make(model.wish);
  REQUIRE((on_cpu.ok() && on_gpu.ok()));
  CHECK(on_gpu->facts.canary_ids != on_cpu->facts.canary_ids);
}

TEST_CASE("engine source: a machine without a usable GPU computes on its processor") {
  const gpu_doors none{.whole = [](auto, const auto&, const auto&) {
    return result<std::unique_ptr<kernels::engine>>(
        error{error_code::unsupported, "no GPU", "install one"});
  }};
  CHECK(engine_of(engine_choice::any, none) == "cpu");
  CHECK(engine_of(engine_choice::cuda, none) == "cpu");
}

TEST_CASE(
    "engine source: a full GPU is an error where other models could go, else the processor's") {
  one_model model;
  std::uint64_t least = 0;
  const gpu_doors full{
      .whole = [&least](auto, const kernels::engine_settings& settings, const auto&) {
        least = settings.kv_bytes_least;
        return result<std::unique_ptr<kernels::engine>>(
            error{error_code::resource_exhausted, "full", "unload a model"});
      }};
  model.wish.set_kv_bytes(64 << 20);
  const auto source = make_engine_source(asking_for(engine_choice::cuda), full);
  model.wish.set_refuse_full_gpu(true);
  const auto refused = source->make(model.wish);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::resource_exhausted);
  CHECK(refused.failure().message == "full");
  CHECK(least > 0);
  CHECK(least < model.wish.kv_bytes());
  model.wish.set_refuse_full_gpu(false);
  auto made = source->make(model.wish);
  REQUIRE(made.ok());
  CHECK(made->facts.description.backend == "cpu");
  const gpu_doors none{.whole = [](auto, const auto&, const auto&) {
    return result<std::unique_ptr<kernels::engine>>(
        error{error_code::unsupported, "no GPU", "install one"});
  }};
  const auto absent = make_engine_source(asking_for(engine_choice::cuda), none);
  model.wish.set_refuse_full_gpu(true);
  CHECK(absent->make(model.wish).ok());
}

TEST_CASE("engine source: what only a GPU's memory holds is not given to the processor") {
  one_model model;
  const auto weights = kernels::model::open(model.wish.path());
  REQUIRE(weights.ok());
  const kernels::memory_need need = kernels::cpu_memory_need(**weights);
  const gpu_doors none{.whole = [](auto, const auto&, const auto&) {
    return result<std::unique_ptr<kernels::engine>>(
        error{error_code::unsupported, "no GPU here", "install one"});
  }};
  inference_settings settings = asking_for(engine_choice::cuda);
  model.wish.set_kv_bytes(1000 * need.kv_block_bytes);
  settings.processor_bytes_max = need.weight_bytes + 100 * need.kv_block_bytes;
  auto smaller = make_engine_source(settings, none)->make(model.wish);
  REQUIRE(smaller.ok());
  CHECK(smaller->facts.description.kv_blocks == 100);
  settings.processor_bytes_max = need.weight_bytes + need.kv_block_bytes;
  const auto refused = make_engine_source(settings, none)->make(model.wish);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::resource_exhausted);
  CHECK(refused.failure().text().find("no GPU here") != std::string::npos);
  settings.engine = engine_choice::cpu;
  settings.processor_bytes_max = 0;
  CHECK(make_engine_source(settings, none)->make(model.wish).ok());
}

TEST_CASE("engine source: a model that only the GPU holds is judged in ranges of layers") {
  one_model model;
  const auto weights = kernels::model::open(model.wish.path());
  REQUIRE(weights.ok());
  for (const std::uint64_t room :
       {std::uint64_t{1}, kernels::cpu_memory_need(**weights).weight_bytes})
    for (const bool wrong : {false, true}) {
      inference_settings settings = asking_for(engine_choice::cuda);
      settings.processor_bytes_max = room;
      auto made =
          make_engine_source(settings, gpu(wrong ? flaw::turned : flaw::none))->make(model.wish);
      CHECK(made.ok() == !wrong);  // nor has the processor room for it
      if (made.ok()) {
        CHECK(made->facts.description.backend == "cuda");
        CHECK(made->facts.canary_ids.size() == 8);
      } else {
        CHECK(made.failure().text().find("canary") != std::string::npos);
      }
    }
}

TEST_CASE(
    "canary: judged in ranges, every other answer than the processor's is told and measured") {
  one_model model;
  const auto weights = kernels::model::open(model.wish.path());
  REQUIRE(weights.ok());
  REQUIRE((*weights)->shape.layers > 1);
  auto processor = kernels::make_cpu_engine(*weights, {.threads = 1});
  REQUIRE(processor.ok());
  auto canary = run_canary(**processor, *(*weights)->words, 12);
  REQUIRE(canary.ok());
  const std::uint64_t all = kernels::cpu_memory_need(**weights).weight_bytes;
  for (const std::uint64_t bytes : {std::uint64_t{0}, all / 2, 2 * all}) {
    const auto same = judge_in_ranges(*weights, {.threads = 1}, bytes, *canary);
    REQUIRE_MESSAGE(same.ok(), (same.ok() ? "" : same.failure().text()));
    CHECK(*same == 0);
  }
  for (std::size_t i = 0; i < canary->size(); ++i) {
    std::vector<kernels::token_id> other = *canary;
    other[i] = other[i] == 5 ? 6 : 5;
    const auto behind = judge_in_ranges(*weights, {.threads = 1}, all / 2, other);
    REQUIRE(behind.ok());
    CHECK(*behind > 0);
  }
}

TEST_CASE(
    "engine source: a GPU that is too small for the model has its first layers, bit for bit") {
  one_model model;
  const auto weights = kernels::model::open(model.wish.path());
  REQUIRE(weights.ok());
  const std::uint32_t layers = (*weights)->shape.layers;
  REQUIRE(layers > 1);
  inference_settings settings = asking_for(engine_choice::cuda);
  auto whole = make_engine_source(asking_for(engine_choice::cpu))->make(model.wish);
  REQUIRE(whole.ok());
  const auto class_with = [&](const gpu_doors& doors) {
    auto made = make_engine_source(settings, doors)->make(model.wish);
    if (!made) return made.failure().text();
    CHECK(made->facts.canary_ids == whole->facts.canary_ids);
    return made->facts.description.numerics_class;
  };
  const std::string mixed = "cuda-sm00-1+cpu-1";
  CHECK(class_with(fakes::small_gpu(1, layers)) == mixed);
  CHECK(class_with(fakes::small_gpu(layers, layers)) == mixed);  // one is the processor's at least
  CHECK(class_with(fakes::small_gpu(layers - 1, 1)) == mixed);   // fewer than it had thought
  CHECK(class_with(fakes::small_gpu(0, layers)) == "cpu-1");
  CHECK(class_with(fakes::small_gpu(1, 0)) == "cpu-1");
  CHECK(class_with(fakes::small_gpu(1, layers, true)) == "cpu-1");  // it computes otherwise
  model.wish.set_refuse_full_gpu(true);
  CHECK(class_with(fakes::small_gpu(1, layers)).find("is full") != std::string::npos);
  model.wish.set_refuse_full_gpu(false);
  settings.gpu_partial = false;
  CHECK(class_with(fakes::small_gpu(1, layers)) == "cpu-1");
  settings.gpu_partial = true;
  settings.cuda.numerics = kernels::gpu_numerics::tensor;
  CHECK(class_with(fakes::small_gpu(1, layers)) == mixed);
  CHECK(class_with(fakes::small_gpu(1, layers, true)) == "cpu-1");
  settings.processor_bytes_max = 1000;  // room for nothing
  CHECK(class_with(fakes::small_gpu(1, layers)).find("too large for the processor") !=
        std::string::npos);
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
  const auto made_with = [&](std::uint64_t bytes, gpu_doors doors) {
    settings.kv_host_bytes = bytes;
    auto made = make_engine_source(settings, std::move(doors))->make(model.wish);
    REQUIRE(made.ok());
    return std::move(*made);
  };
  CHECK(made_with(0, gpu(flaw::none)).facts.host_places == 0);
  const made_engine some = made_with(1 << 20, gpu(flaw::none));
  CHECK(some.facts.host_places == (1 << 20) / some.facts.host_block_bytes);
  CHECK(some.facts.host_block_bytes ==
        some.facts.description.kv_bytes / some.facts.description.kv_blocks);
  CHECK(made_with(1, gpu(flaw::none)).facts.host_places == 0);  // less than a block: served without
  settings.engine = engine_choice::cuda;
  CHECK(made_with(1 << 20, gpu(flaw::none)).facts.host_places ==
        0);  // an engine that has no transfer
}
