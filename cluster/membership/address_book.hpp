// Which addresses to dial beside the configured ones: those that linked nodes name as their
// neighbours' or their own, so that a node which knows one address comes to know all. Only those of
// nodes without a session are dialled.
//
// An address is a hint. Who answers there says its own name in its hello, so a wrong or doubled
// address costs a dial and nothing else: it is given up when nobody has named it for kept_for.
// Between two nodes that learn of each other at once the smaller name dials; the other waits
// first_wait for that. Bounds: book_max learnt names. Pure.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "cluster/membership/node_view.hpp"

namespace troupe::cluster {

class address_book {
 public:
  static constexpr std::size_t book_max = 64;
  static constexpr time_point_us first_wait{1'000'000};
  static constexpr time_point_us kept_for{600'000'000};

  // configured: dialled by others and for ever, never given up here.
  address_book(std::string self, std::vector<std::string> configured);

  // The own address, which is not dialled.
  void own_address(const std::string& address) { own_address_ = address; }

  struct decisions {
    std::vector<std::string> dial, hang_up;  // addresses
  };
  // mentioned: what the linked nodes name now. is_linked: is there a session with that name?
  // in_use: does a session stand on that address?
  decisions look(const std::vector<known_node>& mentioned,
                 const std::function<bool(const std::string& name)>& is_linked,
                 const std::function<bool(const std::string& address)>& in_use, time_point_us now);
  // That node has left: its address is given up.
  void forget(const std::string& name) { given_up_.insert(name); }

  std::size_t size() const { return learnt_.size(); }

 private:
  struct entry {
    std::string address;
    time_point_us learnt{}, named{};
    bool dialled = false;
  };
  bool worth_dialling(const known_node& one) const;

  const std::string self_;
  const std::set<std::string> configured_;
  std::string own_address_;
  std::map<std::string, entry> learnt_;  // by name
  std::set<std::string> given_up_;       // until the next look
};

}  // namespace troupe::cluster
