// Follows an answer byte by byte and says whether it can still become what the constraint asks for.
//
// A value: copies are independent and cheap (a few hundred bytes). A pure function of the bytes
// accepted, however they were cut into tokens, so that replaying an answer's tokens gives an equal
// matcher. Whatever was accepted can be completed: there are no dead ends.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/constraint/json_constraint.hpp"
#include "kernels/constraint/stack_graph.hpp"

namespace troupe::kernels {

class json_matcher {
 public:
  explicit json_matcher(std::shared_ptr<const json_constraint> rules);

  // True: the text may go on with these bytes, and does. False: it may not; nothing has changed.
  bool accept(std::string_view bytes);
  bool accept_byte(char byte) { return accept({&byte, 1}); }
  // The bytes so far are a whole answer.
  bool can_end() const;
  // They are, and nothing may follow.
  bool must_end() const;

  bool operator==(const json_matcher&) const = default;

  // For this folder: the readings of the text so far, and their stacks.
  const std::shared_ptr<const json_constraint>& rules() const { return rules_; }
  const std::vector<constraint::head>& heads() const { return heads_; }
  const constraint::stack_graph& graph() const { return graph_; }

 private:
  std::shared_ptr<const json_constraint> rules_;
  constraint::stack_graph graph_;
  std::vector<constraint::head> heads_;
};

}  // namespace troupe::kernels
