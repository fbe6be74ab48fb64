#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/actors/loader_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;

TEST_CASE("models are found, named, described, and not hashed again after a restart") {
  auto disk = disk_with({{"alpha", 'a'}, {"beta", 'b'}});
  disk->files["/elsewhere/x.gguf"] = {"x", digest_of('c')};
  disk->aliases["/elsewhere/x.gguf"] = "chosen";
  loader_bench b{disk};
  CHECK(b.model("alpha").digest() == digest_of('a'));
  CHECK(b.model("alpha").state() == proto::ON_DISK);
  CHECK(b.model("alpha").tokenizer_digest() == std::string(64, 'e'));
  CHECK(b.model("alpha").quantization() == "q8_0");
  CHECK(b.model("chosen").digest() == digest_of('c'));
  CHECK(disk->hashed == 3);
  loader_bench again{disk};
  CHECK(again.model("beta").digest() == digest_of('b'));
  CHECK(disk->hashed == 3);
  disk->files["/models/beta.gguf"].modified = 2;
  loader_bench third{disk};
  CHECK(disk->hashed == 4);
}

TEST_CASE("who asks for the models before the first scan hears of them after it, not of none") {
  loader_core core({}, 1u << 30, {}, {});
  const time_point_us now{0};
  core.begin(now);
  auto question = std::make_shared<proto::Envelope>();
  question->set_correlation(7);
  question->mutable_list_models();
  CHECK(core.step(question, now).posts.empty());
  const auto answered = core.absorb(files_scanned{{{"/models/one.gguf", {}, 3, 1}}}, now);
  REQUIRE(answered.posts.size() == 1);
  CHECK(answered.posts[0]->correlation() == 7);
  REQUIRE(answered.posts[0]->model_list().models_size() == 1);
  CHECK(answered.posts[0]->model_list().models(0).name() == "one");
  CHECK(core.step(question, now).posts.size() == 1);
}

TEST_CASE("the own node hears of each change without asking again, and of nothing else") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  const auto told = [&] {
    std::vector<proto::ModelState> states;
    for (const envelope_ptr& post : std::exchange(b.posts, {}))
      if (post->has_model_list() && post->target().actor() == "node") {
        CHECK(post->target().node() == "here");
        states.push_back(post->model_list().models(0).state());
      }
    return states;
  };
  b.load("alpha");
  CHECK(told().empty());  // it has not asked yet
  auto question = letter("here", "node", "model_loader", 7);
  question->mutable_list_models();
  b.say(question);
  CHECK(told() == std::vector{proto::LOADING});
  b.inference_answers();
  CHECK(told() == std::vector{proto::READY});
  b.say(prompt("alpha", "abc"));
  b.take(b.core->tick(b.now));
  CHECK(told().empty());
  auto strange = letter("there", "node", "model_loader", 8);  // it gets its answer, and no more
  strange->mutable_list_models();
  b.say(strange);
  b.posts.clear();
  b.take(b.core->inference_restarted(b.now));
  CHECK(told() == std::vector{proto::LOADING});
}

TEST_CASE("a model loads once for all who ask, by name or digest") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  b.load("alpha", {}, 1);
  b.load(digest_of('a'), {}, 2);
  REQUIRE(b.to_inference.size() == 1);
  CHECK(b.to_inference[0]->load_engine().path() == "/models/alpha.gguf");
  CHECK(b.to_inference[0]->load_engine().kv_bytes() == 4 * 2 * 10);
  CHECK(b.posts.empty());
  b.inference_answers();
  REQUIRE(b.posts.size() == 2);
  CHECK(b.posts[0]->model_loaded().model().state() == proto::READY);
  CHECK(b.posts[1]->correlation() == 2);
  b.load("alpha", {}, 3);
  CHECK(b.posts.size() == 3);
  CHECK(b.to_inference.empty());
}

TEST_CASE("an unknown model is not found, and the known ones are listed") {
  loader_bench b{disk_with({{"alpha", 'a'}, {"beta", 'b'}})};
  b.load("gamma");
  CHECK(b.last().error().code() == proto::Error::NOT_FOUND);
  CHECK(b.last().error().mend().find("alpha, beta") != std::string::npos);
  b.say(prompt("gamma", "abc"));
  CHECK(b.last().error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE("a file that was just put there is found when it is asked for") {
  auto disk = disk_with({});
  loader_bench b{disk};
  disk->files["/models/late.gguf"] = {"late", digest_of('d')};
  b.load("late");
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("prompts become ids; what cannot is refused with the reason") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  b.say(prompt("alpha", "abc"));
  CHECK(b.last().prompt_prepared().ids_size() == 3);
  CHECK(b.last().prompt_prepared().ids(1) == 2);
  CHECK(b.last().prompt_prepared().model_digest() == digest_of('a'));
  CHECK(b.last().prompt_prepared().context_tokens() == 32);
  b.say(prompt("alpha", std::string(32, 'a')));
  CHECK(b.last().error().code() == proto::Error::INVALID_ARGUMENT);
  CHECK(b.last().error().message().find("32 tokens") != std::string::npos);
  b.say(prompt("alpha", "ab\xff"));
  CHECK(b.last().error().message().find("byte 2") != std::string::npos);
  b.say(prompt("alpha", ""));
  CHECK(b.last().error().code() == proto::Error::INVALID_ARGUMENT);
}

TEST_CASE("a prompt that comes while its model is hashed waits for it") {
  loader_bench b{disk_with({})};
  b.hold_examines = true;
  b.disk->files["/models/slow.gguf"] = {"slow", digest_of('e')};
  b.load("slow");
  REQUIRE(b.held.size() == 1);
  b.say(prompt("slow", "abc"));
  CHECK(b.posts.empty());
  b.take(b.core->absorb(*carry_out(b.held[0], *b.disk), b.now));
  CHECK(b.last().has_prompt_prepared());
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("a broken file fails with its reason, and a mended one is taken") {
  auto disk = disk_with({});
  disk->files["/models/bad.gguf"] = {"broken", digest_of('f')};
  loader_bench b{disk};
  CHECK(b.model("bad").state() == proto::MODEL_FAILED);
  CHECK(b.model("bad").failure() == "not a model");
  b.load("bad");
  CHECK(b.last().error().code() == proto::Error::DATA_CORRUPT);
  disk->files["/models/bad.gguf"] = {"now good", digest_of('f')};
  b.now += time_point_us{11'000'000};
  b.take(b.core->tick(b.now));
  CHECK(b.model("bad").state() == proto::ON_DISK);
  b.load("bad");
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE(
    "a full budget unloads what is idle longest, never what is busy, and says when it cannot") {
  loader_settings settings;
  settings.memory_bytes_max = 2200;  // room for two
  settings.kv_bytes = 80;
  loader_bench b{disk_with({{"m1", '1'}, {"m2", '2'}, {"m3", '3'}}), settings};
  for (const char* name : {"m1", "m2"}) {
    b.load(name);
    b.inference_answers();
    b.now += time_point_us{1'000'000};
  }
  b.load("m3");
  CHECK(b.last().error().code() ==
        proto::Error::RESOURCE_EXHAUSTED);  // both were used a moment ago
  CHECK(b.last().error().message().find("2200") != std::string::npos);
  CHECK(b.to_inference.empty());
  b.now += time_point_us{20'000'000};
  b.busy[digest_of('1')] = 1;  // the least recently used one still answers
  b.load("m3");
  REQUIRE(b.to_inference.size() == 2);
  CHECK(b.to_inference[0]->unload_engine().model_digest() == digest_of('2'));
  CHECK(b.to_inference[1]->load_engine().model_digest() == digest_of('3'));
  CHECK(b.model("m2").state() == proto::ON_DISK);
  CHECK(b.model("m1").state() == proto::READY);
  b.inference_answers();
  b.inference_answers();
  b.now += time_point_us{20'000'000};
  b.busy.clear();
  b.load("m2");
  REQUIRE(b.to_inference.size() == 2);
  CHECK(b.to_inference[0]->unload_engine().model_digest() == digest_of('1'));
}

TEST_CASE("a model for which the GPU has no room unloads one idle model after the other") {
  loader_settings settings;
  settings.gpu_computes = true;
  loader_bench b{disk_with({{"m1", '1'}, {"m2", '2'}, {"m3", '3'}}), settings};
  for (const char* name : {"m1", "m2"}) {
    b.load(name);
    CHECK_FALSE(b.to_inference.front()->load_engine().refuse_full_gpu());
    b.inference_answers();
  }
  const auto gpu_is_full = [&] {
    const envelope_ptr request = b.to_inference.back();
    REQUIRE(request->has_load_engine());
    b.to_inference.clear();
    b.say(refuse(*request, proto::Error::RESOURCE_EXHAUSTED, "the GPU is full"));
  };
  b.load("m3");  // the others were used a moment ago
  REQUIRE(b.to_inference.size() == 1);
  CHECK_FALSE(b.to_inference[0]->load_engine().refuse_full_gpu());
  gpu_is_full();
  CHECK(b.last().error().code() == proto::Error::RESOURCE_EXHAUSTED);
  CHECK(b.model("m1").state() == proto::READY);

  b.now += time_point_us{20'000'000};
  b.load("m3");
  REQUIRE(b.to_inference.size() == 1);
  CHECK(b.to_inference[0]->load_engine().refuse_full_gpu());
  const std::size_t said = b.posts.size();
  gpu_is_full();
  REQUIRE(b.to_inference.size() == 2);
  CHECK(b.to_inference[0]->unload_engine().model_digest() == digest_of('1'));
  CHECK(b.to_inference[1]->load_engine().refuse_full_gpu());
  CHECK(b.model("m3").state() == proto::LOADING);
  gpu_is_full();
  REQUIRE(b.to_inference.size() == 2);
  CHECK(b.to_inference[0]->unload_engine().model_digest() == digest_of('2'));
  CHECK_FALSE(b.to_inference[1]->load_engine().refuse_full_gpu());  // now the processor may
  CHECK(b.posts.size() == said);
  b.to_inference.erase(b.to_inference.begin());
  b.inference_answers();
  CHECK(b.model("m3").state() == proto::READY);
  CHECK(b.last().has_model_loaded());
}

TEST_CASE(
    "nobody is unloaded where no GPU computes, or where another node has no room for its part") {
  loader_settings processor, split;
  split.gpu_computes = true;
  split.splits = {{"m2", {{"peer", 1}}}};
  for (const loader_settings& settings : {processor, split}) {
    loader_bench b{disk_with({{"m1", '1'}, {"m2", '2'}}), settings};
    b.load("m1");
    b.inference_answers();
    b.now += time_point_us{20'000'000};
    b.load("m2");
    REQUIRE(b.to_inference.size() == 1);
    const envelope_ptr request = b.to_inference.front();
    REQUIRE(request->has_load_engine());
    CHECK_FALSE(request->load_engine().refuse_full_gpu());
    b.to_inference.clear();
    b.say(refuse(*request, proto::Error::RESOURCE_EXHAUSTED, "there is no room"));
    CHECK(b.to_inference.empty());
    CHECK(b.model("m1").state() == proto::READY);
    CHECK(b.model("m2").state() != proto::LOADING);
  }
}

TEST_CASE("a canary that differs from what this node saw before fails the model") {
  auto disk = disk_with({{"alpha", 'a'}});
  {
    loader_bench b{disk};
    b.load("alpha");
    b.inference_answers({7, 8, 9});
    CHECK(b.model("alpha").state() == proto::READY);
  }
  loader_bench b{disk};
  b.load("alpha");
  b.inference_answers({7, 8, 1});
  CHECK(b.model("alpha").state() == proto::MODEL_FAILED);
  CHECK(b.model("alpha").failure().find("7 8 1") != std::string::npos);
  CHECK(b.last().error().code() == proto::Error::DATA_CORRUPT);
  REQUIRE(b.to_inference.size() == 1);
  CHECK(b.to_inference[0]->has_unload_engine());
}

TEST_CASE(
    "a canary that differs from another node's fails the model, also when it is heard of later") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  b.load("alpha", {"peer"});
  b.inference_answers({7, 8, 9});
  CHECK(b.model("alpha").state() == proto::READY);
  const auto question = std::find_if(b.posts.begin(), b.posts.end(),
                                     [](const auto& p) { return p->has_list_models(); });
  REQUIRE(question != b.posts.end());
  auto reply = std::make_shared<proto::Envelope>(reply_to(**question));
  auto& theirs = *reply->mutable_model_list()->add_models();
  theirs.set_digest(digest_of('a'));
  theirs.set_numerics_class("cuda-sm90-1");
  theirs.add_canary_ids(5);
  auto& same_class = *reply->mutable_model_list()->add_models();
  same_class.set_digest(digest_of('a'));
  same_class.set_numerics_class("cpu-1");
  for (int id : {7, 8, 8}) same_class.add_canary_ids(id);
  b.say(reply);
  CHECK(b.model("alpha").state() == proto::MODEL_FAILED);
  CHECK(b.model("alpha").failure().find("node peer") != std::string::npos);
}

TEST_CASE("a request's deadline is kept while its model loads, and the model loads on") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  auto message = letter("gate", "gateway", "model_loader", 1);
  message->mutable_load_model()->set_model("alpha");
  message->set_deadline_ms(100);
  b.say(message);
  b.take(b.core->tick(b.now + std::chrono::milliseconds{101}));
  CHECK(b.last().error().code() == proto::Error::DEADLINE_EXCEEDED);
  b.inference_answers();
  CHECK(b.model("alpha").state() == proto::READY);
  CHECK(b.posts.size() == 1);
}

TEST_CASE("a restarted inference actor gets its models again") {
  loader_bench b{disk_with({{"alpha", 'a'}, {"beta", 'b'}})};
  b.load("alpha");
  b.inference_answers();
  b.take(b.core->inference_restarted(b.now));
  REQUIRE(b.to_inference.size() == 1);
  CHECK(b.to_inference[0]->load_engine().model_digest() == digest_of('a'));
  auto away = std::make_shared<proto::Envelope>(
      *refuse(*b.to_inference[0], proto::Error::UNAVAILABLE, "away"));
  b.to_inference.clear();
  b.say(away);
  CHECK(b.model("alpha").state() == proto::ON_DISK);
  b.take(b.core->inference_restarted(b.now));
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("models named at the start are loaded without being asked for") {
  loader_settings settings;
  settings.load_at_start = {"alpha", "absent"};
  loader_bench b{disk_with({{"alpha", 'a'}}), settings};
  REQUIRE(b.to_inference.size() == 1);
  b.inference_answers();
  CHECK(b.model("alpha").state() == proto::READY);
  CHECK(b.posts.empty());
}

TEST_CASE("what the loader remembers survives its text form; damaged lines are left out") {
  loader_memory memory;
  memory.remember_digest("/a path/m.gguf", 12, 34, digest_of('a'));
  memory.remember_canary(digest_of('a'), "cpu-1", {1, -2, 3});
  memory.remember_partial("name", digest_of('b'));
  const std::string text = memory.text();
  const loader_memory back =
      loader_memory::parse("garbage\t1\n" + text + "canary\tshort\tcpu-1\t1,x\nfile\tno\n");
  CHECK(back.digest_of("/a path/m.gguf", 12, 34) == digest_of('a'));
  CHECK_FALSE(back.digest_of("/a path/m.gguf", 12, 35));
  REQUIRE(back.canary(digest_of('a'), "cpu-1") != nullptr);
  CHECK(*back.canary(digest_of('a'), "cpu-1") == std::vector<std::int32_t>{1, -2, 3});
  CHECK(back.partial("name") == digest_of('b'));
  CHECK(back.text() == text);
}

TEST_CASE("the disk: scanning, partial files, a wrong digest deletes, a right one renames") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("troupe-loader-" + std::to_string(::getpid()));
  fs::remove_all(root);
  loader_settings settings;
  settings.directories = {root / "models"};
  settings.state_file = root / "state" / "loader";
  const auto files = make_disk_model_files(settings);
  std::ofstream{root / "models" / "m.gguf"} << "not a gguf";
  std::ofstream{root / "models" / "note.txt"} << "no model";
  REQUIRE(files->scan().size() == 1);
  CHECK_FALSE(files->describe(root / "models" / "m.gguf").ok());
  CHECK(*files->open_partial("far", 10, false) == 0);
  CHECK(*files->write_partial("far", 0, "hello") == 5);
  CHECK(*files->open_partial("far", 10, true) == 5);
  CHECK(*files->write_partial("far", 5, "there") == 10);
  CHECK(*files->read(root / "models" / "far.partial", 3, 4) == "loth");
  const std::string digest = *files->digest(root / "models" / "far.partial");
  CHECK_FALSE(files->finish_partial("far", digest_of('0')).ok());
  CHECK_FALSE(fs::exists(root / "models" / "far.partial"));
  (void)files->open_partial("far", 10, true);
  (void)files->write_partial("far", 0, "hellothere");
  const auto finished = files->finish_partial("far", digest);
  REQUIRE(finished.ok());
  CHECK(finished->path.filename() == "far.gguf");
  CHECK(finished->size_bytes == 10);
  CHECK_FALSE(files->open_partial("huge", std::uint64_t{1} << 60, false).ok());
  files->save_memory("text");
  CHECK(files->load_memory() == "text");
  fs::remove_all(root);
}

TEST_CASE(
    "a model in parts takes memory for its own layers, and its engine is told of the others") {
  loader_settings settings;
  settings.splits = {{"alpha", {{"pc2", 3}, {"pc3", 2}}}};
  settings.memory_bytes_max = 1000;  // the whole model would not fit
  settings.kv_bytes = 100;
  loader_bench b{disk_with({{"alpha", 'a'}}), settings};
  b.load("alpha");
  REQUIRE(b.to_inference.size() == 1);
  const proto::LoadEngine& wish = b.to_inference[0]->load_engine();
  CHECK(wish.weight_bytes_max() == 500);
  CHECK(wish.kv_bytes() == 100);
  REQUIRE(wish.stages_size() == 2);
  CHECK(wish.stages(0).node() == "pc2");
  CHECK(wish.stages(0).layers() == 3);
  CHECK(wish.stages(1).node() == "pc3");
}

TEST_CASE("a model in parts that lost one is loaded again by itself, and by the next wish") {
  loader_settings settings;
  settings.splits = {{"alpha", {{"pc2", 3}}}};
  loader_bench b{disk_with({{"alpha", 'a'}}), settings};
  b.load("alpha");
  b.inference_answers();
  CHECK(b.model("alpha").state() == proto::READY);
  const auto lost = [](const std::string& actor) {
    auto message = letter("here", actor, "model_loader");
    message->mutable_engine_lost()->set_model_digest(digest_of('a'));
    message->mutable_engine_lost()->mutable_error()->set_message("node pc2 is down");
    return message;
  };
  b.say(lost("gateway"));
  CHECK(b.model("alpha").state() == proto::READY);  // not its word
  b.say(lost("inference"));
  CHECK(b.model("alpha").state() == proto::ON_DISK);
  CHECK(b.model("alpha").failure() == "node pc2 is down");
  CHECK(b.model("alpha").load_refusal() == proto::WAITS_FOR_NODE);
  CHECK(b.model("alpha").stages(0).node() == "pc2");
  const auto pass = [&](std::chrono::milliseconds time) {
    b.now += time;
    b.take(b.core->tick(b.now));
  };
  const auto fails = [&] {
    REQUIRE(b.to_inference.size() == 1);
    b.say(refuse(*std::exchange(b.to_inference, {}).front(), proto::Error::UNAVAILABLE, "gone"));
    CHECK(b.model("alpha").state() == proto::ON_DISK);
  };
  pass(std::chrono::milliseconds(400));
  CHECK(b.to_inference.empty());
  pass(std::chrono::milliseconds(200));
  fails();
  pass(std::chrono::milliseconds(600));
  CHECK(b.to_inference.empty());  // it waits longer each time
  pass(std::chrono::milliseconds(500));
  fails();
  b.load("alpha", {}, 2);  // who wants it now has it tried now
  fails();
  CHECK(b.last().error().code() == proto::Error::UNAVAILABLE);
  pass(std::chrono::seconds(15));
  b.inference_answers();
  CHECK(b.model("alpha").state() == proto::READY);
  CHECK(b.model("alpha").load_refusal() == proto::LOADABLE);
  b.say(lost("inference"));
  auto unload = letter("gate", "gateway", "model_loader", 9);
  unload->mutable_unload_model()->set_model("alpha");
  b.say(unload);
  pass(std::chrono::seconds(60));
  CHECK(b.to_inference.empty());  // it is not wanted any more
}

TEST_CASE("a model that never fits the budget says so before anybody tries to load it") {
  loader_settings settings;
  settings.memory_bytes_max = 900;
  loader_bench b{disk_with({{"alpha", 'a'}}), settings};
  CHECK(b.model("alpha").load_refusal() == proto::TOO_LARGE);
  CHECK(b.model("alpha").failure().find("the budget is 900") != std::string::npos);
  b.load("alpha");
  CHECK(b.last().error().code() == proto::Error::RESOURCE_EXHAUSTED);
}

TEST_CASE(
    "who wants the file alone gets it whole, with its path only on this node, and no engine") {
  auto disk = disk_with({{"alpha", 'a'}});
  loader_bench b{disk};
  const auto wish = [&](const std::string& node, const std::string& actor) {
    auto message = letter(node, actor, "model_loader", 3);
    message->mutable_load_model()->set_model(digest_of('a'));
    message->mutable_load_model()->set_file_only(true);
    b.say(message);
    return b.last().model_loaded().model();
  };
  CHECK(wish("here", "stages").path() == "/models/alpha.gguf");
  CHECK(wish("here", "stages").state() == proto::ON_DISK);
  CHECK(wish("elsewhere", "stages").path().empty());
  CHECK(wish("here", "gateway").path().empty());
  CHECK(wish("elsewhere", "client").name() == "alpha");
  CHECK(b.to_inference.empty());
}
