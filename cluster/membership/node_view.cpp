#include "cluster/membership/node_view.hpp"

#include <algorithm>
#include <iterator>

namespace troupe::cluster {
namespace {

void write_load(const node_load& load, proto::Heartbeat& to) {
  to.set_sequences_running(load.sequences_running);
  to.set_sequences_waiting(load.sequences_waiting);
  to.set_sequences_max(load.sequences_max);
  to.set_decode_tokens_per_second(load.decode_tokens_per_second);
  to.set_too_warm(load.too_warm);
}

void write_models(const node_view& view, proto::Heartbeat& to) {
  for (const auto& model : view.models) *to.add_models() = model;
}

void write_neighbours(const node_view& view, proto::Heartbeat& to) {
  for (const known_node& one : view.neighbours) {
    proto::KnownNode& known = *to.add_neighbours();
    known.set_name(one.name);
    known.set_address(one.address);
  }
}

node_load load_of(const proto::Heartbeat& beat) {
  return {beat.sequences_running(), beat.sequences_waiting(), beat.sequences_max(),
          beat.decode_tokens_per_second(), beat.too_warm()};
}

std::vector<proto::ModelDescription> models_of(const proto::Heartbeat& beat) {
  const auto count = std::min<std::ptrdiff_t>(beat.models_size(), models_max);
  return {beat.models().begin(), beat.models().begin() + static_cast<int>(count)};
}

std::vector<known_node> neighbours_of(const proto::Heartbeat& beat) {
  std::vector<known_node> out;
  for (const proto::KnownNode& one : beat.neighbours())
    if (out.size() < neighbours_max && one.name().size() <= address_bytes_max &&
        one.address().size() <= address_bytes_max)
      out.push_back({one.name(), one.address()});
  return out;
}

std::string address_of(const proto::Heartbeat& beat) {
  return beat.address().size() <= address_bytes_max ? beat.address() : std::string();
}

std::vector<std::uint64_t> sorted(const google::protobuf::RepeatedField<std::uint64_t>& names) {
  std::vector<std::uint64_t> out(names.begin(), names.end());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

bool same_models(const std::vector<proto::ModelDescription>& a,
                 const std::vector<proto::ModelDescription>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.SerializeAsString() == y.SerializeAsString();
  });
}

bool operator==(const node_view& a, const node_view& b) {
  return a.load == b.load && a.draining == b.draining && a.prefixes == b.prefixes &&
         a.address == b.address && a.neighbours == b.neighbours && same_models(a.models, b.models);
}

std::vector<std::uint64_t> kept_prefixes(std::vector<std::uint64_t> names) {
  if (names.size() > prefixes_max) names.resize(prefixes_max);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void write_whole(const node_view& view, proto::Heartbeat& to) {
  write_load(view.load, to);
  to.set_draining(view.draining);
  write_models(view, to);
  to.mutable_prefixes()->Add(view.prefixes.begin(), view.prefixes.end());
  to.set_address(view.address);
  write_neighbours(view, to);
}

void write_changes(const node_view& base, const node_view& view, proto::Heartbeat& to) {
  std::uint32_t parts = 0;
  if (!same_models(base.models, view.models)) write_models(view, to), parts |= part_models;
  if (base.load != view.load) write_load(view.load, to), parts |= part_load;
  if (base.draining != view.draining) to.set_draining(view.draining), parts |= part_draining;
  if (base.address != view.address) to.set_address(view.address), parts |= part_address;
  if (base.neighbours != view.neighbours) write_neighbours(view, to), parts |= part_neighbours;
  if (base.prefixes != view.prefixes) {
    const auto difference = [](const auto& from, const auto& without, auto& into) {
      std::vector<std::uint64_t> names;
      std::set_difference(from.begin(), from.end(), without.begin(), without.end(),
                          std::back_inserter(names));
      into.Add(names.begin(), names.end());
    };
    difference(view.prefixes, base.prefixes, *to.mutable_prefixes());
    difference(base.prefixes, view.prefixes, *to.mutable_prefixes_gone());
    parts |= part_prefixes;
  }
  to.set_view_parts(parts);
}

node_view read_whole(const proto::Heartbeat& beat) {
  node_view out;
  out.load = load_of(beat);
  out.draining = beat.draining();
  out.models = models_of(beat);
  out.prefixes = kept_prefixes({beat.prefixes().begin(), beat.prefixes().end()});
  out.address = address_of(beat);
  out.neighbours = neighbours_of(beat);
  return out;
}

node_view read_changes(const node_view& base, const proto::Heartbeat& beat) {
  node_view out = base;
  const std::uint32_t parts = beat.view_parts();
  if (parts & part_models) out.models = models_of(beat);
  if (parts & part_load) out.load = load_of(beat);
  if (parts & part_draining) out.draining = beat.draining();
  if (parts & part_address) out.address = address_of(beat);
  if (parts & part_neighbours) out.neighbours = neighbours_of(beat);
  if (parts & part_prefixes) {
    const auto gone = sorted(beat.prefixes_gone()), came = sorted(beat.prefixes());
    std::vector<std::uint64_t> stay, all;
    std::set_difference(base.prefixes.begin(), base.prefixes.end(), gone.begin(), gone.end(),
                        std::back_inserter(stay));
    std::set_union(stay.begin(), stay.end(), came.begin(), came.end(), std::back_inserter(all));
    out.prefixes = kept_prefixes(std::move(all));
  }
  return out;
}

void told_views::set(const node_view& view) {
  if (!told_.empty() && told_.back().second == view) return;
  told_.emplace_back(next_++, view);
  if (told_.size() > told_max) told_.pop_front();
}

void told_views::write(std::uint64_t acknowledged, proto::Heartbeat& to) const {
  const auto& [version, newest] = told_.back();
  to.set_view_version(version);
  const auto base =
      std::lower_bound(told_.begin(), told_.end(), acknowledged,
                       [](const auto& told, std::uint64_t wanted) { return told.first < wanted; });
  if (base == told_.end() || base->first != acknowledged) return write_whole(newest, to);
  to.set_view_base(acknowledged);
  if (version != acknowledged) write_changes(base->second, newest, to);
}

const node_view& heard_views::newest() const {
  static const node_view nothing;
  return heard_.empty() ? nothing : heard_.back().second;
}

bool heard_views::take(const proto::Heartbeat& beat) {
  const std::uint64_t version = beat.view_version(), base = beat.view_base();
  if (version != 0 && version <= this->version()) return false;
  node_view fresh;
  if (base == 0) {
    fresh = read_whole(beat);
  } else {
    const auto known = std::find_if(heard_.begin(), heard_.end(),
                                    [&](const auto& held) { return held.first == base; });
    if (known == heard_.end()) return false;
    fresh = read_changes(known->second, beat);
    heard_.erase(heard_.begin(), known);  // nobody stands on what was before it any more
  }
  const bool changed = heard_.empty() || !(heard_.back().second == fresh);
  if (version == 0) heard_.clear();  // from a node that knows no versions: each beat has it all
  heard_.emplace_back(version, std::move(fresh));
  if (heard_.size() > heard_max) heard_.pop_front();
  return changed;
}

}  // namespace troupe::cluster
