#include "cluster/http/job_book.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cluster/client/uuid.hpp"
#include "cluster/http/answer_writer.hpp"
#include "cluster/http/json_fields.hpp"
#include "cluster/http/openai_request.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string session_of(const std::string& id) {
  return std::string(job_session_prefix) + client::uuid_text(id);
}

// Lower goes first.
int rank_of(proto::JobPriority priority) {
  return priority == proto::PRIORITY_URGENT ? 0 : priority == proto::PRIORITY_NORMAL ? 1 : 2;
}

}  // namespace

std::variant<job_wish, api_error> read_job_wish(std::string_view body,
                                                const request_limits& limits) {
  auto parsed = parse_object(body);
  if (auto* fault = std::get_if<api_error>(&parsed)) return *fault;
  json& document = std::get<json>(parsed);
  job_wish out;
  {
    json_fields fields(document);
    const auto id = fields.text("id", 64);
    const std::string priority = fields.text("priority", 16).value_or("normal");
    if (id) {
      const auto bytes = client::uuid_bytes(*id);
      bytes ? void(out.id = *bytes) : fields.wrong("id", "is no UUID of 36 characters");
    }
    if (priority == "background")
      out.job.set_priority(proto::PRIORITY_BACKGROUND);
    else if (priority == "urgent")
      out.job.set_priority(proto::PRIORITY_URGENT);
    else if (priority != "normal")
      fields.wrong("priority", "is \"" + priority + "\"; allowed: background, normal, urgent");
    if (document.contains("stream"))
      fields.wrong("stream", "has no place in a job; GET /v1/jobs/{id}/stream reads it");
    if (fields.fault()) return *fields.fault();
  }
  document.erase("id");
  document.erase("priority");
  out.is_chat = document.contains("messages");
  const std::string rest = document.dump();
  auto work = out.is_chat ? read_chat(rest, limits) : read_completion(rest, limits);
  if (auto* fault = std::get_if<api_error>(&work)) return *fault;
  asked_work& asked = std::get<asked_work>(work);
  if (asked.jobs.size() != 1) return wrong_field("n", "a job has one prompt and one answer");
  if (asked.plan.log_probabilities)
    return wrong_field("logprobs", "is not supported for a long job; leave it out");
  *out.job.mutable_job() = asked.jobs[0].job();
  out.job.set_tenant(asked.user);
  return out;
}

std::vector<proto::Envelope> job_book::take_messages() {
  return std::exchange(messages_, {});
}

std::vector<std::string> job_book::take_ended_sessions() {
  return std::exchange(ended_sessions_, {});
}

bool job_book::make_room() {
  while (jobs_.size() >= settings_.kept_max) {
    auto oldest = jobs_.end();
    for (auto at = jobs_.begin(); at != jobs_.end(); ++at)
      if ((at->second.now == phase::ended || at->second.now == phase::untold) &&
          (oldest == jobs_.end() || at->second.order < oldest->second.order))
        oldest = at;
    if (oldest == jobs_.end()) return false;
    write_forgotten(oldest->first);
    jobs_.erase(oldest);
  }
  return true;
}

std::variant<job_book::submitted, api_error> job_book::submit(const job_wish& wish,
                                                              std::int64_t now_s) {
  const std::string content = wish.job.job().SerializeAsString();
  if (const auto known = jobs_.find(wish.id); known != jobs_.end()) {
    record& job = known->second;
    if (job.owner != wish.owner || (!job.content.empty() && job.content != content))
      return api_error_of(error_code::already_exists,
                          "job " + client::uuid_text(wish.id) + " exists with another content",
                          "make a new id for a new job");
    if (job.now != phase::untold) return submitted{false};
    jobs_.erase(known);  // its answer is no longer known: it is computed again, to the same end
  }
  if (!make_room())
    return api_error_of(error_code::resource_exhausted,
                        std::to_string(jobs_.size()) + " jobs are waiting or running",
                        "try again later, or raise http.jobs_kept");
  if (auto why = begin_fresh_if_failed(now_s)) return *why;
  record& job = jobs_[wish.id];
  job.job = wish.job;
  job.job.set_job_id(wish.id);
  job.job.set_credit_tokens(wish.job.job().tokens_max());
  job.content = content;
  job.order = next_order_++;
  job.created_s = now_s;
  job.owner = wish.owner;
  job.trace = wish.trace;
  if (settings_.journal) {
    job.now = phase::writing;
    write_held(wish.id, job);
    batch_.urgent = true;
  }
  start_waiting();
  return submitted{true};
}

void job_book::post_to_gateway(const std::string& id, proto::Envelope message) {
  message.mutable_sender()->set_node(session_of(id));
  message.mutable_sender()->set_actor("client");
  message.mutable_target()->set_node(settings_.node);
  message.mutable_target()->set_actor("gateway");
  messages_.push_back(std::move(message));
}

void job_book::start_waiting() {
  while (running_ < settings_.running_max && !stopping_ && !held_back_) {
    auto next = jobs_.end();
    const auto key = [](const record& job) {
      return std::pair(rank_of(job.job.priority()), job.order);
    };
    for (auto at = jobs_.begin(); at != jobs_.end(); ++at)
      if (at->second.now == phase::waiting &&
          (next == jobs_.end() || key(at->second) < key(next->second)))
        next = at;
    if (next == jobs_.end()) return;
    next->second.now = phase::submitted;
    ++running_;
    submit_to_gateway(next->first, next->second);
  }
}

void job_book::end(const std::string& id, record& job) {
  if (job.now == phase::submitted || job.now == phase::running) {
    --running_;
    if (!job.finished) {  // the gateway would keep it for a client that returns
      proto::Envelope stop;
      stop.mutable_cancel_job()->set_job_id(id);
      post_to_gateway(id, std::move(stop));
    }
    ended_sessions_.push_back(session_of(id));
  }
  job.now = phase::ended;
  write_end(id, job);
  start_waiting();
}

void job_book::take(const proto::Envelope& message) {
  const std::string_view session = message.target().node();
  if (!session.starts_with(job_session_prefix)) return;
  const auto id = client::uuid_bytes(session.substr(job_session_prefix.size()));
  if (id && message.has_job_accepted() && message.job_accepted().attached())
    take_up(*id, message.job_accepted());
  const auto found = id ? jobs_.find(*id) : jobs_.end();
  if (found == jobs_.end() || found->second.now == phase::ended) return;
  record& job = found->second;
  // A gateway that stops keeps the job in its journal; of one that began anew gateway_restarted()
  // tells.
  if (message.has_error() && message.correlation() != job.submissions) return;
  if (message.has_error() && message.error().code() == proto::Error::UNAVAILABLE) {
    if (job.accepted) return;
    if (stopping_ && job.now == phase::submitted) {
      --running_;
      job.now = phase::waiting;
      return;
    }
  }
  if (message.has_error()) {
    job.failure = api_error_of(message.error());
    return end(found->first, job);
  }
  if (message.has_job_accepted()) {
    take_accepted(found->first, job, message.job_accepted());
  } else if (message.has_job_tokens()) {
    const proto::JobTokens& tokens = message.job_tokens();
    if (tokens.first_index() != job.tokens) {
      job.failure = api_error_of(error_code::data_corrupt, "the answer has a hole", "submit again");
      return end(found->first, job);
    }
    job.tokens += static_cast<std::uint32_t>(tokens.ids_size());
    job.attempt = tokens.attempt();
    job.frames.push_back(tokens);
    job.frames.back().clear_log_probabilities();  // a job's stream does not tell them
    job.frames.back().clear_alternatives();
  } else if (message.has_job_finished()) {
    job.finished = message.job_finished();
    if (job.finished->reason() == proto::FAILED) job.failure = api_error_of(job.finished->error());
    if (job.finished->reason() == proto::CANCELLED_BY_CLIENT) job.cancelled = true;
    end(found->first, job);
  }
}

// What follows is told from where its submission asked on, also where some of it was here already:
// after a restart a job may be told twice, unasked and as asked.
void job_book::take_accepted(const std::string& id, record& job,
                             const proto::JobAccepted& accepted) {
  if (job.now != phase::submitted && job.now != phase::running) ++running_;
  const bool was_cancelled = job.now == phase::untold && job.cancelled;
  job.accepted = accepted;
  job.now = phase::running;
  while (!job.frames.empty() && job.frames.back().first_index() >= job.asked_from)
    job.frames.pop_back();
  job.tokens = std::min(job.tokens, job.asked_from);
  if (was_cancelled) end(id, job);
}

// A job that the gateway's journal tells after the node's start.
void job_book::take_up(const std::string& id, const proto::JobAccepted& accepted) {
  if (jobs_.contains(id) || !make_room()) return;
  record& job = jobs_[id];
  job.job.mutable_job()->set_model(accepted.model_name());
  job.job.mutable_job()->set_tokens_max(accepted.tokens_max());
  job.order = next_order_++;
  for (std::size_t i = 0; i < 6 && (id[6] & 0xf0) == 0x70;
       ++i)  // a UUIDv7 begins with its time in ms
    job.created_s = job.created_s << 8 | static_cast<unsigned char>(id[i]);
  job.created_s /= 1000;
  job.now = phase::running;
  ++running_;
}

void job_book::submit_to_gateway(const std::string& id, record& job) {
  proto::Envelope message;
  message.set_correlation(++job.submissions);
  *message.mutable_trace() = job.trace;
  proto::SubmitJob& wish = *message.mutable_submit_job();
  wish = job.job;
  wish.set_from_index(job.tokens);
  job.asked_from = job.tokens;
  if (job.accepted) *wish.mutable_pinned() = *job.accepted;
  for (const proto::JobTokens& frame : job.frames) *wish.add_held() = frame;
  post_to_gateway(id, std::move(message));
}

void job_book::gateway_restarted() {
  std::vector<std::string> lost;
  for (auto& [id, job] : jobs_) {
    if (job.now != phase::submitted && job.now != phase::running) continue;
    job.content.empty() ? lost.push_back(id) : submit_to_gateway(id, job);
  }
  for (const std::string& id : lost) {
    record& job = jobs_.at(id);
    job.failure = api_error_of(error_code::unavailable, "the gateway was started again",
                               "submit the job under a new id");
    end(id, job);
  }
}

bool job_book::cancel(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second.now == phase::untold) return false;
  if (found->second.now == phase::ended) return true;
  found->second.cancelled = true;
  end(id, found->second);
  return true;
}

const char* job_book::state_name(const record& job) {
  if (job.cancelled) return "cancelled";
  if (job.failure) return "failed";
  switch (job.now) {
    case phase::writing:
    case phase::waiting:
      return "waiting";
    case phase::submitted:
      return "submitted";
    case phase::running:
      return "running";
    default:
      return "finished";
  }
}

std::optional<std::string> job_book::state(const std::string& id) const {
  const record* known = find(id);
  if (!known) return std::nullopt;
  const record& job = *known;
  const std::uint32_t tokens_max =
      job.accepted ? job.accepted->tokens_max() : job.job.job().tokens_max();
  json out = {{"id", client::uuid_text(id)}, {"object", "job"},
              {"state", state_name(job)},    {"model", job.job.job().model()},
              {"created", job.created_s},    {"tokens", job.tokens},
              {"tokens_max", tokens_max}};
  const bool done = job.now == phase::ended && !job.failure && !job.cancelled;
  out["progress"] = done ? 1.0 : static_cast<double>(job.tokens) / tokens_max;
  out["attempts"] = job.finished ? job.finished->provenance().attempts() : job.attempt;
  out["gateway"] = settings_.node;
  if (job.accepted) {
    out["prompt_tokens"] = job.accepted->prompt_tokens();
    out["seed"] = job.accepted->sampling().seed();
  }
  if (job.finished) {
    const proto::Provenance& origin = job.finished->provenance();
    out["node"] = origin.worker_node();
    out["source"] = proto::AnswerSource_Name(origin.source());
    out["times_us"] = {{"queue", origin.queue_us()},
                       {"prefill", origin.prefill_us()},
                       {"decode", origin.decode_us()},
                       {"first_token", origin.first_token_us()},
                       {"total", origin.total_us()}};
  }
  if (done) {
    std::string text;
    for (const proto::JobTokens& frame : job.frames) text += frame.text();
    out["text"] = text + job.finished->text_tail();
    out["finish_reason"] = reason_name(job.finished->reason());
  }
  if (job.failure) out["error"] = json::parse(openai_error_document(*job.failure))["error"];
  return dumped(out);
}

std::optional<job_book::piece> job_book::read(const std::string& id, std::uint32_t from) const {
  const record* known = find(id);
  if (!known) return std::nullopt;
  const record& job = *known;
  piece out;
  out.next_index = from;
  auto at = std::upper_bound(job.frames.begin(), job.frames.end(), from,
                             [](std::uint32_t index, const proto::JobTokens& frame) {
                               return index < frame.first_index();
                             });
  if (at != job.frames.begin()) --at;
  std::size_t told = 0;
  for (; at != job.frames.end() && told < frames_max; ++at) {
    const std::uint32_t end = at->first_index() + static_cast<std::uint32_t>(at->ids_size());
    if (end <= from) continue;
    // A frame that says where each token's text ends is told from `from` on, another one whole.
    const bool can_be_cut = at->first_index() < from && at->text_ends_size() == at->ids_size();
    const int skipped = can_be_cut ? static_cast<int>(from - at->first_index()) : 0;
    const json event = {
        {"index", at->first_index() + static_cast<std::uint32_t>(skipped)},
        {"ids", std::vector<std::int32_t>(at->ids().begin() + skipped, at->ids().end())},
        {"text", skipped > 0 ? at->text().substr(at->text_ends(skipped - 1)) : at->text()}};
    out.events += "id: " + std::to_string(end) + "\ndata: " + dumped(event) + "\n\n";
    out.next_index = end;
    ++told;
  }
  if (at != job.frames.end() || job.now != phase::ended) return out;
  out.last = true;
  if (job.failure) {
    out.events += "data: " + openai_error_document(*job.failure) + "\n\n";
    return out;
  }
  json event = {{"index", job.tokens}, {"ids", json::array()}};
  event["text"] = job.finished ? job.finished->text_tail() : std::string();
  event["finish_reason"] = job.cancelled ? "cancelled" : reason_name(job.finished->reason());
  out.events += "data: " + dumped(event) + "\n\ndata: [DONE]\n\n";
  return out;
}

}  // namespace troupe::http
