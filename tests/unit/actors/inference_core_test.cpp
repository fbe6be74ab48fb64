#include <doctest/doctest.h>

#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

bench ready(inference_settings settings = {}, std::uint32_t blocks = 64,
            std::uint32_t context = 128) {
  bench b{settings};
  b.add_model("model", blocks, context);
  b.others.clear();
  return b;
}

}  // namespace

TEST_CASE("a sequence is answered with contiguous tokens and one end") {
  bench b = ready();
  const job_wish job{.tokens_max = 10};
  b.say(start_message(job));
  b.run();
  const heard& h = b.of(job);
  CHECK(h.broken.empty());
  CHECK(h.ids.size() == 10);
  CHECK(h.log_probabilities.size() == 10);
  CHECK(h.first_index == 0);
  REQUIRE(h.finished);
  CHECK(h.finished->reason() == proto::LENGTH);
  CHECK(h.finished->answer_tokens() == 10);
  CHECK(h.finished->numerics_class() == "fake-1");
  CHECK(h.running_hash == running_hash_of(h.ids));
  CHECK(h.finished->running_hash() == h.running_hash);
  kernels::text_stream plain{std::make_shared<letters>()};
  std::string text;
  for (const auto id : h.ids) text += plain.push(id);
  CHECK(h.whole_text() == text + plain.finish());
  CHECK(h.finished->queue_us() > 0);
  CHECK(h.finished->decode_us() >= 9000);
}

TEST_CASE("LoadEngine is carried out once, answered to all who asked, and repeated at no cost") {
  bench b;
  b.say(load_engine_message("m", 5));
  b.say(load_engine_message("m", 6));
  CHECK(b.loads == 1);
  CHECK(b.others.empty());
  prf_engine engine{8, 32};
  b.take(b.core.engine_made(
      "m", engine_facts{engine.description(), std::make_shared<letters>(), {4, 5}, 77}, b.now));
  b.say(load_engine_message("m", 7));
  CHECK(b.loads == 1);
  REQUIRE(b.others.size() == 3);
  for (const auto& message : b.others) {
    CHECK(message.engine_loaded().model_digest() == "m");
    CHECK(message.engine_loaded().canary_ids_size() == 2);
    CHECK(message.engine_loaded().context_tokens() == 32);
  }
  CHECK(b.others[2].correlation() == 7);
}

TEST_CASE("an engine that cannot be made is told to all who asked, and may be tried again") {
  bench b;
  b.say(load_engine_message("m", 5));
  b.take(
      b.core.engine_made("m", error{error_code::data_corrupt, "bad file", "get another"}, b.now));
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].error().code() == proto::Error::DATA_CORRUPT);
  CHECK(b.others[0].error().mend() == "get another");
  b.say(load_engine_message("m", 6));
  CHECK(b.loads == 2);
}

TEST_CASE("forced tokens are not sent again and the answer goes on as if it had never stopped") {
  const job_wish whole{.tokens_max = 20, .temperature = 0.9f, .seed = 42};
  const heard expected = alone(whole, 64, 128);
  for (std::uint32_t delivered : {1u, 7u, 19u}) {
    bench b = ready();
    job_wish resumed = whole;
    resumed.forced.assign(expected.ids.begin(), expected.ids.begin() + delivered);
    b.say(start_message(resumed));
    b.run();
    const heard& h = b.of(resumed);
    CHECK(h.first_index == delivered);
    CHECK(h.ids == std::vector(expected.ids.begin() + delivered, expected.ids.end()));
    CHECK(h.running_hash == expected.running_hash);
    REQUIRE(h.finished);
    CHECK(h.finished->answer_tokens() == 20);
    CHECK(expected.whole_text().ends_with(h.whole_text()));
  }
}

TEST_CASE("forced tokens that already are the whole answer end it without computing") {
  const heard expected = alone({.tokens_max = 5}, 64, 128);
  bench b = ready();
  const job_wish job{.forced = expected.ids, .tokens_max = 5};
  b.say(start_message(job));
  CHECK_FALSE(b.core.has_work());
  REQUIRE(b.of(job).finished);
  CHECK(b.of(job).finished->reason() == proto::LENGTH);
  CHECK(b.of(job).ids.empty());
  CHECK(b.of(job).finished->running_hash() == expected.running_hash);
}

TEST_CASE("no more tokens are sent than credit was granted") {
  bench b = ready();
  const job_wish job{.tokens_max = 12, .credit = 3};
  b.say(start_message(job));
  b.run();
  CHECK(b.of(job).ids.size() == 3);
  CHECK_FALSE(b.core.has_work());
  b.say(grant_message(job, 7));
  CHECK(b.core.has_work());
  b.run();
  CHECK(b.of(job).ids.size() == 7);
  b.say(grant_message(job, 100));
  b.run();
  CHECK(b.of(job).ids.size() == 12);
  CHECK(b.of(job).ids == alone(job, 64, 128).ids);
  CHECK(b.of(job).finished);
}

TEST_CASE("a prompt without credit is computed but for its last token") {
  bench b = ready();
  const job_wish job{.prompt = std::vector<kernels::token_id>(40, 5), .tokens_max = 2, .credit = 0};
  b.say(start_message(job));
  b.run();
  CHECK(b.engines["model"]->tokens_seen == 39);
  CHECK(b.of(job).ids.empty());
  b.say(grant_message(job, 2));
  b.run();
  CHECK(b.of(job).ids == alone(job, 64, 128).ids);
}

TEST_CASE("a sequence that gets no credit for too long ends and frees its blocks") {
  inference_settings settings;
  settings.credit_wait = std::chrono::milliseconds{500};
  bench b = ready(settings);
  const job_wish job{.credit = 1};
  b.say(start_message(job));
  b.run();
  b.take(b.core.tick(b.now + std::chrono::milliseconds{499}));
  CHECK_FALSE(b.of(job).ended());
  b.take(b.core.tick(b.now + std::chrono::milliseconds{501}));
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
}

TEST_CASE("a higher attempt replaces a lower one; what is older is dropped and counted") {
  bench b = ready();
  job_wish first{.tokens_max = 50};
  b.say(start_message(first));
  b.turn();
  b.turn();
  job_wish second = first;
  second.attempt = 2;
  b.say(start_message(second));
  const std::size_t sent = b.of(first).ids.size();
  CHECK(b.core.count().frames_fenced == 1);
  b.say(start_message(first));
  b.say(grant_message(first, 5));
  b.say(stop_message(first));
  CHECK(b.core.count().frames_fenced == 4);
  b.run();
  CHECK(b.of(first).ids.size() == sent);
  CHECK_FALSE(b.of(first).ended());
  CHECK(b.of(second).ids.size() == 50);
  b.say(start_message(second));  // a repetition after the end starts nothing
  CHECK_FALSE(b.core.has_work());
  job_wish later = second;  // a new epoch of the gateway beats any attempt of the old one
  later.epoch = 2;
  later.attempt = 1;
  b.say(start_message(later));
  b.run();
  CHECK(b.of(later).ids == b.of(second).ids);
}

TEST_CASE("fences of different gateways do not meet") {
  bench b = ready();
  const job_wish one{.gateway = "one", .epoch = 9, .attempt = 3};
  const job_wish other{.gateway = "other", .epoch = 1, .attempt = 1};
  b.say(start_message(one));
  b.say(start_message(other));
  b.run();
  CHECK(b.of(one).ids == b.of(other).ids);
  CHECK(b.of(other).finished);
  CHECK(b.core.count().frames_fenced == 0);
}

TEST_CASE("an attempt meant for an earlier incarnation of the node is refused") {
  inference_settings settings;
  settings.incarnation = 4;
  bench b = ready(settings);
  auto message = std::make_shared<proto::Envelope>(*start_message({}));
  message->mutable_start_sequence()->mutable_fence()->set_worker_incarnation(3);
  b.say(message);
  REQUIRE(b.of({}).failed);
  CHECK(b.of({}).failed->error().code() == proto::Error::UNAVAILABLE);
}

TEST_CASE("a stop text ends the answer before it; text that may begin one waits") {
  const heard free = alone({.tokens_max = 30}, 64, 128);
  const std::string text = free.whole_text();
  REQUIRE(text.size() > 12);
  const std::string stop = text.substr(8, 3);
  bench b = ready();
  const job_wish job{.tokens_max = 30, .stop = {stop, "0123456789"}};
  b.say(start_message(job));
  b.run();
  const heard& h = b.of(job);
  REQUIRE(h.finished);
  CHECK(h.finished->reason() == proto::STOP_TEXT);
  CHECK(h.whole_text() == text.substr(0, text.find(stop)));
  CHECK(h.ids.size() < 30);
  CHECK(h.ids == std::vector(free.ids.begin(),
                             free.ids.begin() + static_cast<std::ptrdiff_t>(h.ids.size())));

  job_wish resumed = job;  // the stop matcher is replayed over forced tokens
  resumed.id = "resumed";
  resumed.forced.assign(h.ids.begin(), h.ids.end() - 1);
  b.say(start_message(resumed));
  b.run();
  CHECK(b.of(resumed).ids.size() == 1);
  CHECK(b.of(resumed).finished->reason() == proto::STOP_TEXT);
}

TEST_CASE("forced tokens past a stop text are refused") {
  const heard free = alone({.tokens_max = 30}, 64, 128);
  bench b = ready();
  const job_wish job{
      .forced = free.ids, .tokens_max = 40, .stop = {free.whole_text().substr(4, 2)}};
  b.say(start_message(job));
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::INVALID_ARGUMENT);
}

TEST_CASE("the end token ends the answer and is not part of it, unless it is to be ignored") {
  // A seed whose answer holds the end token (id 0) in the middle.
  job_wish job{.tokens_max = 60, .temperature = 1.0f};
  heard ignoring;
  std::ptrdiff_t place = -1;
  for (job.seed = 1; job.seed < 200; ++job.seed) {
    ignoring = alone(job, 64, 128);
    const auto end = std::find(ignoring.ids.begin(), ignoring.ids.end(), 0);
    place = end - ignoring.ids.begin();
    if (place > 2 && place < 59) break;
  }
  REQUIRE(place > 2);
  REQUIRE(place < 59);
  CHECK(ignoring.ids.size() == 60);
  job.ignore_end = false;
  bench b = ready();
  b.say(start_message(job));
  b.run();
  REQUIRE(b.of(job).finished);
  CHECK(b.of(job).finished->reason() == proto::END_OF_TEXT);
  CHECK(b.of(job).ids == std::vector(ignoring.ids.begin(), ignoring.ids.begin() + place));
  CHECK(b.of(job).finished->answer_tokens() == static_cast<std::uint32_t>(place));
}

TEST_CASE("StopSequence ends the attempt at once and frees its blocks") {
  bench b = ready();
  const job_wish job{.tokens_max = 50};
  b.say(start_message(job));
  b.turn();
  b.turn();
  CHECK(b.core.blocks_of("model").first < 64);
  b.say(stop_message(job));
  REQUIRE(b.of(job).finished);
  CHECK(b.of(job).finished->reason() == proto::CANCELLED_BY_CLIENT);
  CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
  CHECK_FALSE(b.core.has_work());
  b.say(stop_message(job));
  CHECK(b.of(job).broken.empty());
}

TEST_CASE("a lost gateway's sequences are dropped in silence, others run on") {
  bench b = ready();
  const job_wish lost{.id = "a", .gateway = "gone", .tokens_max = 40},
      kept{.id = "b", .tokens_max = 40};
  b.say(start_message(lost));
  b.say(start_message(kept));
  b.turn();
  b.take(b.core.lose_node("gone", b.now));
  b.run();
  CHECK_FALSE(b.of(lost).ended());
  CHECK(b.of(kept).ids.size() == 40);
  CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
}

TEST_CASE("a gateway that was lost only to this node is told, once it asks, that it is forgotten") {
  bench b = ready();
  const job_wish job{.gateway = "gone", .tokens_max = 40, .credit = 5};
  b.say(start_message(job));
  b.run();
  b.take(b.core.lose_node("gone", b.now));
  CHECK_FALSE(b.of(job).ended());
  b.say(grant_message(job, 10));
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::UNAVAILABLE);
  CHECK(b.of(job).ids.size() == 5);
  const job_wish whole{.id = "w", .gateway = "gone", .tokens_max = 3, .attempt = 2};
  b.say(start_message(whole));
  b.run();
  b.say(grant_message(whole, 10));  // it has ended, and was told so
  CHECK(b.of(whole).finished);
  CHECK_FALSE(b.of(whole).failed);
}

TEST_CASE("a gateway that was started again has forgotten its sequences") {
  bench b = ready();
  const job_wish old{.id = "a", .gateway = "again", .tokens_max = 40};
  const job_wish kept{.id = "b", .tokens_max = 40};
  b.say(start_message(old));
  b.say(start_message(kept));
  b.turn();
  auto bounced = letter("again", "gateway", "inference", 7);  // a post of ours that found nobody
  bounced->mutable_error()->set_code(proto::Error::UNAVAILABLE);
  b.say(bounced);
  CHECK(b.core.count().running == 2);
  auto told = letter("again", "gateway", "inference");
  told->mutable_error()->set_code(proto::Error::UNAVAILABLE);
  b.say(told);
  CHECK(b.core.count().running == 1);
  b.run();
  CHECK(b.of(kept).ids.size() == 40);
  CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
}

TEST_CASE("a deadline that passes ends the sequence") {
  bench b = ready();
  const job_wish job{.tokens_max = 100, .deadline_ms = 3};
  b.say(start_message(job));
  b.turn();
  b.take(b.core.tick(b.now + std::chrono::milliseconds{5}));
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK_FALSE(b.core.has_work());
}

TEST_CASE("unloading fails running sequences as UNAVAILABLE and drops the engine") {
  bench b = ready();
  const job_wish job{.tokens_max = 50};
  b.say(start_message(job));
  b.turn();
  auto message = letter("here", "model_loader", "inference", 9);
  message->mutable_unload_engine()->set_model_digest("model");
  b.say(message);
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::UNAVAILABLE);
  CHECK(b.engines.empty());
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].has_engine_unloaded());
  b.say(start_message({.id = "late"}));
  CHECK(b.of({.id = "late"}).failed->error().code() == proto::Error::UNAVAILABLE);
  CHECK_FALSE(b.core.has_work());
}

TEST_CASE("an engine that is lost fails its sequences, drops its blocks and tells the loader") {
  bench b = ready();
  b.add_model("other", 8, 64);
  b.others.clear();
  b.say(start_message({.tokens_max = 50}));
  b.say(start_message({.id = "elsewhere", .tokens_max = 4, .digest = "other"}));
  b.turn();
  b.take(
      b.core.lose_engine("model", {error_code::deadline_exceeded, "pc2 is silent", "look"}, b.now));
  REQUIRE(b.of({}).failed);
  CHECK(b.of({}).failed->error().code() == proto::Error::UNAVAILABLE);
  CHECK_FALSE(b.of({.id = "elsewhere"}).failed);
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].target().actor() == "model_loader");
  CHECK(b.others[0].engine_lost().model_digest() == "model");
  CHECK(b.others[0].engine_lost().error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK(b.core.blocks_of("model").second == 0);
  b.run();
  CHECK(b.of({.id = "elsewhere"}).finished);
  b.take(b.core.lose_engine("model", {error_code::unavailable, "again", ""}, b.now));
  CHECK(b.others.size() == 1);
}

TEST_CASE("what the engine cannot serve is refused with the numbers") {
  bench b = ready({}, 4, 40);
  const auto refused_with = [&](const job_wish& job) {
    b.say(start_message(job));
    const heard& h = b.of(job);
    REQUIRE(h.failed);
    CHECK(h.ids.empty());
    return h.failed->error();
  };
  CHECK(refused_with({.id = "long", .prompt = std::vector<kernels::token_id>(40, 1)})
            .message()
            .find("40") != std::string::npos);
  CHECK(refused_with({.id = "none", .prompt = {}}).code() == proto::Error::INVALID_ARGUMENT);
  CHECK(refused_with({.id = "id", .prompt = {99}}).message().find("99") != std::string::npos);
  CHECK(refused_with({.id = "negative", .prompt = {-1}}).code() == proto::Error::INVALID_ARGUMENT);
  CHECK(refused_with({.id = "stop", .stop = {""}}).code() == proto::Error::INVALID_ARGUMENT);
  CHECK(refused_with({.id = "hot", .temperature = -1}).code() == proto::Error::INVALID_ARGUMENT);
  CHECK(refused_with({.id = "model", .digest = "other"}).code() == proto::Error::UNAVAILABLE);
  CHECK(refused_with(
            {.id = "forced", .forced = std::vector<kernels::token_id>(9, 1), .tokens_max = 8})
            .code() == proto::Error::INVALID_ARGUMENT);
  auto unseeded =
      std::make_shared<proto::Envelope>(*start_message({.id = "seed", .temperature = 1}));
  unseeded->mutable_start_sequence()->mutable_sampling()->clear_seed();
  b.say(unseeded);
  CHECK(b.of({.id = "seed"}).failed->error().message().find("seed") != std::string::npos);
  CHECK(b.core.count().running + b.core.count().waiting == 0);
}

TEST_CASE("an answer ends where the context does") {
  bench b = ready({}, 8, 20);
  const job_wish job{.prompt = {1, 2, 3, 4, 5}, .tokens_max = 1000};
  b.say(start_message(job));
  b.run();
  CHECK(b.of(job).ids.size() == 15);
  CHECK(b.of(job).finished->reason() == proto::LENGTH);
}

TEST_CASE("a sequence larger than all KV memory is refused; prompts that do not fit now wait") {
  bench b = ready({}, 4, 128);
  const job_wish large{.id = "large", .tokens_max = 100};
  b.say(start_message(large));
  REQUIRE(b.of(large).failed);
  CHECK(b.of(large).failed->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  const auto prompt = [](kernels::token_id id) { return std::vector<kernels::token_id>(30, id); };
  const job_wish one{.id = "one", .prompt = prompt(1), .tokens_max = 20},
      two{.id = "two", .prompt = prompt(2), .tokens_max = 20}, small{.id = "small"};
  b.say(start_message(one));
  b.say(start_message(two));
  b.say(start_message(small));
  b.turn();
  CHECK(b.core.count().running == 1);
  CHECK(b.core.count().waiting == 2);  // the small one would fit, but does not overtake
  b.run();
  for (const auto& job : {one, two, small}) CHECK(b.of(job).ids == alone(job, 64, 128).ids);
}

TEST_CASE("the waiting line is bounded") {
  inference_settings settings;
  settings.sequences_running_max = 1;
  settings.sequences_waiting_max = 2;
  bench b = ready(settings);
  b.say(start_message({.id = "running"}));
  b.turn();
  b.say(start_message({.id = "w1"}));
  b.say(start_message({.id = "w2"}));
  b.say(start_message({.id = "w3"}));
  REQUIRE(b.of({.id = "w3"}).failed);
  CHECK(b.of({.id = "w3"}).failed->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  b.run();
  CHECK(b.of({.id = "w2"}).finished);
}

TEST_CASE("by default 32 sequences decode together, and five hundred more wait for their turn") {
  bench b = ready({}, 256, 128);
  std::vector<job_wish> jobs;
  for (int i = 0; i < 532; ++i) {
    jobs.push_back({.id = "s" + std::to_string(i), .prompt = {1 + i % 26, 2}, .tokens_max = 6});
    b.say(start_message(jobs.back()));
  }
  CHECK(b.core.count().waiting == 532);
  b.turn();
  CHECK(b.core.count().running == 32);
  CHECK(b.core.count().waiting == 500);
  b.run();
  CHECK(b.engines["model"]->largest_batch == 32);
  CHECK(b.core.blocks_of("model") == std::pair{256u, 256u});
  for (const job_wish& job : jobs) {
    REQUIRE(b.of(job).finished);
    CHECK(b.of(job).ids == alone(job, 64, 128).ids);
  }
}

TEST_CASE("every step batches all ready decodes, and prompt pieces up to the limit") {
  inference_settings settings;
  settings.batch_tokens_max = 8;
  bench b = ready(settings, 256, 256);
  for (int i = 0; i < 4; ++i)
    b.say(start_message({.id = "s" + std::to_string(i), .prompt = {1, 2}, .tokens_max = 30}));
  b.turn();
  b.say(start_message(
      {.id = "long", .prompt = std::vector<kernels::token_id>(100, 3), .tokens_max = 5}));
  const auto batch = b.core.plan(b.now);
  REQUIRE(batch);
  REQUIRE(batch->steps.size() == 5);
  for (int i = 0; i < 4; ++i) CHECK(batch->steps[static_cast<std::size_t>(i)].tokens.size() == 1);
  CHECK(batch->steps[4].tokens.size() == 4);
  CHECK(batch->steps[4].no_logits);
}

TEST_CASE("decodes that do not all fit into a step take turns") {
  inference_settings settings;
  settings.batch_tokens_max = 2;
  bench b = ready(settings, 256, 256);
  std::vector<job_wish> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs.push_back({.id = "s" + std::to_string(i), .prompt = {1}, .tokens_max = 40});
    b.say(start_message(jobs.back()));
  }
  for (int i = 0; i < 50; ++i) b.turn();
  for (const auto& job : jobs) {
    CHECK(b.of(job).ids.size() >= 15);
    CHECK(b.of(job).ids.size() <= 25);
  }
}

TEST_CASE("models take turns") {
  bench b;
  b.add_model("m1", 64, 128, 1);
  b.add_model("m2", 64, 128, 2);
  const job_wish one{.id = "1", .tokens_max = 30, .digest = "m1"},
      two{.id = "2", .tokens_max = 30, .digest = "m2"};
  b.say(start_message(one));
  b.say(start_message(two));
  for (int i = 0; i < 20; ++i) b.turn();
  CHECK(b.of(one).ids.size() == 10);
  CHECK(b.of(two).ids.size() == 10);
  b.run();
  CHECK(b.of(one).ids != b.of(two).ids);
  CHECK(b.of(two).ids == alone(two, 64, 128, 2).ids);
}

TEST_CASE("an engine failure ends the sequences of that step and leaves no blocks behind") {
  bench b = ready();
  b.say(start_message({.id = "a"}));
  b.say(start_message({.id = "b"}));
  b.turn();
  b.engines["model"]->fail_next = true;
  b.turn();
  CHECK(b.of({.id = "a"}).failed->error().code() == proto::Error::INTERNAL);
  CHECK(b.of({.id = "b"}).failed);
  CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
  b.engines["model"]->fail_next = false;
  b.say(start_message({.id = "c"}));
  b.run();
  CHECK(b.of({.id = "c"}).finished);
}

TEST_CASE("a message that is not for inference is refused, a stray error ignored") {
  bench b = ready();
  auto message = letter("gate", "gateway", "inference", 3);
  message->mutable_list_models();
  b.say(message);
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].error().code() == proto::Error::INVALID_ARGUMENT);
  auto stray = letter("gate", "gateway", "inference", 3);
  stray->mutable_error();
  b.say(stray);
  CHECK(b.others.size() == 1);
}

TEST_CASE("ended jobs' fences are remembered within a bound") {
  fence_table table{3};
  for (std::uint64_t i = 1; i <= 10; ++i) table.see("job" + std::to_string(i), {i, 1});
  CHECK(table.size() == 3);
  CHECK(table.knows("job10"));
  CHECK_FALSE(table.knows("job1"));
  table.see("job10", {2, 1});
  CHECK(table.newest("job10") == fence_order{10, 1});
}
