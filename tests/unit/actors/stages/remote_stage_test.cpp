// A model whose last layers another node computes: real stages, with the test as the post office.
#include "actors/stages/remote_stage.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "actors/inference/engine_source.hpp"
#include "actors/stages/stage_messages.hpp"
#include "actors/stages/stages_actor.hpp"
#include "kernels/model/model.hpp"
#include "kernels/model_file/model_file.hpp"
#include "tests/unit/actors/fakes.hpp"
#include "tests/unit/actors/played_gpu_stage.hpp"

using namespace troupe;
using namespace troupe::fakes;
using std::chrono::milliseconds;

namespace {

const std::filesystem::path& model_file() {
  static const std::filesystem::path path = [] {
    const auto made = std::filesystem::temp_directory_path() /
                      ("troupe-stages-" + std::to_string(::getpid()) + ".gguf");
    REQUIRE(kernels::make_model({}, made).ok());
    return made;
  }();
  return path;
}

// The head's and the other node's letters, carried at once: what the other one does is done in
// post(). A letter's bytes are all that passes.
class two_sides final : public post_office {
 public:
  explicit two_sides(std::uint64_t memory = 1u << 30)
      : desk(std::make_shared<stage_desk>("head")),
        tail(
            {.node = "tail", .memory_bytes_max = memory, .threads = 1}, *this,
            [this](role_event_ptr event) { tail.notice(*event, {}); },
            make_stage_maker({.node = "tail", .threads = 1}),
            std::make_unique<background_inline>()) {}

  void post(envelope_ptr message) override {
    proto::Envelope copy;
    REQUIRE(copy.ParseFromString(message->SerializeAsString()));
    if (message->has_step_stage()) ++steps;
    if (mute) return;
    const auto carried = std::make_shared<const proto::Envelope>(std::move(copy));
    if (carried->target().actor() == "model_loader") {
      auto reply = std::make_shared<proto::Envelope>(reply_to(*carried));
      reply->mutable_model_loaded()->mutable_model()->set_path(model_file().string());
      tail.receive(reply, {});
    } else if (carried->target().actor() == "stage_desk") {
      desk->take(carried);
    } else {
      tail.receive(carried, time_point_us{1'000'000});
    }
  }

  std::shared_ptr<stage_desk> desk;
  std::atomic<bool> mute = false;  // the tail hears nothing
  std::atomic<int> steps = 0;
  stages_role tail;
};

inference_settings head_settings(milliseconds step_wait = milliseconds(5'000)) {
  inference_settings settings;
  settings.node = "head";
  settings.threads = 1;
  settings.stage_step_wait = step_wait;
  return settings;
}

proto::LoadEngine load_wish(std::uint32_t layers_elsewhere) {
  proto::LoadEngine wish;
  wish.set_name("tiny");
  wish.set_model_digest("digest");
  wish.set_path(model_file().string());
  wish.set_kv_bytes(1u << 20);
  if (layers_elsewhere > 0) {
    wish.add_stages()->set_node("tail");
    wish.mutable_stages(0)->set_layers(layers_elsewhere);
  }
  return wish;
}

result<made_engine> make(two_sides& sides, std::uint32_t layers_elsewhere,
                         milliseconds step_wait = milliseconds(5'000)) {
  const auto source = make_engine_source(
      head_settings(step_wait), {},
      [&](const remote_stage_wish& wish) { return open_remote_stage(sides.desk, sides, wish); });
  return source->make(load_wish(layers_elsewhere));
}

std::vector<float> logits_of(kernels::engine& on) {
  const std::vector<kernels::token_id> tokens{5, 9, 2, 7, 7, 1};
  const std::vector<kernels::block_id> blocks{3};
  const kernels::sequence_step step{
      .tokens = tokens, .position = 0, .blocks = blocks, .all_logits = true};
  const auto logits = on.step({&step, 1});
  REQUIRE_MESSAGE(logits.ok(), (logits.ok() ? "" : logits.failure().text()));
  return {logits->values.begin(), logits->values.end()};
}

}  // namespace

TEST_CASE("a model in parts on two nodes has the bits, the class and the canary of the whole") {
  two_sides sides;
  auto whole = make(sides, 0);
  REQUIRE(whole.ok());
  CHECK(sides.steps == 0);
  auto split = make(sides, 1);
  REQUIRE_MESSAGE(split.ok(), split.failure().text());
  CHECK(sides.steps > 0);
  CHECK(split->facts.canary_ids == whole->facts.canary_ids);
  CHECK(split->facts.description.numerics_class == "cpu-1");
  CHECK(split->facts.description.weight_bytes < whole->facts.description.weight_bytes);
  CHECK(logits_of(*split->engine) == logits_of(*whole->engine));
  CHECK_FALSE(split->engine->lost());
}

TEST_CASE("the head's own layers are on its GPU, if the whole then answers as the processor does") {
  two_sides sides;
  auto whole = make(sides, 0);
  REQUIRE(whole.ok());
  inference_settings settings = head_settings();
  settings.engine = engine_choice::any;
  const auto on_gpu = [&](const gpu_doors& doors) {
    return make_engine_source(settings, doors,
                              [&](const remote_stage_wish& wish) {
                                return open_remote_stage(sides.desk, sides, wish);
                              })
        ->make(load_wish(1));
  };
  auto right = on_gpu(fakes::small_gpu(0, 1000)), wrong = on_gpu(fakes::small_gpu(0, 1000, true)),
       full = on_gpu(fakes::small_gpu(0, 0));
  for (auto* made : {&right, &wrong, &full}) {
    REQUIRE_MESSAGE(made->ok(), (made->ok() ? "" : made->failure().text()));
    CHECK((*made)->facts.canary_ids == whole->facts.canary_ids);
  }
  CHECK(right->facts.description.numerics_class == "cuda-sm00-1+cpu-1");
  CHECK(wrong->facts.description.numerics_class == "cpu-1");
  CHECK(full->facts.description.numerics_class == "cpu-1");
}

TEST_CASE("a node that falls silent in a step loses the engine, after its time") {
  two_sides sides;
  auto split = make(sides, 1, milliseconds(50));
  REQUIRE(split.ok());
  sides.mute = true;
  const std::vector<kernels::token_id> tokens{5};
  const std::vector<kernels::block_id> blocks{3};
  const kernels::sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks};
  const auto given = split->engine->step({&step, 1});
  REQUIRE_FALSE(given.ok());
  CHECK(given.failure().code == error_code::deadline_exceeded);
  CHECK(split->engine->lost());
  sides.mute = false;
  CHECK_FALSE(split->engine->step({&step, 1}).ok());  // what its blocks hold is unknown
}

TEST_CASE("a wait ends at once when the node is lost, and when this one stops") {
  two_sides sides;
  for (const bool stops : {false, true}) {
    sides.mute = false;
    auto split = make(sides, 1, milliseconds(60'000));
    REQUIRE(split.ok());
    sides.mute = true;
    sides.steps = 0;
    std::thread elsewhere([&] {
      while (sides.steps == 0) std::this_thread::yield();
      std::this_thread::sleep_for(milliseconds(20));
      if (stops)
        sides.desk->close();
      else
        sides.desk->lose_node("tail");
    });
    const std::vector<kernels::token_id> tokens{5};
    const std::vector<kernels::block_id> blocks{3};
    const kernels::sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks};
    const auto given = split->engine->step({&step, 1});
    elsewhere.join();
    REQUIRE_FALSE(given.ok());
    CHECK(given.failure().code == error_code::unavailable);
    CHECK(split->engine->lost());
  }
}

TEST_CASE("a stage actor that is new knows no stage, and its head hears so") {
  two_sides sides;
  auto split = make(sides, 1);
  REQUIRE(split.ok());
  sides.tail.notice(node_lost("head"), {});  // it took the head for lost
  const std::vector<kernels::token_id> tokens{5};
  const std::vector<kernels::block_id> blocks{3};
  const kernels::sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks};
  const auto given = split->engine->step({&step, 1});
  REQUIRE_FALSE(given.ok());
  CHECK(given.failure().code == error_code::not_found);
  CHECK(split->engine->lost());
}

TEST_CASE("an answer is believed only from the node that was asked, and once") {
  kept_posts office;
  stage_desk desk("head");
  proto::Envelope question;
  question.mutable_step_stage()->set_stage("s");
  const std::uint64_t asked = desk.ask(question, "tail", milliseconds(50), office);
  REQUIRE(office.posts.size() == 1);
  const auto answer_of = [&](const std::string& node, const std::string& stage) {
    auto reply = std::make_shared<proto::Envelope>(reply_to(*office.posts[0]));
    reply->mutable_sender()->set_node(node);
    reply->mutable_stage_stepped()->set_stage(stage);
    return reply;
  };
  desk.take(answer_of("stranger", "forged"));
  desk.take(answer_of("tail", "first"));
  desk.take(answer_of("tail", "second"));
  const auto got = desk.wait(asked);
  REQUIRE(got.ok());
  CHECK((*got)->stage_stepped().stage() == "first");
  CHECK_FALSE(desk.wait(asked).ok());
  const std::uint64_t again = desk.ask(question, "tail", milliseconds(20), office);
  desk.take(answer_of("tail", "late"));  // of the question before
  CHECK(desk.wait(again).failure().code == error_code::deadline_exceeded);
}

TEST_CASE("splits that cannot be are refused: no layer left here, no room there") {
  two_sides sides;
  auto none_left = make(sides, 1000);
  REQUIRE_FALSE(none_left.ok());
  CHECK(none_left.failure().code == error_code::invalid_argument);
  two_sides small(1000);
  auto no_room = make(small, 1);
  REQUIRE_FALSE(no_room.ok());
  CHECK(no_room.failure().code == error_code::resource_exhausted);
  CHECK(no_room.failure().message.find("node tail") != std::string::npos);
  auto alone = make_engine_source(head_settings())->make(load_wish(1));
  REQUIRE_FALSE(alone.ok());
  CHECK(alone.failure().code == error_code::unsupported);
}

TEST_CASE("a step and its output pass the link unchanged; what is malformed is refused") {
  const std::vector<kernels::token_id> tokens{4, 5, 6};
  const std::vector<kernels::block_id> blocks{9, 8, 7};
  const std::vector<float> stream{1.5f, -0.0f, 3e-42f, 7.0f};
  const kernels::sequence_step batch[] = {
      {.tokens = tokens, .position = 14, .blocks = blocks, .hidden = true},
      {.tokens = std::span(tokens).first(1), .position = 0, .blocks = blocks, .best = 5}};
  proto::StepStage message = step_message("name", batch, stream);
  CHECK(message.sequences(0).blocks_size() == 2);  // those that are used
  const auto got = step_of(message, 4);
  REQUIRE(got.ok());
  REQUIRE(got->batch.size() == 2);
  CHECK(got->batch[0].tokens.size() == 3);
  CHECK(got->batch[0].position == 14);
  CHECK(got->batch[0].blocks[1] == 8);
  CHECK(got->batch[0].hidden);
  CHECK(got->batch[1].best == 5);
  REQUIRE(got->stream.size() == 4);
  CHECK(std::memcmp(got->stream.data(), stream.data(), 16) == 0);
  CHECK_FALSE(step_of(message, 3).ok());
  message.mutable_stream()->pop_back();
  CHECK_FALSE(step_of(message, 4).ok());

  const std::vector<kernels::best_logits> best{{{{3, 1.25f}, {1, -2.0f}}, 17.5}};
  const kernels::stage_output out{
      .stream = {}, .logits = {.values = stream, .rows = 2, .hidden = stream, .best = best}};
  proto::StageStepped told = stepped_message("name", out);
  const auto back = output_of(told);
  REQUIRE(back.ok());
  CHECK(back->rows == 2);
  CHECK(std::memcmp(back->logits.data(), stream.data(), 16) == 0);
  CHECK(back->best[0].tokens[1].id == 1);
  CHECK(back->best[0].exponential_sum == 17.5);
  told.mutable_best(0)->add_ids(4);
  CHECK_FALSE(output_of(told).ok());
}
