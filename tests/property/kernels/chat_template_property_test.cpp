// Chat templates on any input: they never crash or hang, they show texts as they are, and what they
// compute about texts agrees with a plain computation.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "kernels/chat_template/chat_template.hpp"
#include "kernels/tokenizer/utf8.hpp"

using namespace troupe::kernels;

namespace {

rc::Gen<std::string> any_text() {
  const auto character = rc::gen::weightedOneOf<char32_t>(
      {{6, rc::gen::cast<char32_t>(rc::gen::inRange(32, 127))},
       {2, rc::gen::element<char32_t>('\n', '\t', '\'', '"', '\\', '{', '}', '%', ' ', ',')},
       {2, rc::gen::cast<char32_t>(rc::gen::inRange(0xa0, 0xd7ff))},
       {1, rc::gen::cast<char32_t>(rc::gen::inRange(0x10000, 0x10ffff))}});
  return rc::gen::map(rc::gen::container<std::u32string>(character),
                      [](const std::u32string& codes) {
                        std::string text;
                        for (const char32_t code : codes) utf8::append(text, code);
                        return text;
                      });
}

chat_context with(const std::string& text) {
  chat_context context;
  context.messages = chat_json::array({{{"role", "user"}, {"content", text}}});
  context.variables = {{"text", text}};
  return context;
}

std::string rendered(const std::string& source, const chat_context& context) {
  const auto parsed = chat_template::parse(source);
  RC_ASSERT(parsed.ok());
  const auto text = parsed->render(context);
  RC_ASSERT(text.ok());
  return *text;
}

}  // namespace

TEST_CASE("property: a chat template shows a message as it is, whatever is in it") {
  CHECK(rc::check("shown as it is", [] {
    const std::string text = *any_text();
    RC_ASSERT(rendered("<{{ messages[0].content }}>", with(text)) == "<" + text + ">");
  }));
}

TEST_CASE("property: tojson of a chat template reads back to the same") {
  CHECK(rc::check("reads back", [] {
    const std::string text = *any_text();
    const bool ascii = *rc::gen::arbitrary<bool>();
    const chat_context context = with(text);
    const std::string json = rendered(
        ascii ? "{{ messages | tojson(true, indent=2) }}" : "{{ messages | tojson }}", context);
    RC_ASSERT(chat_json::parse(json) == context.messages);
  }));
}

TEST_CASE("property: slices of a chat template are Python's") {
  CHECK(rc::check("slices", [] {
    const std::string text = *any_text();
    const auto bound = rc::gen::inRange(-12, 13);
    const int start = *bound, stop = *bound;
    const int step = *rc::gen::element(-3, -2, -1, 1, 2, 3);
    std::vector<std::string> characters;
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = utf8::read_front(rest).size;
      characters.emplace_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    const int length = static_cast<int>(characters.size());
    const auto inside = [&](int place, int lowest, int highest) {
      return std::min(std::max(place < 0 ? place + length : place, lowest), highest);
    };
    std::string wanted;
    if (step > 0)
      for (int i = inside(start, 0, length); i < inside(stop, 0, length); i += step)
        wanted += characters[static_cast<std::size_t>(i)];
    else
      for (int i = inside(start, -1, length - 1); i > inside(stop, -1, length - 1); i += step)
        wanted += characters[static_cast<std::size_t>(i)];
    const std::string slice =
        std::to_string(start) + ":" + std::to_string(stop) + ":" + std::to_string(step);
    RC_ASSERT(rendered("{{ text[" + slice + "] }}", with(text)) == wanted);
    RC_ASSERT(rendered("{{ (text | list)[" + slice + "] | join }}", with(text)) == wanted);
  }));
}

TEST_CASE("property: texts that a chat template takes apart come together again") {
  CHECK(rc::check("split and join", [] {
    const std::string text = *any_text();
    const std::string source =
        "{{ text.split(',') | join(',') }}{{ text.rsplit(',', 1) | join(',') }}"
        "{{ text.partition('a') | join }}{{ text.splitlines(true) | join }}{{ text | list | join }}"
        "{{ text[:3] ~ text[3:] }}{{ text[::-1][::-1] }}{{ text | reverse | reverse }}";
    std::string wanted;
    for (int i = 0; i < 8; ++i) wanted += text;
    RC_ASSERT(rendered(source, with(text)) == wanted);
  }));
}

TEST_CASE("property: any text is a chat template or is refused, and renders within its bounds") {
  CHECK(rc::check("any source", [] {
    const auto part = rc::gen::weightedOneOf<std::string>(
        {{1, any_text()},
         {6, rc::gen::element<std::string>(
                 "{{ ", " }}", "{% ", " %}", "for x in text", "endfor", "if ", "endif", "text", "x",
                 "set x = ", " | upper", " | list", " ~ ", " + ", "1", "'a'", "[", "]", "(", ")",
                 ".", ",", "{#", "#}", "-", " is ", "defined", "messages", "macro m(a)", "endmacro",
                 "m(1)", "\n", "* 99999", "namespace(x=1)")}});
    const auto parts = *rc::gen::container<std::vector<std::string>>(part);
    std::string source;
    for (const std::string& one : parts) source += one;
    chat_template_bounds bounds;
    bounds.text_bytes = 10'000;
    bounds.steps = 100'000;
    const auto parsed = chat_template::parse(source, bounds);
    if (!parsed.ok()) RC_SUCCEED("refused");
    const auto text = parsed->render(with("a,b"));
    RC_ASSERT(!text.ok() || (text->size() <= bounds.text_bytes && !utf8::find_invalid(*text)));
  }));
}
