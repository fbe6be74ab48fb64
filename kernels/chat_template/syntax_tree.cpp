#include "kernels/chat_template/syntax_tree.hpp"

#include <algorithm>

namespace troupe::kernels::chat {

namespace {

class deepest {
 public:
  std::size_t found() const { return found_; }

  void see(const expression_ptr& part) {
    if (part) found_ = std::max(found_, part->depth);
  }
  void see(const std::vector<expression_ptr>& parts) {
    for (const auto& part : parts) see(part);
  }
  template <class Key>
  void see(const std::vector<std::pair<Key, expression_ptr>>& parts) {
    for (const auto& [key, part] : parts) {
      if constexpr (std::is_same_v<Key, expression_ptr>) see(key);
      see(part);
    }
  }
  void see(const argument_list& given) {
    see(given.positional);
    see(given.named);
    see(given.rest);
    see(given.named_rest);
  }

  void operator()(const literal_form&) {}
  void operator()(const name_form&) {}
  void operator()(const captured_form&) {}
  void operator()(const list_form& f) { see(f.items); }
  void operator()(const mapping_form& f) { see(f.entries); }
  void operator()(const attribute_form& f) { see(f.of); }
  void operator()(const item_form& f) { see(f.of), see(f.key); }
  void operator()(const slice_form& f) { see(f.of), see(f.start), see(f.stop), see(f.step); }
  void operator()(const call_form& f) { see(f.callee), see(f.given); }
  void operator()(const filter_form& f) { see(f.input), see(f.given); }
  void operator()(const test_form& f) { see(f.input), see(f.given); }
  void operator()(const unary_form& f) { see(f.of); }
  void operator()(const chain_form& f) { see(f.first), see(f.rest); }
  void operator()(const concatenation_form& f) { see(f.parts); }
  void operator()(const comparison_form& f) { see(f.first), see(f.rest); }
  void operator()(const logic_form& f) { see(f.parts); }
  void operator()(const conditional_form& f) { see(f.condition), see(f.then), see(f.otherwise); }

 private:
  std::size_t found_ = 0;
};

}  // namespace

std::size_t depth_below(const expression_form& form) {
  deepest below;
  std::visit(below, form);
  return below.found();
}

}  // namespace troupe::kernels::chat
