// Long jobs: one id is one job, a bounded number runs, anyone reads from any index.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cluster/client/uuid.hpp"
#include "cluster/http/job_book.hpp"

using namespace troupe;
using namespace troupe::http;
using nlohmann::json;

namespace {

job_wish wish(char id, proto::JobPriority priority = proto::PRIORITY_NORMAL) {
  job_wish out;
  out.id = std::string(16, id);
  out.job.set_priority(priority);
  out.job.mutable_job()->set_model("tiny");
  out.job.mutable_job()->set_text("hi");
  out.job.mutable_job()->set_tokens_max(8);
  return out;
}

proto::Envelope to_session(char id) {
  proto::Envelope out;
  out.mutable_target()->set_node(std::string(job_session_prefix) +
                                 client::uuid_text(std::string(16, id)));
  return out;
}

void tokens(job_book& book, char id, std::uint32_t first, std::uint32_t count,
            const std::string& text) {
  proto::Envelope e = to_session(id);
  e.mutable_job_tokens()->set_first_index(first);
  for (std::uint32_t i = 0; i < count; ++i) e.mutable_job_tokens()->add_ids(7);
  e.mutable_job_tokens()->set_text(text);
  book.take(e);
}

void finish(job_book& book, char id) {
  proto::Envelope e = to_session(id);
  e.mutable_job_finished()->set_reason(proto::LENGTH);
  e.mutable_job_finished()->mutable_provenance()->set_worker_node("w");
  book.take(e);
}

json state(const job_book& book, char id) {
  return json::parse(book.state(std::string(16, id)).value_or("{}"));
}

bool is_new(job_book& book, const job_wish& w) {
  const auto outcome = book.submit(w, 5);
  REQUIRE(std::holds_alternative<job_book::submitted>(outcome));
  return std::get<job_book::submitted>(outcome).is_new;
}

}  // namespace

TEST_CASE("a bounded number of jobs runs; urgent ones go first, the background last") {
  job_book book({"n", 16, 1});
  CHECK(is_new(book, wish('a')));
  CHECK(is_new(book, wish('b', proto::PRIORITY_BACKGROUND)));
  CHECK(is_new(book, wish('c')));
  CHECK(is_new(book, wish('d', proto::PRIORITY_URGENT)));
  auto sent = book.take_messages();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].submit_job().job_id() == std::string(16, 'a'));
  CHECK(sent[0].submit_job().credit_tokens() == 8);
  CHECK(state(book, 'b')["state"] == "waiting");
  std::string order;
  for (char id : {'a', 'd', 'c', 'b'}) {
    finish(book, id);
    for (const auto& message : book.take_messages()) order += message.submit_job().job_id()[0];
  }
  CHECK(order == "dcb");
}

TEST_CASE("an id is one job for ever; room is made by those that ended") {
  job_book book({"n", 2, 4});
  CHECK(is_new(book, wish('a')));
  CHECK_FALSE(is_new(book, wish('a')));
  job_wish other = wish('a');
  other.job.mutable_job()->set_text("else");
  CHECK(std::get<api_error>(book.submit(other, 5)).status == 409);
  CHECK(is_new(book, wish('b')));
  CHECK(std::get<api_error>(book.submit(wish('c'), 5)).status == 429);
  finish(book, 'b');
  CHECK(is_new(book, wish('c')));
  CHECK(book.size() == 2);
  CHECK_FALSE(book.state(std::string(16, 'b')).has_value());
}

TEST_CASE("an answer is read from any index, also after its end") {
  job_book book({"n", 16, 4});
  is_new(book, wish('a'));
  const std::string id(16, 'a');
  CHECK(book.read(id, 0)->events.empty());
  tokens(book, 'a', 0, 2, "ab");
  tokens(book, 'a', 2, 3, "cde");
  auto piece = book.read(id, 0);
  CHECK(piece->next_index == 5);
  CHECK_FALSE(piece->last);
  CHECK(piece->events.find("id: 2\ndata: {\"index\":0,\"ids\":[7,7],\"text\":\"ab\"}") !=
        std::string::npos);
  piece = book.read(id, 3);  // inside of a frame: told from the frame's start
  CHECK(piece->events.find("\"index\":2") != std::string::npos);
  CHECK(piece->events.find("\"index\":0") == std::string::npos);
  CHECK(book.read(id, 5)->events.empty());
  CHECK(state(book, 'a')["tokens"] == 5);
  finish(book, 'a');
  piece = book.read(id, 5);
  CHECK(piece->last);
  CHECK(piece->events.find("\"finish_reason\":\"length\"") != std::string::npos);
  const json told = state(book, 'a');
  CHECK(told["state"] == "finished");
  CHECK(told["text"] == "abcde");
  CHECK(told["node"] == "w");
  CHECK_FALSE(book.read(std::string(16, 'x'), 0).has_value());
}

TEST_CASE("a cancelled job ends its session; one that waits never begins") {
  job_book book({"n", 16, 1});
  is_new(book, wish('a'));
  is_new(book, wish('b'));
  book.take_messages();
  CHECK(book.cancel(std::string(16, 'b')));
  CHECK(book.take_ended_sessions().empty());
  CHECK(book.cancel(std::string(16, 'a')));
  CHECK(book.take_ended_sessions().size() == 1);
  const auto sent = book.take_messages();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].cancel_job().job_id() == std::string(16, 'a'));
  CHECK(state(book, 'a')["state"] == "cancelled");
  tokens(book, 'a', 0, 1, "late");
  CHECK(state(book, 'a')["tokens"] == 0);
  CHECK(book.read(std::string(16, 'a'), 0)->last);
  CHECK_FALSE(book.cancel(std::string(16, 'x')));
}

TEST_CASE("a gateway that began anew gets what it had, with the tokens that are here") {
  job_book book({"n", 16, 1});
  is_new(book, wish('a'));
  is_new(book, wish('b'));
  book.take_messages();
  proto::Envelope accepted = to_session('a');
  accepted.mutable_job_accepted()->mutable_sampling()->set_seed(5);
  book.take(accepted);
  tokens(book, 'a', 0, 2, "ab");
  proto::Envelope gone = to_session('a');
  gone.set_correlation(1);
  gone.mutable_error()->set_code(proto::Error::UNAVAILABLE);
  book.take(gone);
  CHECK(state(book, 'a')["state"] == "running");
  book.gateway_restarted();
  const auto sent = book.take_messages();
  REQUIRE(sent.size() == 1);
  const proto::SubmitJob& again = sent[0].submit_job();
  CHECK(again.from_index() == 2);
  CHECK(again.held_size() == 1);
  CHECK(again.pinned().sampling().seed() == 5);
  CHECK(sent[0].correlation() == 2);
  book.take(gone);  // about the submission before
  tokens(book, 'a', 2, 1, "c");
  finish(book, 'a');
  CHECK(state(book, 'a')["text"] == "abc");
}

TEST_CASE("a job that a journal brought back is told as if nothing had been") {
  job_book book({"n", 16, 1});
  proto::Envelope accepted = to_session('a');
  accepted.mutable_job_accepted()->set_model_name("tiny");
  accepted.mutable_job_accepted()->set_tokens_max(6);
  accepted.mutable_job_accepted()->set_attached(true);
  book.take(accepted);
  CHECK(state(book, 'a')["state"] == "running");
  proto::Envelope frame = to_session('a');
  for (const int id : {7, 8, 9}) frame.mutable_job_tokens()->add_ids(id);
  frame.mutable_job_tokens()->set_text("xyzzy");
  for (const unsigned end : {1u, 1u, 5u}) frame.mutable_job_tokens()->add_text_ends(end);
  book.take(frame);
  CHECK(book.read(std::string(16, 'a'), 1)
            ->events.find("{\"index\":1,\"ids\":[8,9],\"text\":\"yzzy\"}") != std::string::npos);
  CHECK(book.read(std::string(16, 'a'), 2)
            ->events.find("{\"index\":2,\"ids\":[9],\"text\":\"yzzy\"}") != std::string::npos);
  finish(book, 'a');
  CHECK(state(book, 'a')["text"] == "xyzzy");
  CHECK(!is_new(book, wish('a')));
  is_new(book, wish('b'));
  CHECK(book.take_messages().size() == 1);  // its place is free
}
