// What a gateway promises is on disk before it is promised; one that starts again keeps it.
#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>

#include "cluster/journal/segment.hpp"
#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<member> two_nodes() {
  return {node_with("away", proto::READY), node_with("home", proto::READY, true)};
}

std::vector<std::int32_t> tokens_of(std::uint32_t from, std::uint32_t to) {
  std::vector<std::int32_t> out;
  for (std::uint32_t i = from; i < to; ++i) out.push_back(token_at(i));
  return out;
}

void one_by_one(gateway_stage& stage, const std::string& worker, const proto::StartSequence& start,
                std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t i = from; i < to; ++i) stage.tokens(worker, frame_of(start, i, 1));
}

// The submission of a client that holds what `got` has.
proto::SubmitJob resumed(proto::SubmitJob job, const proto::JobAccepted& pinned,
                         const std::vector<proto::JobTokens>& got) {
  *job.mutable_pinned() = pinned;
  for (const proto::JobTokens& frame : got) *job.add_held() = frame;
  job.set_from_index(got.empty() ? 0 : got.back().first_index() + got.back().ids_size());
  return job;
}

std::vector<proto::JobTokens> frames_to(gateway_stage& stage) {
  std::vector<proto::JobTokens> out;
  while (const auto message = stage.next(E::kJobTokens)) out.push_back(message->job_tokens());
  return out;
}

proto::JobAccepted accepted_by(gateway_stage& stage) {
  const auto message = stage.next(E::kJobAccepted);
  REQUIRE(message);
  return message->job_accepted();
}

bool said(const gateway_stage& stage, const std::string& what) {
  return std::any_of(stage.logged.begin(), stage.logged.end(),
                     [&](const std::string& line) { return line.find(what) != std::string::npos; });
}

proto::Error refusal(gateway_stage& stage) {
  const auto message = stage.next(E::kError);
  REQUIRE(message);
  return message->error();
}

// The attempt that a gateway makes by itself after a restart; without a job where it makes none.
proto::StartSequence taken_up(gateway_stage& stage) {
  stage.answer_missing();
  const auto start = stage.next(E::kStartSequence);
  return start ? start->start_sequence() : proto::StartSequence();
}

gateway_stage journaled(std::vector<member> members = {node_with("home", proto::READY, true)}) {
  return gateway_stage(std::move(members), gateway_stage::journal_settings());
}

}  // namespace

TEST_CASE("acceptance and end leave once they are durable; tokens wait for the acceptance alone") {
  gateway_stage stage = journaled();
  stage.syncs = false;
  const auto start = stage.started(job_with('j'));
  REQUIRE(!start.job_id().empty());  // the work begins meanwhile
  one_by_one(stage, "home", start, 0, 3);
  CHECK(stage.count(E::kJobAccepted) == 0);
  CHECK(stage.count(E::kJobTokens) == 0);
  stage.sync();
  CHECK(stage.count(E::kJobAccepted) == 1);
  CHECK(stage.delivered().size() == 3);
  one_by_one(stage, "home", start, 3, 8);
  CHECK(stage.delivered(3).size() == 5);
  stage.finished("home", end_of(start, 8));
  CHECK(stage.count(E::kJobFinished) == 0);
  stage.sync();
  CHECK(stage.count(E::kJobFinished) == 1);
}

TEST_CASE("an ephemeral job needs no disk, and ends with its session") {
  gateway_stage stage = journaled();
  stage.syncs = false;
  const std::size_t before = stage.disk.content().size() + stage.disk.unsynced();
  proto::SubmitJob job = job_with('j');
  job.set_ephemeral(true);
  const auto start = stage.started(job);
  CHECK(stage.count(E::kJobAccepted) == 1);
  one_by_one(stage, "home", start, 0, 2);
  CHECK(stage.delivered().size() == 2);
  CHECK(stage.disk.content().size() + stage.disk.unsynced() == before);
  stage.take(stage.core.node_lost("alice", stage.now));
  CHECK(stage.count(E::kStopSequence) == 1);
  CHECK(stage.core.known_jobs() == 0);
}

TEST_CASE("a gateway that starts again computes on what it holds, and its client gets the rest") {
  gateway_stage stage = journaled();
  auto job = job_with('j');
  job.mutable_job()->mutable_sampling()->set_temperature(1);  // its seed is drawn
  const auto first = stage.started(job);
  const auto pinned = accepted_by(stage);
  one_by_one(stage, "home", first, 0, 3);
  const auto got = frames_to(stage);
  int kept = 3;
  SUBCASE("after a kill") {}
  SUBCASE("after a power cut that took the tokens") {
    stage.disk.power_cut();
    kept = 0;
  }
  stage.restart();
  const auto second = taken_up(stage);
  REQUIRE(!second.job_id().empty());
  CHECK(second.fence().gateway_epoch() == first.fence().gateway_epoch() + 1);
  CHECK(second.forced_ids_size() == kept);
  CHECK(second.sampling().seed() == first.sampling().seed());
  CHECK(second.credit_tokens() == static_cast<std::uint32_t>(8 - kept));
  stage.submit(resumed(job, pinned, got));
  const auto again = accepted_by(stage);
  CHECK(again.attached());
  CHECK(again.sampling().seed() == pinned.sampling().seed());
  auto running = second;
  if (const auto third = stage.next(E::kStartSequence)) running = third->start_sequence();
  CHECK(running.forced_ids_size() == 3);
  one_by_one(stage, "home", running, 3, 8);
  stage.finished("home", end_of(running, 8));
  CHECK(stage.delivered(3) == tokens_of(3, 8));
  CHECK(stage.contiguous);
  REQUIRE(stage.count(E::kJobFinished) == 1);
  const auto end = stage.next(E::kJobFinished)->job_finished();
  CHECK(end.running_hash() == end_of(running, 8).running_hash());
  CHECK(!end.provenance().class_changed());
}

TEST_CASE("an answer that was finished is there after a restart, text and all") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j'));
  one_by_one(stage, "home", start, 0, 8);
  stage.finished("home", end_of(start, 8));
  stage.delivered();
  const std::string text = stage.text;
  stage.restart();
  CHECK(stage.count(E::kStartSequence) == 0);
  CHECK(stage.core.counters().running == 0);
  stage.text.clear();
  SUBCASE("from its beginning") {
    stage.submit(job_with('j'), "alice again");
    CHECK(stage.delivered() == tokens_of(0, 8));
    CHECK(stage.text == text);
  }
  SUBCASE("from the middle") {
    auto job = job_with('j');
    job.set_from_index(5);
    stage.submit(job, "alice again");
    CHECK(stage.delivered(5) == tokens_of(5, 8));
    CHECK(text.ends_with(stage.text));
  }
  CHECK(stage.count(E::kJobFinished) == 1);
  stage.wait(stage.settings.finished_kept_for + milliseconds(1));
  CHECK(stage.core.known_jobs() == 0);
}

TEST_CASE("an end whose tokens a power cut took is reached again") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j'));
  one_by_one(stage, "home", start, 0, 8);
  stage.syncs = false;
  stage.finished("home", end_of(start, 8));
  std::vector<proto::JournalRecord> without;
  for (const auto& record : stage.disk.content())
    if (!record.has_tokens() || record.tokens().first_index() != 4) without.push_back(record);
  stage.settings.epoch++;
  stage.core = gateway_core(stage.settings);
  stage.sent.clear();
  stage.syncs = true;
  stage.take(stage.core.recover(without, stage.now));
  stage.show({node_with("home", proto::READY, true)});
  const auto second = taken_up(stage);
  REQUIRE(!second.job_id().empty());
  CHECK(second.forced_ids_size() == 4);
  CHECK(said(stage, "ignored=4"));  // three that do not follow, and the end
}

TEST_CASE("a rewritten journal says what the old one said") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j'));
  one_by_one(stage, "home", start, 0, 3);
  stage.submit(job_with('k', 4), "bob");
  stage.prompt_prepared();
  stage.answer_missing();
  const auto other = stage.next(E::kStartSequence)->start_sequence();
  stage.tokens("home", frame_of(other, 0, 4));
  stage.finished("home", end_of(other, 4));
  const auto old = stage.disk.content();
  stage.take(stage.core.rewrite_journal(stage.now));
  const auto fresh = stage.disk.content();
  CHECK(fresh.size() < old.size());
  std::string one, two;
  for (const auto& [records, out] : {std::pair(&old, &one), std::pair(&fresh, &two)}) {
    gateway_core core(stage.settings);
    for (const auto& record : core.recover(*records, stage.now).journal.records)
      *out += record.ShortDebugString() + "\n";
  }
  CHECK(one == two);
  CHECK(one.find("finished") != std::string::npos);
}

TEST_CASE("a record whose deadline lies beyond all time is a job like any other") {
  gateway_stage stage = journaled();
  stage.started(job_with('j'));
  std::vector<proto::JournalRecord> records = stage.disk.content();
  bool changed = false;
  for (proto::JournalRecord& record : records) {
    if (!record.has_taken()) continue;
    record.mutable_taken()->set_deadline_ms(UINT64_MAX);
    changed = true;
  }
  REQUIRE(changed);
  gateway_core again(stage.settings);
  again.recover(records, stage.now);
  again.tick(stage.now + milliseconds(1'000));
  CHECK(again.known_jobs() == 1);
  CHECK(again.counters().running == 1);
}

TEST_CASE("a disk that fails: new jobs are refused by name, those that were told go on") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j'));
  CHECK(stage.count(E::kJobAccepted) == 1);
  stage.syncs = false;
  stage.submit(job_with('k'), "bob");
  stage.prompt_prepared();
  stage.answer_missing();
  CHECK(stage.next(E::kStartSequence) != nullptr);
  const error full{error_code::resource_exhausted, "the disk of the journal is full",
                   "free some of it"};
  stage.take(stage.core.journal_failed(full, stage.now));
  CHECK(refusal(stage).message().find("journal is full") != std::string::npos);  // bob's
  CHECK(stage.count(E::kStopSequence) == 1);
  stage.submit(job_with('l'), "carol");
  const auto refused = refusal(stage);
  CHECK(refused.code() == proto::Error::RESOURCE_EXHAUSTED);
  CHECK(refused.mend() == "free some of it");
  one_by_one(stage, "home", start, 0, 8);
  stage.finished("home", end_of(start, 8));
  CHECK(stage.delivered().size() == 8);
  CHECK(stage.count(E::kJobFinished) == 1);
  CHECK(stage.core.counters().running == 0);

  stage.take(stage.core.rewrite_journal(stage.now));
  stage.submit(job_with('l'), "carol");
  CHECK(refusal(stage).code() == proto::Error::RESOURCE_EXHAUSTED);  // not yet
  stage.sync();
  CHECK(said(stage, "journal_writes_again"));
  stage.syncs = true;
  CHECK(!stage.started(job_with('l')).job_id().empty());
  const auto& records = stage.disk.content();
  CHECK(std::any_of(records.begin(), records.end(), [](const auto& record) {
    return record.has_finished() && record.finished().job_id() == std::string(16, 'j');
  }));
}

TEST_CASE("a client that goes: the job computes on for its grace, ahead of any credit") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j', 60, 4));
  CHECK(start.credit_tokens() == 4);
  stage.take(stage.core.node_lost("alice", stage.now));
  CHECK(stage.count(E::kStopSequence) == 0);
  const auto more = stage.next(E::kGrantSequenceCredit);
  REQUIRE(more);
  CHECK(more->grant_sequence_credit().limit() == 60);
  one_by_one(stage, "home", start, 0, 20);
  SUBCASE("it returns") {
    stage.wait(milliseconds(29'000));
    stage.submit(job_with('j', 60, 100), "alice again");
    CHECK(stage.delivered().size() == 20);
    stage.wait(milliseconds(29'000));
    CHECK(stage.core.known_jobs() == 1);
  }
  SUBCASE("it does not") {
    stage.wait(milliseconds(30'000));
    CHECK(stage.count(E::kStopSequence) == 1);
    CHECK(stage.core.known_jobs() == 0);
    CHECK(stage.core.waiting_requests() == 0);
    stage.restart();
    CHECK(stage.core.known_jobs() == 0);
  }
  SUBCASE("the gateway dies too") {
    stage.restart();
    CHECK(!taken_up(stage).job_id().empty());
    stage.wait(milliseconds(30'000));
    CHECK(stage.core.known_jobs() == 0);
  }
}

TEST_CASE("sessions of the gateway's own process are told their jobs again, from the first token") {
  gateway_stage stage = journaled();
  stage.submit(job_with('j', 8, 2), "http/job-1");
  stage.prompt_prepared();
  stage.answer_missing();
  const auto start = stage.next(E::kStartSequence)->start_sequence();
  one_by_one(stage, "home", start, 0, 3);
  stage.restart();
  stage.restart();  // whose it was outlives the rewriting
  stage.sent.clear();
  stage.take(stage.core.sessions_back("http/job-", stage.now));
  const auto accepted = stage.next(E::kJobAccepted);
  REQUIRE(accepted);
  CHECK(accepted->target().node() == "http/job-1");
  CHECK(accepted->job_accepted().attached());
  CHECK(stage.delivered() == tokens_of(0, 3));
  stage.wait(milliseconds(60'000));
  CHECK(stage.core.known_jobs() == 1);  // it has a reader
}

TEST_CASE("a job that was running here whenever the gateway died is set aside") {
  gateway_stage stage = journaled();
  stage.started(job_with('j'));
  stage.restart();
  CHECK(!taken_up(stage).job_id().empty());
  stage.restart();
  CHECK(!taken_up(stage).job_id().empty());
  stage.restart();
  CHECK(taken_up(stage).job_id().empty());
  stage.submit(job_with('j'));
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().error().message().find("poison") == 0);
}

TEST_CASE("a node that stops in order leaves its jobs to the next start, and blames none of them") {
  gateway_stage stage = journaled();
  const auto start = stage.started(job_with('j'));
  one_by_one(stage, "home", start, 0, 2);
  for (int stop = 0; stop < 4; ++stop) {
    stage.take(stage.core.stop_accepting(true, stage.now));
    CHECK(stage.core.counters().running == 0);
    CHECK(stage.count(E::kJobFinished) == 0);
    if (stop == 0) CHECK(refusal(stage).code() == proto::Error::UNAVAILABLE);
    stage.restart();
    const auto again = taken_up(stage);
    REQUIRE(!again.job_id().empty());
    CHECK(again.forced_ids_size() == 2);
  }
}

TEST_CASE("another gateway goes on from what the client holds") {
  gateway_stage first = journaled(two_nodes());
  auto job = job_with('j');
  job.mutable_job()->mutable_sampling()->set_temperature(1);
  const auto start = first.started(job);
  const auto pinned = accepted_by(first);
  one_by_one(first, "home", start, 0, 3);
  auto got = frames_to(first);
  REQUIRE(got.size() == 3);
  CHECK(got[0].numerics_class() == "cpu-1");

  gateway_stage second = journaled();
  second.settings.seed_salt = 99;  // draws other seeds
  second.core = gateway_core(second.settings);
  second.begin({node_with("home", proto::READY, true)});
  auto back = resumed(job, pinned, got);
  SUBCASE("the same tokens, no more and no less") {
    const auto again = second.started(back);
    REQUIRE(!again.job_id().empty());
    CHECK(again.forced_ids_size() == 3);
    CHECK(again.sampling().seed() == start.sampling().seed());
    CHECK(!accepted_by(second).attached());
    one_by_one(second, "home", again, 3, 8);
    second.finished("home", end_of(again, 8));
    CHECK(second.delivered(3) == tokens_of(3, 8));
    CHECK(second.count(E::kLookUpAnswer) == 0);
    CHECK(second.count(E::kStoreAnswer) == 0);  // a client's word is not for others
    const auto end = second.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(!end->job_finished().provenance().class_changed());
    second.restart();
    second.submit(job, "bob");
    CHECK(second.delivered() == tokens_of(0, 8));
  }
  SUBCASE("another class is told") {
    for (auto& frame : *back.mutable_held()) frame.set_numerics_class("cuda-sm90-1");
    const auto again = second.started(back);
    one_by_one(second, "home", again, 3, 8);
    second.finished("home", end_of(again, 8));
    const auto end = second.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().provenance().class_changed());
    CHECK(frames_to(second)[0].numerics_class() == "cpu-1");
  }
  SUBCASE("a token that is not what its hash says") {
    back.mutable_held(1)->set_ids(0, 49);
    second.submit(back);
    CHECK(refusal(second).code() == proto::Error::DATA_CORRUPT);
  }
  SUBCASE("a token is missing") {
    back.mutable_held()->DeleteSubrange(1, 1);
    second.submit(back);
    CHECK(refusal(second).code() == proto::Error::DATA_CORRUPT);
  }
  SUBCASE("less than it says") {
    back.set_from_index(5);
    second.submit(back);
    CHECK(refusal(second).code() == proto::Error::DATA_CORRUPT);
  }
  SUBCASE("without what it was accepted as") {
    back.clear_pinned();
    second.submit(back);
    CHECK(refusal(second).code() == proto::Error::DATA_CORRUPT);
  }
  SUBCASE("another tokenizer, prompt, or other parameters") {
    int what = 0;
    SUBCASE("tokenizer") {
      what = 1;
    }
    SUBCASE("prompt") {
      what = 2;
    }
    SUBCASE("sampling") {
      what = 3;
    }
    SUBCASE("length") {
      what = 4;
    }
    if (what == 1) back.mutable_pinned()->set_tokenizer_digest("letters");
    if (what == 2) back.mutable_pinned()->set_prompt_hash(1);
    if (what == 3) back.mutable_pinned()->mutable_sampling()->set_top_k(3);
    if (what == 4) back.mutable_pinned()->set_tokens_max(7);
    second.submit(back);
    second.prompt_prepared();
    const auto why = refusal(second);
    CHECK(why.code() == proto::Error::DATA_CORRUPT);
    CHECK(why.message().find("prefix_lost") == 0);
    CHECK(second.core.known_jobs() == 0);
  }
}

TEST_CASE("a client that holds other tokens than the gateway is refused") {
  gateway_stage stage = journaled();
  const auto job = job_with('j');
  const auto start = stage.started(job);
  const auto pinned = accepted_by(stage);
  one_by_one(stage, "home", start, 0, 3);
  auto got = frames_to(stage);
  got[2].set_ids(0, token_at(2) + 1);
  std::uint64_t hash = running_hash_start;
  for (auto& frame : got) frame.set_running_hash(hash = running_hash_of(frame.ids(), hash));
  stage.submit(resumed(job, pinned, got), "mallory");
  CHECK(refusal(stage).code() == proto::Error::DATA_CORRUPT);
  one_by_one(stage, "home", start, 3, 8);
  CHECK(stage.delivered(3) == tokens_of(3, 8));  // the stream is still alice's
}

TEST_CASE("a hundred thousand jobs are read back and written anew") {
  constexpr int jobs = 100'000;
  std::string file;
  proto::JournalRecord taken, tokens, end;
  {
    gateway_stage stage = journaled();
    const auto start = stage.started(job_with('j'));
    one_by_one(stage, "home", start, 0, 8);
    stage.finished("home", end_of(start, 8));
    stage.take(stage.core.rewrite_journal(stage.now));
    for (const auto& record : stage.disk.content()) {
      if (record.has_taken()) taken = record;
      if (record.has_tokens()) tokens = record;
      if (record.has_finished()) end = record;
    }
  }
  for (int i = 0; i < jobs; ++i) {
    std::string id = "job" + std::to_string(i);
    id.resize(16, '.');
    taken.mutable_taken()->mutable_asked()->set_job_id(id);
    tokens.mutable_tokens()->set_job_id(id);
    end.mutable_finished()->set_job_id(id);
    journal::append_frame(file, 0, 1, taken.SerializeAsString());
    journal::append_frame(file, 0, 1, tokens.SerializeAsString());
    if (i % 100 != 0) journal::append_frame(file, 0, 1, end.SerializeAsString());
  }
  const std::clock_t began = std::clock();
  auto content = journal::read_segment(file, 1);
  const std::size_t records = content.records.size();
  gateway_core core(gateway_stage::journal_settings());
  const auto effects = core.recover(std::move(content.records), time_point_us(1'000'000));
  const auto took = (std::clock() - began) * 1000 / CLOCKS_PER_SEC;
  MESSAGE("read and taken up in " << took << " ms of one core, from " << file.size() / 1'000'000
                                  << " MB");
  CHECK(records == 3 * jobs - jobs / 100);
  CHECK(core.known_jobs() == jobs);
  CHECK(core.counters().running == jobs / 100);
  CHECK(effects.journal.fresh);
  CHECK(effects.journal.records.size() == records + 1);
}
