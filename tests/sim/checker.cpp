#include "tests/sim/checker.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "actors/running_hash.hpp"
#include "cluster/gateway/job_checks.hpp"

namespace troupe::sim {
namespace {

// How long a fault may go on mattering after it is over: it is to be noticed, and waited for.
constexpr time_us fault_shadow = 6'000'000;
constexpr time_us stop_time_max = 500'000;  // from a cancellation's end to the worker's silence
// The validity gate.
constexpr std::uint32_t faults_min = 3, faults_at_risk_min = 2, answers_min = 3;

struct stream_state {
  std::string job, who;
  std::uint32_t from = 0, next = 0;
  std::uint64_t limit = 0;
  bool accepted = false, refused = false, ended = false;
  std::optional<time_us> cancelled_at;
  std::uint64_t hash = running_hash_start;
  std::string text;
};

struct job_state {
  bool asked = false, accepted = false, ended = false, given_up = false, cancelled = false;
  time_us first_asked = 0;
  std::uint32_t submissions = 0, attempts = 0;
  std::uint64_t stream = 0;             // the last that was accepted
  std::optional<time_us> cancelled_at;  // its end was told
  std::uint64_t submissions_at_cancel = 0;
};

class reader {
 public:
  explicit reader(const history& h) : h_(h) {}

  verdict read() {
    for (const event& e : h_.events) take(e);
    at_the_end();
    gate();
    return std::move(out_);
  }

 private:
  void wrong(const char* property, const event& e, const std::string& why) {
    if (out_.violations.size() < 50)
      out_.violations.push_back({property, why + " | " + described(e)});
  }
  static std::string shown(const std::string& job) { return cluster::shown_id(job).substr(0, 8); }

  void take(const event& e) {
    switch (e.what) {
      case what::submit:
        return submitted(e);
      case what::accepted:
        return accepted(e);
      case what::refused:
        return refused(e);
      case what::tokens:
        return tokens(e);
      case what::finished:
        return finished(e);
      case what::grant:
        streams_[e.stream].limit += e.count;
        return;
      case what::cancel:
        jobs_[e.job].cancelled = true;
        for (auto& [number, s] :
             streams_)  // a cancellation is the job's: each reading of it at that client
          if (s.job == e.job && s.who == e.who && !s.ended) s.cancelled_at = e.at;
        return;
      case what::given_up:
        jobs_[e.job].given_up = true;
        return;
      case what::impatient:
        if (!disturbed(e.at)) wrong("J13", e, "silence while nothing was wrong");
        return;
      case what::conflict_told:
        if (e.code == proto::Error::OK && !disturbed(e.at))
          wrong("J5", e, "another content was taken under a known id");
        return;
      case what::attempt:
        return attempted(e);
      case what::frame:
        return framed(e);
      case what::sending:
        return sent(e);
      case what::sealed:
        return sealed(e);
      case what::fault:
        ++out_.faults;
        crashes_[e.node] = e.at;
        out_.at_risk += e.count > 0;
        actor_ends_ += e.text.starts_with("inference_restart") || e.text.starts_with("poison");
        faults_.emplace_back(e.at, e.at + e.first * time_us{1000} + fault_shadow);
        return;
      case what::recovered:
        return recovered(e);
      case what::healed:
        healed_at_ = e.at;
        return;
      case what::left:
        if (e.count > 0) wrong(e.node.empty() ? "J13" : "J12", e, "left over at the end");
        return;
      case what::node_lost:
        ++losses_[e.node];  // no failure of the jobs that were there
        if (e.count > 0) wrong("J14", e, "called lost, though all others reached it");
        return;
      case what::view:
        return wrong("J15", e, "a view that is not true at the end");
      case what::conflict:
        return;
    }
  }

  // Was anything wrong lately that may explain a failure?
  bool disturbed(time_us at) const {
    return std::any_of(faults_.begin(), faults_.end(),
                       [&](const auto& fault) { return at >= fault.first && at <= fault.second; });
  }

  // ---- streams ----

  void submitted(const event& e) {
    if (!h_.jobs.contains(e.job)) return wrong("J5", e, "a job that nobody made");
    stream_state& s = streams_[e.stream];
    s.job = e.job;
    s.who = e.who;
    s.from = s.next = e.first;
    s.limit = std::uint64_t{e.first} + e.count;
    const known_job& job = h_.jobs.at(e.job);
    if (e.first <= job.ids.size())
      s.hash = running_hash_of(std::vector(job.ids.begin(), job.ids.begin() + e.first));
    job_state& j = jobs_[e.job];
    if (!j.asked) j.first_asked = e.at;
    j.asked = true;
    ++j.submissions;
  }

  stream_state* known(const event& e) {
    const auto found = streams_.find(e.stream);
    if (found == streams_.end() || found->second.job != e.job) {
      wrong("J5", e, "for a stream that nobody asked for");
      return nullptr;
    }
    return &found->second;
  }

  void accepted(const event& e) {
    stream_state* s = known(e);
    if (!s) return;
    if (s->refused || s->accepted || s->ended) wrong("J9", e, "accepted after something else");
    s->accepted = true;
    jobs_[e.job].accepted = true;
    jobs_[e.job].stream = e.stream;
    taken_at_[{e.node, e.job}] = e.at;
    proto::SamplingParameters pinned;
    const auto& asked = h_.jobs.at(e.job).asked.sampling();
    if (!pinned.ParseFromString(e.text) ||
        pinned.SerializeAsString() !=
            cluster::pinned_sampling(asked, asked.seed()).SerializeAsString())
      wrong("J7", e, "pinned to other parameters");
  }

  void refused(const event& e) {
    stream_state* s = known(e);
    if (!s) return;
    s->refused = true;
    static const std::set<proto::Error::Code> passing = {
        proto::Error::UNAVAILABLE,       proto::Error::RESOURCE_EXHAUSTED, proto::Error::CANCELLED,
        proto::Error::DEADLINE_EXCEEDED, proto::Error::INVALID_ARGUMENT,   proto::Error::NOT_FOUND};
    if (!passing.contains(e.code)) wrong("J1", e, "refused for a reason that does not pass");
    if (e.code == proto::Error::INVALID_ARGUMENT && s->from == 0)
      wrong("J1", e, "a valid job was called invalid");
    if (!disturbed(e.at) && e.code != proto::Error::CANCELLED)
      wrong("J13", e, "refused while nothing was wrong");
  }

  void tokens(const event& e) {
    stream_state* s = known(e);
    if (!s) return;
    const known_job& job = h_.jobs.at(e.job);
    if (!s->accepted || s->refused) wrong("J5", e, "tokens of a job that was not accepted");
    if (s->ended) wrong("J9", e, "tokens after the end");
    if (s->cancelled_at && e.at > *s->cancelled_at + stop_time_max && !disturbed(e.at))
      wrong("J11", e, "tokens long after the cancellation");
    if (e.first != s->next) wrong("J3", e, "index " + std::to_string(s->next) + " was due");
    for (std::size_t i = 0; i < e.ids.size(); ++i) {
      const std::uint32_t at = e.first + static_cast<std::uint32_t>(i);
      const auto [seen, fresh] = token_at_.try_emplace({e.job, at}, e.ids[i]);
      if (!fresh && seen->second != e.ids[i])
        wrong("J4", e, "another token at " + std::to_string(at) + " before");
      if (at >= job.ids.size() || job.ids[at] != e.ids[i])
        wrong("J7", e, "wrong token at " + std::to_string(at));
      s->hash = running_hash_next(s->hash, e.ids[i]);
    }
    if (e.hash != s->hash) wrong("J6", e, "the running hash does not hold");
    s->next = e.first + static_cast<std::uint32_t>(e.ids.size());
    if (s->next > s->limit) wrong("J12", e, "more tokens than credit");
    s->text += e.text;
  }

  void finished(const event& e) {
    stream_state* s = known(e);
    if (!s) return;
    if (!s->accepted) wrong("J5", e, "the end of a job that was not accepted");
    if (s->ended) wrong("J9", e, "two ends of one stream");
    s->ended = true;
    job_state& j = jobs_[e.job];
    j.ended = true;
    if (e.reason == proto::CANCELLED_BY_CLIENT) {
      if (!j.cancelled) wrong("J2", e, "cancelled by nobody");
      if (!j.cancelled_at) j.cancelled_at = e.at, j.submissions_at_cancel = j.submissions;
      return;
    }
    if (e.reason == proto::FAILED) return failed(e);
    ++out_.answers;
    const known_job& job = h_.jobs.at(e.job);
    if (e.reason != job.reason) wrong("J7", e, "another reason to end");
    if ((s->next != job.ids.size() && !s->cancelled_at) || e.count != job.ids.size())
      wrong("J7", e, "another length than " + std::to_string(job.ids.size()));
    if (e.hash != running_hash_of(job.ids)) wrong("J6", e, "the end's hash does not hold");
    s->text += e.text;
    if (s->cancelled_at) return;  // it wanted no more of it, and may not have got the rest
    const bool fits = s->from == 0 ? s->text == job.text : job.text.ends_with(s->text);
    if (!fits) wrong("J7", e, "text \"" + s->text + "\" for \"" + job.text + "\"");
  }

  // A gateway does not know what others run beside its jobs, nor when a job that it has just
  // stopped ends there; and after so many losses no company saves a job.
  bool had_hidden_company(const event& e) const {
    const auto worker = runs_at_.find({e.node, e.job});
    return e.text.starts_with("poison: 8 ") ||
           (worker != runs_at_.end() && poisoned_.contains(worker->second));
  }

  void failed(const event& e) {
    ++out_.failures;
    const known_job& job = h_.jobs.at(e.job);
    static const std::set<proto::Error::Code> reasons = {
        proto::Error::UNAVAILABLE,        proto::Error::DEADLINE_EXCEEDED, proto::Error::INTERNAL,
        proto::Error::RESOURCE_EXHAUSTED, proto::Error::DATA_CORRUPT,      proto::Error::NOT_FOUND};
    if (!reasons.contains(e.code)) wrong("J1", e, "failed for a reason that is none");
    if (e.code == proto::Error::DEADLINE_EXCEEDED && job.has_deadline) return;
    if (!job.poison && !disturbed(e.at)) wrong("J13", e, "failed while nothing was wrong");
    if (!job.poison && e.text.starts_with("poison: ") && !had_hidden_company(e))
      wrong("J13", e, "set aside, though no poison job ran where it ran");
    if (job.after_heal) wrong("J13", e, "failed after everything was healed");
  }

  // ---- inside the cluster ----

  using fence = std::pair<std::uint64_t, std::uint32_t>;

  void attempted(const event& e) {
    job_state& j = jobs_[e.job];
    ++j.attempts;
    fence& newest = begun_[{e.node, e.who, e.job}];
    newest = std::max(newest, fence{e.epoch, e.attempt});
    const bool twice = !attempts_.insert({e.node, e.who, e.job, e.epoch, e.attempt}).second;
    if (twice) wrong("J8", e, "one attempt was begun twice");
    runs_at_[{e.who, e.job}] = e.node;
    if (h_.jobs.at(e.job).poison) poisoned_.insert(e.node);
    std::uint32_t& at_gateway = executions_[{e.who, e.epoch, e.job}];
    if (++at_gateway > h_.attempts_max * std::max(1u, j.submissions) + losses_[e.who] + actor_ends_)
      wrong("J10", e, std::to_string(at_gateway) + " attempts at one gateway");
    if (j.attempts > j.submissions + faults_.size() + 1)
      wrong("J10", e,
            std::to_string(j.attempts) + " executions, " + std::to_string(j.submissions) +
                " submissions, " + std::to_string(faults_.size()) + " faults");
  }

  void sent(const event& e) {
    const auto newest = begun_.find({e.node, e.who, e.job});
    if (newest == begun_.end()) return wrong("J5", e, "an answer to nothing");
    if (fence{e.epoch, e.attempt} < newest->second)
      wrong("J8", e, "a worker goes on with an older attempt");
    const job_state& j = jobs_[e.job];
    const bool again = j.submissions > j.submissions_at_cancel;
    if (j.cancelled_at && !again && e.at > *j.cancelled_at + stop_time_max && !disturbed(e.at))
      wrong("J11", e, "a worker goes on with a cancelled job");
  }

  void framed(const event& e) {
    if (e.count == 0) return;
    fence& newest = taken_[{e.node, e.job}];
    if (fence{e.epoch, e.attempt} < newest)
      wrong("J8", e, "taken after attempt " + std::to_string(newest.second));
    newest = std::max(newest, fence{e.epoch, e.attempt});
    const auto asked = attempts_.contains({e.who, e.node, e.job, e.epoch, e.attempt});
    if (!asked) wrong("J8", e, "taken from a worker that was not given this attempt");
  }

  void sealed(const event& e) {
    const auto as = std::tuple(e.reason, e.count, e.hash);
    const auto [seen, fresh] = ends_.try_emplace({e.node, e.epoch, e.job}, as);
    (void)seen;
    // A gateway may forget a job that its client left; only then it may end twice.
    if (!fresh && jobs_[e.job].submissions < 2) wrong("J2", e, "ended twice");
    const bool whole = e.reason != proto::FAILED && e.reason != proto::CANCELLED_BY_CLIENT;
    const auto job = h_.jobs.find(e.job);
    if (job == h_.jobs.end()) return wrong("J5", e, "the end of a job that nobody made");
    if (whole && (e.count != job->second.ids.size() || e.hash != running_hash_of(job->second.ids)))
      wrong("J2", e, "ended as something else than the answer");
  }

  // Whoever was told lately that a job is taken finds it in the journal. (Earlier ones may have
  // been left by their clients, and forgotten.)
  void recovered(const event& e) {
    for (const auto& [place, at] : taken_at_) {
      const bool lately = at + e.first * time_us{1000} > crashed_at(e.node);
      if (place.first == e.node && lately && e.text.find(place.second) == std::string::npos)
        wrong("J1", e, "job " + shown(place.second) + " was accepted and is not in the journal");
    }
  }
  time_us crashed_at(const std::string& node) const {
    const auto found = crashes_.find(node);
    return found == crashes_.end() ? ~time_us{0} : found->second;
  }

  void at_the_end() {
    event none;
    none.at = h_.events.empty() ? 0 : h_.events.back().at;
    for (const auto& [id, j] : jobs_) {
      none.job = id;
      none.stream = j.stream;
      const bool ended = j.ended && (j.stream == 0 || streams_[j.stream].ended);
      if (j.asked && !ended && !j.given_up)
        wrong(j.accepted ? "J1" : "J13", none, "no end was ever heard of it");
    }
    for (const auto& [id, job] : h_.jobs) {
      none.job = id;
      if (!jobs_[id].asked) wrong("J13", none, "never asked for");
    }
  }

  void gate() {
    const auto lacks = [&](std::uint32_t is, std::uint32_t least, const char* of) {
      if (is < least && out_.invalid.empty())
        out_.invalid = "only " + std::to_string(is) + " " + of;
    };
    lacks(out_.faults, faults_min, "faults");
    lacks(out_.at_risk, faults_at_risk_min, "faults with a job in flight");
    lacks(out_.answers, answers_min, "answers");
  }

  const history& h_;
  verdict out_;
  std::map<std::uint64_t, stream_state> streams_;
  std::map<std::string, job_state> jobs_;
  std::map<std::pair<std::string, std::uint32_t>, std::int32_t> token_at_;
  std::map<std::tuple<std::string, std::string, std::string>, fence> begun_;
  std::set<std::tuple<std::string, std::string, std::string, std::uint64_t, std::uint32_t>>
      attempts_;
  std::map<std::tuple<std::string, std::uint64_t, std::string>, std::uint32_t> executions_;
  std::map<std::pair<std::string, std::string>, std::string> runs_at_;  // by gateway and job
  std::set<std::string> poisoned_;               // workers that ran a poison job
  std::map<std::string, std::uint32_t> losses_;  // that a gateway was told
  std::uint32_t actor_ends_ = 0;                 // of inference actors
  std::map<std::pair<std::string, std::string>, fence> taken_;
  std::map<std::pair<std::string, std::string>, time_us> taken_at_;  // by node and job: accepted
  std::map<std::string, time_us> crashes_;                           // the last fault at a node
  std::map<std::tuple<std::string, std::uint64_t, std::string>,
           std::tuple<proto::FinishReason, std::uint32_t, std::uint64_t>>
      ends_;
  std::vector<std::pair<time_us, time_us>> faults_;  // from, to
  time_us healed_at_ = 0;
};

}  // namespace

verdict check(const history& h) {
  return reader(h).read();
}

}  // namespace troupe::sim
