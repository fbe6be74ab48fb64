#include "cluster/http/log_probabilities.hpp"

#include <algorithm>
#include <string>

#include "cluster/client/utf8_text.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string name_of(const std::string& bytes, const char* mark) {
  if (!utf8_fault(bytes)) return bytes;
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = mark;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return out;
}

json bytes_of(const std::string& text) {
  json out = json::array();
  for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

json chat_entry(const std::string& bytes, float log_probability) {
  return {{"token", name_of(bytes, "")}, {"logprob", log_probability}, {"bytes", bytes_of(bytes)}};
}

// Calls tell(bytes, log-probability) for each, best first. The gateway holds that the lists are of
// one length (answer_stream).
template <class Tell>
void each_alternative(const proto::JobTokens& tokens, int token, Tell&& tell) {
  if (token >= tokens.alternatives_size()) return;
  const proto::TokenAlternatives& others = tokens.alternatives(token);
  const int count = std::min(others.token_bytes_size(), others.log_probabilities_size());
  for (int i = 0; i < count; ++i) tell(others.token_bytes(i), others.log_probabilities(i));
}

template <class Tell>
void each_token(const proto::JobTokens& tokens, Tell&& tell) {
  const int count = std::min(tokens.token_bytes_size(), tokens.log_probabilities_size());
  for (int i = 0; i < count; ++i) tell(i, tokens.token_bytes(i), tokens.log_probabilities(i));
}

// A character counts where it begins, so that tokens which share one have their places in order.
std::uint64_t characters_begun(const std::string& bytes) {
  return static_cast<std::uint64_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

json chat_log_probabilities(const proto::JobTokens& tokens) {
  json content = json::array();
  each_token(tokens, [&](int i, const std::string& bytes, float log_probability) {
    json one = chat_entry(bytes, log_probability);
    json best = json::array();
    each_alternative(tokens, i, [&](const std::string& other, float value) {
      best.push_back(chat_entry(other, value));
    });
    one["top_logprobs"] = std::move(best);
    content.push_back(std::move(one));
  });
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

json completion_log_probabilities(const proto::JobTokens& tokens, std::uint64_t& offset) {
  constexpr const char* mark = "bytes:";
  json names = json::array(), values = json::array(), best = json::array(), offsets = json::array();
  each_token(tokens, [&](int i, const std::string& bytes, float log_probability) {
    json others = json::object();
    // Of two tokens with one name the more probable is told; the answer's own token always is.
    each_alternative(tokens, i, [&](const std::string& other, float value) {
      others.emplace(name_of(other, mark), value);
    });
    others.emplace(name_of(bytes, mark), log_probability);
    names.push_back(name_of(bytes, mark));
    values.push_back(log_probability);
    best.push_back(std::move(others));
    offsets.push_back(offset);
    offset += characters_begun(bytes);
  });
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(best)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace troupe::http
