#include "cluster/http/front_desk.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "cluster/http/inbox.hpp"

namespace troupe::http {
namespace {

constexpr milliseconds status_fresh{200};

std::int64_t unix_now_s() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

std::string digest_of(std::string_view key) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

std::string short_name(const std::string& digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "key-";
  for (std::size_t i = 0; i < 4; ++i) {
    out += digits[static_cast<unsigned char>(digest[i]) >> 4];
    out += digits[static_cast<unsigned char>(digest[i]) & 15];
  }
  return out;
}

}  // namespace

result<std::vector<std::string>> read_keys(const std::string& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0)
    return error{error_code::not_found, "http.api_key_file " + file + " cannot be read",
                 "make it, with one key a line"};
  if (facts.st_mode & (S_IRWXG | S_IRWXO))
    return error{error_code::permission_denied,
                 "http.api_key_file " + file + " is open to other users", "chmod 600 " + file};
  std::ifstream lines(file);
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty() && line.front() != '#') out.push_back(digest_of(line));
  }
  if (out.empty())
    return error{error_code::invalid_argument, "http.api_key_file " + file + " has no key",
                 "write one key a line"};
  return out;
}

front_desk::front_desk(http_settings settings, http_outside outside,
                       std::vector<std::string> key_digests)
    : settings_(std::move(settings)),
      outside_(std::move(outside)),
      key_digests_(std::move(key_digests)),
      started_s_(unix_now_s()),
      book_({settings_.node, settings_.jobs_kept, settings_.jobs_running_max}) {}

request_limits front_desk::limits() const {
  request_limits out;
  out.tokens_max = settings_.tokens_max;
  return out;
}

std::string front_desk::open_session(std::shared_ptr<inbox> reader) {
  const std::lock_guard lock{guard_};
  std::string name = std::string(session_prefix) + std::to_string(next_session_++);
  sessions_[name] = std::move(reader);
  return name;
}

void front_desk::close_session(const std::string& session, bool tell_gateway) {
  {
    const std::lock_guard lock{guard_};
    sessions_.erase(session);
  }
  if (tell_gateway) outside_.session_gone(session);
}

void front_desk::post(proto::Envelope message) {
  outside_.office->post(std::make_shared<const proto::Envelope>(std::move(message)));
}

void front_desk::deliver(const envelope_ptr& message) {
  const std::string& session = message->target().node();
  if (session.starts_with(job_session_prefix)) {
    {
      const std::lock_guard lock{book_guard_};
      book_.take(*message);
    }
    return carry_out_book();
  }
  std::shared_ptr<inbox> reader;
  {
    const std::lock_guard lock{guard_};
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;  // it has just ended
    reader = found->second;
  }
  reader->push(message);
}

void front_desk::gateway_restarted() {
  auto lost = std::make_shared<proto::Envelope>();
  lost->mutable_error()->set_code(proto::Error::UNAVAILABLE);
  lost->mutable_error()->set_message("the gateway of node " + settings_.node +
                                     " was started again");
  lost->mutable_error()->set_mend("send the request again");
  std::vector<std::shared_ptr<inbox>> readers;
  {
    const std::lock_guard lock{guard_};
    for (const auto& [name, reader] : sessions_) readers.push_back(reader);
  }
  for (const auto& reader : readers) reader->push(lost);
  {
    const std::lock_guard lock{book_guard_};
    book_.gateway_restarted();
  }
  carry_out_book();
}

std::optional<api_error> front_desk::refuse_stranger(const http_request& request, const route& to,
                                                     std::string& client) const {
  if (key_digests_.empty()) {
    // Without keys only this machine is served; a web page that a browser here shows must not
    // speak to it under another name (DNS rebinding) or from another origin.
    if (!names_loopback(request.host))
      return wrong_request(403, "the Host header names \"" + request.host.substr(0, 128) +
                                    "\"; use 127.0.0.1 or localhost, or set http.api_key_file");
    const std::size_t scheme = request.origin.find("://");
    if (!request.origin.empty() &&
        (scheme == std::string::npos || !names_loopback(request.origin.substr(scheme + 3))))
      return wrong_request(403, "pages of " + request.origin.substr(0, 128) +
                                    " are not served without http.api_key_file");
    return std::nullopt;
  }
  if (to.open) return std::nullopt;
  constexpr std::string_view scheme = "Bearer ";
  if (request.authorization.starts_with(scheme)) {
    const std::string digest = digest_of(request.authorization.substr(scheme.size()));
    for (const std::string& known : key_digests_)
      if (CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0) {
        client = short_name(digest);
        return std::nullopt;
      }
  }
  return wrong_request(401,
                       "an API key is needed; send \"Authorization: Bearer KEY\" with a key of "
                       "http.api_key_file");
}

std::optional<api_error> front_desk::admit(const std::string& client) {
  const std::lock_guard lock{guard_};
  if (draining_)
    return api_error_of(error_code::unavailable, "node " + settings_.node + " stops",
                        "ask another node");
  const auto own = requests_of_.find(client);
  const bool full = requests_ >= settings_.requests_max;
  if (full || (own != requests_of_.end() && own->second >= settings_.requests_per_client_max)) {
    ++refused_;
    return api_error_of(
        error_code::resource_exhausted,
        full ? std::to_string(settings_.requests_max) + " requests are being answered"
             : "client " + client + " has " + std::to_string(own->second) + " requests under way",
        std::string("try again later, or raise http.") +
            (full ? "requests_max" : "requests_per_client_max"));
  }
  ++requests_;
  ++requests_of_[client];
  return std::nullopt;
}

void front_desk::leave(const std::string& client) {
  const std::lock_guard lock{guard_};
  --requests_;
  if (const auto own = requests_of_.find(client); own != requests_of_.end() && --own->second == 0)
    requests_of_.erase(own);
}

// Posts what the book decided, and wakes who reads jobs.
void front_desk::carry_out_book() {
  std::vector<proto::Envelope> messages;
  std::vector<std::string> ended;
  std::vector<std::shared_ptr<inbox>> watchers;
  {
    const std::lock_guard lock{book_guard_};
    messages = book_.take_messages();
    ended = book_.take_ended_sessions();
    std::erase_if(job_watchers_, [](const auto& watcher) { return watcher.expired(); });
    for (const auto& watcher : job_watchers_)
      if (auto alive = watcher.lock()) watchers.push_back(std::move(alive));
  }
  for (const std::string& session : ended) outside_.session_gone(session);
  for (proto::Envelope& message : messages) post(std::move(message));
  for (const auto& watcher : watchers) watcher->wake();
}

std::variant<job_book::submitted, api_error> front_desk::submit_job(const job_wish& wish) {
  std::variant<job_book::submitted, api_error> out;
  {
    const std::lock_guard lock{book_guard_};
    out = book_.submit(wish, unix_now_s());
  }
  carry_out_book();
  return out;
}

bool front_desk::cancel_job(const std::string& id) {
  bool known = false;
  {
    const std::lock_guard lock{book_guard_};
    known = book_.cancel(id);
  }
  carry_out_book();
  return known;
}

std::optional<std::string> front_desk::job_state(const std::string& id) const {
  const std::lock_guard lock{book_guard_};
  return book_.state(id);
}

std::optional<job_book::piece> front_desk::read_job(const std::string& id,
                                                    std::uint32_t from) const {
  const std::lock_guard lock{book_guard_};
  return book_.read(id, from);
}

void front_desk::watch_jobs(const std::shared_ptr<inbox>& reader) {
  const std::lock_guard lock{book_guard_};
  job_watchers_.push_back(reader);
}

std::shared_ptr<const proto::ClusterStatus> front_desk::fresh_status() const {
  const std::lock_guard lock{guard_};
  const bool fresh = status_ && std::chrono::steady_clock::now() - status_at_ < status_fresh;
  return fresh ? status_ : nullptr;
}

void front_desk::keep_status(std::shared_ptr<const proto::ClusterStatus> status) {
  const std::lock_guard lock{guard_};
  status_ = std::move(status);
  status_at_ = std::chrono::steady_clock::now();
}

live_counts front_desk::counts() const {
  return {connections_, requests_, refused_, draining_};
}

bool front_desk::connection_opened() {
  if (++connections_ <= settings_.connections_max) return true;
  --connections_;
  return false;
}

}  // namespace troupe::http
