// What monitoring tells: of its node, of the cluster, of a job, of the last minutes.
#include <algorithm>

#include "actors/monitoring/monitoring_core.hpp"
#include "actors/monitoring/story_spans.hpp"

namespace troupe {
namespace {

envelope_ptr sealed(proto::Envelope message) {
  return std::make_shared<const proto::Envelope>(std::move(message));
}

// A client gets the percentiles; the sketches are for nodes, which merge them.
void drop_sketches(proto::NodePart& part) {
  part.clear_first_token_seconds();
  part.clear_inter_token_seconds();
  part.clear_total_seconds();
}

}  // namespace

proto::NodeStatus monitoring_core::status(time_point_us now) const {
  proto::NodeStatus status;
  status.set_node(settings_.node);
  for (const std::string& name : order_) {
    const watched& actor = actors_.at(name);
    proto::ActorStatus& to = *status.add_actors();
    to.set_name(name);
    to.set_alive(actor.last.alive);
    to.set_restarts(actor.last.restarts);
    to.set_mailbox_depth(actor.last.mailbox_depth);
    to.set_messages(actor.last.messages);
    to.set_dropped(actor.last.dropped);
    const busy_sample& from = actor.samples.front();
    const busy_sample& till = actor.samples.back();
    if (till.at > from.at && till.busy_us >= from.busy_us)
      to.set_busy_share(std::min(1.0, static_cast<double>(till.busy_us - from.busy_us) /
                                          static_cast<double>((till.at - from.at).count())));
  }
  if (models_) *status.mutable_models() = models_->models();
  if (cache_) *status.mutable_cache() = *cache_;
  *status.mutable_jobs() = jobs_;
  *status.mutable_jobs()->mutable_first_token_seconds() = first_token_.read(now).percentiles();
  *status.mutable_jobs()->mutable_inter_token_seconds() = inter_token_.read(now).percentiles();
  *status.mutable_jobs()->mutable_total_seconds() = total_.read(now).percentiles();
  for (const proto::ModelDescription& model : status.models()) {
    if (model.state() != proto::READY) continue;
    status.set_engine(model.engine());
    status.set_numerics_class(model.numerics_class());
    status.set_variant(model.variant());
    break;
  }
  return status;
}

std::vector<proto::Alert> monitoring_core::sample(const proto::NodeStatus& status,
                                                  time_point_us now) {
  rates_.feed(status, now);
  history_.add(rates_.series(status), now);
  const auto hours = (now.count() + wall_offset_us_) / (std::int64_t{3600} * 1'000'000);
  const alert_input seen{status,
                         rates_.tokens_per_second(),
                         objectives_.read(now),
                         peers_.seen(),
                         static_cast<int>((hours % 24 + 24) % 24),
                         peers_.were_up()};
  return alerts_.update(rules_.look(seen, now), peers_.first_up(), wall_offset_us_, now);
}

proto::MonitoringCost monitoring_core::cost(const proto::NodeStatus& status) const {
  proto::MonitoringCost out = outside_;
  out.set_link_bytes_sent(link_bytes_sent_);
  std::uint64_t all = 0;
  for (const proto::LinkStatus& link : status.links()) all += link.bytes_sent();
  out.set_link_bytes_sent_all(all);
  out.set_observations(observations_);
  out.set_spans_kept(traces_.kept());
  out.set_spans_sampled_out(traces_.sampled_out());
  out.set_alerts_held_back(alerts_.held_back());
  if (log_) {
    out.set_log_lines(log_->seen());
    out.set_log_lines_dropped(log_->left_out());
  }
  return out;
}

envelope_ptr monitoring_core::answer(const proto::Envelope& request,
                                     const proto::NodeStatus& status,
                                     const proto::NodeMetrics& engines, time_point_us now) {
  proto::Envelope reply = reply_to(request);
  proto::NodeStatus rated = status;
  rates_.write(rated);
  if (request.has_read_metrics()) {
    proto::NodeMetrics& metrics = *reply.mutable_node_metrics();
    metrics = engines;
    metrics_.write(metrics);
    *metrics.mutable_cost() = cost(rated);
    for (proto::Alert& alert : alerts_.shown()) *metrics.add_alerts() = std::move(alert);
    for (proto::Objective& one : objectives_.read(now)) *metrics.add_objectives() = std::move(one);
    *metrics.mutable_status() = std::move(rated);
  } else if (request.has_read_picture()) {
    proto::ClusterPicture& picture = *reply.mutable_cluster_picture();
    picture.set_answered_by(settings_.node);
    picture.set_at_us(static_cast<std::uint64_t>(now.count() + wall_offset_us_));
    write_own_part(rated, engines, *picture.add_nodes(), now);
    if (!request.read_picture().own_only()) {
      peers_.write(picture, now);
      write_totals(picture, *picture.mutable_totals());
      auto& nodes = *picture.mutable_nodes();
      for (proto::NodePart& part : nodes) drop_sketches(part);
      std::sort(nodes.begin(), nodes.end(),
                [](const auto& a, const auto& b) { return a.node() < b.node(); });
    }
  } else {
    *reply.mutable_node_status() = std::move(rated);
  }
  const std::string& asker = request.sender().node();
  if (asker != settings_.node && peers_.knows_as_up(asker))
    link_bytes_sent_ += reply.ByteSizeLong();
  return sealed(std::move(reply));
}

void monitoring_core::write_own_part(const proto::NodeStatus& status,
                                     const proto::NodeMetrics& engines, proto::NodePart& to,
                                     time_point_us now) const {
  to.set_node(settings_.node);
  to.set_up(true);
  to.set_draining(peers_.self().draining);
  *to.mutable_status() = status;
  to.mutable_status()->set_up(true);
  *to.mutable_engines() = engines.engines();
  first_token_.read(now).write(*to.mutable_first_token_seconds());
  inter_token_.read(now).write(*to.mutable_inter_token_seconds());
  total_.read(now).write(*to.mutable_total_seconds());
  to.set_tokens_per_second(rates_.tokens_per_second());
  if (jobs_shown_) {
    *to.mutable_jobs() = jobs_shown_->jobs();
    to.set_jobs_left_out(jobs_shown_->left_out());
    for (proto::JobShown& job : *to.mutable_jobs())
      job.set_tokens_per_second(job_rates_.of(job.job_id()));
  }
  *to.mutable_cost() = cost(status);
  for (proto::Alert& alert : alerts_.shown()) *to.add_alerts() = std::move(alert);
  for (proto::Objective& one : objectives_.read(now)) *to.add_objectives() = std::move(one);
}

void monitoring_core::write_totals(const proto::ClusterPicture& picture,
                                   proto::ClusterTotals& to) const {
  quantile_sketch first, inter, total;
  const auto merge = [](quantile_sketch& into, const proto::Sketch& part) {
    if (const auto read = quantile_sketch::read(part)) into.merge(*read);
  };
  for (const proto::NodePart& part : picture.nodes()) {
    to.set_nodes(to.nodes() + 1);
    if (!part.up()) continue;
    to.set_nodes_up(to.nodes_up() + 1);
    to.set_jobs_running(to.jobs_running() + part.status().jobs().running());
    to.set_tokens_per_second(to.tokens_per_second() + part.tokens_per_second());
    merge(first, part.first_token_seconds());
    merge(inter, part.inter_token_seconds());
    merge(total, part.total_seconds());
  }
  *to.mutable_first_token_seconds() = first.percentiles();
  *to.mutable_inter_token_seconds() = inter.percentiles();
  *to.mutable_total_seconds() = total.percentiles();
}

void monitoring_core::write_story(const job_story& story, proto::JobStory& to,
                                  time_point_us now) const {
  const auto now_us = static_cast<std::uint64_t>(now.count());
  proto::JobShown& shown = *to.mutable_job();
  shown.set_job_id(story.id);
  shown.set_gateway(story.gateway);
  shown.set_state(story.ended() ? proto::JOB_ENDED : proto::JOB_STATE_UNKNOWN);
  if (!story.ended() && jobs_shown_)
    for (const proto::JobShown& job : jobs_shown_->jobs())
      if (job.job_id() == story.id) shown = job;
  shown.set_model(story.model);
  const std::uint64_t end = story.ended() ? story.ended_us : now_us;
  shown.set_age_ms((end - std::min(end, story.began_us)) / 1000);
  if (story.finished) {
    *to.mutable_finished() = *story.finished;
    shown.set_prompt_tokens(story.finished->prompt_tokens());
    shown.set_answer_tokens(story.finished->answer_tokens());
    shown.set_worker(story.finished->provenance().worker_node());
    shown.set_attempt(story.finished->provenance().attempts());
    shown.set_queue_us(story.finished->provenance().queue_us());
  }
  std::vector<proto::Span> spans = spans_of(story, now_us, wall_offset_us_);
  const std::size_t told = std::min(spans.size(), telemetry::story_spans_max);
  for (std::size_t i = 0; i < told; ++i) *to.add_spans() = std::move(spans[i]);
  to.set_spans_left_out(story.steps_left_out + static_cast<std::uint32_t>(spans.size() - told));
  to.set_told_by(settings_.node);
}

void monitoring_core::gather(const envelope_ptr& message, const proto::Envelope* own,
                             const std::vector<std::string>& nodes, effects& out,
                             time_point_us now) {
  gatherings::effects gathered = gatherings_.begin(message, nodes, own, last_correlation_, now);
  post(std::move(gathered.questions), out);
  for (envelope_ptr& answer : gathered.answers) out.posts.push_back(std::move(answer));
}

void monitoring_core::read_story(const envelope_ptr& message, effects& out, time_point_us now) {
  const proto::ReadStory& asked = message->read_story();
  const std::size_t bytes = asked.job_id().size();
  const bool sound =
      asked.prefix() ? bytes >= telemetry::job_prefix_bytes_min && bytes <= 16 : bytes == 16;
  if (!sound) {
    out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                               std::to_string(bytes) + " bytes are no job's id",
                               "give its 16 bytes, or with prefix at least 4 of them"));
    return;
  }
  const job_story* story =
      asked.prefix() ? stories_.newest_with_prefix(asked.job_id()) : stories_.find(asked.job_id());
  if (!story)
    return gather(message, nullptr,
                  asked.own_only() ? std::vector<std::string>() : peers_.others_up(), out, now);
  proto::Envelope reply = reply_to(*message);
  write_story(*story, *reply.mutable_job_story(), now);
  out.posts.push_back(sealed(std::move(reply)));
}

void monitoring_core::read_history(const envelope_ptr& message, effects& out, time_point_us now) {
  const proto::ReadHistory& asked = message->read_history();
  const auto wanted = [&](const std::string& node) {
    return asked.nodes().empty() ||
           std::find(asked.nodes().begin(), asked.nodes().end(), node) != asked.nodes().end();
  };
  proto::Envelope own = reply_to(*message);
  own.mutable_cluster_history();
  if (asked.own_only() || wanted(settings_.node)) {
    proto::NodeHistory& node = *own.mutable_cluster_history()->add_nodes();
    node.set_node(settings_.node);
    history_.write(asked, wall_offset_us_, node);
  }
  std::vector<std::string> others;
  if (!asked.own_only())
    for (const std::string& node : peers_.others_up())
      if (wanted(node)) others.push_back(node);
  gather(message, &own, others, out, now);
}

void monitoring_core::read_profile(const envelope_ptr& message, effects& out, time_point_us now) {
  profile_relay::effects begun = profiles_.begin(
      message, [this](const std::string& node) { return peers_.knows_as_up(node); },
      last_correlation_, now);
  for (envelope_ptr& message : begun.posts) {
    if (message->has_read_profile()) link_bytes_sent_ += message->ByteSizeLong();
    out.posts.push_back(std::move(message));
  }
  if (begun.here) out.profiles.push_back(std::move(begun.here));
}

void monitoring_core::read_log(const envelope_ptr& message, effects& out, time_point_us now) {
  const proto::ReadLog& asked = message->read_log();
  if (const troupe::status fine = check_log_request(asked); !fine) {
    out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT, fine.failure().message,
                               fine.failure().mend));
    return;
  }
  const bool all = asked.node().empty();
  if (!all && asked.node() != settings_.node && !peers_.knows_as_up(asked.node())) {
    out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                               "no node " + asked.node() + " is up",
                               "look at troupe status for the nodes"));
    return;
  }
  proto::Envelope own = reply_to(*message);
  own.mutable_log_part();
  if (log_ && (asked.own_only() || all || asked.node() == settings_.node))
    log_->read(asked, *own.mutable_log_part());
  std::vector<std::string> others;
  if (!asked.own_only() && all) others = peers_.others_up();
  if (!asked.own_only() && !all && asked.node() != settings_.node) others.push_back(asked.node());
  gather(message, &own, others, out, now);
}

}  // namespace troupe
