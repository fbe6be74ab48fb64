// Long jobs and their journal: nothing that was told is lost, whoever's it is.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cluster/client/uuid.hpp"
#include "cluster/http/job_book.hpp"

using namespace troupe;
using namespace troupe::http;
using nlohmann::json;

namespace {

std::string id_of(char id) {
  return std::string(16, id);
}

job_wish wish(char id, const std::string& owner = "laptop") {
  job_wish out;
  out.id = id_of(id);
  out.owner = owner;
  out.job.mutable_job()->set_model("tiny");
  out.job.mutable_job()->set_text("hi");
  out.job.mutable_job()->set_tokens_max(8);
  return out;
}

// A book and what is on its disk.
struct kept_book {
  std::vector<proto::JournalRecord> disk;
  std::optional<job_book> book;
  std::uint32_t running_max;

  explicit kept_book(std::uint32_t running = 1) : running_max(running) { start(); }

  void start() {
    book.emplace(job_book_settings{"n", 8, running_max, true});
    book->recover(disk);
    write();
    CHECK(book->take_messages().empty());  // nobody could bring the answers here yet
    book->begin();
  }
  void write() {
    journal::batch batch = book->take_batch();
    if (batch.records.empty()) return;
    if (batch.fresh) disk.clear();
    disk.insert(disk.end(), batch.records.begin(), batch.records.end());
    if (batch.urgent) book->durable(batch.position);
  }
  bool submit(const job_wish& w, std::int64_t now_s = 5) {
    const auto out = book->submit(w, now_s);
    if (!std::holds_alternative<job_book::submitted>(out)) return false;
    write();
    return true;
  }
  std::string sent() {
    std::string out;
    for (const auto& message : book->take_messages())
      if (message.has_submit_job()) out += message.submit_job().job_id()[0];
    return out;
  }
  std::string state(char id) {
    const auto told = book->state(id_of(id));
    return told ? json::parse(*told)["state"].get<std::string>() : "none";
  }
  proto::Envelope to(char id) {
    proto::Envelope out;
    out.mutable_target()->set_node(std::string(job_session_prefix) + client::uuid_text(id_of(id)));
    return out;
  }
  void accept(char id, bool attached = false) {
    proto::Envelope e = to(id);
    e.mutable_job_accepted()->set_tokens_max(8);
    e.mutable_job_accepted()->set_attached(attached);
    book->take(e);
    write();
  }
  void tokens(char id, std::uint32_t first, const std::string& text) {
    proto::Envelope e = to(id);
    e.mutable_job_tokens()->set_first_index(first);
    for (std::size_t i = 0; i < text.size(); ++i) e.mutable_job_tokens()->add_ids(7);
    e.mutable_job_tokens()->set_text(text);
    book->take(e);
  }
  void finish(char id) {
    proto::Envelope e = to(id);
    e.mutable_job_finished()->set_reason(proto::LENGTH);
    book->take(e);
    write();
  }
  std::string text(char id) {
    return json::parse(*book->state(id_of(id)))["text"].get<std::string>();
  }
};

}  // namespace

TEST_CASE("a job is told, and begun, only once it is on disk") {
  job_book book({"n", 8, 4, true});
  book.recover({});
  book.durable(book.take_batch().position);
  book.begin();
  REQUIRE(std::holds_alternative<job_book::submitted>(book.submit(wish('a'), 5)));
  CHECK(book.is_being_written(id_of('a')));
  CHECK(book.take_messages().empty());
  const journal::batch batch = book.take_batch();
  CHECK(batch.urgent);
  REQUIRE(batch.records.size() == 1);
  CHECK(batch.records[0].held().owner() == "laptop");
  book.durable(batch.position - 1);
  CHECK(book.is_being_written(id_of('a')));
  book.durable(batch.position);
  CHECK_FALSE(book.is_being_written(id_of('a')));
  CHECK(book.take_messages().size() == 1);
}

TEST_CASE("a long job keeps the trace that its submitter named, also through a restart") {
  kept_book kept(1);
  REQUIRE(kept.submit(wish('a')));
  job_wish traced = wish('b');
  traced.trace.set_trace_high(7);
  traced.trace.set_span(9);
  REQUIRE(kept.submit(traced));
  kept.start();
  kept.book->take_messages();
  kept.accept('a');
  kept.finish('a');
  const auto messages = kept.book->take_messages();
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].submit_job().job_id() == id_of('b'));
  CHECK(messages[0].trace().trace_high() == 7);
  CHECK(messages[0].trace().span() == 9);
}

TEST_CASE("jobs that waited for their turn survive a restart, in order, with their owners") {
  kept_book kept;
  for (const char id : {'c', 'a', 'b'})
    REQUIRE(kept.submit(wish(id, id == 'b' ? "desk" : "laptop")));
  CHECK(kept.sent() == "c");
  kept.accept('c');
  kept.start();
  CHECK(kept.state('a') == "waiting");
  CHECK(kept.book->owner(id_of('b')) == "desk");
  std::string order = kept.sent();
  for (int i = 0; i < 3; ++i) {
    kept.accept(order.back());
    kept.finish(order.back());
    order += kept.sent();
  }
  CHECK(order == "cab");
  // Once more: all have ended, and none is computed again.
  kept.start();
  CHECK(kept.sent().empty());
  CHECK(kept.state('a') == "none");
}

TEST_CASE("a job that the gateway still has goes on, told in whichever order") {
  for (const bool unasked_first : {true, false}) {
    kept_book kept;
    REQUIRE(kept.submit(wish('a')));
    kept.accept('a');
    kept.tokens('a', 0, "xy");
    kept.start();
    CHECK(kept.sent() == "a");
    if (unasked_first) {  // the gateway tells what it has, then answers the submission
      kept.accept('a', true);
      kept.tokens('a', 0, "xy");
    }
    kept.accept('a', true);
    kept.tokens('a', 0, "xy");
    kept.tokens('a', 2, "z");
    kept.finish('a');
    CHECK(kept.text('a') == "xyz");
    CHECK(kept.state('a') == "finished");
  }
}

TEST_CASE("a waiting job that the gateway computes already takes a place, and gives it back") {
  kept_book kept;
  REQUIRE(kept.submit(wish('a')));
  REQUIRE(kept.submit(wish('b')));
  kept.start();
  CHECK(kept.sent() == "a");
  kept.accept('b', true);  // it ran when the node ended
  kept.tokens('b', 0, "b");
  kept.finish('b');
  CHECK(kept.text('b') == "b");
  CHECK(kept.sent().empty());
  kept.accept('a');
  kept.finish('a');
  REQUIRE(kept.submit(wish('c')));
  CHECK(kept.sent() == "c");
}

TEST_CASE("after a restart an id still has its owner and its content; its end is told again") {
  kept_book kept;
  REQUIRE(kept.submit(wish('a')));
  kept.accept('a');
  kept.tokens('a', 0, "x");
  kept.finish('a');
  kept.start();
  CHECK_FALSE(kept.book->owner(id_of('a')).has_value());  // nothing of it is here
  CHECK_FALSE(kept.submit(wish('a', "desk")));
  job_wish other = wish('a');
  other.job.mutable_job()->set_text("else");
  CHECK_FALSE(kept.submit(other));
  kept.accept('a', true);  // the gateway tells it
  kept.tokens('a', 0, "x");
  kept.finish('a');
  CHECK(kept.book->owner(id_of('a')) == "laptop");
  CHECK(kept.text('a') == "x");
  kept.start();
  REQUIRE(kept.submit(wish('a')));  // forgotten by the gateway: computed again
  CHECK(kept.sent() == "a");
}

TEST_CASE("a cancelled job stays cancelled, also where the gateway had not heard of it") {
  kept_book kept;
  REQUIRE(kept.submit(wish('a')));
  REQUIRE(kept.submit(wish('b')));
  kept.accept('a');
  CHECK(kept.book->cancel(id_of('a')));
  CHECK(kept.book->cancel(id_of('b')));
  kept.write();
  kept.start();
  CHECK(kept.sent().empty());
  kept.accept('a', true);
  bool stopped = false;
  for (const auto& message : kept.book->take_messages()) stopped |= message.has_cancel_job();
  CHECK(stopped);
  CHECK(kept.state('a') == "cancelled");
  REQUIRE(kept.submit(wish('c')));
  CHECK(kept.sent() == "c");
}

TEST_CASE("a node that stops keeps for the next start what its gateway refuses") {
  kept_book kept;
  REQUIRE(kept.submit(wish('a')));
  REQUIRE(kept.submit(wish('b')));
  kept.accept('a');
  CHECK(kept.sent() == "a");
  kept.book->stop();
  kept.finish('a');
  CHECK(kept.sent().empty());  // no new one is begun
  kept.start();
  CHECK(kept.sent() == "b");
  kept.book->stop();  // while its submission is on its way
  proto::Envelope no = kept.to('b');
  no.set_correlation(1);
  no.mutable_error()->set_code(proto::Error::UNAVAILABLE);
  kept.book->take(no);
  kept.write();
  kept.start();
  CHECK(kept.sent() == "b");
}

TEST_CASE("a disk that fails refuses new jobs by name, keeps the others, and is tried again") {
  kept_book kept;
  REQUIRE(kept.submit(wish('a')));
  REQUIRE(std::holds_alternative<job_book::submitted>(kept.book->submit(wish('b'), 10)));
  kept.book->take_batch();
  kept.book->journal_failed({error_code::resource_exhausted, "the disk is full", "free space"});
  CHECK_FALSE(kept.book->is_being_written(id_of('b')));
  CHECK(kept.state('b') == "none");
  REQUIRE(kept.book->journal_failure().has_value());
  CHECK(kept.book->journal_failure()->message.find("the disk is full") != std::string::npos);
  CHECK(kept.state('a') == "submitted");
  // The first one tries a new file; while that fails, others are refused without asking the disk.
  REQUIRE(std::holds_alternative<job_book::submitted>(kept.book->submit(wish('c'), 20)));
  CHECK(kept.book->take_batch().fresh);
  kept.book->journal_failed({error_code::resource_exhausted, "the disk is full", "free space"});
  CHECK(std::get<api_error>(kept.book->submit(wish('c'), 21)).status == 429);
  CHECK(kept.book->take_batch().records.empty());
  kept.accept('a');
  kept.finish('a');
  REQUIRE(kept.submit(wish('d'), 30));
  CHECK_FALSE(kept.book->journal_failure().has_value());
  CHECK(kept.state('d') == "submitted");
  kept.start();  // the new file has what ended while the disk was full
  CHECK(kept.sent() == "d");
}

TEST_CASE("the journal begun anew says the same, and forgets what the book forgot") {
  kept_book kept(1);
  for (char id = 'a'; id < 'i'; ++id) REQUIRE(kept.submit(wish(id)));
  for (char id = 'a'; id < 'd'; ++id) {
    kept.accept(id);
    kept.finish(id);
  }
  for (char id = 'p'; id < 's'; ++id) REQUIRE(kept.submit(wish(id)));  // a, b and c leave
  kept.sent();
  kept.book->rewrite_journal();
  kept.write();
  CHECK(kept.disk.size() == 1 + 8);
  kept.start();
  CHECK(kept.book->size() == 8);
  CHECK(kept.state('a') == "none");
  CHECK(kept.sent() == "d");
  CHECK(kept.state('r') == "waiting");
}
