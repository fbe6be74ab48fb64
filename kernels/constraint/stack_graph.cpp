#include "kernels/constraint/stack_graph.hpp"

#include <algorithm>

namespace troupe::kernels::constraint {
namespace {

void add_once(std::vector<head>& heads, const head& h) {
  if (std::find(heads.begin(), heads.end(), h) == heads.end()) heads.push_back(h);
}

}  // namespace

frame_id stack_graph::add_frame(std::uint32_t height) {
  frames_.push_back({no_return, height});
  return static_cast<frame_id>(frames_.size() - 1);
}

void stack_graph::add_return(frame_id to, const head& back) {
  returns_.push_back({back, frames_[to].first});
  frames_[to].first = static_cast<std::uint32_t>(returns_.size() - 1);
}

stack_graph stack_graph::reached_from(std::vector<head>& heads) const {
  stack_graph out(frames_[0].height);
  std::vector<frame_id> number(frames_.size(), 0), order = {0};
  const auto renumber = [&](frame_id old) {
    if (old == 0 || number[old] != 0) return number[old];
    order.push_back(old);
    return number[old] = out.add_frame(frames_[old].height);
  };
  for (head& h : heads) h.frame = renumber(h.frame);
  for (std::size_t i = 1; i < order.size(); ++i) {
    std::uint32_t next = frames_[order[i]].first;
    out.frames_[i].first =
        next == no_return ? no_return : static_cast<std::uint32_t>(out.returns_.size());
    for (; next != no_return; next = returns_[next].next) {
      return_point copy = returns_[next];
      copy.to.frame = renumber(copy.to.frame);
      if (copy.next != no_return) copy.next = static_cast<std::uint32_t>(out.returns_.size() + 1);
      out.returns_.push_back(copy);
    }
  }
  return out;
}

void stepper::returns(const stack_graph& graph, frame_id of, std::vector<head>& out) const {
  for (std::uint32_t i = graph.at(of).first; i != stack_graph::no_return;
       i = graph.return_at(i).next)
    add_once(out, graph.return_at(i).to);
}

bool stepper::fits(std::uint32_t height, bottom_events* events) const {
  const bool good = height <= rules_.height_max();
  if (events) {
    events->height_wanted = std::max(events->height_wanted, height);
    events->height_short = events->height_short || !good;
  }
  return good;
}

void stepper::take_edge(const stack_graph& graph, const head& from, edge e, std::vector<head>& out,
                        bottom_events* events) const {
  head to = from;
  to.state = target_of(e);
  const bool at_bottom = events && from.frame == 0;
  const length_bounds& bounds = rules_.bounds(from.bounds);
  if (e & edge_ticks) {
    if (at_bottom) {
      events->ticked = true;
    } else {
      if (to.count == bounds.most) return;
      ++to.count;
      if (bounds.most == length_bounds::none) to.count = std::min(to.count, bounds.least);
    }
  }
  if ((e & edge_closes) && !at_bottom && to.count < bounds.least) return;
  const rule_table::linked& target = rules_.at(to.state);
  if (target.needs > 0 && !fits(graph.height(from.frame) + target.needs, events)) return;
  if (at_bottom && (target.ends || (e & edge_closes))) {
    events->exits.push_back({to.state, target.ends, (e & edge_closes) != 0});
    return;
  }
  if (target.ends && from.frame != 0) return returns(graph, from.frame, out);
  if (out.empty())
    out.push_back(to);
  else
    add_once(out, to);
}

void stepper::take_call(stack_graph& graph, const head& from, const rule_table::linked_call& call,
                        bottom_events* events) {
  const std::uint32_t height = graph.height(from.frame);
  const std::uint32_t needs = rules_.at(call.begin).needs;
  if (call.last) {
    if (fits(height + needs, events)) add_once(open_, {call.begin, 0, call.bounds, from.frame});
    return;
  }
  if (!fits(height + 1 + needs, events)) return;
  if (!fits(height + rules_.at(call.target).needs, events)) return;
  const head back{call.target, from.count, from.bounds, from.frame};
  for (const made_frame& made : made_)
    if (made.rule == call.rule && made.bounds == call.bounds)
      return graph.add_return(made.frame, back);
  const frame_id frame = graph.add_frame(height + 1);
  graph.add_return(frame, back);
  made_.push_back({call.rule, call.bounds, frame});
  open_.push_back({call.begin, 0, call.bounds, frame});
}

void stepper::step(stack_graph& graph, std::span<const head> from, unsigned char byte,
                   std::vector<head>& out, bottom_events* events) {
  out.clear();
  if (from.size() == 1 && rules_.at(from[0].state).plain) {
    if (const edge e = rules_.step(from[0].state, byte)) take_edge(graph, from[0], e, out, events);
    return;
  }
  open_.assign(from.begin(), from.end());
  made_.clear();
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const head at = open_[i];
    if (const edge e = rules_.step(at.state, byte)) take_edge(graph, at, e, out, events);
    if (rules_.at(at.state).accepts) returns(graph, at.frame, open_);
    for (const rule_table::linked_call& call : rules_.calls_of(at.state))
      if (rules_.may_begin(call.rule, byte)) take_call(graph, at, call, events);
  }
}

}  // namespace troupe::kernels::constraint
