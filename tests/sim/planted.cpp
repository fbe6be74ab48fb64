#include "tests/sim/planted.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "actors/running_hash.hpp"

namespace troupe::sim {
namespace {

using proto::Envelope;
using std::chrono::milliseconds;
using more_mail = std::vector<Envelope>;

// What a gateway's seam knows of each job: the attempt under way, and the answer so far.
struct followed {
  std::string worker;
  proto::Fence fence;
  std::uint32_t next = 0;
  std::uint64_t hash = running_hash_start;
};

class following : public seam {
 public:
  bool from(part which, Envelope& message, more_mail&) override {
    if (which != part::gateway || !message.has_start_sequence()) return true;
    const proto::StartSequence& start = message.start_sequence();
    followed& job = jobs[start.job_id()];
    job.worker = message.target().node();
    job.fence = start.fence();
    job.next = static_cast<std::uint32_t>(start.forced_ids_size());
    job.hash = running_hash_of(start.forced_ids());
    return true;
  }

 protected:
  // The frame as if it were the next, whole and sound.
  static void make_fit(followed& job, proto::SequenceTokens& frame) {
    frame.set_first_index(job.next);
    job.hash = running_hash_of(frame.ids(), job.hash);
    frame.set_running_hash(job.hash);
    job.next += static_cast<std::uint32_t>(frame.ids_size());
  }
  static void make_fit(const followed& job, proto::SequenceFinished& end) {
    end.set_answer_tokens(job.next);
    end.set_running_hash(job.hash);
  }
  std::map<std::string, followed> jobs;
};

class skips_fencing final : public following {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::gateway) return true;
    if (message.has_sequence_tokens()) renew(message, *message.mutable_sequence_tokens());
    if (message.has_sequence_finished()) renew(message, *message.mutable_sequence_finished());
    if (message.has_sequence_failed()) renew(message, *message.mutable_sequence_failed());
    return true;
  }

 private:
  template <class Frame>
  void renew(Envelope& message, Frame& frame) {
    const auto found = jobs.find(frame.job_id());
    if (found == jobs.end()) return;
    *frame.mutable_fence() = found->second.fence;
    message.mutable_sender()->set_node(found->second.worker);
  }
};

class accepts_gaps final : public following {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::gateway) return true;
    if (message.has_sequence_tokens()) {
      proto::SequenceTokens& frame = *message.mutable_sequence_tokens();
      make_fit(jobs[frame.job_id()], frame);
    }
    if (message.has_sequence_finished())
      make_fit(jobs[message.sequence_finished().job_id()], *message.mutable_sequence_finished());
    return true;
  }
};

class ignores_running_hash final : public following {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::gateway) return true;
    if (message.has_sequence_tokens()) {
      proto::SequenceTokens& frame = *message.mutable_sequence_tokens();
      followed& job = jobs[frame.job_id()];
      if (frame.first_index() == job.next) make_fit(job, frame);
    }
    if (message.has_sequence_finished()) {
      proto::SequenceFinished& end = *message.mutable_sequence_finished();
      const followed& job = jobs[end.job_id()];
      if (end.answer_tokens() == job.next) make_fit(job, end);
    }
    return true;
  }
};

// Goes on elsewhere with the answer as a longer prompt, which draws with other indices.
class resumes_as_prompt final : public following {
 public:
  bool from(part which, Envelope& message, more_mail& more) override {
    following::from(which, message, more);
    if (which != part::gateway || !message.has_start_sequence()) return true;
    proto::StartSequence& start = *message.mutable_start_sequence();
    const auto held = static_cast<std::uint32_t>(start.forced_ids_size());
    if (held >= start.tokens_max()) return true;
    start.mutable_prompt_ids()->Add(start.forced_ids().begin(), start.forced_ids().end());
    start.clear_forced_ids();
    start.set_tokens_max(start.tokens_max() - held);
    return true;
  }
  bool to(part which, Envelope& message) override {
    if (which != part::gateway) return true;
    if (message.has_sequence_tokens()) {
      proto::SequenceTokens& frame = *message.mutable_sequence_tokens();
      make_fit(jobs[frame.job_id()], frame);
    }
    if (message.has_sequence_finished())
      make_fit(jobs[message.sequence_finished().job_id()], *message.mutable_sequence_finished());
    return true;
  }
};

class repeats_frames final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail& more) override {
    if (which == part::gateway && message.has_job_tokens() && ++count_ % 16 == 0)
      more.push_back(message);
    return true;
  }

 private:
  unsigned count_ = 0;
};

class reuses_epoch final : public seam {
 public:
  void configure(core_settings& settings) override { settings.gateway.epoch = 1; }
};

class trusts_redis final : public seam {
 public:
  bool believes(const std::string& record, proto::CachedAnswer& answer) override {
    proto::CacheRecord outer;
    if (!outer.ParseFromString(record) || !answer.ParseFromString(outer.value())) return false;
    answer.set_running_hash(running_hash_of(answer.ids()));
    return answer.ids_size() > 0;
  }
};

class loses_credit final : public seam {
 public:
  void configure(core_settings& settings) override {
    settings.gateway.credit_repeat = milliseconds(3'600'000);
  }
  bool from(part which, Envelope& message, more_mail&) override {
    return which != part::gateway || !message.has_grant_sequence_credit() || ++count_ % 3 != 0;
  }

 private:
  unsigned count_ = 0;
};

class forgets_timers final : public seam {
 public:
  void configure(core_settings& settings) override {
    settings.gateway.gap_wait = settings.gateway.progress_wait = milliseconds(3'600'000);
  }
};

class forgets_bounds final : public seam {
 public:
  void configure(core_settings& settings) override {
    settings.gateway.attempts_max = settings.gateway.worker_losses_max = 1'000'000;
  }
};

class goes_past_the_end final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail& more) override {
    if (which != part::gateway || !message.has_job_finished()) return true;
    Envelope one = message;
    proto::JobTokens& tokens = *one.mutable_job_tokens();
    tokens.set_job_id(message.job_finished().job_id());
    tokens.set_first_index(message.job_finished().answer_tokens());
    tokens.add_ids(1);
    tokens.set_running_hash(running_hash_next(message.job_finished().running_hash(), 1));
    more.push_back(std::move(one));
    return true;
  }
};

class drops final : public seam {
 public:
  drops(part at, Envelope::PayloadCase kind) : at_(at), kind_(kind) {}
  bool to(part which, Envelope& message) override {
    return which != at_ || message.payload_case() != kind_;
  }

 private:
  const part at_;
  const Envelope::PayloadCase kind_;
};

class loses final : public seam {
 public:
  loses(part from, Envelope::PayloadCase kind) : from_(from), kind_(kind) {}
  bool from(part which, Envelope& message, more_mail&) override {
    return which != from_ || message.payload_case() != kind_;
  }

 private:
  const part from_;
  const Envelope::PayloadCase kind_;
};

class hides_losses final : public seam {
 public:
  explicit hides_losses(part from) : from_(from) {}
  bool tells_lost(part which, const std::string&) override { return which != from_; }

 private:
  const part from_;
};

class forgets_how_it_ended final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail&) override {
    if (which != part::gateway || !message.has_job_finished()) return true;
    proto::JobFinished& finished = *message.mutable_job_finished();
    if (!told_.insert(finished.job_id()).second) finished.set_reason(proto::CANCELLED_BY_CLIENT);
    return true;
  }

 private:
  std::set<std::string> told_;
};

class ignores_fingerprint final : public seam {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::gateway || !message.has_submit_job()) return true;
    proto::SubmitJob& wish = *message.mutable_submit_job();
    const auto [known, fresh] = known_.try_emplace(wish.job_id(), wish.job());
    *wish.mutable_job() = known->second;
    return true;
  }

 private:
  std::map<std::string, proto::JobSpecification> known_;
};

class caches_without_seed final : public seam {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::cache_tier) return true;
    if (message.has_look_up_answer())
      message.mutable_look_up_answer()->mutable_key()->mutable_sampling()->set_seed(0);
    if (message.has_store_answer())
      message.mutable_store_answer()->mutable_key()->mutable_sampling()->set_seed(0);
    return true;
  }
};

class gives_too_much final : public seam {
 public:
  bool to(part which, Envelope& message) override {
    if (which == part::gateway && message.has_grant_job_credit())
      message.mutable_grant_job_credit()->set_limit(2 * message.grant_job_credit().limit());
    return true;
  }
};

class loses_ends final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail&) override {
    return which != part::inference || !message.has_sequence_finished() || ++count_ % 4 != 0;
  }

 private:
  unsigned count_ = 0;
};

class forgets_the_seed final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail&) override {
    if (which == part::gateway && message.has_start_sequence() &&
        message.start_sequence().fence().attempt() % 4 == 0)
      message.mutable_start_sequence()->mutable_sampling()->set_seed(99);
    return true;
  }
};

class streams_from_the_start final : public seam {
 public:
  bool to(part which, Envelope& message) override {
    if (which == part::gateway && message.has_submit_job())
      message.mutable_submit_job()->set_from_index(0);
    return true;
  }
};

class begins_twice final : public seam {
 public:
  bool from(part which, Envelope& message, more_mail& more) override {
    if (which == part::gateway && message.has_start_sequence()) more.push_back(message);
    return true;
  }
};

class acknowledges_before_sync final : public seam {
 public:
  bool syncs_nothing() const override { return true; }
};

class trusts_the_dead final : public seam {
 public:
  void shows(cluster::cluster_view& view) override {
    for (cluster::member& m : view.members)
      m.incarnation = first_.try_emplace(m.name, m.incarnation).first->second;
  }

 private:
  std::map<std::string, std::uint64_t> first_;
};

// Takes what changed for what it has, whatever it changed from.
class stands_on_any_base final : public seam {
 public:
  bool to(part which, Envelope& message) override {
    if (which != part::node || !message.has_heartbeat()) return true;
    proto::Heartbeat& beat = *message.mutable_heartbeat();
    cluster::node_view& held = held_[message.sender().node()];
    held = beat.view_base() == 0 ? cluster::read_whole(beat) : cluster::read_changes(held, beat);
    for (const char* part : {"models", "prefixes", "prefixes_gone", "neighbours"})
      beat.GetReflection()->ClearField(&beat, beat.GetDescriptor()->FindFieldByName(part));
    beat.set_view_base(0);
    cluster::write_whole(held, beat);
    return true;
  }

 private:
  std::map<std::string, cluster::node_view> held_;
};

template <class Seam>
std::unique_ptr<seam> made() {
  return std::make_unique<Seam>();
}

constexpr planted_bug all[] = {
    {"skips_fencing", "frames of any attempt and worker are taken", "J8 J6 J7",
     made<skips_fencing>},
    {"accepts_gaps", "tokens that are missing are not missed", "J7 J6", made<accepts_gaps>},
    {"ignores_running_hash", "a token that changed on its way is taken", "J7 J6",
     made<ignores_running_hash>},
    {"resumes_as_prompt", "another attempt gets the answer as part of its prompt", "J7",
     made<resumes_as_prompt>},
    {"repeats_frames", "some frames leave twice", "J3 J9", made<repeats_frames>},
    {"reuses_epoch", "a gateway that starts again counts its attempts as before", "J8 J13",
     made<reuses_epoch>},
    {"trusts_redis", "what Redis says is not checked", "J7", made<trusts_redis>},
    {"loses_credit", "some credit does not reach the worker, and is not said again", "J13 J1",
     made<loses_credit>},
    {"forgets_timers", "a gap, or a worker's silence, is waited out for ever", "J13 J1 J12",
     made<forgets_timers>},
    {"forgets_bounds", "attempts and lost workers are not counted", "J10", made<forgets_bounds>},
    {"goes_past_the_end", "tokens follow the end", "J9", made<goes_past_the_end>},
    {"ignores_stop", "a worker goes on when it is told to stop", "J11 J12 J8",
     [] { return std::unique_ptr<seam>(new drops(part::inference, Envelope::kStopSequence)); }},
    {"ignores_cancel", "a gateway goes on when its client cancels", "J11",
     [] { return std::unique_ptr<seam>(new drops(part::gateway, Envelope::kCancelJob)); }},
    {"keeps_lost_gateways", "a worker keeps the sequences of a gateway that is gone", "J12 J11",
     [] { return std::unique_ptr<seam>(new hides_losses(part::inference)); }},
    {"keeps_lost_workers", "a gateway waits for a worker that is gone", "J13 J1 J12",
     [] { return std::unique_ptr<seam>(new hides_losses(part::gateway)); }},
    {"forgets_how_it_ended", "who asks again is told another end", "J2",
     made<forgets_how_it_ended>},
    {"ignores_fingerprint", "another content under a known id attaches", "J5",
     made<ignores_fingerprint>},
    {"caches_without_seed", "answers to other seeds are found in the cache", "J7",
     made<caches_without_seed>},
    {"gives_too_much", "credit counts twice", "J12", made<gives_too_much>},
    {"loses_ends", "the end of an attempt does not reach the gateway", "J13 J1", made<loses_ends>},
    {"forgets_the_seed", "some attempts draw with another seed", "J7", made<forgets_the_seed>},
    {"streams_from_the_start", "who comes back hears all of it again", "J3",
     made<streams_from_the_start>},
    {"acknowledges_before_sync", "a job is taken before its record is on disk", "J1",
     made<acknowledges_before_sync>},
    {"trusts_the_dead", "a node that started again is taken for the one that died", "J13 J1",
     made<trusts_the_dead>},
    {"stands_on_any_base", "what changed in a view is applied to another one", "J15 J13",
     made<stands_on_any_base>},
    {"asks_nobody", "a node that only one other one does not hear is called lost", "J14",
     [] { return std::unique_ptr<seam>(new loses(part::node, Envelope::kProbePeer)); }},
    {"begins_twice", "each attempt is begun twice", "J8", made<begins_twice>},
};

}  // namespace

std::span<const planted_bug> planted_bugs() {
  return all;
}

}  // namespace troupe::sim
