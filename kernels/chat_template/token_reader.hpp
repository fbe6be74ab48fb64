// The tokens of a template, read from the front, and the errors that a parser makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/chat_template/lexer.hpp"

namespace troupe::kernels::chat {

class token_reader {
 public:
  explicit token_reader(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

  const token& front() const { return tokens_[next_]; }
  const token& second() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  token take() {
    token taken = tokens_[next_];
    if (next_ + 1 < tokens_.size()) ++next_;
    return taken;
  }

  bool at(token_kind kind) const { return front().kind == kind; }
  bool at_sign(std::string_view sign) const { return at(token_kind::sign) && front().text == sign; }
  bool at_name(std::string_view name) const { return at(token_kind::name) && front().text == name; }
  bool take_sign(std::string_view sign) { return at_sign(sign) && (take(), true); }
  bool take_name(std::string_view name) { return at_name(name) && (take(), true); }

  void expect_sign(std::string_view sign) {
    if (!take_sign(sign)) fail_expected("'" + std::string(sign) + "'");
  }
  void expect_name(std::string_view name) {
    if (!take_name(name)) fail_expected("'" + std::string(name) + "'");
  }
  void expect(token_kind kind, std::string_view what) {
    if (!at(kind)) fail_expected(std::string(what));
    take();
  }
  std::string expect_any_name(std::string_view what) {
    if (!at(token_kind::name)) fail_expected(std::string(what));
    return take().text;
  }

  [[noreturn]] void fail_expected(const std::string& what) const {
    fail_at(front().at, "expected " + what + ", found " + found());
  }
  [[noreturn]] static void fail_at(source_place at, std::string message) {
    throw template_failure{error_code::invalid_argument, std::move(message), {}, at, false};
  }
  [[noreturn]] static void fail_unsupported_at(source_place at, std::string message) {
    throw template_failure{error_code::unsupported, std::move(message), {}, at, false};
  }

 private:
  std::string found() const {
    switch (front().kind) {
      case token_kind::end:
        return "the end of the template";
      case token_kind::block_end:
        return "'%}'";
      case token_kind::variable_end:
        return "'}}'";
      case token_kind::string:
        return "a string";
      case token_kind::integer:
      case token_kind::real:
        return "a number";
      default:
        return "'" + front().text + "'";
    }
  }

  std::vector<token> tokens_;
  std::size_t next_ = 0;
};

}  // namespace troupe::kernels::chat
