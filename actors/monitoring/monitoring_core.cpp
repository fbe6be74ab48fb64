#include "actors/monitoring/monitoring_core.hpp"

namespace troupe {
namespace {

double seconds(std::uint64_t us) {
  return static_cast<double>(us) * 1e-6;
}

}  // namespace

monitoring_core::monitoring_core(const monitoring_settings& settings)
    : settings_(settings),
      first_token_(settings.window),
      inter_token_(settings.window),
      total_(settings.window) {}

monitoring_core::effects monitoring_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  switch (message->payload_case()) {
    case proto::Envelope::kObserveJob:
      observe(message->observe_job(), now);
      break;
    case proto::Envelope::kReadStatus:
    case proto::Envelope::kReadMetrics:
      if (readers_.size() >= settings_.readers_waiting_max) {
        out.posts.push_back(refuse(
            *message, proto::Error::RESOURCE_EXHAUSTED,
            std::to_string(readers_.size()) + " status requests wait already", "try again later"));
        break;
      }
      readers_.push_back(message);
      if (models_asked_ == 0 && cache_asked_ == 0) ask(out, now);
      break;
    case proto::Envelope::kModelList:
    case proto::Envelope::kCacheStatus:
    case proto::Envelope::kError:
      if (reply_arrived(*message)) return answer_all();
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(
            *message, proto::Error::INVALID_ARGUMENT,
            "monitoring does not take payload number " + std::to_string(message->payload_case())));
  }
  return out;
}

void monitoring_core::ask(effects& out, time_point_us now) {
  // Begins at the clock so that a reply to an earlier life of this actor matches nothing.
  last_correlation_ = std::max(last_correlation_, static_cast<std::uint64_t>(now.count()) << 8);
  const auto request = [&](const char* actor) {
    auto message = std::make_shared<proto::Envelope>();
    message->mutable_sender()->set_node(settings_.node);
    message->mutable_sender()->set_actor("monitoring");
    message->mutable_target()->set_node(settings_.node);
    message->mutable_target()->set_actor(actor);
    message->set_correlation(++last_correlation_);
    message->set_deadline_ms(static_cast<std::uint32_t>(settings_.answer_wait.count()));
    return message;
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
}

// True when nothing is awaited any more.
bool monitoring_core::reply_arrived(const proto::Envelope& message) {
  const std::uint64_t reply = message.correlation();
  if (reply == 0 || (reply != models_asked_ && reply != cache_asked_)) return false;
  if (message.has_model_list()) models_ = message.model_list();
  if (message.has_cache_status()) cache_ = message.cache_status();
  if (reply == models_asked_) models_asked_ = 0;
  if (reply == cache_asked_) cache_asked_ = 0;
  return models_asked_ == 0 && cache_asked_ == 0;
}

monitoring_core::effects monitoring_core::answer_all() {
  models_asked_ = cache_asked_ = 0;
  effects out;
  out.answers.swap(readers_);
  return out;
}

monitoring_core::effects monitoring_core::tick(time_point_us now) {
  if (!readers_.empty() && now - asked_at_ >= settings_.answer_wait) return answer_all();
  return {};
}

void monitoring_core::observe(const proto::ObserveJob& told, time_point_us now) {
  const proto::JobFinished& job = told.finished();
  metrics_.job_ended(told.model(), job);
  if (job.reason() == proto::FAILED) {
    jobs_.set_failed(jobs_.failed() + 1);
  } else if (job.reason() == proto::CANCELLED_BY_CLIENT) {
    jobs_.set_cancelled(jobs_.cancelled() + 1);
  } else {
    jobs_.set_finished(jobs_.finished() + 1);
  }
  const proto::Provenance& how = job.provenance();
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
    const sample& from = actor.samples.front();
    const sample& till = actor.samples.back();
    if (till.at > from.at && till.busy_us >= from.busy_us)
      to.set_busy_share(std::min(1.0, static_cast<double>(till.busy_us - from.busy_us) /
                                          static_cast<double>((till.at - from.at).count())));
  }
  if (models_) *status.mutable_models() = models_->models();
  if (cache_) *status.mutable_cache() = *cache_;
  *status.mutable_jobs() = jobs_;
  *status.mutable_jobs()->mutable_first_token_seconds() = first_token_.read(now);
  *status.mutable_jobs()->mutable_inter_token_seconds() = inter_token_.read(now);
  *status.mutable_jobs()->mutable_total_seconds() = total_.read(now);
  for (const proto::ModelDescription& model : status.models()) {
    if (model.state() != proto::READY) continue;
    status.set_engine(model.engine());
    status.set_numerics_class(model.numerics_class());
    status.set_variant(model.variant());
    break;
  }
  return status;
}

}  // namespace troupe
