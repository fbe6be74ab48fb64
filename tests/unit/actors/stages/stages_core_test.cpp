// Which parts of others' models a node computes, and for whom.
#include "actors/stages/stages_core.hpp"

#include <doctest/doctest.h>

#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

const time_point_us now{1'000'000};

std::string name_of(char c) {
  return std::string(16, c);
}

envelope_ptr open_message(char stage, const std::string& head = "head",
                          const std::string& digest = "model") {
  auto message = letter(head, "stage_desk", "stages", 7);
  proto::OpenStage& wish = *message->mutable_open_stage();
  wish.set_stage(name_of(stage));
  wish.set_model_digest(digest);
  wish.set_layer_first(2);
  wish.set_layer_end(4);
  wish.set_kv_blocks(10);
  wish.set_kv_type("f16");
  wish.set_batch_tokens_max(64);
  return message;
}

envelope_ptr step_message_of(char stage, const std::string& head = "head") {
  auto message = letter(head, "stage_desk", "stages", 8);
  message->mutable_step_stage()->set_stage(name_of(stage));
  return message;
}

struct bench_stages {
  explicit bench_stages(std::uint64_t memory = 1000, std::uint32_t stages_max = 64)
      : core({.node = "here", .memory_bytes_max = memory, .stages_max = stages_max}) {}

  void take(stages_core::effects effects) {
    for (auto& post : effects.posts) posts.push_back(std::move(post));
    for (auto& step : effects.steps) steps.push_back(std::move(step));
    for (auto& drop : effects.drops) drops.push_back(drop);
    if (effects.open) {
      CHECK_FALSE(making);  // one at a time
      making = *effects.open;
    }
  }
  void say(const envelope_ptr& message) { take(core.step(message, now)); }
  // The loader has the file that was asked for last.
  void file_comes() {
    REQUIRE(!posts.empty());
    const envelope_ptr question = posts.back();
    REQUIRE(question->has_load_model());
    posts.pop_back();
    auto reply = std::make_shared<proto::Envelope>(reply_to(*question));
    reply->mutable_model_loaded()->mutable_model()->set_path("/models/it.gguf");
    say(reply);
  }
  void is_made(std::uint64_t bytes = 100) {
    REQUIRE(making);
    const std::string stage = std::exchange(making, std::nullopt)->stage;
    take(core.stage_made(stage, kernels::engine_description{.backend = "cpu",
                                                            .numerics_class = "cpu-1",
                                                            .kv_blocks = 8,
                                                            .weight_bytes = bytes,
                                                            .kv_bytes = 20}));
  }
  void open(char stage, const std::string& head = "head", const std::string& digest = "model") {
    say(open_message(stage, head, digest));
    file_comes();
    is_made();
  }

  stages_core core;
  std::vector<envelope_ptr> posts, steps;
  std::vector<std::string> drops;
  std::optional<stage_opening> making;
};

}  // namespace

TEST_CASE("a stage is opened when its file is here, and says what it has room for") {
  bench_stages b;
  b.say(open_message('a'));
  REQUIRE(b.posts.size() == 1);
  const envelope_ptr question = b.posts.back();
  CHECK(question->target().node() == "here");
  CHECK(question->target().actor() == "model_loader");
  CHECK(question->load_model().model() == "model");
  CHECK(question->load_model().file_only());
  CHECK(question->load_model().holders(0) == "head");
  CHECK(question->deadline_ms() > 0);
  b.file_comes();
  REQUIRE(b.making);
  CHECK(b.making->path == "/models/it.gguf");
  CHECK(b.making->bytes_max == 1000);
  CHECK(b.making->wish.layer_first() == 2);
  b.is_made();
  const proto::Envelope& told = *b.posts.back();
  CHECK(told.target().node() == "head");
  CHECK(told.target().actor() == "stage_desk");
  CHECK(told.correlation() == 7);
  CHECK(told.stage_opened().kv_blocks() == 8);
  CHECK(told.stage_opened().numerics_class() == "cpu-1");
  CHECK(b.core.memory_used() == 120);
  b.say(open_message('a'));  // said again
  CHECK(b.posts.size() == 2);
  CHECK(b.posts.back()->has_stage_opened());
}

TEST_CASE("a step is computed for the head that opened the stage, and for no other") {
  bench_stages b;
  b.say(step_message_of('a'));
  CHECK(b.posts.back()->error().code() == proto::Error::NOT_FOUND);
  b.open('a');
  b.say(step_message_of('a'));
  CHECK(b.steps.size() == 1);
  b.say(step_message_of('a', "stranger"));
  CHECK(b.steps.size() == 1);
  CHECK(b.posts.back()->error().code() == proto::Error::NOT_FOUND);
  auto close = letter("stranger", "stage_desk", "stages");
  close->mutable_close_stage()->set_stage(name_of('a'));
  b.say(close);
  CHECK(b.drops.empty());
  close = letter("head", "stage_desk", "stages");
  close->mutable_close_stage()->set_stage(name_of('a'));
  b.say(close);
  CHECK(b.drops == std::vector<std::string>{name_of('a')});
  CHECK(b.core.memory_used() == 0);
  b.say(step_message_of('a'));
  CHECK(b.steps.size() == 1);
}

TEST_CASE("a head that is lost, or that opens the model again, gives its memory back") {
  bench_stages b;
  b.open('a');
  b.open('b', "other");
  b.open('c', "head", "second model");
  CHECK(b.core.size() == 3);
  b.open('d');
  CHECK(b.drops == std::vector<std::string>{name_of('a')});
  b.take(b.core.lose_node("head"));
  CHECK(b.core.size() == 1);
  CHECK(b.drops.size() == 3);
  b.say(step_message_of('b', "other"));
  CHECK(b.steps.size() == 1);
}

TEST_CASE("stages are made one after the other, each within what the others have left") {
  bench_stages b;
  b.say(open_message('a'));
  b.file_comes();
  b.say(open_message('b', "other"));
  const std::optional<stage_opening> first = b.making;
  b.file_comes();
  REQUIRE(first);
  CHECK(b.making->stage == first->stage);  // still the first
  b.is_made(700);
  REQUIRE(b.making);
  CHECK(b.making->bytes_max == 1000 - 720);
  b.take(b.core.lose_node("other"));  // while it is made
  b.is_made();
  CHECK(b.drops == std::vector<std::string>{name_of('b')});
  CHECK(b.core.size() == 1);
}

TEST_CASE("a stage that cannot be had is refused with the reason") {
  bench_stages b(1000, 2);
  b.say(open_message('a'));
  auto missing = std::make_shared<proto::Envelope>(reply_to(*b.posts.back()));
  missing->mutable_error()->set_code(proto::Error::NOT_FOUND);
  missing->mutable_error()->set_message("no such model");
  b.say(missing);
  CHECK(b.posts.back()->error().message() == "no such model");
  CHECK(b.posts.back()->target().node() == "head");
  CHECK(b.core.size() == 0);

  b.say(open_message('b'));
  b.file_comes();
  const std::string stage = std::exchange(b.making, std::nullopt)->stage;
  b.take(b.core.stage_made(stage, error{error_code::resource_exhausted, "too large", "fewer"}));
  CHECK(b.posts.back()->error().code() == proto::Error::RESOURCE_EXHAUSTED);

  b.say(open_message('c'));  // its file never comes
  b.take(b.core.tick(now + std::chrono::seconds(599)));
  CHECK(b.core.size() == 1);
  b.take(b.core.tick(now + std::chrono::seconds(600)));
  CHECK(b.posts.back()->error().code() == proto::Error::DEADLINE_EXCEEDED);

  for (const char stage_name : {'d', 'e', 'f'})
    b.say(open_message(stage_name, std::string("head of ") + stage_name));
  CHECK(b.posts.back()->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  CHECK(b.core.size() == 2);
}

TEST_CASE("an opening that makes no sense is refused, and nothing is asked for") {
  const auto refused = [](auto&& spoil) {
    bench_stages b;
    auto message = std::make_shared<proto::Envelope>(*open_message('a'));
    spoil(*message->mutable_open_stage());
    b.say(message);
    return b.posts.size() == 1 &&
           b.posts.front()->error().code() == proto::Error::INVALID_ARGUMENT && b.core.size() == 0;
  };
  CHECK(refused([](proto::OpenStage& w) { w.set_stage("short"); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_layer_first(0); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_layer_end(2); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_kv_blocks(0); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_kv_type("q1"); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_batch_tokens_max(0); }));
  CHECK(refused([](proto::OpenStage& w) { w.set_batch_tokens_max(1u << 30); }));
}
