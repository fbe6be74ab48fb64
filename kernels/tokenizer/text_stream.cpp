#include "kernels/tokenizer/tokenizer.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

}  // namespace

std::string text_stream::push(token_id id) {
  // Whether the first word's space goes is decode's affair; a control token in front of it leaves
  // it first.
  if (first_) {
    waiting_ += words_->decode({&id, 1});
    first_ = words_->piece(id).empty();
  } else {
    waiting_ += words_->piece(id);
  }
  std::string text;
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    const utf8::front next = utf8::read_front(rest);
    if (next.state == utf8::front::form::open) break;
    text += next.state == utf8::front::form::whole ? rest.substr(0, next.size) : replacement;
    rest.remove_prefix(next.size);
  }
  waiting_ = std::string(rest);
  return text;
}

std::string text_stream::finish() {
  std::string text(waiting_.empty() ? std::string_view{} : replacement);
  waiting_.clear();
  first_ = begins_;
  return text;
}

}  // namespace troupe::kernels
