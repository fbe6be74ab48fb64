#include <algorithm>

#include "tools/console/cluster_tables.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {

table table_of(panel which, const scene& from) {
  switch (which) {
    case panel::nodes:
      return nodes_table(from);
    case panel::links:
      return links_table(from);
    case panel::jobs:
      return jobs_table(from);
    case panel::models:
      return models_table(from);
    case panel::actors:
      return actors_table(from);
    case panel::caches:
      return caches_table(from);
    case panel::alerts:
      return alerts_table(from);
    case panel::log:
      break;
  }
  return log_table(from);
}

table jobs_table(const scene& from) {
  table out{{{"JOB", 8},
             {"STATE", 9},
             {"AGE", 6, true},
             {"TOKENS", 9, true},
             {"TOK/S", 5, true},
             {"WHERE", 12},
             {"TRY", 3, true, false, 5},
             {"MODEL", 14, false, false, 4},
             {"TENANT", 8, false, false, 6},
             {"BECAUSE", 12, false, true, 3}},
            {},
            "No job runs or waits now."};
  std::vector<const proto::JobShown*> jobs;
  for (const proto::NodePart& node : from.picture.nodes())
    if (node.up())
      for (const proto::JobShown& job : node.jobs()) jobs.push_back(&job);
  std::stable_sort(jobs.begin(), jobs.end(), [](const auto* left, const auto* right) {
    if (waits(*left) != waits(*right)) return waits(*left);
    return left->age_ms() > right->age_ms();
  });
  for (const proto::JobShown* job : jobs) {
    const double age = static_cast<double>(job->age_ms()) / 1000;
    const bool waiting = waits(*job);
    std::string where = printable(job->worker().empty() ? job->gateway() : job->worker());
    if (!job->worker().empty() && job->worker() != job->gateway())
      where = printable(job->gateway()) + ">" + where;
    out.rows.push_back(
        {job->job_id(),
         {{job_text(job->job_id()), tone::strong},
          {state_text(job->state()), waiting ? tone::warn : tone::good, waiting ? 0.0 : 1.0},
          {duration_text(age), waiting && age > 5 ? tone::bad : tone::plain, age},
          {std::to_string(job->answer_tokens()) +
               (job->tokens_max() ? "/" + std::to_string(job->tokens_max()) : ""),
           tone::plain, static_cast<double>(job->answer_tokens())},
          {rate_text(job->tokens_per_second()), tone::plain, job->tokens_per_second()},
          {where},
          {std::to_string(job->attempt()), job->attempt() > 1 ? tone::warn : tone::faint,
           static_cast<double>(job->attempt())},
          {printable(job->model())},
          {printable(job->tenant()), tone::faint},
          {printable(job->because()), waiting ? tone::plain : tone::faint}}});
  }
  return out;
}

table actors_table(const scene& from) {
  table out{{{"ACTOR", 14, false, true},
             {"NODE", 10},
             {"STATE", 6},
             {"BUSY", 12},
             {"MAILBOX", 7, true},
             {"MSG/S", 7, true},
             {"HANDLING", 8, true, false, 2},
             {"RESTARTS", 8, true, false, 3},
             {"DROPPED", 7, true, false, 4},
             {"MESSAGES", 9, true, false, 5}},
            {},
            "No node tells of its actors."};
  for (const proto::NodePart& node : from.picture.nodes()) {
    if (!node.up()) continue;
    for (const proto::ActorStatus& actor : node.status().actors()) {
      const double depth = static_cast<double>(actor.mailbox_depth());
      const double busy = actor.busy_share();
      out.rows.push_back(
          {node.node() + " " + actor.name(),
           {{printable(actor.name())},
            {printable(node.node())},
            actor.alive() ? cell{"alive", tone::good, 1} : cell{"DEAD", tone::bad, 0},
            {share_text(busy), busy > 0.9 ? tone::warn : tone::plain, busy, busy},
            {std::to_string(actor.mailbox_depth()),
             depth > 1000  ? tone::bad
             : depth > 100 ? tone::warn
                           : tone::plain,
             depth},
            {rate_text(actor.messages_per_second()), tone::plain, actor.messages_per_second()},
            {std::to_string(static_cast<std::uint64_t>(std::max(actor.handling_us(), 0.0))) + " us",
             tone::faint, actor.handling_us()},
            {std::to_string(actor.restarts()), actor.restarts() ? tone::warn : tone::faint,
             static_cast<double>(actor.restarts())},
            {std::to_string(actor.dropped()), actor.dropped() ? tone::bad : tone::faint,
             static_cast<double>(actor.dropped())},
            {std::to_string(actor.messages()), tone::faint,
             static_cast<double>(actor.messages())}}});
    }
  }
  std::stable_sort(out.rows.begin(), out.rows.end(), [](const row& left, const row& right) {
    if (left.cells[2].order != right.cells[2].order)
      return left.cells[2].order < right.cells[2].order;
    return left.cells[4].order > right.cells[4].order;
  });
  return out;
}

table alerts_table(const scene& from) {
  table out{{{"SEVERITY", 8},
             {"SINCE", 8},
             {"LASTS", 7, true},
             {"NODE", 8},
             {"ALERT", 16, false, false, 2},
             {"WHAT", 40, false, true}},
            {},
            "No alerts: nothing is wrong that is watched."};
  std::vector<const proto::Alert*> alerts;
  for (const proto::NodePart& node : from.picture.nodes())
    for (const proto::Alert& alert : node.alerts()) alerts.push_back(&alert);
  std::stable_sort(alerts.begin(), alerts.end(), [](const auto* left, const auto* right) {
    if ((left->ended_us() == 0) != (right->ended_us() == 0)) return left->ended_us() == 0;
    if (left->ended_us() == 0 && left->severity() != right->severity())
      return left->severity() > right->severity();
    return left->since_us() > right->since_us();
  });
  for (const proto::Alert* alert : alerts) {
    const bool lasts = alert->ended_us() == 0;
    const char* words[] = {"-", "note", "WARNING", "CRITICAL"};
    const tone tones[] = {tone::faint, tone::plain, tone::warn, tone::bad};
    const int severity = std::clamp(static_cast<int>(alert->severity()), 0, 3);
    const std::uint64_t until = lasts ? std::max(from.at_us, alert->since_us()) : alert->ended_us();
    const double length = static_cast<double>(until - std::min(alert->since_us(), until)) / 1e6;
    out.rows.push_back(
        {alert->node() + " " + alert->name() + " " + alert->subject() + " " +
             std::to_string(alert->since_us()),
         {{words[severity], lasts ? tones[severity] : tone::faint,
           3.0 - severity + (lasts ? 0 : 4)},
          {clock_text(alert->since_us()), tone::faint, static_cast<double>(alert->since_us())},
          lasts ? cell{duration_text(length), tone::plain, length} : cell{"ended", tone::faint, -1},
          {printable(alert->node())},
          {printable(alert->name())},
          {printable(alert->text()), lasts ? tone::plain : tone::faint}}});
  }
  return out;
}

table log_table(const scene& from) {
  table out{{{"TIME", 8},
             {"LEVEL", 5},
             {"NODE", 8},
             {"ACTOR", 12, false, false, 2},
             {"LINE", 40, false, true}},
            {},
            "No log lines yet."};
  const auto until = std::upper_bound(
      from.log.begin(), from.log.end(), from.log_until_us,
      [](std::uint64_t at_us, const proto::LogLine& line) { return at_us < line.at_us(); });
  const auto count =
      std::min(from.log_rows_max, static_cast<std::size_t>(until - from.log.begin()));
  for (auto at = until - static_cast<std::ptrdiff_t>(count); at != until; ++at) {
    const proto::LogLine& line = *at;
    const tone look = line.level() >= proto::LEVEL_ERROR  ? tone::bad
                      : line.level() == proto::LEVEL_WARN ? tone::warn
                      : line.level() < proto::LEVEL_INFO  ? tone::faint
                                                          : tone::plain;
    std::string text = printable(line.text());
    if (line.more_alike()) text = "(" + std::to_string(line.more_alike()) + " more alike) " + text;
    out.rows.push_back(
        {line.node() + " " + std::to_string(line.at_us()) + " " + std::to_string(line.sequence()),
         {{clock_text(line.at_us()), tone::faint, static_cast<double>(line.at_us())},
          {level_text(line.level()), look, static_cast<double>(line.level())},
          {printable(line.node())},
          {printable(line.actor()), tone::faint},
          {text, look}}});
  }
  return out;
}

}  // namespace troupe::console
