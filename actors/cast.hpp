// The cast on one page: every message that actors exchange, who says it, what it means, what comes
// back, which errors, whether it may be said again, and how long a sender waits.
//
// The grammar of each conversation stands in proto/<conversation>.proto. A test holds this table
// against the envelope. reply: the message that answers it; "" where none does. An Error may answer
// whatever has a correlation; `errors` names the codes that belong to the message itself
// (UNAVAILABLE and RESOURCE_EXHAUSTED may always come from the way there). wait_ms: default of the
// sender's deadline, 0 where nothing is waited for.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe {

enum class repeat {
  safe,    // saying it twice is as saying it once
  fenced,  // an older repetition is dropped and counted
  never,   // each one counts
};

struct cast_row {
  std::string_view message;  // the payload's name in the envelope
  std::string_view sender;
  std::string_view receiver;
  std::string_view meaning;
  std::string_view reply;  // names parted by '|'
  std::string_view errors;
  repeat again;
  std::uint32_t wait_ms;
};

inline constexpr cast_row cast[] = {
    {"error", "any", "any", "a request could not be fulfilled", "", "", repeat::safe, 0},

    {"submit_job", "client", "gateway", "do this job", "job_accepted",
     "INVALID_ARGUMENT NOT_FOUND ALREADY_EXISTS", repeat::safe, 30'000},
    {"job_accepted", "gateway", "client", "the job is pinned and will be done", "", "",
     repeat::safe, 0},
    {"job_tokens", "gateway", "client", "the answer's next tokens", "", "", repeat::safe, 0},
    {"job_finished", "gateway", "client", "the answer has ended, and how", "", "", repeat::safe, 0},
    {"grant_job_credit", "client", "gateway", "tokens below this index may be sent", "",
     "NOT_FOUND", repeat::safe, 0},
    {"cancel_job", "client", "gateway", "stop the job", "job_finished", "NOT_FOUND", repeat::safe,
     5'000},
    {"release_prefix", "client", "gateway", "forget what the nodes hold of this text",
     "prefix_released", "NOT_FOUND INVALID_ARGUMENT", repeat::safe, 5'000},
    {"prefix_released", "gateway", "client", "how much was freed, and where", "", "", repeat::safe,
     0},

    {"load_engine", "model_loader", "inference", "make an engine of this file and try its canary",
     "engine_loaded", "RESOURCE_EXHAUSTED DATA_CORRUPT UNSUPPORTED", repeat::safe, 600'000},
    {"engine_loaded", "inference", "model_loader", "the engine stands; its canary's tokens", "", "",
     repeat::safe, 0},
    {"unload_engine", "model_loader", "inference", "free the engine; its sequences fail",
     "engine_unloaded", "UNAVAILABLE", repeat::safe, 5'000},
    {"engine_unloaded", "inference", "model_loader", "the engine is gone", "", "", repeat::safe, 0},
    {"start_sequence", "gateway", "inference", "answer this prompt: attempt n of the job",
     "sequence_tokens|sequence_finished|sequence_failed", "", repeat::fenced, 0},
    {"sequence_tokens", "inference", "gateway", "the attempt's next tokens", "", "", repeat::fenced,
     0},
    {"sequence_finished", "inference", "gateway", "the attempt has ended", "", "", repeat::fenced,
     0},
    {"sequence_failed", "inference", "gateway", "the attempt cannot go on", "", "", repeat::fenced,
     0},
    {"grant_sequence_credit", "gateway", "inference", "tokens below this index may be sent", "", "",
     repeat::safe, 0},  // sequence_failed where the sequence has been forgotten
    {"stop_sequence", "gateway", "inference", "end the attempt", "sequence_finished", "",
     repeat::safe, 0},
    {"release_blocks", "gateway", "inference", "forget the KV blocks of these tokens",
     "blocks_released", "NOT_FOUND", repeat::safe, 2'000},
    {"blocks_released", "inference", "gateway", "how many were freed", "", "", repeat::safe, 0},

    {"engine_lost", "inference", "model_loader",
     "the engine's other parts are gone, and it with them", "", "", repeat::safe, 0},

    {"open_stage", "inference", "stages", "compute these layers of that model for me",
     "stage_opened", "RESOURCE_EXHAUSTED DATA_CORRUPT UNSUPPORTED INVALID_ARGUMENT NOT_FOUND",
     repeat::safe, 600'000},
    {"stage_opened", "stages", "stage_desk", "it is ready; what it has room for", "", "",
     repeat::safe, 0},
    {"step_stage", "inference", "stages", "the rows of one step, as far as they are",
     "stage_stepped", "NOT_FOUND INVALID_ARGUMENT", repeat::safe, 30'000},
    {"stage_stepped", "stages", "stage_desk", "the rows behind its layers, or what they mean", "",
     "", repeat::safe, 0},
    {"close_stage", "inference", "stages", "it is not needed any more", "", "", repeat::safe, 0},

    {"list_models", "any", "model_loader", "which models are there", "model_list", "", repeat::safe,
     5'000},
    {"model_list", "model_loader", "any", "the node's models and their state", "", "", repeat::safe,
     0},
    {"load_model", "any", "model_loader", "make the model ready, fetching it where it is not here",
     "model_loaded", "NOT_FOUND RESOURCE_EXHAUSTED DATA_CORRUPT UNSUPPORTED DEADLINE_EXCEEDED",
     repeat::safe, 600'000},
    {"model_loaded", "model_loader", "any", "the model is ready", "", "", repeat::safe, 0},
    {"unload_model", "any", "model_loader", "free the model's memory", "model_unloaded",
     "NOT_FOUND UNAVAILABLE", repeat::safe, 5'000},
    {"model_unloaded", "model_loader", "any", "the model is not loaded", "", "", repeat::safe, 0},
    {"prepare_prompt", "any", "model_loader", "text to token ids", "prompt_prepared",
     "INVALID_ARGUMENT NOT_FOUND DEADLINE_EXCEEDED", repeat::safe, 10'000},
    {"prompt_prepared", "model_loader", "any", "the prompt's ids, and the model pinned", "", "",
     repeat::safe, 0},
    {"read_model_bytes", "model_loader", "model_loader", "a piece of a model's file", "model_bytes",
     "INVALID_ARGUMENT NOT_FOUND", repeat::safe, 10'000},
    {"model_bytes", "model_loader", "model_loader", "the piece", "", "", repeat::safe, 0},

    {"look_up_answer", "any", "cache_tier", "is there an answer to this key",
     "answer_found|answer_missing", "", repeat::safe, 200},
    {"answer_found", "cache_tier", "any", "there is, whole and checked", "", "", repeat::safe, 0},
    {"answer_missing", "cache_tier", "any", "there is none within the cache's deadline", "", "",
     repeat::safe, 0},
    {"store_answer", "any", "cache_tier", "keep this answer, if there is room", "", "",
     repeat::safe, 0},
    {"read_cache_status", "any", "cache_tier", "what the tiers hold and did", "cache_status", "",
     repeat::safe, 1'000},
    {"cache_status", "cache_tier", "any", "counters of each tier", "", "", repeat::safe, 0},

    {"observe_job", "gateway", "monitoring", "a job has ended: count it", "", "", repeat::never, 0},
    {"read_status", "any", "monitoring", "how is this node", "node_status", "RESOURCE_EXHAUSTED",
     repeat::safe, 2'000},
    {"node_status", "monitoring", "any", "the node's actors, models, caches, links, jobs", "", "",
     repeat::safe, 0},
    {"read_metrics", "any", "monitoring", "what has this node counted", "node_metrics",
     "RESOURCE_EXHAUSTED", repeat::safe, 2'000},
    {"node_metrics", "monitoring", "any", "the node's status, with its jobs and engines counted",
     "", "", repeat::safe, 0},
    {"observe_step", "gateway", "monitoring", "a job came to this point, and why", "", "",
     repeat::never, 0},
    {"read_jobs", "monitoring", "gateway", "which jobs run at this gateway", "jobs_shown", "",
     repeat::safe, 300},
    {"jobs_shown", "gateway", "monitoring", "its jobs that have not ended", "", "", repeat::safe,
     0},
    {"read_picture", "any", "monitoring", "how is everything now, on all nodes", "cluster_picture",
     "RESOURCE_EXHAUSTED", repeat::safe, 2'000},
    {"cluster_picture", "monitoring", "any", "every node's part, and how old it is", "", "",
     repeat::safe, 0},
    {"read_story", "any", "monitoring", "what did this job go through", "job_story",
     "NOT_FOUND INVALID_ARGUMENT RESOURCE_EXHAUSTED", repeat::safe, 2'000},
    {"job_story", "monitoring", "any", "its spans, with what decided them", "", "", repeat::safe,
     0},
    {"read_history", "any", "monitoring", "how was it in the last minutes", "cluster_history",
     "RESOURCE_EXHAUSTED", repeat::safe, 2'000},
    {"cluster_history", "monitoring", "any", "each node's series", "", "", repeat::safe, 0},
    {"read_log", "any", "monitoring", "log lines behind these cursors", "log_part",
     "INVALID_ARGUMENT RESOURCE_EXHAUSTED", repeat::safe, 2'000},
    {"log_part", "monitoring", "any", "the lines, and where to go on", "", "", repeat::safe, 0},
    {"read_profile", "any", "monitoring", "watch that node for so long, then say where it went",
     "node_profile",
     "INVALID_ARGUMENT NOT_FOUND ALREADY_EXISTS UNSUPPORTED RESOURCE_EXHAUSTED UNAVAILABLE",
     repeat::never, 75'000},
    {"node_profile", "monitoring", "any", "its stacks, with what each took", "", "", repeat::safe,
     0},
    {"read_cluster", "client", "gateway", "how are all nodes", "cluster_status", "", repeat::safe,
     5'000},
    {"cluster_status", "gateway", "client", "every node that the gateway knows", "", "",
     repeat::safe, 0},

    {"heartbeat", "node", "node", "the node lives; its models and load", "", "", repeat::safe, 0},
    {"probe_peer", "node", "node", "do you hear that node? I do not", "probe_answer", "",
     repeat::safe, 625},
    {"probe_answer", "node", "node", "yes, or not within that time", "", "", repeat::safe, 0},
    {"drain_node", "client", "node", "end, when what runs here has ended", "node_draining", "",
     repeat::safe, 5'000},
    {"node_draining", "node", "client", "it will, within this time", "", "", repeat::safe, 0},
    {"begin_fault", "client", "node", "do this to yourself, for a while", "fault_begun",
     "INVALID_ARGUMENT ALREADY_EXISTS PERMISSION_DENIED UNSUPPORTED", repeat::never, 5'000},
    {"fault_begun", "node", "client", "it begins now, and will end by itself", "", "", repeat::safe,
     0},
    {"end_fault", "client", "node", "end it before its time", "fault_ended", "", repeat::safe,
     5'000},
    {"fault_ended", "node", "client", "there is none any more", "", "", repeat::safe, 0},
    {"read_chaos", "client", "node", "what do you let be done to you", "chaos_status", "",
     repeat::safe, 5'000},
    {"chaos_status", "node", "client", "what it allows, and what is being done", "", "",
     repeat::safe, 0},
    {"echo", "any", "node", "send this back", "echoed", "", repeat::safe, 5'000},
    {"echoed", "node", "any", "here it is", "", "", repeat::safe, 0},
    {"count_flood", "any", "node", "count this", "", "", repeat::never, 0},
    {"read_flood", "any", "node", "how many were counted", "flood_count", "", repeat::safe, 5'000},
    {"flood_count", "node", "any", "messages, bytes, time", "", "", repeat::safe, 0},
};

}  // namespace troupe
