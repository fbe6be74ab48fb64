#include "cluster/node/log_sinks.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "actors/shell/current_actor.hpp"

namespace troupe::cluster {
namespace {

proto::LogLevel level_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return proto::LEVEL_TRACE;
    case spdlog::level::debug:
      return proto::LEVEL_DEBUG;
    case spdlog::level::info:
      return proto::LEVEL_INFO;
    case spdlog::level::warn:
      return proto::LEVEL_WARN;
    case spdlog::level::err:
      return proto::LEVEL_ERROR;
    default:
      return proto::LEVEL_CRITICAL;
  }
}

// Runs on the thread that logs, so that the line knows its actor.
class ring_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit ring_sink(std::shared_ptr<log_ring> ring) : ring_(std::move(ring)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const auto at =
        std::chrono::duration_cast<std::chrono::microseconds>(message.time.time_since_epoch());
    ring_->add({level_of(message.level),
                static_cast<std::uint64_t>(at.count()),
                current_actor,
                {message.payload.data(), message.payload.size()}});
  }
  void flush_() override {}

  std::shared_ptr<log_ring> ring_;
};

}  // namespace

status open_log(const std::filesystem::path& file, const std::string& level,
                const std::string& node, std::shared_ptr<log_ring> ring) {
  constexpr std::size_t file_bytes_max = 32u << 20, files_max = 4;
  try {
    auto to_file = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        file.string(), file_bytes_max, files_max);
    auto to_stderr = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto logger =
        std::make_shared<spdlog::logger>("troupe", spdlog::sinks_init_list{to_file, to_stderr});
    if (ring) logger->sinks().push_back(std::make_shared<ring_sink>(std::move(ring)));
    logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%f%z level=%l node=" + node + " %v");
    logger->set_level(level == "warn" ? spdlog::level::warn : spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::info);
    // A full disk must not end the node: the lines still go to stderr.
    logger->set_error_handler([](const std::string&) {});
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& failed) {
    return error{error_code::permission_denied,
                 "cannot write the log " + file.string() + ": " + failed.what(),
                 "give node.log_file a path that this user can write"};
  }
  return {};
}

}  // namespace troupe::cluster
