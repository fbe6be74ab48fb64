// Any bytes as what a stranger sends to the HTTP door: parsed, routed, read as the body of every
// API; nothing may crash, hang, or accept what it does not understand.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cluster/http/job_book.hpp"
#include "cluster/http/ollama_request.hpp"
#include "cluster/http/openai_request.hpp"
#include "cluster/http/request_reader.hpp"
#include "cluster/http/routes.hpp"

using namespace troupe::http;

namespace {

// What a reader accepted holds within its limits.
void judge(const work_or_error& read, const request_limits& limits) {
  if (auto* why = std::get_if<api_error>(&read)) {
    if (why->status != 400 || why->message.empty()) std::abort();
    return;
  }
  const asked_work& work = std::get<asked_work>(read);
  if (work.jobs.empty() || work.jobs.size() > limits.jobs_max || work.plan.model.empty())
    std::abort();
  for (const auto& job : work.jobs)
    if (job.job().tokens_max() == 0 || job.job().tokens_max() > limits.tokens_max ||
        job.job().prompt_case() == troupe::proto::JobSpecification::PROMPT_NOT_SET)
      std::abort();
}

void read_everywhere(std::string_view body) {
  const request_limits limits;
  judge(read_completion(body, limits), limits);
  judge(read_chat(body, limits), limits);
  judge(read_embeddings(body, limits), limits);
  judge(read_ollama_generate(body, limits), limits);
  judge(read_ollama_chat(body, limits), limits);
  const auto wish = read_job_wish(body, limits);
  if (auto* job = std::get_if<job_wish>(&wish))
    if (!job->id.empty() && job->id.size() != 16) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  request_reader reader({.header_bytes_max = 1024, .body_bytes_max = 4096});
  std::size_t taken = 0;
  // The first byte says in which steps the bytes come.
  const std::size_t step = size > 0 ? data[0] % 64 + 1 : 1;
  while (taken < size) {
    const std::size_t used = reader.feed(bytes.substr(taken, step));
    taken += used;
    if (used == 0) break;
  }
  if (reader.now() == request_reader::state::complete) {
    const http_request request = reader.take();
    const auto found = find_route(request.method, request.path);
    if (auto* why = std::get_if<api_error>(&found))
      if (why->status < 400 || why->status > 405) std::abort();
    query_number(request.query, "from", 0);
    names_loopback(request.host);
    if (request.body.size() > 4096) std::abort();
    read_everywhere(request.body);
  }
  read_everywhere(bytes);
  return 0;
}
