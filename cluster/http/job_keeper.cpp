#include "cluster/http/job_keeper.hpp"

#include <spdlog/spdlog.h>

#include <random>

namespace troupe::http {
namespace {

std::uint64_t unguessable() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

}  // namespace

job_keeper::job_keeper(std::unique_ptr<journal::journal_files> files)
    : files_(std::move(files)), store_(*files_, unguessable) {}

result<std::unique_ptr<job_keeper>> job_keeper::open(const std::filesystem::path& folder) {
  auto files = journal::open_journal_folder(folder);
  if (!files) return files.failure();
  std::unique_ptr<job_keeper> out(new job_keeper(std::move(*files)));
  auto content = out->store_.read();
  if (!content) return content.failure();
  for (const journal::byte_range& hole : content->damaged)
    spdlog::error("http_jobs_damaged from_byte={} to_byte={}", hole.from, hole.to);
  if (content->cut > 0)
    spdlog::warn("http_jobs_cut bytes={} after_byte={}", content->cut, content->end);
  out->records_ = std::move(content->records);
  return out;
}

void job_keeper::begin(std::function<void(const journal::journal_news&)> tell) {
  writer_.emplace(store_, journal::writer_settings{}, std::move(tell));
}

}  // namespace troupe::http
