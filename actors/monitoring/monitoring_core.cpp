#include "actors/monitoring/monitoring_core.hpp"

#include <algorithm>

namespace troupe {
namespace {

double seconds(std::uint64_t us) {
  return static_cast<double>(us) * 1e-6;
}

bool wants_cluster(const proto::Envelope& request) {
  return request.has_read_picture() && !request.read_picture().own_only();
}

}  // namespace

monitoring_core::monitoring_core(const monitoring_settings& settings,
                                 std::shared_ptr<const log_ring> log)
    : settings_(settings),
      log_(std::move(log)),
      first_token_(settings.window),
      inter_token_(settings.window),
      total_(settings.window),
      traces_(settings.node, settings.version, settings.traces),
      stories_(settings.node, settings.slow_job,
               [this](const job_story& story) { traces_.add(story, wall_offset_us_); }),
      objectives_(settings.alerts.objectives, settings.alerts.objective_window),
      rules_(settings.node, settings.alerts),
      alerts_(settings.node, settings.alerts),
      peers_(settings),
      gatherings_(settings),
      profiles_(settings.node) {}

monitoring_core::effects monitoring_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  // Begins at the clock so that a reply to an earlier life of this actor matches nothing.
  last_correlation_ = std::max(last_correlation_, static_cast<std::uint64_t>(now.count()) << 8);
  switch (message->payload_case()) {
    case proto::Envelope::kObserveJob:
      if (!of_own_gateway(*message)) break;
      ++observations_;
      observe(message->observe_job(), now);
      break;
    case proto::Envelope::kObserveStep:
      if (!of_own_gateway(*message)) break;
      ++observations_;
      stories_.step(message->observe_step(), message->trace());
      break;
    case proto::Envelope::kReadStatus:
    case proto::Envelope::kReadMetrics:
    case proto::Envelope::kReadPicture:
    case proto::Envelope::kReadStory:
    case proto::Envelope::kReadHistory:
    case proto::Envelope::kReadLog:
      read(message, out, now);
      break;
    case proto::Envelope::kReadProfile:
      read_profile(message, out, now);
      break;
    case proto::Envelope::kModelList:
    case proto::Envelope::kCacheStatus:
    case proto::Envelope::kJobsShown:
    case proto::Envelope::kClusterPicture:
    case proto::Envelope::kJobStory:
    case proto::Envelope::kClusterHistory:
    case proto::Envelope::kLogPart:
    case proto::Envelope::kNodeProfile:
    case proto::Envelope::kError:
      take_reply(*message, out, now);
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(
            *message, proto::Error::INVALID_ARGUMENT,
            "monitoring does not take payload number " + std::to_string(message->payload_case())));
  }
  return out;
}

// A client reaches monitoring as well, and is not to make jobs up.
bool monitoring_core::of_own_gateway(const proto::Envelope& message) const {
  return message.sender().node() == settings_.node && message.sender().actor() == "gateway";
}

void monitoring_core::read(const envelope_ptr& message, effects& out, time_point_us now) {
  if (readers_.size() + gatherings_.waiting() >= settings_.readers_waiting_max) {
    out.posts.push_back(refuse(
        *message, proto::Error::RESOURCE_EXHAUSTED,
        std::to_string(readers_.size() + gatherings_.waiting()) + " status requests wait already",
        "try again later"));
    return;
  }
  if (message->has_read_story()) return read_story(message, out, now);
  if (message->has_read_history()) return read_history(message, out, now);
  if (message->has_read_log()) return read_log(message, out, now);
  readers_.push_back(message);
  const bool jobs = message->has_read_picture();
  if (!models_asked_ && !cache_asked_ && !jobs_asked_) {
    ask_here(jobs, out, now);
  } else if (jobs && !jobs_asked_) {
    ask_gateway(out);
  }
  if (wants_cluster(*message))
    post(peers_.ask(rates_.link_bytes_per_second(), last_correlation_, now), out);
}

void monitoring_core::ask_gateway(effects& out) {
  auto jobs = from_monitoring(settings_.node, settings_.node, "gateway", ++last_correlation_,
                              settings_.answer_wait);
  jobs->mutable_read_jobs();
  jobs_asked_ = jobs->correlation();
  out.posts.push_back(std::move(jobs));
}

void monitoring_core::ask_here(bool jobs, effects& out, time_point_us now) {
  const auto request = [&](const char* actor) {
    return from_monitoring(settings_.node, settings_.node, actor, ++last_correlation_,
                           settings_.answer_wait);
  };
  auto models = request("model_loader");
  models->mutable_list_models();
  models_asked_ = models->correlation();
  auto cache = request("cache_tier");
  cache->mutable_read_cache_status();
  cache_asked_ = cache->correlation();
  asked_at_ = now;
  out.posts.push_back(std::move(models));
  out.posts.push_back(std::move(cache));
  if (jobs) ask_gateway(out);
}

// False: it is no reply to what was asked here.
bool monitoring_core::take_from_here(const proto::Envelope& message) {
  const std::uint64_t reply = message.correlation();
  if (reply == 0) return false;
  if (reply == models_asked_) {
    if (message.has_model_list()) models_ = message.model_list();
    models_asked_ = 0;
  } else if (reply == cache_asked_) {
    if (message.has_cache_status()) cache_ = message.cache_status();
    cache_asked_ = 0;
  } else if (reply == jobs_asked_) {
    if (message.has_jobs_shown()) jobs_shown_ = message.jobs_shown();
    jobs_asked_ = 0;
  } else {
    return false;
  }
  return true;
}

void monitoring_core::take_reply(const proto::Envelope& message, effects& out, time_point_us now) {
  gatherings::effects gathered;
  if (take_from_here(message)) {
    if (message.has_jobs_shown()) job_rates_.feed(message.jobs_shown(), now);
  } else if (profiles_.take(message, out.posts)) {
    return;
  } else if (!peers_.take(message, now)) {
    gatherings_.take(message, gathered);
    for (envelope_ptr& answer : gathered.answers) out.posts.push_back(std::move(answer));
    return;
  }
  answer_ready(out, now);
}

// Who waits for nothing more is answered.
void monitoring_core::answer_ready(effects& out, time_point_us now) {
  const bool here = waits_here() && now - asked_at_ < settings_.answer_wait;
  if (here) return;
  models_asked_ = cache_asked_ = jobs_asked_ = 0;
  const bool peers = peers_.waiting(now);
  std::vector<envelope_ptr> waiting;
  for (envelope_ptr& reader : readers_)
    (peers && wants_cluster(*reader) ? waiting : out.answers).push_back(std::move(reader));
  readers_ = std::move(waiting);
}

monitoring_core::effects monitoring_core::tick(time_point_us now) {
  effects out;
  if (!readers_.empty()) answer_ready(out, now);
  for (envelope_ptr& answer : gatherings_.tick(now).answers) out.posts.push_back(std::move(answer));
  for (envelope_ptr& answer :
       profiles_.tick([this](const std::string& node) { return peers_.knows_as_up(node); }, now))
    out.posts.push_back(std::move(answer));
  out.traces = traces_.take_due(now);
  return out;
}

void monitoring_core::nodes_changed(const std::vector<peer_seen>& nodes, time_point_us now) {
  peers_.nodes_changed(nodes, now);
}

// Posts to other nodes, counted.
void monitoring_core::post(std::vector<envelope_ptr> messages, effects& out) {
  for (envelope_ptr& message : messages) {
    link_bytes_sent_ += message->ByteSizeLong();
    out.posts.push_back(std::move(message));
  }
}

void monitoring_core::observe(const proto::ObserveJob& told, time_point_us now) {
  const proto::JobFinished& job = told.finished();
  metrics_.job_ended(told.model(), job);
  stories_.ended(job, told.model(), now);
  if (job.reason() == proto::FAILED) {
    jobs_.set_failed(jobs_.failed() + 1);
  } else if (job.reason() == proto::CANCELLED_BY_CLIENT) {
    jobs_.set_cancelled(jobs_.cancelled() + 1);
  } else {
    jobs_.set_finished(jobs_.finished() + 1);
  }
  const proto::Provenance& how = job.provenance();
  if (job.reason() != proto::CANCELLED_BY_CLIENT)
    objectives_.job_ended(told.model(), std::chrono::microseconds(how.first_token_us()),
                          job.reason() == proto::FAILED, now);
  if (how.source() == proto::LOCAL_CACHE || how.source() == proto::SHARED_CACHE)
    jobs_.set_from_cache(jobs_.from_cache() + 1);
  jobs_.set_prompt_tokens(jobs_.prompt_tokens() + job.prompt_tokens());
  jobs_.set_answer_tokens(jobs_.answer_tokens() + job.answer_tokens());
  if (job.reason() == proto::FAILED || job.answer_tokens() == 0) return;
  first_token_.add(seconds(how.first_token_us()), now);
  total_.add(seconds(how.total_us()), now);
  if (job.answer_tokens() > 1 && how.total_us() >= how.first_token_us())
    inter_token_.add(seconds(how.total_us() - how.first_token_us()) / (job.answer_tokens() - 1),
                     now);
}

void monitoring_core::read_gauges(const std::vector<gauge_reading>& gauges, time_point_us now) {
  for (const gauge_reading& reading : gauges) {
    const auto [entry, fresh] = actors_.try_emplace(reading.name);
    if (fresh) order_.push_back(reading.name);
    watched& actor = entry->second;
    actor.last = reading;
    actor.samples.push_back({now, reading.busy_us});
    while (actor.samples.size() > 2 &&
           (actor.samples[1].at <= now - settings_.busy_window || actor.samples.size() > 256))
      actor.samples.pop_front();
  }
}

}  // namespace troupe
