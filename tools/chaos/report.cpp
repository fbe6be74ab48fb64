#include "tools/chaos/report.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace troupe::chaos {
namespace {

using json = nlohmann::ordered_json;

std::string in_seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string line_of(const spread& s) {
  if (s.count == 0) return "none";
  return "P50 " + in_seconds(s.p50) + " s, P95 " + in_seconds(s.p95) + " s, P99 " +
         in_seconds(s.p99) + " s, longest " + in_seconds(s.most) + " s (" +
         std::to_string(s.count) + ")";
}

json document_of(const spread& s) {
  return {{"count", s.count}, {"p50", s.p50}, {"p95", s.p95}, {"p99", s.p99}, {"max", s.most}};
}

const char* outcome_of(const verdict& v) {
  if (!v.valid()) return "invalid";
  return v.passed() ? "passed" : "VIOLATED";
}

std::map<std::string, std::size_t> faults_by_kind(const run_story& run) {
  std::map<std::string, std::size_t> counts;
  for (const fault_story& fault : run.faults) ++counts[std::string(name_of(fault.done.kind))];
  return counts;
}

std::string refused_full(const verdict& v) {
  return " (" + std::to_string(v.refused_full) + " for a full disk)";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

double in_seconds(microseconds time) {
  return static_cast<double>(time.count()) / 1e6;
}

constexpr microseconds pause{250'000};  // without a token: shown as a gap

// Stretches of a job's tokens without a pause, as the first and the last token of each.
std::vector<std::pair<std::size_t, std::size_t>> flows_of(const job_story& job) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t i = 0; i < job.tokens.size();) {
    std::size_t end = i;
    while (end + 1 < job.tokens.size() && job.tokens[end + 1].at - job.tokens[end].at < pause)
      ++end;
    out.emplace_back(i, end);
    i = end + 1;
  }
  return out;
}

std::string lane_of(const fault_story& fault) {
  return fault.done.node.empty() ? "redis" : fault.done.node;
}

// The picture: a lane for each node (and Redis) with its faults, then one for each client with its
// jobs; where a job waited for a token, its bar is thin.
class timeline {
 public:
  explicit timeline(const run_report& report) : report_(report) {
    const double lasted = std::max(1.0, in_seconds(report.run.lasted));
    scale_ = (width - left - 10) / lasted;
    for (const node_plan& node : report.plan.nodes) add_lane(node.name);
    if (report.plan.redis) add_lane("redis");
    for (std::uint32_t i = 0; i < report.plan.workload.streams; ++i) add_lane(client_name(i));
  }

  std::string drawn() {
    out_ << "<svg viewBox='0 0 " << width << " " << height()
         << "' xmlns='http://www.w3.org/2000/svg' "
         << "font-family='sans-serif' font-size='11'>\n";
    for (const auto& [name, at] : lanes_)
      out_ << "<text x='4' y='" << at + 12 << "' fill='#444'>" << escaped(name) << "</text>\n";
    seconds_axis();
    for (const fault_story& fault : report_.run.faults) draw(fault);
    for (const job_story& job : report_.run.jobs) draw(job);
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  static constexpr double width = 1200, left = 90, lane = 18;

  void add_lane(const std::string& name) {
    lanes_[name] = 22 + lane * static_cast<double>(lanes_.size());
  }
  double height() const { return 30 + lane * static_cast<double>(lanes_.size()); }
  double x(microseconds time) const { return left + in_seconds(time) * scale_; }

  void bar(double from, double to, double y, double thick, const char* colour,
           const std::string& title) {
    out_ << "<rect x='" << from << "' y='" << y + (lane - 4 - thick) / 2 << "' width='"
         << std::max(0.6, to - from) << "' height='" << thick << "' fill='" << colour << "'><title>"
         << escaped(title) << "</title></rect>\n";
  }

  void seconds_axis() {
    const double lasted = in_seconds(report_.run.lasted);
    const double step = lasted > 300 ? 60 : lasted > 60 ? 10 : 5;
    for (double at = 0; at <= lasted; at += step)
      out_ << "<line x1='" << left + at * scale_ << "' x2='" << left + at * scale_
           << "' y1='14' y2='" << height() << "' stroke='#ddd'/><text x='" << left + at * scale_
           << "' y='11' fill='#888'>" << at << " s</text>\n";
  }

  void draw(const fault_story& fault) {
    bar(x(fault.began), x(fault.ended), lanes_[lane_of(fault)], lane - 6, "#c0392b",
        std::string(name_of(fault.done.kind)) + " from " + in_seconds(in_seconds(fault.began)) +
            " s to " + in_seconds(in_seconds(fault.ended)) + " s");
  }

  void draw(const job_story& job) {
    const double y = lanes_[client_name(job.stream)];
    const char* colour = !job.accepted ? "#bbb"
                         : !job.whole  ? "#000"
                         : job.moved() ? "#e08e0b"
                                       : "#2e8b57";
    const std::string title = "job " + job.id + ": " + std::to_string(job.tokens.size()) +
                              " tokens, " + std::to_string(job.attempts) + " attempts, worker " +
                              job.worker + (job.failure ? ", " + job.failure->text() : "");
    bar(x(job.submitted), x(job.ended), y, 2, colour, title);
    for (const auto& [first, last] : flows_of(job))
      bar(x(job.tokens[first].at), x(job.tokens[last].at), y, lane - 8, colour, title);
  }

  const run_report& report_;
  double scale_ = 1;
  std::map<std::string, double> lanes_;
  std::ostringstream out_;
};

// What the picture shows, for whoever draws it anew: times in seconds since the run began.
json timeline_of(const run_report& report) {
  constexpr std::size_t jobs_told_max = 4'000, faults_told_max = 2'000, flows_told_max = 200;
  json faults = json::array(), jobs = json::array(), nodes = json::array();
  for (const node_plan& node : report.plan.nodes) nodes.push_back(node.name);
  for (const fault_story& fault : report.run.faults) {
    if (faults.size() == faults_told_max) break;
    faults.push_back({{"kind", name_of(fault.done.kind)},
                      {"where", lane_of(fault)},
                      {"began_s", in_seconds(fault.began)},
                      {"ended_s", in_seconds(fault.ended)}});
  }
  for (const job_story& job : report.run.jobs) {
    if (jobs.size() == jobs_told_max) break;
    json flows = json::array();
    microseconds gap{0};
    for (std::size_t i = 1; i < job.tokens.size(); ++i)
      gap = std::max(gap, job.tokens[i].at - job.tokens[i - 1].at);
    for (const auto& [first, last] : flows_of(job)) {
      if (flows.size() == flows_told_max) break;
      flows.push_back({in_seconds(job.tokens[first].at), in_seconds(job.tokens[last].at)});
    }
    const char* outcome = !job.accepted ? "refused"
                          : !job.whole  ? "failed"
                          : job.moved() ? "moved"
                                        : "whole";
    jobs.push_back({{"id", job.id},
                    {"stream", job.stream},
                    {"outcome", outcome},
                    {"submitted_s", in_seconds(job.submitted)},
                    {"ended_s", in_seconds(job.ended)},
                    {"tokens", job.tokens.size()},
                    {"attempts", job.attempts},
                    {"worker", job.worker},
                    {"longest_gap_s", in_seconds(gap)},
                    {"failure", job.failure ? job.failure->text() : ""},
                    {"flows", std::move(flows)}});
  }
  const std::size_t left_out = report.run.jobs.size() - jobs.size();
  return {{"nodes", std::move(nodes)},
          {"redis", report.plan.redis},
          {"streams", report.plan.workload.streams},
          {"faults", std::move(faults)},
          {"jobs", std::move(jobs)},
          {"jobs_left_out", left_out}};
}

}  // namespace

std::string told_in_text(const run_report& report) {
  const verdict& v = report.judged;
  std::ostringstream out;
  out << "plan " << report.plan.name << ", seed " << report.plan.seed << ", "
      << in_seconds(in_seconds(report.run.lasted)) << " s: " << outcome_of(v) << "\n";
  out << "faults     " << report.run.faults.size() << ", " << v.faults_in_flight
      << " while a job ran";
  for (const auto& [kind, count] : faults_by_kind(report.run)) out << "; " << kind << " " << count;
  if (report.bytes_damaged > 0) out << "; " << report.bytes_damaged << " bytes damaged";
  if (report.run.clock_reads > 0)
    out << "; wrong clocks read " << report.run.clock_reads << " times";
  out << "\njobs       " << v.submitted << " submitted, " << v.finished << " finished, "
      << v.refused << " refused" << (v.refused_full > 0 ? refused_full(v) : "") << ", " << v.lost
      << " lost, " << v.moved << " moved to another worker or gateway\n";
  out << "tokens     " << v.tokens << " delivered, " << v.tokens_lost << " lost, "
      << v.tokens_repeated << " repeated, " << v.tokens_changed << " changed, ";
  if (report.tokens_recomputed)
    out << *report.tokens_recomputed << " given again to a later attempt, ";
  out << report.frames_fenced << " stale frames dropped\n";
  out << "stalls     " << line_of(v.stalls) << "\nfirst token " << line_of(v.first_tokens) << "\n";
  for (const auto& [what, count] : v.refusals) out << "refused " << count << ": " << what << "\n";
  for (const std::string& what : report.declined) out << "declined: " << what << "\n";
  for (const std::string& what : v.missing) out << "invalid: " << what << "\n";
  for (const std::string& what : v.violations) out << "VIOLATED: " << what << "\n";
  return out.str();
}

std::string told_in_json(const run_report& report) {
  const verdict& v = report.judged;
  const json recomputed = report.tokens_recomputed ? json(*report.tokens_recomputed) : json();
  const json document = {{"plan", report.plan.name},
                         {"seed", report.plan.seed},
                         {"seconds", in_seconds(report.run.lasted)},
                         {"outcome", outcome_of(v)},
                         {"faults", faults_by_kind(report.run)},
                         {"faults_in_flight", v.faults_in_flight},
                         {"bytes_damaged", report.bytes_damaged},
                         {"clock_reads", report.run.clock_reads},
                         {"declined", report.declined},
                         {"jobs_submitted", v.submitted},
                         {"jobs_refused", v.refused},
                         {"jobs_refused_full_disk", v.refused_full},
                         {"refusals", v.refusals},
                         {"jobs_acknowledged_full_disk", v.acknowledged_full},
                         {"jobs_finished", v.finished},
                         {"jobs_lost", v.lost},
                         {"jobs_moved", v.moved},
                         {"tokens", v.tokens},
                         {"tokens_lost", v.tokens_lost},
                         {"tokens_repeated", v.tokens_repeated},
                         {"tokens_changed", v.tokens_changed},
                         {"texts_changed", v.texts_changed},
                         {"tokens_recomputed", recomputed},
                         {"frames_fenced", report.frames_fenced},
                         {"stall_seconds", document_of(v.stalls)},
                         {"first_token_seconds", document_of(v.first_tokens)},
                         {"missing", v.missing},
                         {"violations", v.violations},
                         {"timeline", timeline_of(report)}};
  return document.dump(2);
}

std::string told_in_html(const run_report& report) {
  std::ostringstream out;
  out << "<!doctype html><meta charset='utf-8'><title>troupe chaos: " << escaped(report.plan.name)
      << "</title><body style='font-family:sans-serif;margin:24px'><h1>"
      << escaped(report.plan.name) << ": " << outcome_of(report.judged) << "</h1><pre>"
      << escaped(told_in_text(report)) << "</pre>" << timeline(report).drawn()
      << "<p>Red: a fault. Green: a job; orange: it went on at another worker or gateway; black: "
         "lost; grey: "
         "refused. "
         "A thin line: no token for a quarter of a second or more.</p></body>\n";
  return out.str();
}

}  // namespace troupe::chaos
