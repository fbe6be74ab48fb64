// Decides who joins by an invitation. Pure.
//
// State      event                                   reply
//   open     whole request, role as invited,         joined: the guest is to be listed
//            name and key that can be listed
//            any other request                       refusal; still open
//   used     the same guest's request again          the same reply
//            any other                               refusal
//   over     (the time is up, or wrong_knocks_max    refusal
//            keys of other codes were tried)
// Invariants: at most one guest joins. A guest is listed before it is told so.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/keys/allow_list.hpp"
#include "proto/invite.pb.h"

namespace troupe::invite {

struct invite_terms {
  keys::key_role role = keys::key_role::node;
  keys::allowed_key host;  // who invites, and where it is dialled; its address may lack the host
  std::chrono::milliseconds open_for{10 * 60'000};
  unsigned wrong_knocks_max = 20;
};

class invite_core {
 public:
  explicit invite_core(invite_terms terms) : terms_(std::move(terms)) {}

  struct decision {
    std::string reply;                        // a proto::ClusterJoined
    std::optional<keys::allowed_key> listed;  // to be put into the list before the reply leaves
  };
  // since_start: time since the invitation was made. known: the host's list as it is now.
  decision answer(std::string_view request, const keys::allow_list& known,
                  std::chrono::milliseconds since_start);
  // The guest could not be listed after all: its place is free again.
  std::string not_listed(const std::string& why);
  bool used() const { return !guest_.empty(); }
  bool over(std::chrono::milliseconds since_start, unsigned wrong_knocks) const;

 private:
  invite_terms terms_;
  keys::public_key guest_;
  std::string reply_;
};

// What a guest asks for: a proto::JoinCluster.
std::string request_of(const keys::allowed_key& guest);

proto::ListedKey message_of(const keys::allowed_key& entry);
// nullopt where it could not be listed so. The host's address may lack its host: "tcp://*:PORT".
std::optional<keys::allowed_key> entry_of(const proto::ListedKey& message);

// What the guest lists after its request was granted: the host, with the address at which it came
// where the host's own lacks one, and the others that it may need.
result<std::vector<keys::allowed_key>> listed_by_guest(std::string_view reply,
                                                       const keys::allowed_key& guest,
                                                       const std::string& came_by);

}  // namespace troupe::invite
