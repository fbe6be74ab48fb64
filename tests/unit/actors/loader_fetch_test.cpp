#include <doctest/doctest.h>

#include "tests/unit/actors/loader_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;

TEST_CASE("a model that only another node has is fetched in pieces, checked, and loaded") {
  auto disk = disk_with({});
  const std::string bytes = std::string(1000, 'x') + std::string(777, 'y');
  disk->true_bytes[digest_of('a')] = bytes;
  loader_settings settings;
  settings.piece_bytes = 100;
  settings.pieces_in_flight = 3;
  loader_bench b{disk, settings};
  b.load("far", {"here", "peer"});
  holder_answers(b, *disk, "far", 'a', 1);
  const auto asked = std::count_if(b.posts.begin(), b.posts.end(),
                                   [](const auto& p) { return p->has_read_model_bytes(); });
  CHECK(asked == 3);
  CHECK(b.model("far").state() == proto::FETCHING);
  holder_answers(b, *disk, "far", 'a');
  CHECK(disk->files["/models/far.gguf"].bytes == bytes);
  REQUIRE(b.to_inference.size() == 1);
  CHECK(b.to_inference[0]->load_engine().path() == "/models/far.gguf");
  CHECK(disk->hashed == 0);
  b.inference_answers();
  CHECK(b.last().model_loaded().model().name() == "far");
}

TEST_CASE("with fetching turned off nobody is asked, and the model is unknown") {
  auto disk = disk_with({});
  disk->true_bytes[digest_of('a')] = std::string(100, 'x');
  loader_settings settings;
  settings.fetch = false;
  loader_bench b{disk, settings};
  b.load("far", {"peer"});
  REQUIRE(b.posts.size() == 1);
  CHECK(b.last().error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE("a fetch goes on after a restart where it stopped") {
  auto disk = disk_with({});
  disk->true_bytes[digest_of('a')] = std::string(1000, 'z');
  loader_settings settings;
  settings.piece_bytes = 100;
  settings.pieces_in_flight = 1;
  {
    loader_bench b{disk, settings};
    b.load("far", {"peer"});
    holder_answers(b, *disk, "far", 'a', 5);
    CHECK(disk->partials["far"].size() == 400);
  }
  loader_bench b{disk, settings};
  b.load("far", {"peer"});
  holder_answers(b, *disk, "far", 'a', 1);
  const auto first = std::find_if(b.posts.begin(), b.posts.end(),
                                  [](const auto& p) { return p->has_read_model_bytes(); });
  REQUIRE(first != b.posts.end());
  CHECK((*first)->read_model_bytes().offset() == 400);
  holder_answers(b, *disk, "far", 'a');
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("a beginning of another file under the same name is not gone on with") {
  auto disk = disk_with({});
  disk->partials["far"] = std::string(500, 'q');  // nobody knows whose
  disk->true_bytes[digest_of('a')] = std::string(1000, 'z');
  loader_bench b{disk};
  b.load("far", {"peer"});
  holder_answers(b, *disk, "far", 'a');
  CHECK(disk->files["/models/far.gguf"].bytes == std::string(1000, 'z'));
}

TEST_CASE("fetched bytes that do not give the digest are refused, and the next try begins anew") {
  auto disk = disk_with({});
  memory_files liar;
  liar.true_bytes[digest_of('a')] = "not what was asked for";
  disk->true_bytes[digest_of('a')] = "the true bytes of it  ";
  loader_bench b{disk};
  b.load("far", {"peer"});
  holder_answers(b, liar, "far", 'a');
  CHECK(b.last().error().code() == proto::Error::DATA_CORRUPT);
  CHECK(b.model("far").state() == proto::MODEL_FAILED);
  b.load("far", {"peer"}, 2);
  holder_answers(b, *disk, "far", 'a');
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("lost pieces are asked for again, then the fetch is given up and can be resumed") {
  auto disk = disk_with({});
  disk->true_bytes[digest_of('a')] = std::string(500, 'z');
  loader_settings settings;
  settings.piece_bytes = 100;
  settings.piece_failures_max = 3;
  loader_bench b{disk, settings};
  b.load("far", {"peer"});
  holder_answers(b, *disk, "far", 'a', 3);
  b.take(b.core->lose_node("other", b.now));
  CHECK(b.model("far").state() == proto::FETCHING);
  b.now += std::chrono::milliseconds{10'001};
  b.take(b.core->tick(b.now));
  CHECK(b.model("far").state() == proto::MODEL_FAILED);  // four pieces were late
  CHECK(b.last().error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK(disk->partials["far"].size() == 200);
  b.posts.clear();
  b.load("far", {"peer"}, 2);
  holder_answers(b, *disk, "far", 'a');
  CHECK(b.to_inference.size() == 1);
}

TEST_CASE("a full disk is said clearly") {
  auto disk = disk_with({});
  disk->true_bytes[digest_of('a')] = std::string(500, 'z');
  disk->disk_bytes = 100;
  loader_bench b{disk};
  b.load("far", {"peer"});
  holder_answers(b, *disk, "far", 'a');
  CHECK(b.last().error().code() == proto::Error::RESOURCE_EXHAUSTED);
  CHECK(b.last().error().message() == "disk full");
}

TEST_CASE("a name from the network never becomes a path") {
  for (const std::string name : {"../../etc/passwd", ".hidden", "a/b", "a b", ""})
    CHECK_FALSE(is_safe_name(name));
  CHECK(is_safe_name("Llama-3.2_1B.q8"));
  auto disk = disk_with({});
  disk->true_bytes[digest_of('a')] = "evil";
  loader_bench b{disk};
  b.load(digest_of('a'), {"peer"});
  holder_answers(b, *disk, "../../etc/cron.d/x", 'a');
  CHECK(disk->files.contains("/models/" + digest_of('a') + ".gguf"));
  CHECK(disk->files.size() == 1);
}

TEST_CASE("no holder has it: not found, after all of them answered or were late") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  b.load("far", {"peer", "other"});
  REQUIRE(b.posts.size() == 2);
  auto empty = std::make_shared<proto::Envelope>(reply_to(*b.posts[0]));
  empty->mutable_model_list();
  b.say(empty);
  CHECK(b.posts.size() == 2);
  b.now += std::chrono::milliseconds{5'001};
  b.take(b.core->tick(b.now));
  CHECK(b.last().error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE("bytes are served in bounded pieces of known files only") {
  loader_bench b{disk_with({{"alpha", 'a'}})};
  const auto ask = [&](const std::string& digest, std::uint64_t offset,
                       std::uint32_t length) -> const proto::Envelope& {
    auto message = letter("peer", "model_loader", "model_loader", 3);
    message->mutable_read_model_bytes()->set_digest(digest);
    message->mutable_read_model_bytes()->set_offset(offset);
    message->mutable_read_model_bytes()->set_length(length);
    b.say(message);
    return b.last();
  };
  CHECK(ask(digest_of('a'), 6, 2).model_bytes().data() == "of");
  CHECK(ask(digest_of('a'), 6, 4'000'000'000u).model_bytes().data() == "of alpha");
  CHECK(ask(digest_of('a'), 6, 2).model_bytes().total_bytes() == 14);
  CHECK(ask(digest_of('a'), 14, 1).error().code() == proto::Error::INVALID_ARGUMENT);
  CHECK(ask(digest_of('a'), ~std::uint64_t{0}, 1).error().code() == proto::Error::INVALID_ARGUMENT);
  CHECK(ask("alpha", 0, 1).error().code() == proto::Error::NOT_FOUND);
  CHECK(ask("../alpha", 0, 1).error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE("a file that is wanted alone is fetched and not loaded, until somebody wants the model") {
  for (const bool wanted_meanwhile : {false, true}) {
    auto disk = disk_with({});
    disk->true_bytes[digest_of('a')] = std::string(1000, 'x');
    loader_settings settings;
    settings.piece_bytes = 100;
    loader_bench b{disk, settings};
    auto message = letter("here", "stages", "model_loader", 5);
    message->mutable_load_model()->set_model(digest_of('a'));
    message->mutable_load_model()->set_file_only(true);
    message->mutable_load_model()->add_holders("peer");
    b.say(message);
    holder_answers(b, *disk, "far", 'a', 2);
    CHECK(b.model("far").state() == proto::FETCHING);
    if (wanted_meanwhile) b.load("far", {}, 6);
    holder_answers(b, *disk, "far", 'a');
    const bool answered = std::any_of(b.posts.begin(), b.posts.end(), [](const auto& p) {
      return p->correlation() == 5 && p->model_loaded().model().path() == "/models/far.gguf";
    });
    CHECK(answered);
    CHECK(b.to_inference.size() == (wanted_meanwhile ? 1 : 0));
  }
}
