// The stacks of all readings of a text at once, and the step from one byte to the next.
//
// A head is one reading: its state in the rule of the innermost open value, and the frame of that
// rule's call. A frame lists where the call goes on when its value is complete; readings that call
// the same rule at the same byte share a frame. All open values begin at the same bytes in every
// reading, so there are never more heads than states, however the text goes on.
//
// Frames are only added: a walk takes a mark, goes on, and cuts back to it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/constraint/rule_table.hpp"

namespace troupe::kernels::constraint {

using frame_id = std::uint32_t;

struct head {
  state_id state = 0;
  std::uint32_t count = 0;   // ticks in this call, no further than its bounds can tell
  std::uint32_t bounds = 0;  // of this call
  frame_id frame = 0;
  bool operator==(const head&) const = default;
};

class stack_graph {
 public:
  static constexpr std::uint32_t no_return = 0xFFFFFFFF;
  struct frame {
    std::uint32_t first = no_return;  // its first return
    std::uint32_t height = 0;         // containers that are open
    bool operator==(const frame&) const = default;
  };
  struct return_point {
    head to;
    std::uint32_t next = no_return;
    bool operator==(const return_point&) const = default;
  };
  struct mark {
    std::size_t frames = 0, returns = 0;
  };

  // Frame 0 is the bottom; it returns nowhere.
  explicit stack_graph(std::uint32_t height = 0) { frames_.push_back({no_return, height}); }

  frame_id add_frame(std::uint32_t height);
  void add_return(frame_id to, const head& back);  // only while the frame is new
  std::uint32_t height(frame_id at) const { return frames_[at].height; }
  const frame& at(frame_id number) const { return frames_[number]; }
  const return_point& return_at(std::uint32_t number) const { return returns_[number]; }

  mark top() const { return {frames_.size(), returns_.size()}; }
  void cut(mark to) {
    frames_.resize(to.frames);
    returns_.resize(to.returns);
  }
  // Only what the heads reach, numbered in the order in which they reach it; renumbers the heads.
  stack_graph reached_from(std::vector<head>& heads) const;

  bool operator==(const stack_graph&) const = default;

 private:
  std::vector<frame> frames_;
  std::vector<return_point> returns_;
};

// What a step does at the bottom frame, for a walk that knows only the innermost call.
struct bottom_events {
  struct exit {
    state_id state = 0;
    bool leaves = false;  // the call is complete; else it goes on in `state`
    bool closes = false;  // only when its bounds' least is reached
  };
  std::vector<exit> exits;
  bool ticked = false;
  std::uint32_t height_wanted = 0;  // the most that a check asked for
  bool height_short = false;        // a check failed
};

class stepper {
 public:
  explicit stepper(const rule_table& rules) : rules_(rules) {}

  // The heads after one more byte, into `out` (cleared first; not `from`). With `events`, edges of
  // the bottom frame's rule that close or complete it are reported and not taken.
  void step(stack_graph& graph, std::span<const head> from, unsigned char byte,
            std::vector<head>& out, bottom_events* events = nullptr);
  // The heads that go on once the value of `of` is complete.
  void returns(const stack_graph& graph, frame_id of, std::vector<head>& out) const;

 private:
  struct made_frame {
    rule_id rule;
    std::uint32_t bounds;
    frame_id frame;
  };
  bool fits(std::uint32_t height, bottom_events* events) const;
  void take_edge(const stack_graph& graph, const head& from, edge e, std::vector<head>& out,
                 bottom_events* events) const;
  void take_call(stack_graph& graph, const head& from, const rule_table::linked_call& call,
                 bottom_events* events);

  const rule_table& rules_;
  std::vector<head> open_;  // still to be looked at in this step
  std::vector<made_frame> made_;
};

}  // namespace troupe::kernels::constraint
