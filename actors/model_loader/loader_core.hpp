// The model loader, pure: which models there are, which are loaded, which are on their way, who
// waits for what.
//
//   step(message), absorb(report), tick() -> effects     (posts, and commands for the shell)
//
// Invariants: a name from the network never becomes a path; a model is READY only after its canary
// agreed with what this node (and every peer that told its own) has seen for the same digest and
// numerics class; each request that waits is answered once, also when its deadline passes.
// Threading: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/model_loader/loader_commands.hpp"
#include "actors/model_loader/loader_memory.hpp"
#include "actors/model_loader/loader_settings.hpp"
#include "actors/model_loader/model_fetch.hpp"

namespace troupe {

class loader_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::vector<loader_command> commands;  // in order
  };
  // Sequences that run or wait in the model of that digest on this node.
  using usage = std::function<std::uint32_t(const std::string& digest)>;

  loader_core(const loader_settings& settings, std::uint64_t machine_memory_bytes,
              loader_memory memory, usage sequences_of);

  // Whoever asks for the models as the own node's "node" actor is told from then on when something
  // but fetched_bytes has changed.
  effects begin(time_point_us now);
  effects step(const envelope_ptr& message, time_point_us now);
  effects absorb(const loader_report& report, time_point_us now);
  effects tick(time_point_us now);
  effects lose_node(const std::string& node, time_point_us now);
  effects inference_restarted(time_point_us now);

  proto::ModelList list() const;

 private:
  struct waiter {
    envelope_ptr request;
    std::optional<time_point_us> expires;
  };
  struct entry {  // one model
    std::string name;
    found_file file;
    std::optional<model_facts> facts;
    proto::ModelState state = proto::ON_DISK;
    std::string failure;
    bool examining = false;
    bool load_wanted = false;                      // load as soon as it is examined
    proto::EngineLoaded engine;                    // while READY
    std::uint64_t weight_bytes = 0, kv_bytes = 0;  // of the budget, while LOADING or READY
    time_point_us last_used{};
    std::vector<waiter> loads, prompts;
    std::vector<waiter> files;  // LoadModel for the file alone
    std::unique_ptr<model_fetch> fetch;
    std::string digest;                     // known before the facts while FETCHING
    std::optional<time_point_us> retry_at;  // of a load that other nodes did not make possible
    std::uint32_t failed_loads = 0;         // in a row
  };
  struct lookup {  // a LoadModel for a model not known here
    waiter who;
    bool scanned = false;
    bool asked = false;  // its holders
    std::size_t replies_open = 0;
    std::optional<proto::ModelDescription> found;
    std::string holder;  // that has it
  };
  struct asked {  // a request of ours that is open
    enum class about { load, unload, lookup, canary, piece } what;
    std::string name;      // entry
    std::uint64_t id = 0;  // lookup, offset of a piece; of a load 1 where others could go for it
    std::string node;
    time_point_us expires{};
  };

  // messages
  void load_model(const envelope_ptr& message, time_point_us now, effects& out);
  void unload_model(const envelope_ptr& message, time_point_us now, effects& out);
  void list_models(const envelope_ptr& message, time_point_us now, effects& out);
  void prepare_prompt(const envelope_ptr& message, time_point_us now, effects& out);
  void read_model_bytes(const envelope_ptr& message, effects& out);
  void reply_arrived(const proto::Envelope& message, time_point_us now, effects& out);
  void request_failed(const asked& request, const error& why, time_point_us now, effects& out);

  // models
  entry* find(const std::string& name_or_digest);
  std::string name_for(const found_file& file) const;
  error unknown_model(const std::string& wish) const;
  proto::ModelDescription describe(const entry& e) const;
  effects with_news(effects out);  // for the watcher
  std::string list_told() const;
  void examine(entry& e, effects& out);
  void load(entry& e, time_point_us now, effects& out);
  void queue(entry& e, waiter who, time_point_us now, effects& out);
  void answer_files(entry& e, effects& out);
  void engine_lost(const proto::Envelope& message, time_point_us now, effects& out);
  void put_off(entry& e, const error& why, time_point_us now, effects& out);
  void retry_loads(time_point_us now, effects& out);
  std::uint64_t least_bytes(const entry& e) const;
  error too_large(const entry& e, std::uint64_t in_use) const;
  const model_split* split_of(const entry& e) const;
  kernels::memory_need need_of(const entry& e) const;  // of this node's layers
  void begin_load(entry& e, time_point_us now, effects& out);
  std::vector<entry*> idle_beside(const entry& e, time_point_us now) const;
  std::optional<error> make_room(entry& e, time_point_us now, effects& out);
  void make_room_on_gpu(entry& e, time_point_us now, effects& out);
  void engine_loaded(entry& e, const proto::EngineLoaded& loaded, time_point_us now, effects& out);
  std::optional<error> judge_canary(const entry& e, const proto::EngineLoaded& loaded,
                                    effects& out);
  void compare_canary(const proto::ModelDescription& theirs, const std::string& node,
                      time_point_us now, effects& out);
  void unload(entry& e, time_point_us now, effects& out);
  std::uint64_t memory_used() const;
  void expire(time_point_us now, effects& out);
  void resolve_lookups(time_point_us now, effects& out);
  void fail(entry& e, const error& why, effects& out);
  void refuse_all(std::vector<waiter>& who, const error& why, effects& out);
  void answer_prompt(const entry& e, const proto::Envelope& request, effects& out) const;

  // reports
  void scanned(const files_scanned& report, time_point_us now, effects& out);
  void examined(const file_examined& report, time_point_us now, effects& out);
  void partial_ready(const partial_opened& report, time_point_us now, effects& out);
  void partial_grew(const partial_written& report, time_point_us now, effects& out);
  void partial_done(const partial_finished& report, time_point_us now, effects& out);

  // fetching
  void ask_holders(std::uint64_t id, lookup& at, time_point_us now, effects& out);
  void resolve_lookup(std::uint64_t id, time_point_us now, effects& out);
  void begin_fetch(lookup from, time_point_us now, effects& out);
  void go_on(entry& e, model_fetch::effects steps, time_point_us now, effects& out);
  std::uint64_t ask(std::shared_ptr<proto::Envelope> message, asked about, std::string node,
                    std::string actor, std::chrono::milliseconds wait, time_point_us now,
                    effects& out);
  waiter waiting(const envelope_ptr& message, time_point_us now) const;
  void save(effects& out) { out.commands.push_back(save_memory{memory_.text()}); }

  loader_settings settings_;
  std::uint64_t memory_max_;
  loader_memory memory_;
  usage sequences_of_;
  std::map<std::string, std::unique_ptr<entry>> entries_;  // by name
  std::map<std::uint64_t, lookup> lookups_;
  std::map<std::uint64_t, asked> asked_;  // by correlation
  std::map<std::pair<std::string, std::string>, std::map<std::string, std::vector<std::int32_t>>>
      peer_canaries_;  // (digest, class) -> node -> ids
  std::uint64_t next_id_ = 0;
  std::uint64_t last_correlation_ = 0;
  bool scanned_once_ = false;
  std::vector<waiter> early_requests_;  // ListModels, PreparePrompt that came before the first scan
  time_point_us next_scan_{};
  proto::Address watcher_;  // own, and listening
  std::string told_;        // to it, without what changes all the time
};

}  // namespace troupe
