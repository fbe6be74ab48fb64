// One connection's bytes, over TCP or over TLS on it. Every wait is bounded.
//
// Threading: one strand; one read and one write at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "config/outcome.hpp"

namespace boost::asio::ssl {
class context;
}

namespace troupe::http {

namespace asio = boost::asio;
using std::chrono::milliseconds;

class wire {
 public:
  virtual ~wire() = default;
  // TLS's greeting; nothing over TCP. False: the connection is of no use.
  virtual asio::awaitable<bool> greet(milliseconds wait_max) = 0;
  // Appends what came; 0: the end, an error, or nothing came in time.
  virtual asio::awaitable<std::size_t> read(std::string& into, milliseconds wait_max) = 0;
  virtual asio::awaitable<bool> write(std::string bytes, milliseconds wait_max) = 0;
  virtual asio::ip::tcp::socket& socket() = 0;

  // Returns once the other side has closed, or when it is cancelled.
  asio::awaitable<bool> gone();
  void close();
};

// tls: null for plain TCP; else it outlives the wire.
std::unique_ptr<wire> make_wire(asio::ip::tcp::socket socket, asio::ssl::context* tls);
// A server's certificate chain and key, TLS 1.2 or newer.
result<std::unique_ptr<asio::ssl::context>> open_tls(const std::string& certificate,
                                                     const std::string& key);

}  // namespace troupe::http
