// What a node tells of itself, and how it travels: whole, or as the parts that changed since a
// version which the receiver holds.
//
// told_views is the sender's side: versions of its own view, kept so far back as somebody may still
// stand on them. heard_views is the receiver's side: the newest version of one peer's view, and the
// few before it on which a beat that is under way may stand.
//
// Invariants: a version is one content, within an incarnation; whoever holds a version holds
// exactly that content; heard versions only rise until forget(). Bounds: prefixes_max names,
// models_max models, neighbours_max neighbours; told_max and heard_max versions. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "proto/envelope.pb.h"

namespace troupe::cluster {

struct node_load {
  std::uint32_t sequences_running = 0;
  std::uint32_t sequences_waiting = 0;
  std::uint32_t sequences_max = 0;  // 0: not known yet
  double decode_tokens_per_second = 0;
  bool too_warm = false;  // a GPU, by that node's own limit

  friend bool operator==(const node_load&, const node_load&) = default;
};

struct known_node {
  std::string name, address;
  friend bool operator==(const known_node&, const known_node&) = default;
};

inline constexpr std::size_t prefixes_max = 1024, models_max = 1024, neighbours_max = 64;
inline constexpr std::size_t address_bytes_max = 256;

struct node_view {
  node_load load;
  bool draining = false;
  std::vector<proto::ModelDescription> models;
  std::vector<std::uint64_t> prefixes;  // sorted, without doubles
  std::string address;
  std::vector<known_node> neighbours;  // by name
};

bool same_models(const std::vector<proto::ModelDescription>& a,
                 const std::vector<proto::ModelDescription>& b);
bool operator==(const node_view& a, const node_view& b);

// Sorted, without doubles, and no more than there may be.
std::vector<std::uint64_t> kept_prefixes(std::vector<std::uint64_t> names);

// Bits of Heartbeat.view_parts. Part of the wire format.
inline constexpr std::uint32_t part_models = 1, part_load = 2, part_draining = 4, part_prefixes = 8,
                               part_address = 16, part_neighbours = 32;

void write_whole(const node_view& view, proto::Heartbeat& to);
void write_changes(const node_view& base, const node_view& view, proto::Heartbeat& to);
node_view read_whole(const proto::Heartbeat& beat);
node_view read_changes(const node_view& base, const proto::Heartbeat& beat);

class told_views {
 public:
  static constexpr std::size_t told_max = 64;

  // first: higher than any version that was told before within this incarnation.
  explicit told_views(std::uint64_t first) : next_(first) {}

  // What beats leave with from now on; a new version where it differs.
  void set(const node_view& view);
  // acknowledged: the version that the receiver holds. Not before the first set().
  void write(std::uint64_t acknowledged, proto::Heartbeat& to) const;

 private:
  std::uint64_t next_;
  std::deque<std::pair<std::uint64_t, node_view>> told_;  // oldest first
};

class heard_views {
 public:
  static constexpr std::size_t heard_max = 8;

  // True: the newest view is another one now.
  bool take(const proto::Heartbeat& beat);
  const node_view& newest() const;
  std::uint64_t version() const { return heard_.empty() ? 0 : heard_.back().first; }
  void forget() { heard_.clear(); }

 private:
  std::deque<std::pair<std::uint64_t, node_view>> heard_;  // oldest first
};

}  // namespace troupe::cluster
