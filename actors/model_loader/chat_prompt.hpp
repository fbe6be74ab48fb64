// A conversation becomes a prompt by the chat template of the model's file.
//
// Pure; immutable once made; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/chat_template/chat_template.hpp"
#include "kernels/tokenizer/tokenizer.hpp"
#include "proto/job.pb.h"

namespace troupe {

// What a model's file says about chats.
struct chat_facts {
  bool has_template = false;
  std::optional<kernels::chat_template> rendering;  // empty: no template, or none that can be run
  std::string failure;                              // why it cannot be run, by line
  std::string beginning_text, end_text;             // of the tokens; empty where there is none
};

chat_facts chat_facts_of(const kernels::gguf_file& file, const kernels::tokenizer& words);

// The prompt's tokens up to where the model's turn begins: control tokens count as such, and the
// beginning-of-text token is there once. `now` is what the template may print as the date. Errors:
// unsupported where the model has no template that can be run; invalid_argument for a conversation
// that is no JSON, or that the template refuses (in its own words).
result<std::vector<kernels::token_id>> chat_prompt_ids(const chat_facts& facts,
                                                       const kernels::tokenizer& words,
                                                       const std::string& model,
                                                       const proto::ChatPrompt& chat,
                                                       std::chrono::local_seconds now);

}  // namespace troupe
