// The loader core's part that others ask for models' sake: prompts as tokens, a file's bytes.
#include <algorithm>

#include "actors/model_loader/loader_core.hpp"

namespace troupe {
namespace {

constexpr std::size_t prompt_bytes_max = 4u << 20;

}  // namespace

void loader_core::prepare_prompt(const envelope_ptr& message, time_point_us now, effects& out) {
  const proto::PreparePrompt& wish = message->prepare_prompt();
  if (wish.text().size() > prompt_bytes_max) {
    out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                               "the prompt has " + std::to_string(wish.text().size()) +
                                   " bytes; at most " + std::to_string(prompt_bytes_max) +
                                   " are allowed"));
    return;
  }
  const auto keep = [&](std::vector<waiter>& in) {
    if (in.size() < settings_.waiting_requests_max) {
      in.push_back(waiting(message, now));
    } else {
      out.posts.push_back(refuse(*message, proto::Error::RESOURCE_EXHAUSTED,
                                 std::to_string(in.size()) + " prompts wait for this model already",
                                 "try again later"));
    }
  };
  if (!scanned_once_) return keep(early_requests_);
  entry* const e = find(wish.model());
  if (e == nullptr) {
    out.posts.push_back(refuse(*message, unknown_model(wish.model())));
  } else if (e->facts) {
    e->last_used = now;
    answer_prompt(*e, *message, out);
  } else if (e->examining) {
    keep(e->prompts);
  } else if (e->state == proto::FETCHING) {
    out.posts.push_back(refuse(*message, proto::Error::UNAVAILABLE,
                               "model " + e->name + " is being fetched",
                               "try again when it is here"));
  } else {
    out.posts.push_back(refuse(*message, proto::Error::UNAVAILABLE,
                               "model " + e->name + " has failed: " + e->failure));
  }
}

void loader_core::answer_prompt(const entry& e, const proto::Envelope& request,
                                effects& out) const {
  const proto::PreparePrompt& wish = request.prepare_prompt();
  const std::chrono::local_seconds now{std::chrono::seconds(wish.local_seconds())};
  auto ids = wish.has_chat()
                 ? chat_prompt_ids(e.facts->chat, *e.facts->words, e.name, wish.chat(), now)
                 : e.facts->words->encode(
                       wish.text(), {.add_beginning = true, .parse_special = wish.parse_special()});
  if (!ids) {
    out.posts.push_back(refuse(request, ids.failure()));
    return;
  }
  const std::uint32_t context =
      e.state == proto::READY ? e.engine.context_tokens() : e.facts->context_tokens;
  if (ids->empty() || ids->size() >= context) {
    out.posts.push_back(refuse(request, proto::Error::INVALID_ARGUMENT,
                               ids->empty() ? "the prompt has no tokens"
                                            : "the prompt has " + std::to_string(ids->size()) +
                                                  " tokens; model " + e.name +
                                                  " has a context of " + std::to_string(context) +
                                                  " for prompt and answer together",
                               ids->empty() ? "give some text" : "shorten the prompt"));
    return;
  }
  auto reply = std::make_shared<proto::Envelope>(reply_to(request));
  proto::PromptPrepared& ready = *reply->mutable_prompt_prepared();
  ready.set_model_digest(e.digest);
  ready.set_model_name(e.name);
  ready.set_tokenizer_digest(e.facts->words->digest());
  ready.mutable_ids()->Add(ids->begin(), ids->end());
  ready.set_context_tokens(context);
  ready.set_vocabulary_size(e.facts->words->vocabulary_size());
  out.posts.push_back(std::move(reply));
}

void loader_core::read_model_bytes(const envelope_ptr& message, effects& out) {
  const proto::ReadModelBytes& wish = message->read_model_bytes();
  const entry* e = is_digest(wish.digest()) ? find(wish.digest()) : nullptr;
  if (e == nullptr || e->file.path.empty() || !e->facts) {
    out.posts.push_back(refuse(*message, unknown_model(wish.digest())));
    return;
  }
  if (wish.length() == 0 || wish.offset() >= e->file.size_bytes) {
    out.posts.push_back(
        refuse(*message, proto::Error::INVALID_ARGUMENT,
               std::to_string(wish.length()) + " bytes at offset " + std::to_string(wish.offset()) +
                   " were asked for; the file has " + std::to_string(e->file.size_bytes)));
    return;
  }
  const std::uint64_t most = std::max<std::uint64_t>(settings_.piece_bytes, 4u << 20);
  const auto length = static_cast<std::uint32_t>(
      std::min<std::uint64_t>({wish.length(), most, e->file.size_bytes - wish.offset()}));
  out.commands.push_back(
      serve_bytes{message, e->file.path, e->digest, wish.offset(), length, e->file.size_bytes});
}

}  // namespace troupe
