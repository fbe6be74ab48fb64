// A conversation becomes token ids: the template's text, control tokens, one beginning.
#include "actors/model_loader/chat_prompt.hpp"

#include <doctest/doctest.h>

#include "loader_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

// Letters that keep how they were asked, and that know a beginning.
class marked_letters : public kernels::tokenizer {
 public:
  result<std::vector<kernels::token_id>> encode(std::string_view text,
                                                kernels::encode_options how) const override {
    asked = how;
    seen = text;
    return letters_.encode(text, how);
  }
  std::string_view piece(kernels::token_id id, bool special) const override {
    return id == 0 ? (special ? "<s>" : "") : letters_.piece(id, special);
  }
  std::string decode(std::span<const kernels::token_id> ids, bool special) const override {
    return letters_.decode(ids, special);
  }
  std::uint32_t vocabulary_size() const override { return letters_.vocabulary_size(); }
  std::optional<kernels::token_id> beginning() const override { return 0; }
  bool wants_beginning() const override { return true; }
  std::span<const kernels::token_id> end_tokens() const override { return letters_.end_tokens(); }
  std::string_view kind() const override { return "letters"; }
  std::string_view pre_tokenizer() const override { return ""; }
  const std::string& digest() const override { return letters_.digest(); }

  mutable kernels::encode_options asked;
  mutable std::string seen;

 private:
  letters letters_;
};

chat_facts facts_with(const std::string& source) {
  chat_facts facts;
  facts.has_template = true;
  facts.beginning_text = "<s>";
  facts.end_text = "</s>";
  auto parsed = kernels::chat_template::parse(source);
  if (parsed)
    facts.rendering = *parsed;
  else
    facts.failure = parsed.failure().text();
  return facts;
}

proto::ChatPrompt chat_of(const std::string& messages) {
  proto::ChatPrompt chat;
  chat.set_messages_json(messages);
  return chat;
}

const std::string hello = R"([{"role":"user","content":"hello"}])";
const std::chrono::local_seconds noon{std::chrono::seconds(1'700'049'600)};  // 15 November 2023

}  // namespace

TEST_CASE("the prompt is what the template writes, with control tokens and one beginning") {
  const marked_letters words;
  const std::string body =
      "{% for m in messages %}{{ m.role }} {{ m.content }}{{ eos_token }}{% endfor %}"
      "{% if add_generation_prompt %}answer {% endif %}";
  REQUIRE(chat_prompt_ids(facts_with("{{ bos_token }}" + body), words, "m", chat_of(hello), noon));
  CHECK(words.seen == "<s>user hello</s>answer ");
  CHECK(words.asked.parse_special);
  CHECK(!words.asked.add_beginning);
  REQUIRE(chat_prompt_ids(facts_with(body), words, "m", chat_of(hello), noon));
  CHECK(words.seen == "user hello</s>answer ");
  CHECK(words.asked.add_beginning);
}

TEST_CASE("tools, variables and the pinned time reach the template") {
  const marked_letters words;
  proto::ChatPrompt chat = chat_of(hello);
  const auto facts = facts_with(
      "{{ tools | length if tools else 'none' }} {{ mood }} {{ strftime_now('%d %b %Y') }}");
  REQUIRE(chat_prompt_ids(facts, words, "m", chat, noon));
  CHECK(words.seen == "none  15 Nov 2023");
  chat.set_tools_json(R"([{"a":1},{"b":2}])");
  chat.set_variables_json(R"({"mood":"calm"})");
  REQUIRE(chat_prompt_ids(facts, words, "m", chat, noon));
  CHECK(words.seen == "2 calm 15 Nov 2023");
}

TEST_CASE("what is no conversation is refused with its reason") {
  const marked_letters words;
  const auto refusal = [&](const chat_facts& facts, const proto::ChatPrompt& chat) {
    const auto ids = chat_prompt_ids(facts, words, "m", chat, noon);
    return ids ? error{error_code::ok, {}, {}} : ids.failure();
  };
  const auto fine = facts_with("{{ messages[0].content }}");
  const auto says = [&](const std::string& messages, const std::string& text) {
    const error why = refusal(fine, chat_of(messages));
    CHECK(why.code == error_code::invalid_argument);
    CHECK_MESSAGE(why.text().find(text) != std::string::npos, why.text());
  };
  says("[{", "no JSON");
  says("[]", "array of 1 to");
  says("{}", "array of 1 to");
  says(R"([{"content":"x"}])", "message 0 of the chat has no role");
  says(R"([{"role":"user","content":"x"},"y"])", "message 1");
  says(R"([{"role":"user","content":)" + std::string(100, '[') + std::string(100, ']') + "}]",
       "nested deeper than");
  proto::ChatPrompt chat = chat_of(hello);
  chat.set_tools_json("{}");
  CHECK(refusal(fine, chat).message.find("tools are no array") != std::string::npos);
  chat = chat_of(hello);
  chat.set_variables_json("[]");
  CHECK(refusal(fine, chat).message.find("variables are no object") != std::string::npos);

  CHECK(refusal({}, chat_of(hello)).code == error_code::unsupported);
  CHECK(refusal({}, chat_of(hello)).text().find("as text") != std::string::npos);
  const error broken = refusal(facts_with("x\n{% nonsense %}"), chat_of(hello));
  CHECK(broken.code == error_code::unsupported);
  CHECK_MESSAGE(broken.message.find("line 2") != std::string::npos, broken.message);
  const error strict = refusal(facts_with("{{ raise_exception('no, dear') }}"), chat_of(hello));
  CHECK(strict.code == error_code::invalid_argument);
  CHECK(strict.message.find("no, dear") != std::string::npos);
}

TEST_CASE("a loader renders a chat, and tells of a template that cannot be run") {
  auto disk = disk_with({{"alpha", 'a'}});
  disk->chat = facts_with("{{ messages[0].content }}");
  loader_bench b{disk};
  auto message = std::make_shared<proto::Envelope>(*prompt("alpha", ""));
  *message->mutable_prepare_prompt()->mutable_chat() = chat_of(hello);
  b.say(message);
  CHECK(b.last().prompt_prepared().ids_size() == 5);
  CHECK(b.model("alpha").has_chat_template());
  CHECK(b.model("alpha").chat_template_failure().empty());

  disk = disk_with({{"alpha", 'a'}});
  disk->chat = facts_with("{% nonsense %}");
  loader_bench other{disk};
  other.say(message);
  CHECK(other.last().error().code() == proto::Error::UNSUPPORTED);
  CHECK(other.model("alpha").has_chat_template());
  CHECK(other.model("alpha").chat_template_failure().find("line 1") != std::string::npos);
}
