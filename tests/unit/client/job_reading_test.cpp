#include "cluster/client/job_reading.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "actors/running_hash.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/client/utf8_text.hpp"
#include "cluster/client/uuid.hpp"

using namespace troupe;
using namespace troupe::client;

namespace {

proto::JobAccepted accepted() {
  proto::JobAccepted out;
  out.set_job_id(std::string(16, 'j'));
  out.set_model_name("tiny");
  return out;
}

proto::JobTokens frame_of(std::uint32_t first, std::vector<std::int32_t> all) {
  proto::JobTokens out;
  out.set_first_index(first);
  out.mutable_ids()->Add(all.begin() + first, all.end());
  out.set_text("x");
  out.set_running_hash(running_hash_of(all));
  return out;
}

proto::JobFinished end_of(std::vector<std::int32_t> all, proto::FinishReason reason) {
  proto::JobFinished out;
  out.set_job_id(std::string(16, 'j'));
  out.set_reason(reason);
  out.set_answer_tokens(static_cast<std::uint32_t>(all.size()));
  out.set_running_hash(running_hash_of(all));
  return out;
}

}  // namespace

TEST_CASE("a whole stream: tokens in order, credit as they are read, then the report") {
  job_reading reading(4);
  CHECK(!reading.accepted());
  reading.take(accepted());
  reading.take(frame_of(0, {5, 6, 7}));
  REQUIRE(reading.has_token());
  CHECK(reading.pop().id == 5);
  CHECK(reading.credit_due() == 0);
  CHECK(reading.pop().text.empty());
  CHECK(reading.credit_limit() == 4);
  CHECK(reading.credit_due() == 6);
  CHECK(reading.credit_due() == 0);
  CHECK(reading.credit_limit() == 6);
  const token third = reading.pop();
  CHECK(third.index == 2);
  CHECK(third.text == "x");
  reading.take(end_of({5, 6, 7}, proto::END_OF_TEXT));
  CHECK(reading.ended());
  CHECK(!reading.failure());
  CHECK(reading.summary().reason == finish_reason::end_of_text);
  CHECK(reading.summary().answer_tokens == 3);
}

TEST_CASE("a stream that is not what it says fails, and stays failed") {
  job_reading reading(4);
  SUBCASE("tokens before the job was accepted") {
    reading.take(frame_of(0, {5}));
  }
  SUBCASE("a gap") {
    reading.take(accepted());
    reading.take(frame_of(1, {5, 6}));
  }
  SUBCASE("a repetition") {
    reading.take(accepted());
    reading.take(frame_of(0, {5}));
    reading.take(frame_of(0, {5}));
  }
  SUBCASE("a hash that does not hold") {
    reading.take(accepted());
    proto::JobTokens frame = frame_of(0, {5});
    frame.set_ids(0, 6);
    reading.take(frame);
  }
  SUBCASE("an end too early") {
    reading.take(accepted());
    reading.take(frame_of(0, {5}));
    reading.take(end_of({5, 6}, proto::LENGTH));
  }
  REQUIRE(reading.failure());
  CHECK(reading.failure()->code == error_code::data_corrupt);
  reading.take(end_of({5}, proto::LENGTH));
  CHECK(reading.summary().reason == finish_reason::failed);
}

TEST_CASE("alternatives come with their tokens; a frame that has them for some only fails") {
  job_reading reading(4);
  reading.take(accepted());
  proto::JobTokens frame = frame_of(0, {5, 6});
  proto::TokenAlternatives& first = *frame.add_alternatives();
  for (const std::int32_t id : {5, 9}) {
    first.add_ids(id);
    first.add_log_probabilities(-static_cast<float>(id));
  }
  SUBCASE("each token has its own") {
    frame.add_alternatives()->add_ids(6);
    frame.mutable_alternatives(1)->add_log_probabilities(-1);
    reading.take(frame);
    const token one = reading.pop();
    REQUIRE(one.alternatives.size() == 2);
    CHECK(one.alternatives[1].id == 9);
    CHECK(one.alternatives[1].log_probability == -9);
    CHECK(reading.pop().alternatives.size() == 1);
  }
  SUBCASE("one is missing") {
    reading.take(frame);
    REQUIRE(reading.failure());
    CHECK(reading.failure()->code == error_code::data_corrupt);
  }
}

TEST_CASE("numbers that a prompt was read for are in the report, and there are no tokens") {
  job_reading reading(4);
  reading.take(accepted());
  proto::JobFinished end = end_of({}, proto::END_OF_TEXT);
  end.add_embedding(0.6f);
  end.add_embedding(-0.8f);
  end.add_prompt_log_probabilities(-1.5f);
  end.mutable_provenance()->set_prefix_tokens(16);
  end.mutable_provenance()->set_class_changed(true);
  reading.take(end);
  CHECK(!reading.failure());
  CHECK(reading.ended());
  CHECK(reading.summary().embedding == std::vector<float>{0.6f, -0.8f});
  CHECK(reading.summary().prompt_log_probabilities == std::vector<float>{-1.5f});
  CHECK(reading.summary().prefix_tokens == 16);
  CHECK(reading.summary().class_changed);
}

TEST_CASE("tokens that came before a failure are still read") {
  job_reading reading(4);
  reading.take(accepted());
  reading.take(frame_of(0, {5}));
  proto::JobFinished end = end_of({5}, proto::FAILED);
  end.mutable_error()->set_code(proto::Error::UNAVAILABLE);
  end.mutable_error()->set_message("gone");
  reading.take(end);
  CHECK(reading.has_token());
  CHECK(reading.failure()->message == "gone");
}

TEST_CASE("job ids: version 7, unique, text and back; anything else is refused") {
  const std::string id = make_uuid();
  REQUIRE(id.size() == 16);
  const std::string text = uuid_text(id);
  CHECK(text.size() == 36);
  CHECK(text[14] == '7');
  CHECK(std::string("89ab").find(text[19]) != std::string::npos);
  CHECK(*uuid_bytes(text) == id);
  CHECK(make_uuid() != id);
  for (const char* wrong :
       {"", "x", "0198c6f25a1070008000000000000001", "0198c6f2-5a10-7000-8000-00000000000g",
        "0198c6f2-5a10-7000-8000-0000000000011"})
    CHECK(!uuid_bytes(wrong));
}

TEST_CASE("UTF-8: every well-formed range, every fault at its byte") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    CHECK(!utf8_fault(good));
  CHECK(utf8_fault("a\xff") == 1);
  CHECK(utf8_fault("\x80") == 0);
  CHECK(utf8_fault("ab\xc3") == 2);            // cut short
  CHECK(utf8_fault("\xc0\xaf") == 0);          // overlong
  CHECK(utf8_fault("\xe0\x80\xaf") == 0);      // overlong
  CHECK(utf8_fault("\xed\xa0\x80") == 0);      // surrogate
  CHECK(utf8_fault("\xf4\x90\x80\x80") == 0);  // past U+10FFFF
  CHECK(utf8_fault("x\xe2\x82y") == 1);
}

TEST_CASE("the status document has every field under its name, in one order") {
  proto::ClusterStatus status;
  status.set_gateway_node("home");
  proto::NodeStatus& node = *status.add_nodes();
  node.set_node("home");
  node.set_memory_bytes(1ull << 40);
  node.add_models()->set_state(proto::READY);
  node.mutable_jobs()->mutable_total_seconds()->set_p50(0.25);
  const std::string text = status_document(status);
  CHECK(text == status_document(status));
  const auto read = nlohmann::ordered_json::parse(text);
  CHECK(read.begin().key() == "gateway_node");
  const auto& part = read.at("nodes").at(0);
  CHECK(part.at("memory_bytes") == (1ull << 40));
  CHECK(part.at("models").at(0).at("state") == "ready");
  CHECK(part.at("jobs").at("total_seconds").at("p50") == 0.25);
  CHECK(part.at("links").empty());
  CHECK(part.at("up") == false);
  CHECK(part.size() == static_cast<std::size_t>(proto::NodeStatus::descriptor()->field_count()));
}
