#include "cluster/client/troupe.hpp"

#include "cluster/client/session.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/client/utf8_text.hpp"
#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

constexpr milliseconds cancel_wait{5'000};

// Text that is not UTF-8 cannot travel; everything else is the gateway's to judge.
status check_texts(const job& request) {
  const auto check = [](const std::string& what, const std::string& text) -> status {
    if (auto at = utf8_fault(text))
      return error{error_code::invalid_argument,
                   what + " is not UTF-8: the fault is at byte " + std::to_string(*at),
                   "give UTF-8"};
    return {};
  };
  if (status fine = check("the prompt", request.prompt); !fine) return fine;
  if (status fine = check("the model's name", request.model); !fine) return fine;
  for (const std::string& stop : request.stop)
    if (status fine = check("a stop text", stop); !fine) return fine;
  return {};
}

proto::SubmitJob message_of(const job& request, std::string id) {
  proto::SubmitJob out;
  out.set_job_id(std::move(id));
  out.set_cache_bypass(request.cache_bypass);
  proto::JobSpecification& job = *out.mutable_job();
  job.set_model(request.model);
  if (request.prompt_ids.empty())
    job.set_text(request.prompt);
  else
    job.mutable_token_ids()->mutable_ids()->Add(request.prompt_ids.begin(),
                                                request.prompt_ids.end());
  job.set_tokens_max(request.tokens_max);
  for (const std::string& stop : request.stop) job.add_stop(stop);
  job.set_parse_special(request.parse_special);
  job.set_ignore_end(request.ignore_end);
  proto::SamplingParameters& sampling = *job.mutable_sampling();
  sampling.set_temperature(request.sampling.temperature);
  sampling.set_top_k(request.sampling.top_k);
  sampling.set_top_p(request.sampling.top_p);
  sampling.set_min_p(request.sampling.min_p);
  sampling.set_repetition_penalty(request.sampling.repetition_penalty);
  sampling.set_presence_penalty(request.sampling.presence_penalty);
  sampling.set_frequency_penalty(request.sampling.frequency_penalty);
  if (request.sampling.seed) sampling.set_seed(*request.sampling.seed);
  return out;
}

class job_stream final : public stream {
 public:
  job_stream(std::shared_ptr<session> session, std::string id)
      : session_(std::move(session)), id_(std::move(id)) {}
  ~job_stream() override { session_->forget(id_); }

  result<std::optional<token>> next(milliseconds wait_max) override {
    return session_->next(id_, wait_max);
  }
  const report& summary() const override { return summary_ = session_->summary(id_); }
  void cancel() override { session_->cancel(id_); }

 private:
  std::shared_ptr<session> session_;
  std::string id_;
  mutable report summary_;
};

class cluster_session final : public cluster {
 public:
  explicit cluster_session(std::shared_ptr<session> session) : session_(std::move(session)) {}

  result<std::unique_ptr<stream>> submit(const job& request) override {
    if (status fine = check_texts(request); !fine) return fine.failure();
    std::string id;
    if (request.id.empty()) {
      id = make_uuid();
    } else {
      result<std::string> given = uuid_bytes(request.id);
      if (!given) return given.failure();
      id = *given;
    }
    if (status taken = session_->submit(message_of(request, id)); !taken) return taken.failure();
    return std::unique_ptr<stream>(std::make_unique<job_stream>(session_, std::move(id)));
  }

  status cancel(std::string_view job_id) override {
    result<std::string> id = uuid_bytes(job_id);
    if (!id) return id.failure();
    proto::Envelope request;
    request.mutable_cancel_job()->set_job_id(*id);
    auto reply = session_->ask("gateway", std::move(request), cancel_wait);
    if (!reply) return reply.failure();
    return {};
  }

  result<std::string> status_json(milliseconds wait_max) override {
    proto::Envelope request;
    request.mutable_read_cluster();
    auto reply = session_->ask("gateway", std::move(request), wait_max);
    if (!reply) return reply.failure();
    if (!(*reply)->has_cluster_status())
      return error{error_code::internal, "the gateway's answer is no cluster status",
                   "are client and node of the same version?"};
    return status_document((*reply)->cluster_status());
  }

 private:
  std::shared_ptr<session> session_;
};

}  // namespace

result<std::unique_ptr<cluster>> cluster::connect(std::string_view at, connect_options options) {
  result<std::shared_ptr<session>> opened = session::open(at, options.wait_max);
  if (!opened) return opened.failure();
  return std::unique_ptr<cluster>(std::make_unique<cluster_session>(std::move(*opened)));
}

}  // namespace troupe::client
