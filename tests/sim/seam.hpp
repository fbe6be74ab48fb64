// What stands between a node's cores and their world. The plain seam changes nothing; a planted bug
// is a seam that does.
//
// One object for each node and process life. Every message between actors passes to() on its way
// into a core and from() on its way out. False: it is lost.
#pragma once

#include <memory>
#include <string>

#include "actors/cache_tier/cache_settings.hpp"
#include "actors/inference/inference_core.hpp"
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/membership/membership_core.hpp"

namespace troupe::sim {

enum class part { gateway, node, inference, cache_tier, model_loader };

struct core_settings {
  cluster::gateway_settings gateway;
  inference_settings inference;
  cluster::membership_settings membership;
  cache_settings cache;
};

class seam {
 public:
  virtual ~seam() = default;
  virtual void configure(core_settings&) {}
  virtual bool to(part, proto::Envelope&) { return true; }
  // Further envelopes may be put into `more`.
  virtual bool from(part, proto::Envelope&, std::vector<proto::Envelope>& more) {
    (void)more;
    return true;
  }
  virtual bool tells_lost(part, const std::string& node) { return (void)node, true; }
  virtual bool syncs_nothing() const { return false; }  // and says that it did
  virtual void shows(cluster::cluster_view&) {}
  virtual bool believes(const std::string& record, proto::CachedAnswer&) {
    return (void)record, false;
  }
};

}  // namespace troupe::sim
