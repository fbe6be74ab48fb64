#include "config/settings_table.hpp"

namespace troupe {
namespace {

using enum setting_type;

constexpr double kib = 1024, mib = 1024 * kib, gib = 1024 * mib, tib = 1024 * gib;
constexpr double ms = 1, second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;

constexpr setting_row rows[] = {
    {"node.name", text, "", "", 0, 64, false,
     "This node's name, unique in the cluster; empty takes the machine's host name.",
     text_form::name},
    {"node.profile", text, "", "", 0, 64, false,
     "A label for people, such as mainpc; it appears in the log when the node starts."},
    {"node.state_dir", text, "", "troupe-state", 1, 4096, false,
     "Folder of the node's own files (fetched models, the log); made where it is missing.",
     text_form::path},
    {"node.workers", integer, "threads", "2", 1, 256, false,
     "Threads that run the actors; inference threads come on top."},
    {"node.log_file", text, "", "", 0, 4096, false,
     "File that the log is written to; empty takes trouped.log in node.state_dir.",
     text_form::path},
    {"node.log_level", text, "", "info", 1, 16, true, "Least serious level that is logged.",
     text_form::choice, "trace|debug|info|warn|error|off"},
    {"node.restarts_max", integer, "restarts", "5", 0, 1000, false,
     "Restarts of one actor within node.restart_window before the node gives up and exits."},
    {"node.restart_window", duration, "", "60s", second, day, false,
     "Window in which node.restarts_max restarts count."},
    {"node.stop_wait", duration, "", "5s", 0, hour, false,
     "Longest time that running jobs get to end when the node is asked to stop."},

    {"link.listen", text, "", "tcp://127.0.0.1:7411", 1, 256, false,
     "Address that nodes and clients connect to; port 0 takes a free one. Anything but loopback "
     "needs link.security: curve.",
     text_form::endpoint},
    {"link.security", text, "", "off", 1, 8, false,
     "Whether links are encrypted and every node and client needs a key that is listed here: "
     "curve, "
     "or off.",
     text_form::choice, "off|curve"},
    {"link.key_file", text, "", "", 0, 4096, false,
     "File with this node's key pair (`troupe keys make`), for its user's eyes only; empty takes "
     "keys/node.key in node.state_dir.",
     text_form::path},
    {"link.allow_file", text, "", "", 0, 4096, false,
     "File with the keys of the nodes and clients that may connect (`troupe keys allow`), followed "
     "while the node runs; empty takes keys/allowed in node.state_dir.",
     text_form::path},
    {"link.advertise", text, "", "", 0, 256, false,
     "Address under which other nodes are told to dial this one; empty: as it listens, with the "
     "machine's first address for 0.0.0.0.",
     text_form::endpoint},
    {"link.queued_bytes_max", bytes, "bytes", "64MiB", mib, 64 * gib, false,
     "Most bytes that wait for one peer, unsent and unacknowledged together."},
    {"link.coalesced_bytes_max", bytes, "bytes", "64KiB", kib, 16 * mib, false,
     "Small messages that leave together fill a frame up to this size."},
    {"link.chunk_bytes", bytes, "bytes", "256KiB", 4 * kib, 16 * mib, false,
     "Larger messages travel in chunks of this size."},
    {"link.compress_bytes_min", bytes, "bytes", "16KiB", 0, gib, false,
     "Messages smaller than this are sent as they are; larger ones are compressed where that "
     "helps."},
    {"link.silence_max", duration, "", "3s", 50 * ms, hour, false,
     "A peer that sends nothing for so long is taken to be down."},

    {"membership.peers", text_list, "", "", 0, 64, false,
     "Addresses of other nodes; one is enough where membership.learn_peers is on.",
     text_form::endpoint},
    {"membership.learn_peers", flag, "", "true", 0, 0, false,
     "Also dials the nodes that its peers are linked with."},
    {"membership.heartbeat_interval", duration, "", "250ms", 10 * ms, minute, true,
     "Time between two heartbeats to each peer; one that misses three gets no new work."},
    {"membership.pause_max", duration, "", "1s", 0, hour, true,
     "A pause in a peer's heartbeats up to this is no reason to take it for lost."},
    {"membership.down_after", duration, "", "2500ms", 50 * ms, hour, true,
     "A peer that stays silent for so long is lost, even where other nodes still hear it."},

    {"models.directories", text_list, "", "models", 0, 64, false,
     "Folders in which *.gguf files are found.", text_form::path},
    {"models.preload", text_list, "", "", 0, 64, false,
     "Models (name or digest) that are loaded when the node starts."},
    {"models.fetch", flag, "", "true", 0, 0, true, "Fetch a model that only another node has."},
    {"models.memory_max", bytes, "bytes", "0", 0, 64 * tib, false,
     "Memory that weights and KV of all loaded models may take; 0 takes three quarters of the "
     "machine's, and where a GPU computes its memory too."},

    {"models.split", text_list, "", "", 0, 64, false,
     "Models whose last layers other nodes compute, each as MODEL:NODE=LAYERS[:NODE=LAYERS...] in "
     "the order of the layers; the first layers are this node's. Answers are those of the whole "
     "model."},
    {"stages.memory_max", bytes, "bytes", "0", 0, 64 * tib, false,
     "Memory that this node gives to layers of other nodes' models, beside models.memory_max; 0 "
     "takes "
     "a quarter of the machine's."},
    {"stages.step_wait", duration, "", "30s", 100 * ms, hour, false,
     "A node that computes layers of this one's models has so long for its share of a step; then "
     "the "
     "model is loaded again."},

    {"inference.enabled", flag, "", "true", 0, 0, false,
     "Whether this node computes answers; without it the node is a gateway only."},
    {"inference.threads", integer, "threads", "0", 0, 1024, false,
     "Threads that compute one step; 0 takes the machine's cores."},
    {"inference.affinity", integer_list, "cores", "", 0, 1024, false,
     "Cores that the compute threads are pinned to; empty pins none."},
    {"inference.variant", text, "", "", 0, 32, false,
     "Instruction set to compute with; empty takes the machine's best; the answer's bits are the "
     "same with each.",
     text_form::choice, "|reference|portable|avx2|avx512|amx"},
    {"inference.engine", text, "", "cpu", 3, 4, false,
     "What computes: cpu; cuda, a GPU; or auto, a GPU where one is found. Without a usable GPU the "
     "processor computes, and the log says why.",
     text_form::choice, "cpu|cuda|auto"},
    {"inference.kv_bytes", bytes, "bytes", "256MiB", 0, 64 * tib, false,
     "Memory of one model's KV store; 0 takes room for four sequences of the model's whole "
     "context, or what there is."},
    {"inference.kv_type", text, "", "f16", 1, 8, false,
     "How keys and values are kept: f16, or q8_0 in about half the memory; each is a numerics "
     "class "
     "of its own, so nodes that stand in for each other have the same.",
     text_form::choice, "f16|q8_0"},
    {"inference.kv_host_bytes", bytes, "bytes", "0", 0, 64 * tib, false,
     "Host memory of one loaded model, beside models.memory_max, for KV blocks that leave its "
     "store: a prompt that begins alike later gets them back and is not computed again; 0 keeps "
     "none. Meant for GPUs (pinned, taken when the model loads; several times the store is of "
     "use); with cpu a larger inference.kv_bytes does more."},
    {"inference.batch_tokens_max", integer, "tokens", "512", 1, 65536, false,
     "Most tokens that are computed in one step."},
    {"inference.batching", flag, "", "true", 0, 0, false,
     "Whether sequences of a model are computed together; without it one runs at a time."},
    {"inference.batch_max", integer, "sequences", "32", 1, 4096, false,
     "Most sequences that are computed in one step."},
    {"inference.batch_wait", duration, "", "50ms", 0, 100 * ms, false,
     "Longest time that an idle engine waits for more sequences, where they use to come together; "
     "0 never waits."},
    {"inference.prefill_chunk", integer, "tokens", "128", 1, 65536, false,
     "Most prompt tokens that are computed in one step beside running answers; fewer keep these "
     "even, more answer the prompt earlier."},
    {"inference.ageing", duration, "", "10s", 0, hour, false,
     "Time in the line that lifts a job by one priority; 0 never does."},
    {"inference.sequences_max", integer, "sequences", "32", 1, 4096, false,
     "Most sequences that run at the same time."},
    {"inference.queue_max", integer, "sequences", "1024", 0, 1048576, true,
     "Most sequences that wait for a place; more are refused."},

    {"gpu.devices", integer_list, "devices", "", 0, 64, false,
     "GPUs over which a model is spread, in this order; empty or one: a model is on one GPU, "
     "gpu.device."},
    {"gpu.spread", text, "", "layers", 6, 7, false,
     "What each of several GPUs has of a model: layers, some of them by its free memory, or "
     "tensors, "
     "a part of every matrix, so that all work on every token at once (needs NCCL).",
     text_form::choice, "layers|tensors"},
    {"gpu.device", integer, "", "-1", -1, 255, false,
     "Which GPU computes, as CUDA counts them; -1 takes for each model the one with most free "
     "memory, then the coolest, then the least busy."},
    {"gpu.celsius_max", integer, "degrees", "90", 0, 150, false,
     "Above it a GPU is too warm: new jobs go to other nodes where these would do as well, until "
     "it "
     "is 5 degrees below. 0 never is; needs NVML and monitoring."},
    {"gpu.partial", flag, "", "true", 0, 0, false,
     "Whether a model that is larger than a GPU's memory has its first layers there and the others "
     "on the processor; else the processor has all."},
    {"gpu.numerics", text, "", "exact", 1, 8, false,
     "How a GPU multiplies matrices: exact, in the processor's order; tensor, in float16 and "
     "bfloat16 on the tensor cores, a numerics class of its own.",
     text_form::choice, "exact|tensor"},
    {"gpu.step_deadline", duration, "", "60s", 0, hour, false,
     "Longest time of a step on a GPU; one that takes longer has lost it, and the process ends and "
     "is started again. 0 waits for ever."},
    {"gpu.graphs", integer, "", "32", 0, 1024, false,
     "Decode steps that are kept recorded, each for one number of sequences; a recorded step "
     "starts "
     "as one. 0 starts every kernel by itself."},
    {"gpu.pool_small_bytes", bytes, "bytes", "256MiB", mib, tib, false,
     "GPU memory that is taken at a time for pieces up to 1 MiB."},
    {"gpu.pool_medium_bytes", bytes, "bytes", "1GiB", mib, tib, false,
     "GPU memory that is taken at a time for pieces up to 64 MiB."},
    {"gpu.pool_large_bytes", bytes, "bytes", "4GiB", mib, tib, false,
     "GPU memory that is taken at a time for larger pieces."},
    {"gpu.reserve_bytes", bytes, "bytes", "512MiB", 0, tib, false,
     "GPU memory that is left to the driver and to others."},
    {"gpu.model_bytes_max", bytes, "bytes", "0", 0, tib, false,
     "Most GPU memory of one model: weights, KV store and a step's rows; 0 is what there is."},

    {"cache.local_bytes_max", bytes, "bytes", "64MiB", 0, tib, true,
     "Memory of the node's own tier of cached answers; 0 turns it off."},
    {"cache.local_ttl", duration, "", "1h", 0, 365 * day, true,
     "Time that an answer stays in the local tier; 0 keeps it until there is no room."},
    {"cache.redis", text, "", "", 0, 256, false,
     "Redis that nodes share answers through, as HOST:PORT or unix:/PATH; empty turns that tier "
     "off.",
     text_form::server},
    {"cache.redis_deadline", duration, "", "50ms", ms, minute, true,
     "Longest time that a job waits for Redis; a slower Redis counts as one that has no answer."},
    {"cache.redis_ttl", duration, "", "24h", second, 365 * day, true,
     "Time that an answer stays in Redis."},
    {"cache.redis_retry", duration, "", "1s", 10 * ms, hour, true,
     "Time after a failed call before Redis is tried again."},
    {"cache.value_bytes_max", bytes, "bytes", "1MiB", kib, 512 * mib, true,
     "Larger answers are not cached."},

    {"gateway.jobs_max", integer, "jobs", "1024", 1, 1048576, true,
     "Most jobs that run or wait at this gateway; more are refused."},
    {"gateway.tenant_jobs_max", integer, "jobs", "0", 0, 1048576, true,
     "Most jobs that run or wait here for one tenant; more are refused. 0: no such bound."},
    {"gateway.prompt_bytes_max", bytes, "bytes", "1MiB", 1, gib, true,
     "Longest prompt that is accepted."},
    {"gateway.tokens_max", integer, "tokens", "65536", 1, 16777216, true,
     "Most tokens that one job may ask for."},
    {"gateway.finished_jobs_kept", integer, "jobs", "1024", 0, 1048576, true,
     "Finished jobs that a client can still attach to."},
    {"gateway.finished_kept_for", duration, "", "5m", 0, 30 * day, true,
     "Time that a finished job can still be attached to."},
    {"gateway.detach_grace", duration, "", "30s", 0, day, true,
     "Time that a job goes on when its client's session is lost; 0 stops it at once."},
    {"gateway.journal", flag, "", "true", 0, 1, false,
     "Accepted jobs are written to node.state_dir/journal before they are acknowledged, and "
     "survive "
     "a restart."},
    {"gateway.journal_file_max", bytes, "bytes", "64MiB", mib, 64 * gib, false,
     "Size at which the journal is begun anew with the jobs that are still known."},
    {"gateway.default_credit", integer, "tokens", "256", 1, 65536, true,
     "Tokens that are sent to a client ahead of its word that it has read some."},
    {"gateway.attempts_max", integer, "attempts", "3", 1, 100, true,
     "Attempts at one job before it fails."},
    {"gateway.retry_min", duration, "", "100ms", ms, minute, true,
     "Time before a job goes back to a node that refused it, where no other node can take it; "
     "doubled with each further attempt."},
    {"gateway.retry_max", duration, "", "2s", ms, hour, true, "Longest such time."},
    {"gateway.retry_jitter", integer, "percent", "25", 0, 100, true,
     "Random part that may be missing from the times of gateway.retry_* and gateway.breaker_*."},
    {"gateway.breaker_failures", integer, "failures", "5", 1, 1000, true,
     "Attempts that fail at one node in a row before it gets no work for a while."},
    {"gateway.breaker_open_min", duration, "", "500ms", ms, minute, true,
     "That while, before one job may try the node; doubled as long as it goes on failing."},
    {"gateway.breaker_open_max", duration, "", "5s", ms, hour, true, "Longest such while."},
    {"gateway.credit_repeat", duration, "", "1s", 10 * ms, minute, true,
     "Silence on a stream after which its credit is said again, in case it was lost."},
    {"gateway.job_deadline", duration, "", "10m", 10 * ms, 7 * day, true,
     "Longest time that one job may take."},

    {"http.listen", text, "", "", 0, 256, false,
     "Address that HTTP clients connect to; empty turns HTTP off; port 0 takes a free one. "
     "Anything "
     "but loopback needs http.api_key_file.",
     text_form::endpoint},
    {"http.threads", integer, "threads", "1", 1, 64, false, "Threads that serve HTTP."},
    {"http.api_key_file", text, "", "", 0, 4096, false,
     "File of hashed API keys with their scopes (`troupe api-key make` makes them), one of which "
     "clients then need; empty asks for none.",
     text_form::path},
    {"http.tls_certificate", text, "", "", 0, 4096, false,
     "File with the certificate chain (PEM); with it HTTP is served over TLS only.",
     text_form::path},
    {"http.tls_key", text, "", "", 0, 4096, false,
     "File with the private key (PEM) of http.tls_certificate.", text_form::path},
    {"http.connections_max", integer, "connections", "1024", 1, 65536, false,
     "Most open connections; one more is told so and closed."},
    {"http.requests_max", integer, "requests", "512", 1, 65536, false,
     "Most requests whose answers are being computed; one more is answered 429."},
    {"http.requests_per_client_max", integer, "requests", "512", 1, 65536, false,
     "The same for one client: an API key, or an address where keys are not asked for."},
    {"http.body_bytes_max", bytes, "bytes", "8MiB", kib, gib, false, "Longest body of a request."},
    {"http.request_wait", duration, "", "15s", 100 * ms, hour, false,
     "Longest time from a request's first byte to its last."},
    {"http.idle_wait", duration, "", "60s", 100 * ms, day, false,
     "Time after which a connection without a request is closed."},
    {"http.write_wait", duration, "", "60s", 100 * ms, day, false,
     "A client that takes nothing for so long is given up."},
    {"http.head_wait", duration, "", "10s", 10 * ms, hour, false,
     "Longest time that a stream's head waits for the first token, with which it is known who "
     "serves; then the head leaves and does not tell."},
    {"http.jobs_kept", integer, "jobs", "256", 1, 65536, false,
     "Most long jobs (/v1/jobs) that are waiting, running or kept; ended ones leave first."},
    {"http.jobs_running_max", integer, "jobs", "8", 1, 4096, false,
     "Most long jobs that run at the same time; the others wait."},

    {"chaos.enabled", flag, "", "false", 0, 0, false,
     "Whether the node carries out faults on itself when `troupe chaos run` asks for them."},
    {"chaos.supervised", flag, "", "false", 0, 0, false,
     "Whether something starts the node again when its process ends; only then chaos may end it."},

    {"monitoring.enabled", flag, "", "true", 0, 0, false,
     "Whether the node counts and remembers its jobs (percentiles, stories, spans, history, "
     "alerts). Without it monitoring still answers with what is at hand, and keeps the log."},
    {"monitoring.window", duration, "", "10s", 100 * ms, hour, true,
     "Time over which busy shares and rates are taken."},
    {"monitoring.slow_job", duration, "", "30s", ms, day, false,
     "A job that takes so long counts as slow: its story is kept longer, its spans are always "
     "exported."},
    {"monitoring.traces", text, "", "", 0, 2048, false,
     "Collector of OpenTelemetry that spans are posted to, such as "
     "http://127.0.0.1:4318/v1/traces; empty: none."},
    {"monitoring.traces_ratio", number, "", "1", 0, 1, false,
     "Share of jobs whose spans are exported; failed, slow and moved ones are in any case."},
    {"monitoring.webhook", text, "", "", 0, 2048, false,
     "Address that alerts are posted to as JSON, such as http://127.0.0.1:8080/alerts; empty: "
     "none."},
    {"monitoring.alertmanager", text, "", "", 0, 2048, false,
     "Prometheus's Alertmanager that alerts are posted to, such as http://127.0.0.1:9093; empty: "
     "none."},
    {"monitoring.first_token_max", duration, "", "0s", 0, day, false,
     "An alert is told when one job in a hundred waits longer for its first token; 0: none is."},
    {"monitoring.error_rate_max", number, "", "0.05", 0, 1, false,
     "An alert is told when a larger share of a minute's jobs fails; 0: none is."},
    {"monitoring.memory_share_max", number, "", "0.95", 0, 1, false,
     "An alert is told when a larger share of the machine's memory is in use; 0: none is."},
    {"monitoring.tokens_per_second_min", number, "tokens/s", "0", 0, 1e9, false,
     "An alert is told when jobs run and get fewer tokens together; 0: none is."},
    {"monitoring.jobs_min", integer, "jobs", "20", 1, 1'000'000, false,
     "Fewer jobs in a window say nothing of rates and percentiles."},
    {"monitoring.alert_after", duration, "", "6s", 0, hour, false, "What lasts less is no alert."},
    {"monitoring.alerts_per_minute", integer, "alerts", "10", 1, 10'000, false,
     "Most alerts that are told in a minute; more are counted and shown, not told."},
    {"monitoring.learn", flag, "", "true", 0, 0, false,
     "Learns what is usual at each hour of the day, and tells what is far from it."},
    {"monitoring.objectives", text_list, "", "", 0, 64, false,
     "Latency objectives MODEL:MILLISECONDS or MODEL:MILLISECONDS:SHARE: of the jobs whose model's "
     "name contains MODEL, that share (0.99) has its first token in time."},
};

}  // namespace

std::span<const setting_row> settings_table() {
  return rows;
}

const setting_row* find_setting(std::string_view name) {
  for (const setting_row& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace troupe
