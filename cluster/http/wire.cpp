#include "cluster/http/wire.hpp"

#include <poll.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace troupe::http {
namespace {

constexpr std::size_t read_bytes = 16u << 10;
constexpr milliseconds gone_poll{200};
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

using asio::ip::tcp;
using tls_stream = asio::ssl::stream<tcp::socket>;

tcp::socket& lowest(tcp::socket& stream) {
  return stream;
}
tcp::socket& lowest(tls_stream& stream) {
  return stream.next_layer();
}

// Cancels what waits at the socket when its time is over; the socket stays usable, so that a client
// that is late can be told.
class wait_bound {
 public:
  explicit wait_bound(tcp::socket& socket)
      : timer_(socket.get_executor()), shared_(std::make_shared<shared>()) {
    shared_->socket = &socket;
  }
  ~wait_bound() { shared_->socket = nullptr; }

  void begin(milliseconds wait_max) {
    const std::uint64_t mine = ++shared_->epoch;
    timer_.expires_after(wait_max);
    timer_.async_wait([mine, of = shared_](const boost::system::error_code& stopped) {
      if (stopped || !of->socket || of->epoch != mine) return;
      boost::system::error_code ignored;
      of->socket->cancel(ignored);
    });
  }
  void end() {
    ++shared_->epoch;
    timer_.cancel();
  }

 private:
  struct shared {
    std::uint64_t epoch = 0;
    tcp::socket* socket = nullptr;
  };
  asio::steady_timer timer_;
  std::shared_ptr<shared> shared_;
};

template <class Stream>
class wire_over : public wire {
 public:
  template <class... Args>
  explicit wire_over(Args&&... args)
      : stream_(std::forward<Args>(args)...), bound_(lowest(stream_)) {}

  asio::awaitable<bool> greet(milliseconds wait_max) override {
    if constexpr (std::is_same_v<Stream, tls_stream>) {
      bound_.begin(wait_max);
      const auto [failed] =
          co_await stream_.async_handshake(asio::ssl::stream_base::server, as_result);
      bound_.end();
      co_return !failed;
    }
    co_return true;
  }

  asio::awaitable<std::size_t> read(std::string& into, milliseconds wait_max) override {
    const std::size_t before = into.size();
    into.resize(before + read_bytes);
    bound_.begin(wait_max);
    const auto [failed, bytes] =
        co_await stream_.async_read_some(asio::buffer(into.data() + before, read_bytes), as_result);
    bound_.end();
    into.resize(before + (failed ? 0 : bytes));
    co_return failed ? 0 : bytes;
  }

  asio::awaitable<bool> write(std::string bytes, milliseconds wait_max) override {
    // The wait counts anew for each piece that the client takes.
    for (std::size_t sent = 0; sent < bytes.size();) {
      bound_.begin(wait_max);
      const auto [failed, taken] = co_await stream_.async_write_some(
          asio::buffer(bytes.data() + sent, bytes.size() - sent), as_result);
      bound_.end();
      if (failed) co_return false;
      sent += taken;
    }
    co_return true;
  }

  tcp::socket& socket() override { return lowest(stream_); }

 private:
  Stream stream_;
  wait_bound bound_;
};

}  // namespace

asio::awaitable<bool> wire::gone() {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (;;) {
    if (!socket().is_open()) co_return true;
    const auto [failed] = co_await socket().async_wait(asio::ip::tcp::socket::wait_read, as_result);
    if (failed) co_return false;
    pollfd seen{socket().native_handle(), POLLRDHUP, 0};
    if (::poll(&seen, 1, 0) > 0) co_return true;
    // Bytes of a next request lie there: look again now and then.
    pause.expires_after(gone_poll);
    const auto [stopped] = co_await pause.async_wait(as_result);
    if (stopped) co_return false;
  }
}

void wire::close() {
  boost::system::error_code ignored;
  socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  socket().close(ignored);
}

std::unique_ptr<wire> make_wire(asio::ip::tcp::socket socket, asio::ssl::context* tls) {
  if (tls) return std::make_unique<wire_over<tls_stream>>(std::move(socket), *tls);
  return std::make_unique<wire_over<tcp::socket>>(std::move(socket));
}

result<std::unique_ptr<asio::ssl::context>> open_tls(const std::string& certificate,
                                                     const std::string& key) {
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  boost::system::error_code failed;
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                       asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1,
                   failed);
  tls->use_certificate_chain_file(certificate, failed);
  if (failed)
    return error{error_code::invalid_argument,
                 "http.tls_certificate " + certificate + ": " + failed.message(),
                 "give a PEM file with the certificate chain"};
  tls->use_private_key_file(key, asio::ssl::context::pem, failed);
  if (failed)
    return error{error_code::invalid_argument, "http.tls_key " + key + ": " + failed.message(),
                 "give the PEM file with the certificate's private key"};
  return tls;
}

}  // namespace troupe::http
