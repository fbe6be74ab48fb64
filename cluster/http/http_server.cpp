#include "cluster/http/http_server.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <vector>

#include "cluster/http/connection.hpp"

namespace troupe::http {
namespace {

using asio::ip::tcp;
using std::chrono::steady_clock;

constexpr milliseconds farewell_wait{2'000};
constexpr milliseconds refusal_wait{1'000};
constexpr int send_buffer_bytes = 256 << 10;  // what a reader who stopped holds beside its credit
constexpr milliseconds accept_pause{50};      // after a failure such as too many open files
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// Connections that the files which this process may open leave room for, once it may open as many
// as it is allowed to; others are the node's own.
std::uint32_t fitting_connections(std::uint32_t wished) {
  constexpr rlim_t others = 128;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wished;
  const rlim_t most = std::min<rlim_t>(files.rlim_max, rlim_t{wished} + others);
  if (most > files.rlim_cur) {
    files.rlim_cur = most;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur >= rlim_t{wished} + others) return wished;
  const rlim_t fit =
      std::max(files.rlim_cur - std::min(others, files.rlim_cur), files.rlim_cur / 2);
  spdlog::warn(
      "http_connections_bounded connections={} wished={} files_max={} mend=\"raise the limit of "
      "open files (ulimit -n)\"",
      fit, wished, files.rlim_cur);
  return static_cast<std::uint32_t>(fit);
}

class server_of_node final : public server {
 public:
  server_of_node(http_settings settings, http_outside outside, std::optional<key_file> keys,
                 std::unique_ptr<job_keeper> keeper, std::unique_ptr<asio::ssl::context> tls)
      : desk_(std::move(settings), std::move(outside), std::move(keys), std::move(keeper)),
        tls_(std::move(tls)) {}
  ~server_of_node() override { stop(); }

  status open(const std::string& host, const std::string& port);
  std::string address() const override { return address_; }
  void deliver(envelope_ptr message) override { desk_.deliver(message); }
  void begin_jobs() override { desk_.begin_jobs(); }
  void gateway_restarted() override { desk_.gateway_restarted(); }
  void run_soon(std::function<void()> task) override { asio::post(loop_, std::move(task)); }
  void drain() override { desk_.drain(); }
  void stop() override;

 private:
  asio::awaitable<void> accept_all();
  asio::awaitable<void> serve(tcp::socket socket);

  front_desk desk_;  // outlives every coroutine
  std::unique_ptr<asio::ssl::context> tls_;
  std::string address_;
  asio::io_context loop_;
  tcp::acceptor acceptor_{loop_};
  std::vector<std::thread> threads_;
};

status server_of_node::open(const std::string& host, const std::string& port) {
  boost::system::error_code failed;
  tcp::resolver resolver(loop_);
  const auto found = resolver.resolve(host, port, tcp::resolver::passive, failed);
  if (failed || found.empty())
    return error{error_code::invalid_argument,
                 "http.listen: " + host + " is no address of this machine: " + failed.message(),
                 "write HOST:PORT"};
  const tcp::endpoint at = found.begin()->endpoint();
  acceptor_.open(at.protocol(), failed);
  if (!failed) acceptor_.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed) acceptor_.bind(at, failed);
  if (!failed) acceptor_.listen(tcp::acceptor::max_listen_connections, failed);
  if (failed)
    return error{
        error_code::unavailable,
        "http.listen: port " + port + " of " + host + " cannot be used: " + failed.message(),
        "stop what listens there, or set http.listen to another port"};
  address_ = std::string(tls_ ? "https://" : "http://") + host + ":" +
             std::to_string(acceptor_.local_endpoint().port());
  asio::co_spawn(asio::make_strand(loop_), accept_all(), asio::detached);
  for (std::size_t i = 0; i < desk_.settings().threads; ++i)
    threads_.emplace_back([this] {
      ::pthread_setname_np(::pthread_self(), "http");
      loop_.run();
    });
  return {};
}

asio::awaitable<void> server_of_node::accept_all() {
  asio::steady_timer pause(loop_);
  while (acceptor_.is_open()) {
    tcp::socket socket(asio::make_strand(loop_));
    const auto [failed] = co_await acceptor_.async_accept(socket, as_result);
    if (failed == asio::error::operation_aborted) co_return;
    if (failed) {
      spdlog::warn("http_accept_failed reason=\"{}\"", failed.message());
      pause.expires_after(accept_pause);
      co_await pause.async_wait(as_result);
      continue;
    }
    auto strand = socket.get_executor();
    asio::co_spawn(strand, serve(std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> server_of_node::serve(tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(tcp::socket::send_buffer_size(send_buffer_bytes), ignored);
  const tcp::endpoint from = socket.remote_endpoint(ignored);
  auto over = make_wire(std::move(socket), tls_.get());
  if (!desk_.connection_opened()) {
    const api_error why = wrong_request(503, "too many connections (http.connections_max)");
    if (!tls_) co_await over->write(refusal(why, false, false), refusal_wait);
    over->close();
    co_return;
  }
  struct place {
    front_desk& desk;
    ~place() { desk.connection_closed(); }
  } held{desk_};
  auto one = std::make_shared<connection>(std::move(over), desk_, from.address().to_string());
  try {
    co_await one->run();
  } catch (const std::exception& failure) {
    spdlog::error("http_connection_failed reason=\"{}\"", failure.what());
  }
}

void server_of_node::stop() {
  if (threads_.empty()) return;
  desk_.drain();
  const auto late = steady_clock::now() + farewell_wait;
  while (desk_.requests() > 0 && steady_clock::now() < late)
    std::this_thread::sleep_for(milliseconds(10));
  loop_.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  desk_.forget_watchers();
}

}  // namespace

result<std::unique_ptr<server>> server::start(http_settings settings, http_outside outside) {
  const std::string at = settings.listen.substr(settings.listen.find("://") + 3);
  const std::size_t colon = at.rfind(':');
  std::string host = at.substr(0, colon), port = at.substr(colon + 1);
  if (port == "*") port = "0";
  const bool loopback = names_loopback(host);
  std::optional<key_file> keys;
  if (!settings.api_key_file.empty()) {
    auto read = read_key_file(settings.api_key_file);
    if (!read)
      return error{read.failure().code, "http.api_key_file: " + read.failure().message,
                   read.failure().mend};
    if (read->keys.keys().empty())
      return error{error_code::invalid_argument,
                   "http.api_key_file " + settings.api_key_file + " has no key",
                   "make one with `troupe api-key make`"};
    keys = *std::move(read);
  }
  if (!loopback && !keys)
    return error{error_code::invalid_argument,
                 "http.listen is " + at + ", which others can reach, and no API key is asked for",
                 "set http.api_key_file, or listen on 127.0.0.1"};
  if (settings.tls_certificate.empty() != settings.tls_key.empty())
    return error{error_code::invalid_argument,
                 "only one of http.tls_certificate and http.tls_key is set", "set both or none"};
  std::unique_ptr<asio::ssl::context> tls;
  if (!settings.tls_certificate.empty()) {
    auto opened = open_tls(settings.tls_certificate, settings.tls_key);
    if (!opened) return opened.failure();
    tls = *std::move(opened);
  }
  if (!loopback && !tls)
    spdlog::warn("http_in_the_clear address={} mend=\"set http.tls_certificate\"", at);
  std::unique_ptr<job_keeper> keeper;
  if (!settings.jobs_folder.empty()) {
    auto opened = job_keeper::open(settings.jobs_folder);
    if (!opened) return opened.failure();
    keeper = *std::move(opened);
  }
  settings.connections_max = fitting_connections(settings.connections_max);
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  auto made = std::make_unique<server_of_node>(std::move(settings), std::move(outside),
                                               std::move(keys), std::move(keeper), std::move(tls));
  if (status opened = made->open(host, port); !opened) return opened.failure();
  return std::unique_ptr<server>(std::move(made));
}

}  // namespace troupe::http
