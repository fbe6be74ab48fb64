#include "cluster/client/chaos.hpp"

#include <algorithm>

#include "cluster/client/session.hpp"

namespace troupe::client {
namespace {

constexpr milliseconds answer_wait{5'000};

proto::BeginFault::Kind kind_of(node_fault kind) {
  switch (kind) {
    case node_fault::pause:
      return proto::BeginFault::PAUSE;
    case node_fault::partition:
      return proto::BeginFault::PARTITION;
    case node_fault::slow:
      return proto::BeginFault::SLOW;
    case node_fault::crash:
      return proto::BeginFault::CRASH;
    case node_fault::restart:
      return proto::BeginFault::RESTART;
  }
  return proto::BeginFault::KIND_UNSPECIFIED;
}

std::uint32_t in_ms(milliseconds time) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
}

// node: empty takes whoever answers.
result<std::shared_ptr<session>> reach(std::string_view at, std::string_view node) {
  auto opened = session::open(at, {answer_wait});
  if (opened && !node.empty() && (*opened)->node_name() != node)
    return error{error_code::not_found,
                 "node " + (*opened)->node_name() + " answers where " + std::string(node) + " was",
                 "look at troupe status"};
  return opened;
}

}  // namespace

result<chaos_leave> read_chaos(std::string_view at) {
  auto there = reach(at, {});
  if (!there) return there.failure();
  proto::Envelope request;
  request.mutable_read_chaos();
  const auto reply = (*there)->ask("node", std::move(request), answer_wait);
  if (!reply) return reply.failure();
  const proto::ChaosStatus& told = (*reply)->chaos_status();
  return chaos_leave{(*there)->node_name(), told.enabled(), told.supervised(), told.computes()};
}

status begin_fault(std::string_view at, std::string_view node, const fault_wish& wish) {
  auto there = reach(at, node);
  if (!there) return there.failure();
  proto::Envelope request;
  proto::BeginFault& asked = *request.mutable_begin_fault();
  asked.set_kind(kind_of(wish.kind));
  asked.set_lasts_ms(in_ms(wish.lasts));
  asked.set_delay_ms(in_ms(wish.delay));
  for (const std::string& peer : wish.peers) asked.add_peers(peer);
  const auto reply = (*there)->ask("node", std::move(request), answer_wait);
  if (!reply) return reply.failure();
  return {};
}

status end_fault(std::string_view at, std::string_view node) {
  auto there = reach(at, node);
  if (!there) return there.failure();
  proto::Envelope request;
  request.mutable_end_fault();
  const auto reply = (*there)->ask("node", std::move(request), answer_wait);
  if (!reply) return reply.failure();
  return {};
}

}  // namespace troupe::client
