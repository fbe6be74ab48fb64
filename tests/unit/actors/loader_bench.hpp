// A model loader's core with a disk in memory; inference and other nodes are played by the test.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/model_loader/loader_core.hpp"
#include "tests/unit/actors/memory_files.hpp"

namespace troupe::fakes {

// Drives a loader with its disk; inference and other nodes are played by the test.
struct loader_bench {
  explicit loader_bench(std::shared_ptr<memory_files> disk_, loader_settings s = {})
      : disk(disk_), settings(std::move(s)) {
    settings.node = "here";
    if (settings.memory_bytes_max == 0) settings.memory_bytes_max = 100'000;
    core.emplace(settings, 0, loader_memory::parse(disk->saved),
                 [this](const std::string& d) { return busy[d]; });
    take(core->begin(now));
  }
  void take(loader_core::effects effects) {
    for (auto& post : effects.posts)
      (post->target().node() == "here" && post->target().actor() == "inference" ? to_inference
                                                                                : posts)
          .push_back(post);
    for (const auto& command : effects.commands) {
      if (const auto* wish = std::get_if<serve_bytes>(&command))
        posts.push_back(bytes_served(*wish, *disk));
      else if (const auto* text = std::get_if<save_memory>(&command))
        disk->save_memory(text->text);
      else if (hold_examines && std::holds_alternative<examine_file>(command))
        held.push_back(command);
      else if (auto report = carry_out(command, *disk))
        take(core->absorb(*report, now));
    }
  }
  void say(const envelope_ptr& message) { take(core->step(message, now)); }
  void load(const std::string& model, std::vector<std::string> holders = {},
            std::uint64_t correlation = 1) {
    auto message = letter("gate", "gateway", "model_loader", correlation);
    message->mutable_load_model()->set_model(model);
    for (const auto& holder : holders) message->mutable_load_model()->add_holders(holder);
    say(message);
  }
  // Answers the oldest open LoadEngine or UnloadEngine as an inference actor would.
  void inference_answers(std::vector<std::int32_t> canary = {1, 2, 3}, std::uint64_t weights = 0) {
    REQUIRE(!to_inference.empty());
    const envelope_ptr request = to_inference.front();
    to_inference.erase(to_inference.begin());
    auto reply = std::make_shared<proto::Envelope>(reply_to(*request));
    if (request->has_unload_engine()) {
      reply->mutable_engine_unloaded();
    } else {
      auto& loaded = *reply->mutable_engine_loaded();
      loaded.set_model_digest(request->load_engine().model_digest());
      loaded.set_engine("cpu");
      loaded.set_numerics_class("cpu-1");
      loaded.set_context_tokens(32);
      loaded.set_weight_bytes(weights);
      loaded.mutable_canary_ids()->Add(canary.begin(), canary.end());
    }
    say(reply);
  }
  proto::ModelDescription model(const std::string& name) {
    const auto list = core->list();
    for (const auto& m : list.models())
      if (m.name() == name) return m;
    return {};
  }
  const proto::Envelope& last() const { return *posts.back(); }

  std::shared_ptr<memory_files> disk;
  loader_settings settings;
  std::optional<loader_core> core;
  time_point_us now{1'000'000};
  std::vector<envelope_ptr> posts, to_inference;
  std::vector<loader_command> held;
  bool hold_examines = false;
  std::map<std::string, std::uint32_t> busy;
};

inline std::shared_ptr<memory_files> disk_with(
    std::initializer_list<std::pair<std::string, char>> names) {
  auto disk = std::make_shared<memory_files>();
  for (const auto& [name, c] : names)
    disk->files["/models/" + name + ".gguf"] = {"bytes of " + name, digest_of(c)};
  return disk;
}

inline envelope_ptr prompt(const std::string& model, const std::string& text) {
  auto message = letter("gate", "gateway", "model_loader", 4);
  message->mutable_prepare_prompt()->set_model(model);
  message->mutable_prepare_prompt()->set_text(text);
  return message;
}

// The other node's answer to whatever was asked of it, from its own disk.
inline void holder_answers(loader_bench& b, memory_files& theirs, const std::string& name,
                           char digest, int at_most = 1000) {
  for (int i = 0; i < at_most; ++i) {
    const auto open = std::find_if(b.posts.begin(), b.posts.end(),
                                   [](const auto& p) { return p->target().node() == "peer"; });
    if (open == b.posts.end()) return;
    const envelope_ptr request = *open;
    b.posts.erase(open);
    auto reply = std::make_shared<proto::Envelope>(reply_to(*request));
    const std::string& bytes = theirs.true_bytes[digest_of(digest)];
    if (request->has_list_models()) {
      auto& m = *reply->mutable_model_list()->add_models();
      m.set_name(name);
      m.set_digest(digest_of(digest));
      m.set_size_bytes(bytes.size());
      m.set_state(proto::READY);
    } else {
      const auto& wish = request->read_model_bytes();
      auto& piece = *reply->mutable_model_bytes();
      piece.set_digest(wish.digest());
      piece.set_offset(wish.offset());
      piece.set_total_bytes(bytes.size());
      piece.set_data(bytes.substr(wish.offset(), wish.length()));
    }
    b.say(reply);
  }
}

}  // namespace troupe::fakes
