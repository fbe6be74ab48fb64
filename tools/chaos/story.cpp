#include "tools/chaos/story.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::chaos {
namespace {

constexpr std::size_t violations_told_max = 20, refusals_told_max = 16;

spread spread_of(std::vector<double> values) {
  spread out;
  out.count = values.size();
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {  // nearest rank
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
  };
  out.p50 = at(0.50);
  out.p95 = at(0.95);
  out.p99 = at(0.99);
  out.most = values.back();
  return out;
}

double seconds(microseconds time) {
  return static_cast<double>(time.count()) / 1e6;
}

double longest_wait(const job_story& job) {
  microseconds longest{0}, before = job.submitted;
  for (const seen_token& token : job.tokens) {
    longest = std::max(longest, token.at - before);
    before = token.at;
  }
  return seconds(std::max(longest, job.ended - before));
}

class judging {
 public:
  judging(const run_story& run, const floor_plan& floors, verdict& out)
      : run_(run), floors_(floors), out_(out) {}

  void job(const job_story& job) {
    ++out_.submitted;
    if (!job.accepted) {
      ++out_.refused;
      const std::string said = job.failure ? job.failure->text() : "nothing";
      if (out_.refusals.contains(said) || out_.refusals.size() < refusals_told_max)
        ++out_.refusals[said];
      if (!job.tokens.empty()) violated(job, "has tokens although it was refused");
      return;
    }
    tokens(job);
    if (!job.whole) {
      ++out_.lost;
      violated(job,
               "was accepted and not answered: " + (job.failure ? job.failure->text() : "no end"));
      return;
    }
    ++out_.finished;
    if (job.moved()) {
      ++out_.moved;
      if (!held(job)) stalls_.push_back(longest_wait(job));
    }
    const right_answer& right = run_.answers.at(job.prompt);
    if (job.text != right.text) {
      ++out_.texts_changed;
      violated(job, "has another text than the engine alone gives");
    }
  }

  void end() {
    for (const fault_story& f : run_.faults) {
      if (f.done.kind == fault_kind::disk_full) full_disk(f);
      if (f.done.kind == fault_kind::partition) sides(f);
    }
    if (run_.healed) afterwards(*run_.healed);
    out_.stalls = spread_of(std::move(stalls_));
    out_.first_tokens = spread_of(std::move(first_tokens_));
  }

 private:
  void tokens(const job_story& job) {
    const right_answer& right = run_.answers.at(job.prompt);
    std::uint32_t next = 0;
    for (const seen_token& token : job.tokens) {
      ++out_.tokens;
      if (token.index < next) {
        ++out_.tokens_repeated;
        violated(job, "got token " + std::to_string(token.index) + " again");
        continue;
      }
      if (token.index > next) {
        out_.tokens_lost += token.index - next;
        violated(job, "got token " + std::to_string(token.index) + " where " +
                          std::to_string(next) + " was due");
      }
      if (token.index >= right.ids.size() || right.ids[token.index] != token.id) {
        ++out_.tokens_changed;
        violated(job, "has another token at " + std::to_string(token.index));
      }
      next = token.index + 1;
    }
    if (job.whole && next < right.ids.size()) {
      out_.tokens_lost += right.ids.size() - next;
      violated(job, "ended after " + std::to_string(next) + " of " +
                        std::to_string(right.ids.size()) + " tokens");
    }
    if (!job.tokens.empty())
      first_tokens_.push_back(seconds(job.tokens.front().at - job.submitted));
  }

  // Its client was told to read nothing for a while.
  bool held(const job_story& job) const {
    return std::any_of(run_.faults.begin(), run_.faults.end(), [&](const fault_story& f) {
      return f.done.kind == fault_kind::slow_reader && f.done.node == client_name(job.stream) &&
             f.began < job.ended && job.submitted < f.ended;
    });
  }

  void full_disk(const fault_story& f) {
    for (const job_story& job : run_.jobs) {
      if (job.submitted < f.standing || job.submitted > f.ending) continue;
      if (!job.accepted) {
        out_.refused_full += job.failure && job.failure->code == error_code::resource_exhausted;
      } else if (job.gateway == f.done.node && job.resumed == 0 && job.accepted_at <= f.ending) {
        ++out_.acknowledged_full;
        violated(job, "was acknowledged while the disk of " + f.done.node + " was full");
      }
    }
  }

  void sides(const fault_story& f) {
    for (const std::string& gateway : run_.gateways) {
      const auto served = std::count_if(run_.jobs.begin(), run_.jobs.end(), [&](const auto& job) {
        return job.whole && job.gateway == gateway && job.submitted >= f.standing &&
               job.ended <= f.ending;
      });
      if (static_cast<std::uint64_t>(served) < floors_.jobs_per_side)
        violated("gateway " + gateway + " answered " + std::to_string(served) + " jobs while " +
                 f.done.node + " was cut off, at least " + std::to_string(floors_.jobs_per_side) +
                 " were due");
    }
  }

  void afterwards(microseconds healed) {
    for (std::uint32_t stream = 0; stream < run_.streams; ++stream)
      if (std::none_of(run_.jobs.begin(), run_.jobs.end(), [&](const job_story& job) {
            return job.stream == stream && job.whole && job.submitted >= healed;
          }))
        violated(client_name(stream) + " got no answer after everything was healed");
  }

  void violated(const job_story& job, const std::string& how) {
    violated("job " + job.id + " " + how);
  }
  void violated(std::string what) {
    if (out_.violations.size() < violations_told_max) out_.violations.push_back(std::move(what));
  }

  const run_story& run_;
  const floor_plan& floors_;
  verdict& out_;
  std::vector<double> stalls_, first_tokens_;
};

}  // namespace

verdict judge(const run_story& run, const floor_plan& floors) {
  verdict out;
  judging judged(run, floors, out);
  for (const job_story& job : run.jobs) judged.job(job);
  judged.end();
  for (const fault_story& fault : run.faults)
    out.faults_in_flight +=
        std::any_of(run.jobs.begin(), run.jobs.end(), [&](const job_story& job) {
          return job.accepted && job.submitted < fault.began && fault.began < job.ended;
        });
  const auto need = [&](std::size_t found, std::size_t least, const char* what) {
    if (found < least)
      out.missing.push_back(std::to_string(found) + " " + what + ", at least " +
                            std::to_string(least) + " are needed");
  };
  need(out.finished, floors.jobs, "jobs finished");
  need(run.faults.size(), floors.faults, "faults");
  need(out.faults_in_flight, floors.faults_in_flight, "faults while a job ran");
  const auto has = [&](fault_kind kind) {
    return std::any_of(run.faults.begin(), run.faults.end(),
                       [&](const fault_story& f) { return f.done.kind == kind; });
  };
  if (has(fault_kind::disk_full)) need(out.refused_full, 1, "jobs refused for a full disk");
  if (has(fault_kind::clock_step)) need(run.clock_reads, 1, "readings of a clock that was off");
  return out;
}

}  // namespace troupe::chaos
