#include "cluster/node/log_sinks.hpp"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace troupe::cluster {

status open_log(const std::filesystem::path& file, const std::string& level,
                const std::string& node) {
  constexpr std::size_t file_bytes_max = 32u << 20, files_max = 4;
  try {
    auto to_file = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        file.string(), file_bytes_max, files_max);
    auto to_stderr = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto logger =
        std::make_shared<spdlog::logger>("troupe", spdlog::sinks_init_list{to_file, to_stderr});
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
