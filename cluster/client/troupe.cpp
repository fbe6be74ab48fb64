#include "cluster/client/troupe.hpp"

#include <algorithm>

#include "cluster/client/job_message.hpp"
#include "cluster/client/session.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

constexpr milliseconds cancel_wait{5'000};
constexpr milliseconds release_wait{5'000};
constexpr milliseconds drain_answer_wait{5'000};
constexpr milliseconds drain_slack{20'000};  // for actors to end, once no job runs

// The address of a node that is up, from the cluster's status.
result<std::string> address_of(const proto::ClusterStatus& cluster, std::string_view node) {
  std::string known;
  for (const proto::NodeStatus& one : cluster.nodes()) {
    known += (known.empty() ? "" : ", ") + one.node();
    if (one.node() != node) continue;
    if (!one.up())
      return error{error_code::unavailable, "node " + one.node() + " is down already", {}};
    if (one.address().empty())
      return error{error_code::unavailable, "the address of node " + one.node() + " is not known",
                   "name it with --at"};
    return one.address();
  }
  return error{error_code::not_found, "the cluster has no node " + std::string(node),
               "known nodes: " + known};
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
    if (status fine = check_job(request); !fine) return fine.failure();
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

  result<released> release(std::string_view job_id) override {
    result<std::string> id = uuid_bytes(job_id);
    if (!id) return id.failure();
    proto::Envelope request;
    request.mutable_release_prefix()->set_job_id(*id);
    return release(std::move(request));
  }

  result<released> release(std::string_view model, const std::vector<std::int32_t>& ids) override {
    proto::Envelope request;
    request.mutable_release_prefix()->set_model(std::string(model));
    request.mutable_release_prefix()->mutable_ids()->Add(ids.begin(), ids.end());
    return release(std::move(request));
  }

  status drain(std::string_view node, milliseconds wait_max) override {
    std::shared_ptr<session> there = session_;
    if (session_->node_name() != node) {
      auto cluster = read_cluster(drain_answer_wait);
      if (!cluster) return cluster.failure();
      auto address = address_of((*cluster)->cluster_status(), node);
      if (!address) return address.failure();
      connect_options options = session_->options();
      options.wait_max = drain_answer_wait;
      auto opened = session::open(*address, std::move(options));
      if (!opened) return opened.failure();
      there = std::move(*opened);
    }
    if (there->node_name() != node)
      return error{error_code::not_found,
                   "node " + there->node_name() + " answers where " + std::string(node) + " was",
                   "look at troupe status"};
    proto::Envelope request;
    request.mutable_drain_node()->set_wait_ms(
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(wait_max.count(), 0, UINT32_MAX)));
    auto reply = there->ask("node", std::move(request), drain_answer_wait);
    if (!reply) return reply.failure();
    const milliseconds granted((*reply)->node_draining().wait_ms());
    if (there->wait_until_gone(granted + drain_slack)) return {};
    return error{error_code::deadline_exceeded,
                 "node " + std::string(node) + " drains and is still there after " +
                     std::to_string((granted + drain_slack).count()) + " ms",
                 "see its log"};
  }

  result<std::string> status_json(milliseconds wait_max) override {
    auto reply = read_cluster(wait_max);
    if (!reply) return reply.failure();
    return status_document((*reply)->cluster_status());
  }

 private:
  result<released> release(proto::Envelope request) {
    const auto reply = session_->ask("gateway", std::move(request), release_wait);
    if (!reply) return reply.failure();
    const proto::PrefixReleased& told = (*reply)->prefix_released();
    return released{told.blocks_freed(),
                    told.blocks_kept(),
                    {told.nodes_silent().begin(), told.nodes_silent().end()}};
  }

  result<link::envelope_ptr> read_cluster(milliseconds wait_max) {
    proto::Envelope request;
    request.mutable_read_cluster();
    auto reply = session_->ask("gateway", std::move(request), wait_max);
    if (reply && !(*reply)->has_cluster_status())
      return error{error_code::internal, "the gateway's answer is no cluster status",
                   "are client and node of the same version?"};
    return reply;
  }

  std::shared_ptr<session> session_;
};

}  // namespace

result<std::unique_ptr<cluster>> cluster::connect(std::string_view at, connect_options options) {
  result<std::shared_ptr<session>> opened = session::open(at, options);
  if (!opened) return opened.failure();
  return std::unique_ptr<cluster>(std::make_unique<cluster_session>(std::move(*opened)));
}

}  // namespace troupe::client
