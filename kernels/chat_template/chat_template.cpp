#include "kernels/chat_template/chat_template.hpp"

#include <new>

#include "kernels/chat_template/globals.hpp"
#include "kernels/chat_template/interpreter.hpp"
#include "kernels/chat_template/json_text.hpp"
#include "kernels/chat_template/statement_parser.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {

namespace {

using chat::template_failure;

error error_of(const template_failure& failure, chat::source_place at) {
  if (failure.raised_by_template) return {failure.code, failure.message, failure.mend};
  return {failure.code,
          "chat template, line " + std::to_string(at.line) + ", column " +
              std::to_string(at.column) + ": " + failure.message,
          failure.mend};
}

error out_of_memory() {
  return {error_code::resource_exhausted, "no memory left for the chat template", ""};
}

void add_context(chat::rendering& run, const chat_context& context, chat::scope& into) {
  const auto document = [&](const std::optional<chat_json>& given) {
    return given ? chat::value_of_json(run, *given) : chat::value(chat::none_value{});
  };
  if (utf8::find_invalid(context.bos_token) || utf8::find_invalid(context.eos_token))
    chat::fail("the text of the first or last token is not UTF-8");
  into.assign("messages", chat::value_of_json(run, context.messages));
  into.assign("tools", document(context.tools));
  into.assign("documents", chat::none_value{});
  into.assign("add_generation_prompt", context.add_generation_prompt);
  into.assign("bos_token", std::string_view(context.bos_token));
  into.assign("eos_token", std::string_view(context.eos_token));
  if (!context.variables.is_object() && !context.variables.is_null())
    chat::fail("the variables of a chat template have to be an object of names and values");
  const chat::value variables = chat::value_of_json(run, context.variables);
  if (const chat::mapping* entries = chat::as_mapping(variables))
    for (const auto& [name, held] : entries->entries)
      into.assign(std::get<std::string_view>(name), held);
}

}  // namespace

chat_template::chat_template(std::shared_ptr<const chat::program> program)
    : program_(std::move(program)) {}

result<chat_template> chat_template::parse(std::string_view source, chat_template_bounds bounds) {
  if (source.size() > bounds.source_bytes)
    return error{error_code::invalid_argument,
                 "the chat template has " + std::to_string(source.size()) + " bytes, at most " +
                     std::to_string(bounds.source_bytes) + " are allowed",
                 ""};
  if (const auto wrong = utf8::find_invalid(source))
    return error{error_code::invalid_argument,
                 "the chat template is not UTF-8, at byte " + std::to_string(*wrong), ""};
  try {
    return chat_template(
        std::make_shared<const chat::program>(chat::parse_program(source, bounds)));
  } catch (const template_failure& failure) {
    return error_of(failure, failure.at.value_or(chat::source_place{}));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

result<std::string> chat_template::render(const chat_context& context) const {
  try {
    chat::rendering run(program_->bounds, context.now);
    try {
      chat::scope globals;
      chat::add_global_functions(run, globals);
      add_context(run, context, globals);
      return chat::interpreter(run, globals).render(*program_);
    } catch (const template_failure& failure) {
      return error_of(failure, failure.at.value_or(run.at));
    }
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

}  // namespace troupe::kernels
